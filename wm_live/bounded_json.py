"""JSON from strangers: nothing but JSON, no deeper and of no more values than any honest one.

Python's own parser takes NaN and as many values as fit into memory, and recursive code that looks at the result (repr,
json.dumps) fails on depths that the parser has just passed.
"""

import json
from typing import Any

MOST_DEPTH = 32
#: A message of 32 MiB could hold ten times as many, at 64 bytes of memory each.
MOST_VALUES = 1_000_000


def parse(raw: bytes | str) -> Any:
    """The value of a JSON text; ValueError if it is none, or deeper or of more values than allowed."""
    text = raw.decode() if isinstance(raw, bytes) else raw
    if text.count(",") + text.count("[") + text.count("{") > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    if _is_deeper(value, MOST_DEPTH):
        raise _too_deep()
    return value


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {MOST_DEPTH}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_deeper(value: Any, most: int) -> bool:
    layer = [value]
    for _ in range(most):
        layer = [child for one in layer for child in _children(one)]
    return any(isinstance(one, list | dict) for one in layer)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
