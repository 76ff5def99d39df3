"""Values that are kept inside two bounds and stored, one after the other, for three units each.

A value inside passes two tests and is stored. The way of one outside leads to an instruction that stores the bound. To
come back from there would be a fourth unit, so nothing comes back until another value is inside: behind the instruction
that stores a bound stands once more what makes the next value, and the test that one inside leaves by is due anyway.

    in line                     above                       below
    make value 0
    if above: go above 0  --->  (one unit), store high 0
    if below: go below 0  ----------------------------->    store low 0
    store value 0
    make value 1                make value 1                make value 1
    if above: go above 1        if not above: go back       if above: go above 1
    if below: go below 1   <--  to the test below           if not below: go back to the store
    store value 1               store high 1                store low 1
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wm_export.lower.asm.listing import NOTHING, Apart, Part, Segment, segment, store, store_number

#: Labels of a value count from here: where its high bound is stored, and its low one, its second test, its store. The
#: first one behind the last value's is of what comes after it.
_LABELS, _EACH = 200, 4


@dataclass(frozen=True)
class Value:
    """Instructions that leave a value in r<register>; it is stored at r<base> + offset. They have no labels, and what
    they find does not depend on how values before them were stored."""

    lines: tuple[str, ...]
    register: int
    base: int
    offset: int

    @property
    def store(self) -> str:
        """The instruction that stores it."""
        return store(self.base, self.offset, self.register)


def kept(values: Sequence[Value], low: int, high: int) -> tuple[Part, ...]:
    """All values, each kept inside low..high, numbers of 32 bits: three units a value and one more. Once a kernel."""
    end = str(_LABELS + _EACH * len(values))
    lines = [part for row, value in enumerate(values) for part in _in_line(value, row, low, high)]
    above = [part for row, value in enumerate(values) for part in _above(value, row, high)]
    below = [part for row, value in enumerate(values) for part in _below(value, row, low, high)]
    back = segment([f"goto {end}b"])
    return *lines, segment([NOTHING]), segment([], end), Apart((*above, back, *below, back))


def _labels(row: int) -> tuple[int, int, int, int]:
    first = _LABELS + _EACH * row
    return first, first + 1, first + 2, first + 3


def _in_line(value: Value, row: int, low: int, high: int) -> Iterator[Segment]:
    above, below, second, inside = _labels(row)
    yield segment([*value.lines, f"if r{value.register} s> {high} goto {above}f"])
    yield segment([f"if r{value.register} s< {low} goto {below}f"], str(second))
    yield segment([value.store], str(inside))


def _above(value: Value, row: int, high: int) -> Iterator[Segment]:
    above, _, second, _ = _labels(row)
    if row:
        yield segment([*value.lines, f"if r{value.register} s<= {high} goto {second}b"])
    yield segment([NOTHING, store_number(value.base, value.offset, high)], str(above))


def _below(value: Value, row: int, low: int, high: int) -> Iterator[Segment]:
    above, below, _, inside = _labels(row)
    if row:
        out = f"if r{value.register} s> {high} goto {above}b"
        yield segment([*value.lines, out, f"if r{value.register} s>= {low} goto {inside}b"])
    yield segment([store_number(value.base, value.offset, low)], str(below))
