"""`wmq demo`: every stage once, in one folder."""
