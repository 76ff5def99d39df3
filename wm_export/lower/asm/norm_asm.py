"""The rmsnorm kernel: values over their root mean square, by a table of reciprocal roots.

The sum of squares, one or more and below 2^53, is shifted SPARE places up and then an even number of places down, until
it is a mantissa; half of the places are those of the results' shift.
"""

from collections.abc import Callable
from functools import cache

from wm_export.lower.asm.listing import (
    NOTHING,
    UNBOUNDED,
    Family,
    Fork,
    Kernel,
    Part,
    half,
    load,
    segment,
    store,
    unrolled,
)
from wm_train.grid.arithmetic import EXACT_BITS
from wm_train.grid.integer_mamba2 import NORM_MANTISSAS

NORM_UNROLL = 16
LOW, HIGH = NORM_MANTISSAS
#: Words of a table: what is added to the sum of squares, then a root for each mantissa.
NORM_WORDS = 1 + HIGH - LOW
#: So many places up, a sum of one is as large as the largest mantissa.
SPARE = (HIGH - 1).bit_length()
#: Places down, tried in this order: all together they make a mantissa of the largest sum.
PLACES = (32, 16, 8, 4, 2)
assert EXACT_BITS + SPARE <= 63 and EXACT_BITS + SPARE - sum(PLACES) <= SPARE


@cache
def rmsnorm() -> Kernel:
    """Registers: r1 walks the values, r2 the table and then the root, r3 out, r4 values left, r5 the shift and r6 its
    half; r0 the sum of squares."""
    squares = [load(0, 2, 0), "r7 = r1", "r8 = r4", f"if r8 < {NORM_UNROLL} goto 2f"]
    return Kernel(
        name="rmsnorm",
        about="`out = values * root >> shift`, the root and the shift those of the sum of squares.",
        signature="(values: *const i64, table: *const i64, out: *mut i64, n: u64, shift: u64)",
        twin="norm::rmsnorm_ref",
        sizes={"n": range(1, UNBOUNDED)},
        parts=(
            segment(squares),
            *_walk(_square, ("r7",), "r8", 1),
            *root("4"),
            segment([f"if r4 < {NORM_UNROLL} goto 6f"]),
            *_walk(lambda i: scale(i, 1, 3), ("r1", "r3"), "r4", 5),
            segment(["exit"], "8"),
        ),
    )


def norm_family() -> Family:
    """The one."""
    return Family(kernels=(rmsnorm(),), listing="rmsnorm", metered=((1,), (NORM_UNROLL + 1,), (16 * NORM_UNROLL,)))


def _walk(one: Callable[[int], list[str]], walking: tuple[str, ...], left: str, label: int) -> tuple[Part, ...]:
    """What `one` does for each value, over vectors that these registers walk."""

    def step(count: int) -> list[str]:
        return [*(f"{register} += {8 * count}" for register in walking), f"{left} += {-count}"]

    return unrolled("n", NORM_UNROLL, left, one, step, label)


def _square(i: int) -> list[str]:
    return [load(9, 7, 8 * i), "r9 *= r9", "r0 += r9"]


def scale(i: int, values: int, out: int) -> list[str]:
    """Value i of those at r<values>, times the root, to r<out>: as `root` leaves r2, r5 and r6. r7 is lost."""
    return [load(7, values, 8 * i), "r7 *= r2", "r7 += r6", "r7 s>>= r5", store(out, 8 * i, 7)]


def root(label: str) -> tuple[Part, ...]:
    """Of the sum in r0, the table at r2 and the shift in r5: the root in r2, the results' shift in r5 and its half in
    r6. r0 and r7 are lost.

    label   of the first instruction
    """
    return (
        segment([f"r0 <<= {SPARE}", f"r6 = {-SPARE}"], label),
        *(part for number, places in enumerate(PLACES) for part in _down(places, number)),
        segment(_root()),
    )


def _down(places: int, number: int) -> tuple[Part, ...]:
    """The sum in r0 so many places down, if it stays a mantissa; r6 counts them."""
    far, back = str(20 + 2 * number), str(21 + 2 * number)
    take, leave = segment(["r0 = r7", f"r6 += {places}"]), segment([NOTHING, f"goto {back}b"], far)
    shifted = segment(["r7 = r0", f"r7 >>= {places}", f"if r7 < {LOW} goto {far}f"])
    return shifted, Fork((take,), (leave,), apart=True), segment([], back)


def _root() -> list[str]:
    """What the mantissa in r0 and the places in r6 make of table, shift and half."""
    shift = ["r6 s>>= 1", "r5 += r6", *half(6, 5, 7)]
    return ["r0 <<= 3", "r0 += r2", load(2, 0, 8 - 8 * LOW), *shift]
