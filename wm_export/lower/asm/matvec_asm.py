"""The matvec kernels: a GEMV with SWAR lanes, several rows of weights to a 64-bit word.

Layout of the words and proof of the lanes: onchain/kernels/src/matvec.rs, and WeightGrid in wm_train/grid.
"""

from functools import cache

from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Repeat, Segment, load, segment, store
from wm_train.grid.arithmetic import TILE_COLUMNS, WEIGHT_GRIDS, WeightGrid

#: Most words of a column, each with an accumulator of its own: r0..r5.
MATVEC_MAX_R = 6

X_SLOT, OUT_SLOT, GROUPS_SLOT, X_END_SLOT, ACC_SLOT = -8, -16, -24, -32, -40


def matvec_name(r: int, bits: int) -> str:
    """The kernel of `r` words a column, for weights of so many bits."""
    return f"matvec_{r}x{bits}"


@cache
def matvec(r: int, bits: int) -> Kernel:
    """out += W x for groups of `r` words a column, 1 <= r <= MATVEC_MAX_R, of weights of so many bits.

    Registers: r0..r<r-1> accumulate, r6 is x[k], r7 a word, r8 walks w, r9 walks x or out.
    """
    if not 1 <= r <= MATVEC_MAX_R:
        raise ValueError(f"matvec: {r} words a column, expected 1..{MATVEC_MAX_R}")
    grid, noun = WEIGHT_GRIDS[bits], "word" if r == 1 else "words"
    entry = [store(10, X_SLOT, 2), store(10, OUT_SLOT, 3), store(10, GROUPS_SLOT, 4)]
    entry += ["r5 <<= 3", "r5 += r2", store(10, X_END_SLOT, 5), "r8 = r1"]
    tiles = Repeat(Count("columns", TILE_COLUMNS), (_tile(r),))
    return Kernel(
        name=matvec_name(r, bits),
        about=f"`out += W x` for groups of {r * grid.lanes} rows of INT{bits} weights, {r} {noun} a column.",
        signature="(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)",
        twin=f"matvec::matvec_ref::<{bits}, {r}>",
        sizes={"groups": range(1, UNBOUNDED), "columns": range(TILE_COLUMNS, UNBOUNDED, TILE_COLUMNS)},
        parts=(segment(entry), Repeat(Count("groups"), (_clear(r, grid), tiles, _flush(r, grid))), segment(["exit"])),
    )


def matvec_family() -> Family:
    """A kernel for each width of weights and number of words; to be read, what full groups of INT8 rows are for."""
    return Family(
        kernels=tuple(matvec(r, bits) for bits in WEIGHT_GRIDS for r in range(1, MATVEC_MAX_R + 1)),
        listing=matvec_name(MATVEC_MAX_R, 8),
        metered=((1, TILE_COLUMNS), (2, 2 * TILE_COLUMNS), (3, 19 * TILE_COLUMNS)),
    )


def _clear(r: int, grid: WeightGrid) -> Segment:
    """Accumulators start in the middle of each lane's range, x at its first column."""
    bias = sum(grid.lane_bound << (grid.lane_bits * lane) for lane in range(grid.lanes))
    return segment([load(9, 10, X_SLOT), f"r0 = {bias:#x} ll", *(f"r{i} = r0" for i in range(1, r))], "1")


def _tile(r: int) -> Segment:
    """The next TILE_COLUMNS columns."""
    lines: list[str] = []
    for k in range(TILE_COLUMNS):
        lines.append(load(6, 9, 8 * k))
        for i in range(r):
            lines += [load(7, 8, 8 * (k * r + i)), "r7 *= r6", f"r{i} += r7"]
    lines += [f"r8 += {8 * TILE_COLUMNS * r}", f"r9 += {8 * TILE_COLUMNS}", load(7, 10, X_END_SLOT)]
    return segment([*lines, "if r9 != r7 goto 2b"], "2")


def _flush(r: int, grid: WeightGrid) -> Segment:
    """Each lane, less its bias, is added to its output; then the next group."""
    lines = [load(9, 10, OUT_SLOT)]
    for row in range(r * grid.lanes):
        take, register = _take_lane(row // grid.lanes, row % grid.lanes, grid)
        add = [f"r7 += r{register}", f"r7 += {-grid.lane_bound}"]
        lines += [load(7, 9, 8 * row), *take, *add, store(9, 8 * row, 7)]
    lines += [f"r9 += {8 * grid.lanes * r}", store(10, OUT_SLOT, 9)]
    lines += [load(7, 10, GROUPS_SLOT), "r7 += -1", store(10, GROUPS_SLOT, 7), "if r7 != 0 goto 1b"]
    return segment(lines)


def _take_lane(acc: int, lane: int, grid: WeightGrid) -> tuple[list[str], int]:
    """(instructions, register): one lane of r<acc>. Where memory can cut lanes apart it does; else the accumulator is
    used up lane by lane."""
    if grid.lane_bits in (16, 32):
        spill = [] if lane else [store(10, ACC_SLOT, acc)]
        return [*spill, load(6, 10, ACC_SLOT + grid.lane_bits // 8 * lane, f"u{grid.lane_bits}")], 6
    shift = [f"r{acc} >>= {grid.lane_bits}"] if lane else []
    if lane == grid.lanes - 1:
        return shift, acc
    return [*shift, f"r6 = r{acc}", f"r6 &= {(1 << grid.lane_bits) - 1}"], 6
