"""A base chain and a rollup on this machine."""
