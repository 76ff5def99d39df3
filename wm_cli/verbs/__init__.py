"""The verbs of `wmq`: each with its options, what it does, and what it prints."""
