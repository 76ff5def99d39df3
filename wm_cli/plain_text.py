"""Text of others (names, paths, a node's answers, an exception that quotes them) as what a reader sees it to be.

No character of it steers a terminal or a browser: control characters of C0 and C1, escape sequences, marks that turn
the direction of writing around, and line ends that would begin a line in wmq's name are replaced.
"""

import os
import shlex
from collections.abc import Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def plain(text: object) -> str:
    """A text as a part of a line: every character that cannot be printed is U+FFFD, line ends too."""
    words = str(text)
    return words if words.isprintable() else "".join(c if c.isprintable() else REPLACEMENT for c in words)


def plain_lines(text: object) -> str:
    """The same for a text that wmq has laid out in lines."""
    return "\n".join(map(plain, str(text).split("\n")))


def plain_error(error: object) -> str:
    """The message of an exception: lines after the first are indented, so that none of them looks like wmq's own."""
    return "\n  ".join(line.strip() for line in plain_lines(error).split("\n"))


def os_error_text(error: OSError, words: Sequence[str]) -> str:
    """An OSError in words: the path it is about, or, where it names none, the command that met it."""
    where = error.filename if error.filename is not None else f"wmq {shlex.join(words)}"
    return f"{os.fsdecode(where) if isinstance(where, str | bytes) else where}: {error.strerror or error}"
