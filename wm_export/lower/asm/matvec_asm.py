"""The matvec kernels: a GEMV with SWAR lanes, several rows of weights to a 64-bit word.

Layout of the words and proof of the lanes: onchain/kernels/src/matvec.rs, and WeightGrid in wm_train/grid.

A kernel is `matvec_<words a column>x<bits>_<columns of a tile>`: there is one for every tile up to MATVEC_TILE_MAX, as
each column of a tile has its own instructions. Such a kernel adds to accumulators in memory. One that ends as a
requantize kernel does (`matvec_6x8_64_fine`) writes what is made of the sums instead; the words of a group are then
those of the columns, the shift, and of each row its multiplier and a constant.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from wm_export.lower.asm.finish_asm import FINISHES
from wm_export.lower.asm.kept_asm import Value, kept
from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Part, Repeat, Segment, load, segment, store
from wm_train.grid.arithmetic import TILE_COLUMNS, WEIGHT_GRIDS, WeightGrid

#: Most words of a column, each with an accumulator of its own: r0..r5.
MATVEC_MAX_R = 6
#: Most columns of a tile.
MATVEC_TILE_MAX = 64

X_SLOT, OUT_SLOT, GROUPS_SLOT, X_END_SLOT, ACC_SLOT, LAST_SLOT = -8, -16, -24, -32, -40, -48
#: In Rust, the columns that a kernel takes without emptying its lanes: as many as there are.
UNBROKEN = "{ usize::MAX }"
_NAME = re.compile(r"matvec_(\d)x(\d+)_(\d+)(?:_([a-z]+))?")


def matvec_name(r: int, bits: int, tile: int = TILE_COLUMNS, finish: str | None = None) -> str:
    """The kernel of `r` words a column, for weights of so many bits, `tile` columns at a time.

    finish   the way it ends, a name in FINISHES; None if it adds to accumulators
    """
    return f"matvec_{r}x{bits}_{tile}" + ("" if finish is None else f"_{finish or 'scale'}")


def matvec_named(name: str) -> Kernel:
    """The kernel of this name; KeyError if there is none."""
    if not (found := _NAME.fullmatch(name)):
        raise KeyError(name)
    r, bits, tile = (int(found[i]) for i in (1, 2, 3))
    return matvec(r, bits, tile, None if found[4] is None else found[4].removesuffix("scale"))


@cache
def matvec(r: int, bits: int, tile: int = TILE_COLUMNS, finish: str | None = None) -> Kernel:
    """out += W x for groups of `r` words a column, 1 <= r <= MATVEC_MAX_R, of weights of so many bits.

    Registers: r0..r<r-1> accumulate, r6 is x[k], r7 a word, r8 walks w, r9 walks x or out.
    """
    if not 1 <= r <= MATVEC_MAX_R:
        raise ValueError(f"matvec: {r} words a column, expected 1..{MATVEC_MAX_R}")
    if not 1 <= tile <= MATVEC_TILE_MAX:
        raise ValueError(f"matvec: tiles of {tile} columns, expected 1..{MATVEC_TILE_MAX}")
    grid, noun = WEIGHT_GRIDS[bits], "word" if r == 1 else "words"
    entry = [store(10, X_SLOT, 2), store(10, OUT_SLOT, 3), store(10, GROUPS_SLOT, 4)]
    entry += ["r5 <<= 3", "r5 += r2", store(10, X_END_SLOT, 5), "r8 = r1"]
    tiles = Repeat(Count("columns", tile), (_tile(r, tile),))
    flush = (_flush(r, grid),) if finish is None else tuple(_finish(r, grid, finish))
    group = (_clear(r, grid), tiles, *flush, _next_group(r, grid))
    does = "`out += W x`" if finish is None else f"`out = W x` multiplied down{FINISHES[finish].about}"
    return Kernel(
        name=matvec_name(r, bits, tile, finish),
        about=f"{does}, for groups of {r * grid.lanes} rows of INT{bits} weights, {r} {noun} a column.",
        signature="(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)",
        twin=f"matvec::matvec_ref::<{bits}, {r}>" if finish is None else scaled_twin(r, bits, UNBROKEN, finish),
        sizes={"groups": range(1, UNBOUNDED), "columns": range(tile, UNBOUNDED, tile)},
        parts=(segment(entry), Repeat(Count("groups"), group), segment(["exit"])),
    )


def scaled_twin(r: int, bits: int, block: str, finish: str) -> str:
    """The portable twin of a kernel that multiplies its sums down and empties its lanes after so many columns, a
    constant in Rust."""
    end = FINISHES[finish]
    kind, bounds = ("add", end.high) if end.adds else ("within", f"{end.low}, {end.high}")
    return f"matvec::matvec_{kind}_ref::<{bits}, {r}, {block}, {bounds}>"


def matvec_family() -> Family:
    """A kernel for each width of weights and number of words; to be read, what full groups of INT8 rows are for.

    Those of other tiles are like them, and of those that end otherwise, the ones of full groups stand for the rest.
    """
    some = [matvec(MATVEC_MAX_R, bits, finish=finish) for bits in WEIGHT_GRIDS for finish in FINISHES]
    return Family(
        kernels=(*(matvec(r, bits) for bits in WEIGHT_GRIDS for r in range(1, MATVEC_MAX_R + 1)), *some),
        listing=matvec_name(MATVEC_MAX_R, 8),
        metered=((1, TILE_COLUMNS), (2, 2 * TILE_COLUMNS), (3, 19 * TILE_COLUMNS)),
    )


def _clear(r: int, grid: WeightGrid) -> Segment:
    """Accumulators start in the middle of each lane's range, x at its first column."""
    starts = [f"r0 = {lane_starts(grid):#x} ll", *(f"r{i} = r0" for i in range(1, r))]
    return segment([load(9, 10, X_SLOT), *starts], "1")


