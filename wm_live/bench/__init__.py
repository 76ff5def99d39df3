"""Measurements on a running rollup."""
