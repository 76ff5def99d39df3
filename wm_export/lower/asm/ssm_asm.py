"""The ssm kernels: the recurrence of a Mamba-2, two state cells to a word.

Layout of the words and proof of the lanes: onchain/kernels/src/ssm.rs.

A kernel is `ssm_<cells of a channel>`: there is one for every number of cells up to SSM_CELLS_MAX, as each word of a
channel has its own instructions, whose pair of B and of C lies at a place of its own in the frame.
"""

import re
from functools import cache

from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Repeat, Segment, load, segment, store
from wm_train.grid.integer_mamba2 import DECAY_BITS, DT_CODES, GAIN_BITS, STATE_MAX

#: Most cells of a channel.
SSM_CELLS_MAX = 192
#: What is added to a state where it lies in memory, and the bits of the sum.
STATE_BIAS = STATE_MAX + 1
STATE_BITS = STATE_BIAS.bit_length()
#: Words of a head's table: decay and gain of each code of dt, then the skip.
HEAD_WORDS = len(DT_CODES) + 1

#: One in both lanes of a word.
BOTH = 1 + (1 << 32)
STATES = ((1 << STATE_BITS) - 1) * BOTH
#: A half, and what keeps a lane from being negative.
ROUND = ((1 << (DECAY_BITS - 1)) + (STATE_BIAS << DECAY_BITS)) * BOTH

#: A pair of B and one of C for each word lie at the top of the frame; below them what registers have no room for.
PAIR_BYTES = 16
(DT, TABLE, HEADS, CHANNELS, TO_OUT, X_END, GAIN, SKIP, START) = (
    -PAIR_BYTES * SSM_CELLS_MAX // 2 - 8 * i for i in range(1, 10)
)
#: Where the addresses of vectors lie in `places`.
X, B, DT_CODE, TABLES, MEMORY, OUT = range(0, 48, 8)

_NAME = re.compile(r"ssm_([1-9]\d{0,2})")


def ssm_name(cells: int) -> str:
    """The kernel of so many cells a channel."""
    return f"ssm_{cells}"


def ssm_named(name: str) -> Kernel:
    """The kernel of this name; KeyError if there is none."""
    found = _NAME.fullmatch(name)
    if not found or int(found[1]) > SSM_CELLS_MAX:
        raise KeyError(name)
    return ssm(int(found[1]))


def words_of(cells: int) -> int:
    """Words of a channel: where the number of cells is odd, the last word has one."""
    return (cells + 1) // 2


@cache
def ssm(cells: int) -> Kernel:
    """Registers of the recurrence: r0 sums y, r1 is a word of states, r2 STATES, r3 the rounding less the decayed bias,
    r4 at hand, r5 the decay, r6 walks memory, r8 walks x, r9 is w."""
    if not 1 <= cells <= SSM_CELLS_MAX:
        raise ValueError(f"ssm: {cells} cells a channel, expected 1..{SSM_CELLS_MAX}")
    words = words_of(cells)
    moved = [line for i in range(words) for line in _word(i, words)]
    channel = segment([*_enter_channel(), *moved, *_leave(words)], "4")
    return Kernel(
        name=ssm_name(cells),
        about=f"`h = h decay[dt] + x gain[dt] B`, `out = h C + skip x`, head by head, {cells} cells a channel.",
        signature="(places: *const u64, heads: u64, channels: u64)",
        twin=f"ssm::ssm_ref::<{cells}>",
        sizes={"heads": range(1, UNBOUNDED), "channels": range(1, UNBOUNDED)},
        parts=(
            _pack(cells),
            Repeat(Count("heads"), (_enter_head(), Repeat(Count("channels"), (channel,)), _leave_head())),
            segment(["exit"]),
        ),
    )


def ssm_family() -> Family:
    """Those of the shapes that are here; to be read, a short one of an odd number of cells."""
    return Family(kernels=tuple(map(ssm, (5, 32, 64))), listing=ssm_name(5), metered=((1, 1), (2, 3), (8, 64)))


def _pair(word: int, words: int) -> int:
    """Where in the frame a word's pair of B lies; that of C is behind it."""
    return PAIR_BYTES * (word - words)