def lane_starts(grid: WeightGrid) -> int:
    """What an accumulator begins with: each lane half of its range."""
    return sum(grid.lane_bound << (grid.lane_bits * lane) for lane in range(grid.lanes))


def _tile(r: int, tile: int) -> Segment:
    """The next `tile` columns."""
    lines: list[str] = []
    for k in range(tile):
        lines.append(load(6, 9, 8 * k))
        for i in range(r):
            lines += [load(7, 8, 8 * (k * r + i)), "r7 *= r6", f"r{i} += r7"]
    lines += [f"r8 += {8 * tile * r}", f"r9 += {8 * tile}", load(7, 10, X_END_SLOT)]
    return segment([*lines, "if r9 != r7 goto 2b"], "2")


def _flush(r: int, grid: WeightGrid) -> Segment:
    """Each lane, less its bias, is added to its output."""
    lines = [load(9, 10, OUT_SLOT)]
    for row in range(r * grid.lanes):
        take, register = cut_lane(row // grid.lanes, row % grid.lanes, grid, ACC_SLOT)
        add = [f"r7 += r{register}", f"r7 += {-grid.lane_bound}"]
        lines += [load(7, 9, 8 * row), *take, *add, store(9, 8 * row, 7)]
    return segment(lines)


def _finish(r: int, grid: WeightGrid, finish: str) -> Iterator[Part]:
    """Each lane times its multiplier, shifted down and finished, becomes its output.

    r5 is the shift. What it accumulated waits in the frame, and is taken in r0 when the others are done.
    """
    full = r == MATVEC_MAX_R
    yield segment([load(9, 10, OUT_SLOT), *([store(10, LAST_SLOT, 5)] if full else []), load(5, 8, 0)])
    values = []
    for row in range(r * grid.lanes):
        word, lane = divmod(row, grid.lanes)
        last = full and word == MATVEC_MAX_R - 1
        take, register = cut_lane(0 if last else word, lane, grid, ACC_SLOT)
        again = [load(0, 10, LAST_SLOT)] if last and not lane else []
        values.append(scaled([*again, *take], register, row, 8, finish))
    yield from finished(values, finish)
    yield segment([f"r8 += {8 * (1 + 2 * r * grid.lanes)}"])


def scaled(lines: Sequence[str], register: int, row: int, first: int, finish: str) -> Value:
    """What `lines` leave in r<register>, a row's lane, multiplied down; its multiplier and its constant are at
    r8 + first, behind those of the rows before it. r5 is the shift, r9 points at what is written; r7 is lost."""
    at = first + 16 * row
    down = [load(7, 8, at), f"r{register} *= r7", load(7, 8, at + 8), f"r{register} += r7", f"r{register} s>>= r5"]
    added = [load(7, 9, 8 * row), f"r{register} += r7"] if FINISHES[finish].adds else []
    return Value((*lines, *down, *added), register, 9, 8 * row)


def finished(values: Sequence[Value], finish: str) -> tuple[Part, ...]:
    """All values of a group, finished and stored."""
    end = FINISHES[finish]
    if end.low < -end.high:
        return tuple(segment([*value.lines, value.store]) for value in values)
    return kept(values, end.low, end.high)


def _next_group(r: int, grid: WeightGrid) -> Segment:
    lines = [f"r9 += {8 * grid.lanes * r}", store(10, OUT_SLOT, 9)]
    return segment([*lines, load(7, 10, GROUPS_SLOT), "r7 += -1", store(10, GROUPS_SLOT, 7), "if r7 != 0 goto 1b"])


def cut_lane(acc: int, lane: int, grid: WeightGrid, slot: int) -> tuple[list[str], int]:
    """(instructions, register): one lane of r<acc>. Where memory can cut lanes apart it does, in a slot of the frame;
    else the accumulator is used up lane by lane."""
    if grid.lane_bits in (16, 32):
        spill = [] if lane else [store(10, slot, acc)]
        return [*spill, load(6, 10, slot + grid.lane_bits // 8 * lane, f"u{grid.lane_bits}")], 6
    shift = [f"r{acc} >>= {grid.lane_bits}"] if lane else []
    if lane == grid.lanes - 1:
        return shift, acc
    return [*shift, f"r6 = r{acc}", f"r6 &= {(1 << grid.lane_bits) - 1}"], 6
