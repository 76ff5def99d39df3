"""The conv kernels: a filter of four taps for each channel, over this frame's code and the three before; one of them
also makes codes of the sums and looks them up in a table.

Layout of the words and proof of the lanes: onchain/kernels/src/conv.rs.

A kernel that looks up is `conv_lut_<channels at a time>`.
"""

import re
from functools import cache

from wm_export.lower.asm.listing import (
    UNBOUNDED,
    Count,
    Family,
    Fork,
    Kernel,
    Part,
    Repeat,
    load,
    segment,
    store,
    unrolled,
)
from wm_export.lower.asm.table_asm import TABLE_BIAS, TABLE_ENTRIES, TABLE_WORDS

CONV_UNROLL = 16
#: Most channels that a kernel which looks up takes at a time.
CONV_TILE_MAX = 64
#: Words of a channel's filter; of one whose sums are looked up.
FILTER_WORDS, LUT_FILTER_WORDS = 3, 4
#: Of a word of memory: bits from one frame's code to the next older one's, and where the newest one's begin.
CODE_LANE, CODE_FIRST = 21, 1
#: Where the sum of three taps lies in the product of a word of memory and one of taps, and what rounds off the rest.
SUM_FIRST = 2 * CODE_LANE + CODE_FIRST
SUM_HALF = 1 << (SUM_FIRST - 1)
#: Places in the frame: the end of x; what the table makes of its last code, and SIGN bytes further on of its first one.
END_SLOT, LAST_SLOT = -8, -32
#: What a shift by 60 leaves of a negative number inside +-2^60; of one that is not it leaves 0.
SIGN = 15
#: Labels of a channel count from here: the way of a place outside of the table, and where it comes back.
_LABELS = 100
_NAME = re.compile(r"conv_lut_(\d{1,2})")


@cache
def conv() -> Kernel:
    """Registers: r1 walks x, r2 filters, r3 memory, r4 out; r5 channels left; r0 SUM_HALF."""
    entry = [f"r0 = {SUM_HALF:#x} ll", f"if r5 < {CONV_UNROLL} goto 2f"]
    return Kernel(
        name="conv",
        about="Four taps a channel: the last one times `x`, the others times what `memory` holds; then `x` joins it.",
        signature="(x: *const i64, filters: *const u64, memory: *mut u64, out: *mut i64, n: u64)",
        twin="conv::conv_ref",
        sizes={"n": range(1, UNBOUNDED)},
        parts=(
            segment(entry),
            *unrolled("n", CONV_UNROLL, "r5", _channel, _step),
            segment(["exit"], "4"),
        ),
    )


def conv_lut_name(tile: int) -> str:
    """The kernel that takes so many channels at a time."""
    return f"conv_lut_{tile}"


def conv_lut_named(name: str) -> Kernel:
    """The kernel of this name; KeyError if there is none."""
    if not (found := _NAME.fullmatch(name)):
        raise KeyError(name)
    return conv_lut(int(found[1]))


@cache
def conv_lut(tile: int) -> Kernel:
    """As `conv`, then `requantize_fine`, then `lut`; 1 <= tile <= CONV_TILE_MAX.

    Registers: r1 walks x, r2 filters, r3 memory, r4 out; r5 the table, r6 the shift; r0 SUM_HALF.
    """
    if not 1 <= tile <= CONV_TILE_MAX:
        raise ValueError(f"conv_lut: {tile} channels at a time, expected 1..{CONV_TILE_MAX}")
    entry = ["r5 <<= 3", "r5 += r1", store(10, END_SLOT, 5), "r5 = r2", f"r2 += {8 * (TABLE_WORDS + 1)}"]
    entry += [load(6, 2, -8), f"r0 = {SUM_HALF:#x} ll", *_ends()]
    body: list[Part] = []
    for i in range(tile):
        at = 8 * LUT_FILTER_WORDS * i
        scaled = [load(7, 2, at + 16), "r9 *= r7", load(7, 2, at + 24), "r9 += r7", "r9 s>>= r6"]
        body += [segment([*_sum(i, LUT_FILTER_WORDS), *scaled], "" if i else "1"), *_entry(i)]
    walks = {1: 1, 2: LUT_FILTER_WORDS, 3: 1, 4: 1}
    step = [f"r{register} += {8 * words * tile}" for register, words in walks.items()]
    body.append(segment([*step, load(7, 10, END_SLOT), "if r1 != r7 goto 1b"]))
    return Kernel(
        name=conv_lut_name(tile),
        about="As `conv`, the sums multiplied down as by `requantize_fine`, of those what `lut` makes.",
        signature="(x: *const i64, filters: *const u64, memory: *mut u64, out: *mut i64, n: u64)",
        twin="conv::conv_lut_ref",
        sizes={"n": range(tile, UNBOUNDED, tile)},
        parts=(segment(entry), Repeat(Count("n", tile), tuple(body)), segment(["exit"])),
    )


def conv_family() -> Family:
    """The one that does not look up."""
    return Family(kernels=(conv(),), listing="conv", metered=((1,), (CONV_UNROLL + 1,), (36 * CONV_UNROLL,)))


def conv_lut_family() -> Family:
    """One; those that take other numbers of channels at a time are like it."""
    return Family(kernels=(conv_lut(8),), listing=conv_lut_name(8), metered=((8,), (72 * 8,)))


def _sum(i: int, words: int) -> list[str]:
    """r9 = four taps of channel i, without its bias; its code joins the memory."""
    at = 8 * words * i
    older = [load(7, 3, 8 * i), load(8, 1, 8 * i), load(9, 2, at), "r9 *= r7", "r9 += r0", f"r9 s>>= {SUM_FIRST}"]
    # Twice the code, and what was the oldest one is shifted out.
    kept = [f"r7 <<= {CODE_LANE}", "r7 += r8", "r7 += r8", store(3, 8 * i, 7)]
    return [*older, *kept, load(7, 2, at + 8), "r8 *= r7", "r9 += r8"]


def _ends() -> list[str]:
    """What the table makes of its first and last code, into the frame."""
    places = {LAST_SLOT + SIGN: 2, LAST_SLOT: 2 * (TABLE_ENTRIES - 1)}
    return [
        line
        for slot, at in places.items()
        for line in (load(7, 5, at, "u16"), f"r7 += {-TABLE_BIAS}", store(10, slot, 7))
    ]


def _entry(i: int) -> tuple[Part, ...]:
    """The entry at place r9, or of what is outside of the table at its end, is what channel i gives."""
    far, back = str(_LABELS + 2 * i), str(_LABELS + 2 * i + 1)
    inside = segment(["r9 <<= 1", "r9 += r5", load(9, 9, 0, "u16"), f"r9 += {-TABLE_BIAS}"])
    outside = segment(["r9 >>= 60", "r9 += r10", load(9, 9, LAST_SLOT), f"goto {back}b"], far)
    fork = Fork((inside,), (outside,), apart=True)
    return segment([f"if r9 > {TABLE_ENTRIES - 1} goto {far}f"]), fork, segment([store(4, 8 * i, 9)], back)


def _channel(i: int) -> list[str]:
    return [*_sum(i, FILTER_WORDS), load(7, 2, 8 * FILTER_WORDS * i + 16), "r9 += r7", store(4, 8 * i, 9)]


def _step(count: int) -> list[str]:
    """On to the next channels."""
    return [f"r1 += {8 * count}", f"r2 += {8 * FILTER_WORDS * count}", f"r3 += {8 * count}", f"r4 += {8 * count}",
            f"r5 += {-count}"]  # fmt: skip
