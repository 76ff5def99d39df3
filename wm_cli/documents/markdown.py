"""Markdown: tables, numbers, and the blocks of a page between their markers."""

from collections.abc import Sequence
from pathlib import Path

from wm_cli.errors import WmCliError

#: The documents stand in the repository, beside the packages.
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells as `str` gives them."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def short_number(value: float) -> str:
    """A step or a scale: 1/n where it is one."""
    whole = f"{value:g}"
    inverse = 1 / value if value else 0.0
    return f"1/{inverse:.0f}" if 0 < value < 1 and abs(inverse - round(inverse)) < 1e-9 else whole


def power(value: float) -> str:
    """2^n for the powers of two from 1,024 on, else the number."""
    exponent = int(value).bit_length() - 1
    return f"2^{exponent}" if value == 1 << exponent and exponent > 9 else f"{value:g}"


def split_at_block(text: str, name: str) -> tuple[str, str, str]:
    """`text` before, between and after the markers of block `name`. Raises WmCliError unless each stands there once."""
    first, last = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    if not text.count(first) == text.count(last) == 1:
        raise WmCliError(f"documents: expected {first.strip()} and {last} once each, in this order")
    start, end = text.index(first) + len(first), text.index(last)
    return text[:start], text[start:end], text[end:]
