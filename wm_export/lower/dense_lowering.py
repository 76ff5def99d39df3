"""Matrix products: calls of the matvec kernels over row groups and column blocks, and the words that hold the weights.

A word of weights holds as many rows as its grid has lanes; a kernel takes up to MATVEC_MAX_R words a column. So the
rows of an op are full groups of that many words, and one smaller group for the rest; its columns are blocks of
`op.block`, after each of which the lanes are emptied. `rows` and `columns` below include the padding to whole words and
tiles; missing weights are zero.

A sum need not be stored where all that reads it multiplies it down (`scaled`): kernels do that with what is in the
lanes. Of the kernels that can, those are taken that cost least: with a loop over columns or straight, for each of the
row groups.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, MATVEC_TILE_MAX, matvec_name
from wm_export.lower.asm.matvec_asm import matvec as matvec_kernel
from wm_export.lower.asm.requantize_asm import REQUANTIZE_UNROLL
from wm_export.lower.asm.straight_asm import STRAIGHT_MAX_R, Straight, straight
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import (
    Call,
    Groups,
    Lifetime,
    Load,
    Read,
    Routine,
    SessionStart,
    Values,
    Write,
    padded,
)
from wm_quant.ops.base import SESSION_BIAS, Sum
from wm_quant.ops.dense import Matvec
from wm_quant.ops.requantize import Scaling
from wm_train.grid.arithmetic import TILE_COLUMNS, WEIGHT_GRIDS, WeightGrid

COPY = "core::ptr::copy_nonoverlapping"
#: What the accumulator of the one op that starts from the session's ids begins with.
SESSION_START = "bias"


@dataclass(frozen=True)
class Tile:
    """What one kernel call covers: `groups` groups of `accumulators` words a column, from row `row` and column `column`
    on, `step` columns at a time.

    scaled   the words of a group end with what its rows are multiplied down by
    block    columns between two flushes of the lanes, of a straight kernel; 0: its kernel has a loop
    """

    grid: WeightGrid
    row: int
    groups: int
    accumulators: int
    column: int = 0
    columns: int = 0
    step: int = TILE_COLUMNS
    scaled: bool = False
    block: int = 0

    @property
    def straight(self) -> Straight:
        """The shape of its kernel, if that is a straight one."""
        return Straight(self.accumulators, self.grid.bits, self.block, self.columns)

    @property
    def flushes(self) -> int:
        """How often the lanes start anew."""
        return len(self.straight.blocks) if self.block else 1

    def kernel(self, finish: str | None = None) -> str:
        """Its kernel's name; `finish` as matvec_name takes it."""
        if self.block:
            return self.straight.name(finish or "")
        return matvec_name(self.accumulators, self.grid.bits, self.step, finish)

    @property
    def group_rows(self) -> int:
        """Rows of a group."""
        return self.accumulators * self.grid.lanes

    @property
    def rows(self) -> int:
        """Rows of all groups."""
        return self.groups * self.group_rows

    @property
    def words(self) -> int:
        """Words of weights."""
        return self.groups * self.group_words

    @property
    def group_words(self) -> int:
        """Words of a group."""
        return self.accumulators * self.columns + self.scaled * (1 + 2 * self.group_rows)


