"""What the verbs print as tables on the terminal."""