def _pack(cells: int) -> Segment:
    """Pairs of B and C into the frame. Registers: r8 is B, with C behind it; r0 sums C."""
    lines = [store(10, HEADS, 2), "r3 <<= 3", store(10, CHANNELS, 3), load(8, 1, B), "r0 = 0"]
    for i in range(words := words_of(cells)):
        at, alone = _pair(i, words), 2 * i + 1 == cells
        # The last pair of an odd number of cells is one.
        b = [load(3, 8, 16 * i), *([] if alone else [load(2, 8, 16 * i + 8), "r2 <<= 32", "r3 += r2"])]
        c = [load(2, 8, 8 * (cells + 2 * i)), "r2 <<= 32"]
        c += [] if alone else [load(4, 8, 8 * (cells + 2 * i + 1)), "r2 += r4"]
        lines += [*b, store(10, at, 3), *c, store(10, at + 8, 2), "r0 += r2"]
    return segment([*lines, *_start(), *_walk(), f"r2 = {STATES:#x} ll"])


def _start() -> list[str]:
    """What y starts from: half of the lower lane's range, less the states' biases times C."""
    return ["r3 = r0", "r3 <<= 32", "r0 += r3", f"r0 <<= {STATE_BITS - 1}", f"r3 = {1 << 31:#x} ll", "r3 -= r0",
            store(10, START, 3)]  # fmt: skip


def _walk() -> list[str]:
    """r8 and r6 at the first head; the others wait in the frame, out as its distance from x."""
    lines = [load(8, 1, X), load(4, 1, OUT), "r4 -= r8", store(10, TO_OUT, 4), load(6, 1, MEMORY)]
    return [*lines, load(4, 1, DT_CODE), store(10, DT, 4), load(4, 1, TABLES), store(10, TABLE, 4)]


def _enter_head() -> Segment:
    """The entry that dt picks, as decay and gain, and what follows from the decay."""
    code = [load(1, 10, DT), load(4, 1, 0), "r1 += 8", store(10, DT, 1)]
    entry = [load(1, 10, TABLE), "r4 <<= 3", "r4 += r1", load(5, 4, 8 * len(DT_CODES) // 2)]
    skip = [f"r1 += {8 * HEAD_WORDS}", store(10, TABLE, 1), load(1, 1, -8), store(10, SKIP, 1)]
    parts = ["r4 = r5", "r4 s>>= 32", store(10, GAIN, 4), "r5 <<= 32", "r5 s>>= 32"]
    bias = [
        "r4 = r5",
        f"r4 <<= {STATE_BITS - 1}",
        "r3 = r4",
        "r3 <<= 32",
        "r4 += r3",
        f"r3 = {ROUND:#x} ll",
        "r3 -= r4",
    ]
    end = [load(4, 10, CHANNELS), "r4 += r8", store(10, X_END, 4)]
    return segment([*code, *entry, *skip, *parts, *bias, *end], "3")


def _enter_channel() -> list[str]:
    """What y starts from with the skip, then w."""
    y = [load(9, 8, 0), "r0 = r9", load(4, 10, SKIP), "r0 *= r4", load(4, 10, START), "r0 += r4"]
    return [*y, load(4, 10, GAIN), "r9 *= r4", f"r9 += {1 << (GAIN_BITS - 1)}", f"r9 s>>= {GAIN_BITS}"]


def _word(i: int, words: int) -> list[str]:
    """Two states decay, take their part of w, and are read."""
    at = _pair(i, words)
    written = [load(1, 6, 8 * i), "r1 *= r5", load(4, 10, at), "r4 *= r9", "r1 += r4", "r1 += r3"]
    kept = [f"r1 >>= {DECAY_BITS}", "r1 &= r2", store(6, 8 * i, 1)]
    return [*written, *kept, load(4, 10, at + 8), "r1 *= r4", "r0 += r1"]


def _leave(words: int) -> list[str]:
    """y, and on to the next channel."""
    out = ["r0 s>>= 32", load(4, 10, TO_OUT), "r4 += r8", store(4, 0, 0)]
    return [*out, f"r6 += {8 * words}", "r8 += 8", load(4, 10, X_END), "if r8 != r4 goto 4b"]


def _leave_head() -> Segment:
    return segment([load(4, 10, HEADS), "r4 += -1", store(10, HEADS, 4), "if r4 != 0 goto 3b"])
