"""Auditing a session and disputing one of its frames."""