def row_tiles(size: int, grid: WeightGrid, most: int = MATVEC_MAX_R) -> list[Tile]:
    """The rows of an op: as many full groups of `most` words as fit, then one smaller."""
    full = size // (grid.lanes * most)
    done = full * grid.lanes * most
    rest = -(-(size - done) // grid.lanes)
    return [Tile(grid, 0, full, most)] * (full > 0) + [Tile(grid, done, 1, rest)] * (rest > 0)


@cache
def stepped(columns: int, most: int) -> tuple[int, int]:
    """(padded columns, of which multiple): what a group of MATVEC_MAX_R words takes fewest units for, up to `most`."""
    sizes = ((padded(columns, step), step) for step in range(1, MATVEC_TILE_MAX + 1))
    # A column is a load and three instructions a word; a turn of the loop is four.
    cost = {size: size[0] * (1 + 3 * MATVEC_MAX_R) + size[0] // size[1] * 4 for size in sizes if size[0] <= most}
    return min(cost, key=lambda size: (cost[size], size))


def column_blocks(columns: int, block: int) -> list[tuple[int, int, int]]:
    """(first column, columns, of which so many at a time) of the blocks between lane flushes; the last is padded, no
    further than to TILE_COLUMNS."""
    most = padded(columns, TILE_COLUMNS)
    ends = [(start, min(block, columns - start), min(block, most - start)) for start in range(0, columns, block)]
    return [(start, *stepped(count, room)) for start, count, room in ends]


def tiles(op: Matvec, columns: int) -> list[Tile]:
    """The calls of an op whose source has so many columns, in order: block by block, in each all rows."""
    return tiles_of(op.size, columns, op.block, WEIGHT_GRIDS[op.bits])


def tiles_of(size: int, columns: int, block: int, grid: WeightGrid) -> list[Tile]:
    """The same of so many rows of these weights."""
    rows = row_tiles(size, grid)
    return [
        replace(tile, column=start, columns=count, step=step)
        for start, count, step in column_blocks(columns, block)
        for tile in rows
    ]


def pack_lanes(rows: NDArray[np.integer[Any]], tile: Tile) -> NDArray[np.uint64]:
    """Words of one call: (groups, columns, accumulators) u64, flat."""
    grid = tile.grid
    part = np.zeros((tile.rows, tile.columns), np.int64)
    piece = rows[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]
    part[: piece.shape[0], : piece.shape[1]] = piece
    lanes = part.reshape(tile.groups, tile.accumulators, grid.lanes, tile.columns)
    words = sum(lanes[:, :, lane] << (grid.lane_bits * lane) for lane in range(grid.lanes))
    return np.ascontiguousarray(np.asarray(words).transpose(0, 2, 1)).reshape(-1).view(np.uint64)


def zero_padded(values: Values, count: int, dtype: type) -> Values:
    """(count,) the values, then zeros."""
    out: Values = np.zeros(count, dtype)
    out[: len(values)] = values
    return out


def matvec(op: Matvec, builder: Builder) -> Routine:
    """Start the accumulator if the op does, then a call for each Tile."""
    rows = builder.net.tensor(op, "rows")
    parts = tiles(op, rows.shape[1])
    words = builder.constant(f"{op.name}.words", "u64", sum(tile.words for tile in parts), _words(rows, parts))
    # A requantize reads whole groups of its own.
    covered = max(*(tile.row + tile.rows for tile in parts), padded(op.size, REQUANTIZE_UNROLL))
    out = builder.write(op.out, covered)
    calls = [*start(op, builder, out, covered), *_products(op, rows.shape, parts, words)]
    about = f"{op.out} += {op.size} rows x {rows.shape[1]} columns of {op.bits} bits, times {op.source}"
    return Routine(op.name, op.kind, about, tuple(calls))


def _words(rows: Values, parts: list[Tile]) -> Callable[[], Values]:
    return lambda: np.concatenate([pack_lanes(rows, tile) for tile in parts])


def start(op: Sum, builder: Builder, out: Write, count: int) -> Iterator[Call]:
    """The call that gives a sum its first `count` values, if the op begins it."""
    if not op.init:
        return
    source: Read | Load
    if op.init == SESSION_BIAS:
        builder.buffer(SESSION_START, count, Lifetime.SESSION)
        builder.start = _session(op, builder)
        source = Read(SESSION_START)
    else:
        bias = builder.net.tensor(op, "bias")
        source = builder.constant(f"{op.name}.bias", "i64", count, lambda: zero_padded(bias, count, np.int64))
    yield Call(COPY, (source, out, count))


def _session(op: Sum, builder: Builder) -> SessionStart:
    """The first value of the accumulator that starts from a session's ids, and the tables that it is computed from."""
    net = builder.net
    table, layer = net.tensor(op, "session"), net.tensor(op, "bias")
    rows = builder.constant(f"{op.name}.session", "i32", table.size, lambda: table.reshape(-1))
    bias = builder.constant(f"{op.name}.bias", "i32", op.size, lambda: layer)
    vocab = tuple(field.vocab for _, field in net.world.encoding.session_fields())
    return SessionStart(rows, bias, Write(SESSION_START), op.size, vocab)


def _products(op: Matvec, shape: tuple[int, ...], parts: list[Tile], words: Load) -> Iterator[Call]:
    """A kernel call for each Tile, its words one after the other."""
    at = words.first
    for tile in parts:
        macs = min(tile.rows, op.size - tile.row) * min(tile.columns, shape[1] - tile.column)
        yield _call(op, tile, replace(words, first=at), op.out, macs)
        at += tile.words


def _call(op: Matvec, tile: Tile, words: Load, out: str, macs: int, finish: str | None = None) -> Call:
    """The kernel call of a Tile, whose words begin where `words` points; `finish` as matvec_name takes it."""
    operands = (
        replace(words, stride=tile.group_words),
        Read(op.source, tile.column),
        Write(out, tile.row, tile.group_rows),
        Groups(tile.groups),
        tile.columns,
    )
    return Call(tile.kernel(finish), operands, macs)


#: An op that multiplies rows of a product down, and the way that its kernel ends, a name in FINISHES.
Part = tuple[Scaling, str]


def scaled(op: Matvec, parts: Sequence[Part], builder: Builder) -> Routine:
    """A product and the ops that multiply it down: the calls of each, one after the other."""
    rows = builder.net.tensor(op, "rows")
    made = [(part, finish, tile) for part, finish in parts for tile in _scaled_tiles(op, part, rows.shape[1])]

    def words() -> Values:
        return np.concatenate([pack_scaled(op, part, tile, builder) for part, _, tile in made])

    held = builder.constant(f"{op.name}.words", "u64", sum(tile.words for *_, tile in made), words)
    calls, at = [], held.first
    for part, finish, tile in made:
        out = builder.write(part.out, max(tile.row + tile.rows, padded(part.size, TILE_COLUMNS)))
        macs = min(tile.rows, part.size - tile.row) * rows.shape[1]
        calls.append(_call(op, tile, replace(held, first=at), out.name, macs, finish))
        at += tile.words
    outs = ", ".join(part.out for part, _ in parts)
    about = f"{outs} of {op.size} rows x {rows.shape[1]} columns of {op.bits} bits, times {op.source}"
    return Routine(op.name, " + ".join([op.kind, *(part.kind for part, _ in parts)]), about, tuple(calls))


def _scaled_tiles(op: Matvec, part: Scaling, columns: int) -> list[Tile]:
    """Those of the rows that one op multiplies down; row 0 is the first of them."""
    return [replace(tile, scaled=True) for tile in cheapest_to_scale(part.size, columns, op.block, op.grid)]


def cheapest_to_scale(size: int, columns: int, block: int, grid: WeightGrid) -> list[Tile]:
    """The Tiles of a product that is multiplied down, of so many rows; the way of ways_to_scale that costs least."""
    ways = ways_to_scale(size, columns, block, grid)
    return min(ways, key=lambda tiles: sum(map(_units, tiles)))


def can_be_scaled(op: Matvec, columns: int) -> bool:
    """Whether a kernel multiplies down what it has summed over so many columns."""
    return any(ways_to_scale(op.size, columns, op.block, op.grid))


def ways_to_scale(size: int, columns: int, block: int, grid: WeightGrid) -> Iterator[list[Tile]]:
    """Row tiles that cover all columns: of kernels with a loop where lanes hold the whole sum, and of straight ones, of
    which the smaller group has a loop if it may."""
    looped = tiles_of(size, columns, block, grid) if block >= columns else []
    if looped:
        yield looped
    for most in range(MATVEC_MAX_R if not looped else STRAIGHT_MAX_R, STRAIGHT_MAX_R + 1):
        rows = [replace(tile, columns=columns, block=min(block, columns)) for tile in row_tiles(size, grid, most)]
        if looped and rows[-1].accumulators < most:
            rest = tiles_of(size - rows[-1].row, columns, block, grid)
            rows = [*rows[:-1], *(replace(tile, row=tile.row + rows[-1].row) for tile in rest)]
        if all(tile.straight.possible for tile in rows if tile.block):
            yield rows


def _units(tile: Tile) -> int:
    """Compute units of a Tile's kernel, whichever way of those that keep values inside bounds it ends."""
    if tile.block:
        return straight(tile.straight, "code").cu(groups=tile.groups)
    sizes = {"groups": tile.groups, "columns": tile.columns}
    return matvec_kernel(tile.accumulators, tile.grid.bits, tile.step, "code").cu(**sizes)


def pack_scaled(op: Matvec, part: Scaling, tile: Tile, builder: Builder) -> NDArray[np.uint64]:
    """Words of one call that multiplies down what one op does."""
    net, own = builder.net, slice(part.first, part.first + part.size)
    bias = net.ints(op, "bias")[own]
    return scaled_words(net.tensor(op, "rows")[own], bias, net.ints(part, "mult"), part.shift, tile)


def scaled_words(rows: Values, bias: Values, mult: Values, shift: int, tile: Tile) -> NDArray[np.uint64]:
    """Words of one call that multiplies rows (N, K) with biases and multipliers (N,) int64 down: of each group the
    columns', the shift, and of each row the multiplier and what is added to its lane times that; flat."""
    # The bias less what lanes started from, times the multiplier, and half of what the shift divides by. It may wrap:
    # so does the kernel, and the sum of the two fits.
    constant = (bias - tile.flushes * tile.grid.lane_bound) * mult + (1 << (shift - 1))
    factors = np.zeros((tile.rows, 2), np.int64)
    piece = np.stack([mult, constant], 1)[tile.row : tile.row + tile.rows]
    factors[: len(piece)] = piece
    columns = pack_lanes(rows, tile).reshape(tile.groups, -1)
    shifts = np.full((tile.groups, 1), shift, np.uint64)
    scales = factors.view(np.uint64).reshape(tile.groups, -1)
    return np.concatenate([columns, shifts, scales], 1).reshape(-1)
