"""A session: its accounts, its life cycle, its log and hash tree, and playing it."""
