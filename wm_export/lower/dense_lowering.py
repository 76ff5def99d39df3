"""Matrix products: calls of the matvec kernels over row groups and column blocks, and the words that hold the weights.

A word of weights holds as many rows as its grid has lanes; a kernel takes up to MATVEC_MAX_R words a column. So the
rows of an op are full groups of that many words, and one smaller group for the rest; its columns are blocks of
`op.block`, after each of which the lanes are emptied. `rows` and `columns` below include the padding to whole words and
tiles; missing weights are zero.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, matvec_name
from wm_export.lower.asm.requantize_asm import REQUANTIZE_UNROLL
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
from wm_quant.ops.base import SESSION_BIAS
from wm_quant.ops.dense import Matvec
from wm_train.grid.arithmetic import TILE_COLUMNS, WEIGHT_GRIDS, WeightGrid

COPY = "core::ptr::copy_nonoverlapping"
#: What the accumulator of the one op that starts from the session's ids begins with.
SESSION_START = "bias"


@dataclass(frozen=True)
class Tile:
    """What one kernel call covers: `groups` groups of `accumulators` words a column, from row `row` and column `column`
    on."""

    grid: WeightGrid
    row: int
    groups: int
    accumulators: int
    column: int = 0
    columns: int = 0

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
        return self.accumulators * self.columns


def row_tiles(size: int, grid: WeightGrid) -> list[Tile]:
    """The rows of an op: as many full groups as fit, then one smaller."""
    full = size // (grid.lanes * MATVEC_MAX_R)
    done = full * grid.lanes * MATVEC_MAX_R
    rest = -(-(size - done) // grid.lanes)
    return [Tile(grid, 0, full, MATVEC_MAX_R)] * (full > 0) + [Tile(grid, done, 1, rest)] * (rest > 0)


def column_blocks(columns: int, block: int) -> list[tuple[int, int]]:
    """(first column, columns) of the blocks between lane flushes, padded to whole tiles."""
    total = padded(columns, TILE_COLUMNS)
    return [(start, min(block, total - start)) for start in range(0, total, block)]


def tiles(op: Matvec, columns: int) -> list[Tile]:
    """The calls of an op whose source has so many columns, in order: block by block, in each all rows."""
    rows = row_tiles(op.size, WEIGHT_GRIDS[op.bits])
    return [
        replace(tile, column=start, columns=count) for start, count in column_blocks(columns, op.block) for tile in rows
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
    calls = [*_start(op, builder, out, covered), *_products(op, rows.shape, parts, words)]
    about = f"{op.out} += {op.size} rows x {rows.shape[1]} columns of {op.bits} bits, times {op.source}"
    return Routine(op.name, op.kind, about, tuple(calls))


def _words(rows: Values, parts: list[Tile]) -> Callable[[], Values]:
    return lambda: np.concatenate([pack_lanes(rows, tile) for tile in parts])


def _start(op: Matvec, builder: Builder, out: Write, count: int) -> Iterator[Call]:
    """The call that gives an accumulator its first value."""
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


def _session(op: Matvec, builder: Builder) -> SessionStart:
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
        operands = (
            Load(words.name, at, tile.group_words),
            Read(op.source, tile.column),
            Write(op.out, tile.row, tile.group_rows),
            Groups(tile.groups),
            tile.columns,
        )
        macs = min(tile.rows, op.size - tile.row) * min(tile.columns, shape[1] - tile.column)
        yield Call(matvec_name(tile.accumulators, op.bits), operands, macs)
        at += tile.words
