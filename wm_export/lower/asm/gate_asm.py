"""The gate kernels: products of two vectors, shifted down; one makes both vectors first, and norms the products.

A kernel that norms is `gated_norm_<values at a time>`.
"""

import re
from collections.abc import Iterator
from functools import cache

from wm_export.lower.asm.finish_asm import FINISHES
from wm_export.lower.asm.listing import (
    NOTHING,
    UNBOUNDED,
    Count,
    Family,
    Kernel,
    Repeat,
    Segment,
    half,
    load,
    segment,
    store,
)
from wm_export.lower.asm.norm_asm import NORM_WORDS, root, scale
from wm_export.lower.asm.table_asm import TABLE_BIAS, TABLE_ENTRIES, TABLE_WORDS
from wm_train.grid.integer_mamba2 import GATE_SHIFT

#: Elements come in multiples of it; a kernel that norms takes at most so many at a time.
GATE_UNROLL, GATED_TILE_MAX = 8, 32
#: What gated_norm finds in front of its multipliers: the table, what the norm reads, the norm's shift and its own.
GATED_FRONT = TABLE_WORDS + NORM_WORDS + 2
#: Places in the frame: the end of what is read, and the start of what is written.
END_SLOT, OUT_SLOT = -8, -16
_NAME = re.compile(r"gated_norm_(\d{1,2})")
#: Labels of a value count from here: where it is above its range, and below; its second test; where it is inside.
_LABELS = 200
#: What values are kept inside.
_MOST = FINISHES["wide"].high


@cache
def gate() -> Kernel:
    """Registers: r1 the values, r2 the other vector, r3 out, r4 end of the values, r5 shift, r6 half, r7 the value."""
    n = GATE_UNROLL
    body = [line for i in range(n) for line in _product(i)]
    body += [f"r1 += {8 * n}", f"r2 += {8 * n}", f"r3 += {8 * n}", "if r1 != r4 goto 1b"]
    return Kernel(
        name="gate",
        about="`out = (values * by + 2^(shift-1)) >> shift`, without saturation.",
        signature="(values: *const i64, by: *const i64, out: *mut i64, n: u64, shift: u64)",
        twin="gate::gate_ref",
        sizes={"n": range(n, UNBOUNDED, n)},
        parts=(
            segment(["r4 <<= 3", "r4 += r1", *half(6, 5, 7)]),
            Repeat(Count("n", n), (segment(body, "1"),)),
            segment(["exit"]),
        ),
    )


def gated_norm_name(tile: int) -> str:
    """The kernel that takes so many values at a time."""
    return f"gated_norm_{tile}"


def gated_norm_named(name: str) -> Kernel:
    """The kernel of this name; KeyError if there is none."""
    if not (found := _NAME.fullmatch(name)):
        raise KeyError(name)
    return gated_norm(int(found[1]))


@cache
def gated_norm(tile: int) -> Kernel:
    """As `requantize_wide` of acc, times what `lut` makes of codes, as `gate` with GATE_SHIFT, then `rmsnorm`;
    1 <= tile <= GATED_TILE_MAX.

    Registers: r1 acc, r2 codes, r3 multipliers, r4 out, r5 the sum of squares, r6 the entry of code 0, r7 half, r8
    shift, r9 the value. The products wait in out for their root.
    """
    if not 1 <= tile <= GATED_TILE_MAX:
        raise ValueError(f"gated_norm: {tile} values at a time, expected 1..{GATED_TILE_MAX}")
    front = 8 * GATED_FRONT
    entry = [store(10, OUT_SLOT, 4), "r5 <<= 3", "r5 += r1", store(10, END_SLOT, 5), "r6 = r3"]
    entry += [f"r6 += {TABLE_ENTRIES}", f"r3 += {front}", load(8, 3, -8), *half(7, 8, 0), "r5 = 0"]
    step = [*(f"r{walks} += {8 * tile}" for walks in (1, 2, 3, 4)), load(9, 10, END_SLOT), "if r1 != r9 goto 1b"]
    roots = ["r2 = r6", f"r2 += {8 * TABLE_WORDS - TABLE_ENTRIES}", load(0, 2, 0), "r0 += r5"]
    roots += [load(5, 2, 8 * NORM_WORDS), load(1, 10, OUT_SLOT)]
    scaled = [line for i in range(tile) for line in scale(i, 1, 1)] + [f"r1 += {8 * tile}", "if r1 != r4 goto 3b"]
    return Kernel(
        name=gated_norm_name(tile),
        about=f"`requantize_wide` of `acc`, times `lut` of `codes`, shifted down by {GATE_SHIFT}, then `rmsnorm`.",
        signature="(acc: *const i64, codes: *const i64, scales: *const u64, out: *mut i64, n: u64)",
        twin=f"gate::gated_norm_ref::<{_MOST}, {GATE_SHIFT}>",
        sizes={"n": range(tile, UNBOUNDED, tile)},
        parts=(
            segment(entry),
            Repeat(Count("n", tile), (*_in_line(tile), segment([NOTHING]), segment(step, "2"))),
            segment(roots),
            *root(""),
            Repeat(Count("n", tile), (segment(scaled, "3"),)),
            segment(["exit"]),
            *_above(tile),
            *_below(tile),
        ),
    )


