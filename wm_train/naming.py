"""Names in artifacts: of ops, vectors, tensors, sections, programs and games.

They become file texts, table cells and, in upper case with `_` for `.`, constants of a generated program. So each is a
word of one pattern, and no two of a kind become the same constant.
"""

import re
from collections.abc import Iterable

NAME = re.compile(r"[a-z][a-z0-9_.]{0,40}")


def constant_of(name: str) -> str:
    """What a name is called in generated code."""
    return name.upper().replace(".", "_")


def misnamed(names: Iterable[str]) -> str:
    """What is wrong with names of one kind: the first that is none, or is called like another one; "" if nothing."""
    known: dict[str, str] = {}
    for name in names:
        if not NAME.fullmatch(name):
            return f"{name!r:.60} is no name, expected {NAME.pattern}"
        first = known.setdefault(constant_of(name), name)
        if first != name:
            return f"{first} and {name} are both called {constant_of(name)} in a program"
    return ""
