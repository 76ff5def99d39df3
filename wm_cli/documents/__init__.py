"""The generated parts of docs/*.md: tables made from the code, and the numbers that the prose must state."""
