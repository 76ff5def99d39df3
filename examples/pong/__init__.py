"""A game of about a hundred lines, from its fields to a dataset: the template of docs/games.md."""
