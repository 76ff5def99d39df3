"""The gather kernel: a sum of embedding rows of bytes, scaled into an accumulator.

Layout of a row's words: onchain/kernels/src/gather.rs. A row is worked on in blocks; of a block, a part of up to three
words at a time is summed over all rows.
"""

from functools import cache

from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Part, Repeat, Segment, load, segment, store
from wm_train.grid.arithmetic import GATHER_ROWS_MAX

#: Rows come in multiples of it.
GATHER_UNROLL = 8
#: Words of a row in one block, and entries in a word.
GATHER_WORDS = 37
GATHER_BYTES_PER_WORD = 7
#: Bytes 0, 2, 4 and 6 of a word.
EVEN_BYTES = 0x00FF_00FF_00FF_00FF

#: Words of a block in parts: eleven of 3 and two of 2.
PART_WIDTHS = (3,) * 11 + (2,) * 2

LIST_BYTES = 8 * GATHER_ROWS_MAX
SPILL = -(LIST_BYTES + 16 * GATHER_WORDS)
LIST_SLOT, K_SLOT, SUM_SLOT, BIAS_SLOT, BLOCKS_SLOT = (SPILL - 8 * i for i in range(1, 6))

_EIGHTS = Count("n", GATHER_UNROLL)


@cache
def gather_add() -> Kernel:
    """out += k * sum of rows.

    The list of row pointers is copied to the top of the frame, where its end is r10 itself and where the pointers can
    step from block to block. Registers: r0..r2 sum all seven bytes of the part's words, r3..r5 the even ones; r6 is the
    mask, r7 a word, r8 the row, r9 walks the list.
    """
    block: list[Part] = []
    first = 0
    for width in PART_WIDTHS:
        block += _part(first, width)
        first += width
    block += [_extract_head(), _extract(), _block_end()]
    return Kernel(
        name="gather_add",
        about=f"`out += k * sum of n rows`, entries in blocks of {GATHER_WORDS * GATHER_BYTES_PER_WORD}.",
        signature="(rows: *const u64, k: *const u32, out: *mut i64, n: u64, blocks: u64)",
        twin="gather::gather_add_ref",
        sizes={"n": range(GATHER_UNROLL, GATHER_ROWS_MAX + 1, GATHER_UNROLL), "blocks": range(1, UNBOUNDED)},
        parts=(_entry(), Repeat(_EIGHTS, (_copy(),)), Repeat(Count("blocks"), tuple(block)), segment(["exit"])),
    )


def gather_family() -> Family:
    """The one."""
    sizes = (GATHER_UNROLL, 1), (15 * GATHER_UNROLL, 2), (GATHER_ROWS_MAX, 1)
    return Family(kernels=(gather_add(),), listing="gather_add", metered=sizes)


def _entry() -> Segment:
    lines = [store(10, K_SLOT, 2), store(10, SUM_SLOT, 3), store(10, BLOCKS_SLOT, 5)]
    lines += ["r5 = r4", "r5 <<= 7", store(10, BIAS_SLOT, 5)]
    return segment([*lines, "r4 <<= 3", "r9 = r10", "r9 -= r4", store(10, LIST_SLOT, 9), f"r6 = {EVEN_BYTES:#x} ll"])


def _copy() -> Segment:
    """Eight pointers of the list, into the frame."""
    lines = [line for i in range(GATHER_UNROLL) for line in (load(7, 1, 8 * i), store(9, 8 * i, 7))]
    return segment([*lines, f"r1 += {8 * GATHER_UNROLL}", f"r9 += {8 * GATHER_UNROLL}", "if r9 != r10 goto 1b"], "1")


def _part(first_word: int, width: int) -> list[Part]:
    """`width` words of a block, summed over all rows; the sums go to the frame, odd bytes first."""
    clear = [f"r{w} = 0" for w in range(width)] + [f"r{3 + w} = 0" for w in range(width)]
    last = first_word + width == GATHER_WORDS
    rows = [line for i in range(GATHER_UNROLL) for line in _row(i, first_word, width, step=last)]
    rows += [f"r9 += {8 * GATHER_UNROLL}", "if r9 != r10 goto 3b"]
    spill: list[str] = []
    for w in range(width):
        slot = SPILL + 16 * (first_word + w)
        spill += [f"r{w} -= r{3 + w}", store(10, slot, w), store(10, slot + 8, 3 + w)]
    label = "" if first_word else "2"
    return [segment([*clear, load(9, 10, LIST_SLOT)], label), Repeat(_EIGHTS, (segment(rows, "3"),)), segment(spill)]


def _row(i: int, first_word: int, width: int, step: bool) -> list[str]:
    """Add `width` words of row i to the accumulators; `step` moves the pointer to the next block first."""
    lines = [load(8, 9, 8 * i)]
    base = 8 * first_word
    if step:
        lines += [f"r8 += {8 * GATHER_WORDS}", store(9, 8 * i, 8)]
        base -= 8 * GATHER_WORDS
    for w in range(width):
        lines += [load(7, 8, base + 8 * w), f"r{w} += r7", "r7 &= r6", f"r{3 + w} += r7"]
    return lines


def _extract_head() -> Segment:
    lines = ["r9 = r10", f"r9 += {SPILL}", "r8 = r10", f"r8 += {-LIST_BYTES}"]
    return segment([*lines, load(1, 10, K_SLOT), load(2, 10, SUM_SLOT), load(3, 10, BIAS_SLOT)])


def _extract() -> Segment:
    """One word: byte b is a u16 lane, at 1, 3, 5 of the first spilled word and 0, 2, 4, 6 of the second."""
    lines: list[str] = []
    for b in range(GATHER_BYTES_PER_WORD):
        lines += [load(4, 9, b if b % 2 else 8 + b, "u16"), "r4 -= r3", load(5, 1, 4 * b, "u32"), "r4 *= r5"]
        lines += [load(5, 2, 8 * b), "r5 += r4", store(2, 8 * b, 5)]
    lines += ["r9 += 16", f"r1 += {4 * GATHER_BYTES_PER_WORD}", f"r2 += {8 * GATHER_BYTES_PER_WORD}"]
    return segment([*lines, "if r9 != r8 goto 4b"], "4", runs=GATHER_WORDS)


def _block_end() -> Segment:
    lines = [store(10, K_SLOT, 1), store(10, SUM_SLOT, 2)]
    lines += [load(4, 10, BLOCKS_SLOT), "r4 += -1", store(10, BLOCKS_SLOT, 4), "if r4 != 0 goto 2b"]
    return segment(lines)
