"""The ops of a QNet: one class a kind, one file a family."""
