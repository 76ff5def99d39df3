"""The ssm kernel: the recurrence of a Mamba-2, two state cells to a word.

Layout of the words and proof of the lanes: onchain/kernels/src/ssm.rs.
"""

from functools import cache

from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Part, Repeat, Segment, load, segment, store
from wm_train.grid.integer_mamba2 import DECAY_BITS, DT_CODES, GAIN_BITS, STATE_MAX

#: Words of states that are worked on between two jumps, and most words of a channel.
SSM_UNROLL, SSM_WORDS_MAX = 16, 96
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
(DT, TABLE, HEADS, CHANNELS, PAIRS, TILES_END, TO_OUT, X_END, GAIN, SKIP, START) = (
    -PAIR_BYTES * SSM_WORDS_MAX - 8 * i for i in range(1, 12)
)
#: Where the addresses of vectors lie in `places`.
X, B, DT_CODE, TABLES, MEMORY, OUT = range(0, 48, 8)

TILES, ONES = Count("words", SSM_UNROLL), Count("words", SSM_UNROLL, remainder=True)


@cache
def ssm() -> Kernel:
    """Registers of the recurrence: r0 sums y, r1 is a word of states, r2 STATES, r3 the rounding less the decayed bias,
    r4 at hand, r5 the decay, r6 walks memory, r7 the pairs, r8 walks x, r9 is w."""
    channels = Repeat(Count("channels"), (_enter_channel(), *_cells(), _leave_channel()))
    sizes = {"heads": range(1, UNBOUNDED), "channels": range(1, UNBOUNDED)}
    return Kernel(
        name="ssm",
        about="`h = h decay[dt] + x gain[dt] B`, `out = h C + skip x`, head by head, channel by channel.",
        signature="(places: *const u64, heads: u64, channels: u64, words: u64, odd: u64)",
        twin="ssm::ssm_ref",
        sizes=sizes | {"words": range(1, SSM_WORDS_MAX + 1), "odd": range(2)},
        parts=(*_pack(), Repeat(Count("heads"), (_enter_head(), channels, _leave_head())), segment(["exit"])),
    )


def ssm_family() -> Family:
    """The one."""
    sizes = (1, 1, 1, 0), (2, 3, SSM_UNROLL + 1, 1), (8, 64, SSM_UNROLL, 0)
    return Family(kernels=(ssm(),), listing="ssm", metered=sizes)


def _pack() -> tuple[Part, ...]:
    """Pairs of B and C into the frame, r8 and r9 walking over the vectors and r6 over the pairs; r0 sums C."""
    sizes = [store(10, HEADS, 2), "r3 <<= 3", store(10, CHANNELS, 3)]
    pairs = ["r7 = r4", "r7 <<= 4", "r6 = r10", "r6 -= r7", store(10, PAIRS, 6)]
    tiles = ["r4 >>= 4", "r4 <<= 8", "r4 += r6", store(10, TILES_END, 4)]
    vectors = [load(8, 1, B), "r9 = r8", "r9 += r7", "r7 = r5", "r7 <<= 3", "r9 -= r7", "r0 = 0"]
    b = [load(2, 8, 8), "r2 <<= 32", load(3, 8, 0), "r2 += r3", store(6, 0, 2)]
    c = [load(2, 9, 0), "r2 <<= 32", load(3, 9, 8), "r2 += r3", store(6, 8, 2), "r0 += r2"]
    step = [f"r8 += {PAIR_BYTES}", f"r9 += {PAIR_BYTES}", f"r6 += {PAIR_BYTES}", "if r6 != r10 goto 1b"]
    # The last pair of an odd number of cells is one: what was read behind it goes.
    alone = [load(3, 8, -16), store(10, -16, 3), load(2, 10, -8), "r0 -= r2"]
    alone += [load(3, 9, -16), "r3 <<= 32", "r0 += r3", store(10, -8, 3)]
    return (
        segment([*sizes, *pairs, *tiles, *vectors]),
        Repeat(Count("words"), (segment([*b, *c, *step], "1"),)),
        segment(["if r5 == 0 goto 2f"]),
        Repeat(Count("odd"), (segment(alone),)),
        segment([*_start(), *_walk(), f"r2 = {STATES:#x} ll"], "2"),
    )


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


def _enter_channel() -> Segment:
    """What y starts from with the skip, then w."""
    y = [load(9, 8, 0), "r0 = r9", load(4, 10, SKIP), "r0 *= r4", load(4, 10, START), "r0 += r4"]
    w = [load(4, 10, GAIN), "r9 *= r4", f"r9 += {1 << (GAIN_BITS - 1)}", f"r9 s>>= {GAIN_BITS}"]
    return segment([*y, *w, load(7, 10, PAIRS), load(4, 10, TILES_END), "if r7 == r4 goto 6f"], "4")


def _cells() -> tuple[Part, ...]:
    """All words of a channel."""
    tile = [line for i in range(SSM_UNROLL) for line in _word(i)]
    tile += [f"r6 += {8 * SSM_UNROLL}", f"r7 += {PAIR_BYTES * SSM_UNROLL}", load(4, 10, TILES_END)]
    one = [*_word(0), "r6 += 8", f"r7 += {PAIR_BYTES}", "if r7 != r10 goto 7b"]
    return (
        Repeat(TILES, (segment([*tile, "if r7 != r4 goto 5b"], "5"),)),
        segment(["if r7 == r10 goto 8f"], "6"),
        Repeat(ONES, (segment(one, "7"),)),
    )


def _word(i: int) -> list[str]:
    """Two states decay, take their part of w, and are read."""
    written = [load(1, 6, 8 * i), "r1 *= r5", load(4, 7, PAIR_BYTES * i), "r4 *= r9", "r1 += r4", "r1 += r3"]
    kept = [f"r1 >>= {DECAY_BITS}", "r1 &= r2", store(6, 8 * i, 1)]
    return [*written, *kept, load(4, 7, PAIR_BYTES * i + 8), "r1 *= r4", "r0 += r1"]


def _leave_channel() -> Segment:
    out = ["r0 s>>= 32", load(4, 10, TO_OUT), "r4 += r8", store(4, 0, 0)]
    return segment([*out, "r8 += 8", load(4, 10, X_END), "if r8 != r4 goto 4b"], "8")


def _leave_head() -> Segment:
    return segment([load(4, 10, HEADS), "r4 += -1", store(10, HEADS, 4), "if r4 != 0 goto 3b"])
