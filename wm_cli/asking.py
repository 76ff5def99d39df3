"""Whether somebody sits at the terminal who can be asked."""

import sys


def somebody_there() -> bool:
    """Whether standard input is a terminal; it may be a file, a pipe, or closed."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
