"""The argmax kernels: index of the largest value, of all or of those with a wanted label; the lowest index on ties.

`argmax` is two copies of one walk that differ in which of two registers holds the largest value so far, and which the
value that is compared with it. A larger value need not be moved: the walk goes on in the other copy, and notes the
address on the way there, which costs as much as to stay.

`argmax_within` looks for the smallest key. That of value i is i - (value << INDEX_BITS), so a larger value comes first
and then a lower index; the distance of the label from the wanted one is above all of that. Indices count from the start
of a stretch of eight: after each stretch the smallest key steps back by its length.
"""

from collections.abc import Iterator
from functools import cache

from wm_export.lower.asm.listing import NOTHING, UNBOUNDED, Count, Family, Fork, Kernel, Part, Repeat, load, segment

ARGMAX_UNROLL = 8
WITHIN_INDEX_BITS = 16
WITHIN_LABEL_SHIFT = 49

EIGHTS, ONES = Count("n", ARGMAX_UNROLL), Count("n", ARGMAX_UNROLL, remainder=True)
#: r5 = end of the eights, r2 = values left over.
_SPLIT = ("r5 = r2", "r2 &= 7", "r5 -= r2", "r5 <<= 3", "r5 += r1")
#: Where one copy of argmax arrives from the other: this, and the value's index in its stretch; of one left over, 8.
_ARRIVALS = {4: 10, 6: 20}


@cache
def argmax() -> Kernel:
    """Registers: r4 and r6 the largest value and the one compared, r0 its address, r1 walks from r3, r5 the end of the
    eights, r2 values left over."""
    entry = ["r3 = r1", "r0 = r1", f"r4 = {-(1 << 63) & (1 << 64) - 1:#x} ll", *_SPLIT, "if r1 == r5 goto 4f"]
    return Kernel(
        name="argmax",
        about="Index of the largest of `n` values, the lowest one on ties.",
        signature="(values: *const i64, n: u64) -> u64",
        twin="argmax::argmax_ref",
        sizes={"n": range(1, UNBOUNDED)},
        parts=(segment(entry), Fork(_walk(4, 6), _walk(6, 4))),
    )


@cache
def argmax_within() -> Kernel:
    """Registers: r9 is the smallest key so far, r1 walks, r3 walks the labels, r4 is the wanted one, r5 the end, r2
    values left over."""
    entry = [f"r9 = {1 << 62:#x} ll", "r0 = r2", *_SPLIT, "if r1 == r5 goto 2f"]
    eights = [line for i in range(ARGMAX_UNROLL) for line in _step_within(i)]
    eights += [f"r1 += {8 * ARGMAX_UNROLL}", f"r3 += {ARGMAX_UNROLL}", f"r9 += {-ARGMAX_UNROLL}", "if r1 != r5 goto 1b"]
    ones = [*_step_within(0), "r1 += 8", "r3 += 1", "r9 += -1", "r2 += -1", "if r2 != 0 goto 3b"]
    leave = ["r0 += r9", f"r0 &= {(1 << WITHIN_INDEX_BITS) - 1}", "exit"]
    return Kernel(
        name="argmax_within",
        about="Index of the largest of those of `n` values whose label is `label`, the lowest one on ties.",
        signature="(values: *const i64, n: u64, labels: *const u8, label: u64) -> u64",
        twin="argmax::argmax_within_ref",
        sizes={"n": range(1, 1 << WITHIN_INDEX_BITS)},
        parts=(
            segment(entry),
            Repeat(EIGHTS, (segment(eights, "1"),)),
            segment(["if r2 == 0 goto 4f"], "2"),
            Repeat(ONES, (segment(ones, "3"),)),
            segment(leave, "4"),
        ),
    )


def argmax_family() -> Family:
    """Both; to be read, the one whose walk is in two copies."""
    sizes = ((1,), (ARGMAX_UNROLL + 1,), (50 * ARGMAX_UNROLL,))
    return Family(kernels=(argmax(), argmax_within()), listing="argmax", metered=sizes)


def _walk(best: int, compared: int) -> tuple[Part, ...]:
    """One copy of argmax: stretches of eight, the values left over, and out."""
    eights = [
        part for i in range(ARGMAX_UNROLL) for part in _compare(best, compared, i, at=8 * i, label="2" if i else "1")
    ]
    eights.append(segment([f"r1 += {8 * ARGMAX_UNROLL}", "if r1 != r5 goto 1b"], "2"))
    ones = [*_compare(best, compared, ARGMAX_UNROLL, at=0, label="3")]
    ones.append(segment(["r1 += 8", "r2 += -1", "if r2 != 0 goto 3b"], "2"))
    return (
        Repeat(EIGHTS, tuple(eights)),
        segment(["if r2 == 0 goto 5f"], "4"),
        Repeat(ONES, tuple(ones)),
        segment(["r0 -= r3", "r0 >>= 3", "exit"], "5"),
    )


def _compare(best: int, compared: int, number: int, at: int, label: str) -> Iterator[Part]:
    """The value `at` bytes from r1: if it is larger than the largest, go on in the other copy. What follows has label
    2."""
    there = f"{_ARRIVALS[compared] + number}{'f' if best < compared else 'b'}"
    yield segment([load(compared, 1, at), f"if r{compared} s> r{best} goto {there}"], label)
    stay, arrive = [NOTHING, "goto 2f"], ["r0 = r1", f"r0 += {at}"]
    yield Fork((segment(stay),), (segment(arrive, str(_ARRIVALS[best] + number)),))


def _step_within(i: int) -> list[str]:
    """Lower r9 to the key of value i of the stretch, if that is smaller."""
    key = [load(6, 1, 8 * i), f"r6 *= {-(1 << WITHIN_INDEX_BITS)}", *([f"r6 += {i}"] if i else [])]
    away = [load(7, 3, i, "u8"), "r7 ^= r4", f"r7 <<= {WITHIN_LABEL_SHIFT}", "r6 += r7"]
    return [*key, *away, "r6 -= r9", "r7 = r6", "r7 s>>= 63", "r6 &= r7", "r9 += r6"]