def gate_family() -> Family:
    """The one that makes nothing but products."""
    return Family(kernels=(gate(),), listing="gate", metered=((GATE_UNROLL,), (64 * GATE_UNROLL,)))


def gated_norm_family() -> Family:
    """One; those that take other numbers of values at a time are like it."""
    return Family(kernels=(gated_norm(8),), listing=gated_norm_name(8), metered=((8,), (64 * 8,)))


def _value(i: int) -> list[str]:
    """r9 = value i, multiplied down."""
    return [load(9, 1, 8 * i), load(0, 3, 8 * i), "r9 *= r0", "r9 += r7", "r9 s>>= r8"]


def _gated(i: int, product: str, register: int) -> list[str]:
    """What `product` makes in r<register> of r9, or of the bound that it is beyond, and of the entry of code i in r0:
    shifted down, stored, and its square added up."""
    factor = [load(0, 2, 8 * i), "r0 <<= 1", "r0 += r6", load(0, 0, 0, "u16"), f"r0 += {-TABLE_BIAS}"]
    shifted = [product, f"r{register} += {1 << (GATE_SHIFT - 1)}", f"r{register} s>>= {GATE_SHIFT}"]
    return [*factor, *shifted, store(4, 8 * i, register), f"r{register} *= r{register}", f"r5 += r{register}"]


def _labels(i: int) -> tuple[int, int, int, int]:
    first = _LABELS + 4 * i
    return first, first + 1, first + 2, first + 3


def _in_line(tile: int) -> Iterator[Segment]:
    """All values; one that is above its range, or below, goes another way, which costs as much and comes back with the
    first value that is not: its tests for what was due anyway."""
    for i in range(tile):
        above, below, second, inside = _labels(i)
        yield segment([*_value(i), f"if r9 s> {_MOST} goto {above}f"], "" if i else "1")
        yield segment([f"if r9 s< {-_MOST} goto {below}f"], str(second))
        yield segment(_gated(i, "r9 *= r0", 9), str(inside))


def _above(tile: int) -> Iterator[Segment]:
    """From a value above its range on: in the place of the second test stands the bound."""
    for i in range(tile):
        above, _, second, _ = _labels(i)
        if i:
            yield segment([*_value(i), f"if r9 s<= {_MOST} goto {second}b"], runs=0)
        yield segment([f"r9 = {_MOST}", *_gated(i, "r9 *= r0", 9)], str(above), runs=0)
    yield segment(["goto 2b"], runs=0)


def _below(tile: int) -> Iterator[Segment]:
    """From a value below its range on."""
    for i in range(tile):
        above, below, _, inside = _labels(i)
        if i:
            tests = [f"if r9 s> {_MOST} goto {above}b", f"if r9 s>= {-_MOST} goto {inside}b"]
            yield segment([*_value(i), *tests], runs=0)
        yield segment(_gated(i, f"r0 *= {-_MOST}", 0), str(below), runs=0)
    yield segment(["goto 2b"], runs=0)


def _product(i: int) -> list[str]:
    """Value i of the stretch."""
    return [load(7, 1, 8 * i), load(8, 2, 8 * i), "r7 *= r8", "r7 += r6", "r7 s>>= r5", store(3, 8 * i, 7)]
