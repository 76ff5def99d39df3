"""Measurements on a running rollup, and a node that behaves as public ones do."""
