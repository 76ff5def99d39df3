"""Clients of a deployed world: what a session shows, and who looks at it."""
