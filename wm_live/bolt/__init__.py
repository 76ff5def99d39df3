"""Matches of composed worlds on a base chain and the real rollup: BOLT's components and systems (wm_export/bolt)."""
