"""Checkpoint -> QNet, and the machine that defines what a QNet means."""
