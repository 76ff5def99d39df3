"""What the rules of a world may do with values, and how numpy does it.

A rule is written once, against `Ops`. numpy runs it on integers (the interpreter, metrics), torch runs the formulas
that the loss shares with it on floats (fit/loss.py), the exporter runs it on values that have only a name and writes
down ONNX nodes or lines of Rust (wm_export/recorder.py).

Glossary
    one     one unit of a continuous field: 1 << FRAC_BITS where values are integers, 1.0 where they are floats
    mask    what a comparison gives: `where`, `&` and `|` take it, and nothing else does
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from wm_train.grid.arithmetic import FRAC_BITS, requantize

#: One unit of a continuous field or head, in fixed point.
ONE = 1 << FRAC_BITS

#: A name -> its value.
Read = Callable[[str], Any]


class Ops(Protocol):
    """What rules need beyond `+ - >> << > <` on values, and `& |` on masks."""

    one: Any

    def where(self, mask: Any, a: Any, b: Any) -> Any:
        """`a` where `mask` holds, else `b`."""

    def clip(self, value: Any, low: Any, high: Any) -> Any:
        """`value` kept inside low..high, which are ints or values."""

    def begin(self, subsystem: str) -> None:
        """The rule of this subsystem, or this law, comes next."""

    def name(self, name: str, value: Any) -> Any:
        """`value`, which is called `name` where it is written down; whatever is used twice needs a name."""


class LawOps(Ops, Protocol):
    """What laws need beyond that."""

    def pick(self, name: str, table: tuple[int, ...], index: Any) -> Any:
        """The entry of a table, which is called `name`, at an id below its length; entries fit 16 bits, unsigned."""


class CodeOps(Protocol):
    """What codes need beyond `+ >> << >` on values."""

    def where(self, mask: Any, a: Any, b: Any) -> Any:
        """See Ops."""

    def clip(self, value: Any, low: Any, high: Any) -> Any:
        """See Ops."""

    def requantize(self, value: Any, mult: int, shift: int) -> Any:
        """The tie rule of arithmetic.requantize."""


class NumpyOps:
    """Ops, LawOps and CodeOps on int64 arrays."""

    one = ONE
    where = staticmethod(np.where)
    clip = staticmethod(np.clip)
    requantize = staticmethod(requantize)

    def pick(self, name: str, table: tuple[int, ...], index: Any) -> Any:
        """See LawOps."""
        return np.array(table, np.int64)[index]

    def begin(self, subsystem: str) -> None:
        """See Ops."""

    def name(self, name: str, value: Any) -> Any:
        """See Ops."""
        return value


def flag(ops: Ops, value: Any) -> Any:
    """1 where `value` > 0, else 0."""
    return ops.where(value > 0, 1, 0)


def between(value: Any, low: int, high: int) -> Any:
    """Mask of integers in low..high, both ends included."""
    return (value > low - 1) & (value < high + 1)


def equals(value: Any, wanted: int) -> Any:
    """Mask of integers that are `wanted`."""
    return between(value, wanted, wanted)


def whole(value: Any) -> Any:
    """Nearest whole number of a value in fixed point, ties toward +inf, still in fixed point."""
    return ((value + ONE // 2) >> FRAC_BITS) << FRAC_BITS
