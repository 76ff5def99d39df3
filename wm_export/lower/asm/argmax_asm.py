"""The argmax kernels: index of the largest value, of all or of those with a wanted label; the lowest index on ties.

Both look for the smallest key. That of value i is i - (value << INDEX_BITS), so a larger value comes first and then a
lower index; `argmax_within` puts the distance of the label from the wanted one above all of that. Indices count from
the start of a stretch of eight: after each stretch the smallest key steps back by its length.
"""

from collections.abc import Sequence
from functools import cache

from wm_export.lower.asm.listing import Count, Family, Kernel, Repeat, load, segment

ARGMAX_UNROLL = 8
ARGMAX_INDEX_BITS = 30
WITHIN_INDEX_BITS = 16
WITHIN_LABEL_SHIFT = 49

#: r0 = n; r5 = end of the eights, r2 = values left over.
_SPLIT = ("r0 = r2", "r5 = r2", "r2 &= 7", "r5 -= r2", "r5 <<= 3", "r5 += r1", "if r1 == r5 goto 2f")


@cache
def argmax() -> Kernel:
    """Registers: r3 is -2^30, r4 the smallest key so far, r1 walks, r5 the end, r2 values left over."""
    entry = [f"r3 = {-(1 << ARGMAX_INDEX_BITS)}", f"r4 = {1 << 62:#x} ll", *_SPLIT]
    eights = [line for i in range(ARGMAX_UNROLL) for line in _step(i)]
    eights += [f"r1 += {8 * ARGMAX_UNROLL}", f"r4 += {-ARGMAX_UNROLL}", "if r1 != r5 goto 1b"]
    ones = [*_step(0), "r1 += 8", "r4 += -1", "r2 += -1", "if r2 != 0 goto 3b"]
    leave = ["r0 += r4", f"r0 &= {(1 << ARGMAX_INDEX_BITS) - 1}", "exit"]
    return _argmax(
        "argmax",
        "Index of the largest of `n` values, the lowest one on ties.",
        "(values: *const i64, n: u64) -> u64",
        ARGMAX_INDEX_BITS,
        (entry, eights, ones, leave),
    )


@cache
def argmax_within() -> Kernel:
    """Registers: r9 is the smallest key so far, r1 walks, r3 walks the labels, r4 is the wanted one, r5 the end, r2
    values left over."""
    entry = [f"r9 = {1 << 62:#x} ll", *_SPLIT]
    eights = [line for i in range(ARGMAX_UNROLL) for line in _step_within(i)]
    eights += [f"r1 += {8 * ARGMAX_UNROLL}", f"r3 += {ARGMAX_UNROLL}", f"r9 += {-ARGMAX_UNROLL}", "if r1 != r5 goto 1b"]
    ones = [*_step_within(0), "r1 += 8", "r3 += 1", "r9 += -1", "r2 += -1", "if r2 != 0 goto 3b"]
    leave = ["r0 += r9", f"r0 &= {(1 << WITHIN_INDEX_BITS) - 1}", "exit"]
    return _argmax(
        "argmax_within",
        "Index of the largest of those of `n` values whose label is `label`, the lowest one on ties.",
        "(values: *const i64, n: u64, labels: *const u8, label: u64) -> u64",
        WITHIN_INDEX_BITS,
        (entry, eights, ones, leave),
    )


def argmax_family() -> Family:
    """Both; to be read, the longer."""
    sizes = ((1,), (ARGMAX_UNROLL + 1,), (50 * ARGMAX_UNROLL,))
    return Family(kernels=(argmax(), argmax_within()), listing="argmax_within", metered=sizes)


def _step(i: int) -> list[str]:
    """Lower r4 to the key of value i of the stretch, if that is smaller."""
    key = [load(6, 1, 8 * i), "r6 *= r3", *([f"r6 += {i}"] if i else [])]
    return [*key, "r6 -= r4", "r7 = r6", "r7 s>>= 63", "r6 &= r7", "r4 += r6"]


def _step_within(i: int) -> list[str]:
    """Lower r9 to the key of value i of the stretch, if that is smaller."""
    key = [load(6, 1, 8 * i), f"r6 *= {-(1 << WITHIN_INDEX_BITS)}", *([f"r6 += {i}"] if i else [])]
    away = [load(7, 3, i, "u8"), "r7 ^= r4", f"r7 <<= {WITHIN_LABEL_SHIFT}", "r6 += r7"]
    return [*key, *away, "r6 -= r9", "r7 = r6", "r7 s>>= 63", "r6 &= r7", "r9 += r6"]


def _argmax(name: str, about: str, signature: str, index_bits: int, lines: Sequence[Sequence[str]]) -> Kernel:
    """A kernel of (entry, a stretch of eight, one value, leave)."""
    entry, eights, ones, leave = lines
    return Kernel(
        name=name,
        about=about,
        signature=signature,
        twin=f"argmax::{name}_ref",
        sizes={"n": range(1, 1 << index_bits)},
        parts=(
            segment(entry),
            Repeat(Count("n", ARGMAX_UNROLL), (segment(eights, "1"),)),
            segment(["if r2 == 0 goto 4f"], "2"),
            Repeat(Count("n", ARGMAX_UNROLL, remainder=True), (segment(ones, "3"),)),
            segment(leave, "4"),
        ),
    )
