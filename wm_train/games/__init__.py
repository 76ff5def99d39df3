"""Recorded games: from replays to a dataset, and from a dataset to sequences and batches of windows."""
