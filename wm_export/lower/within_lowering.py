"""The product of one group's rows: the group is found by an arg max, and what belongs to a group lies `step` elements
behind what belongs to the one before it, so that one multiplication finds it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from wm_export.lower.asm.matvec_asm import matvec_name
from wm_export.lower.asm.requantize_asm import REQUANTIZE_UNROLL
from wm_export.lower.builder import Builder
from wm_export.lower.dense_lowering import COPY, Tile, pack_lanes, scaled_words, tiles_of, zero_padded
from wm_export.lower.lowered_program import Call, Load, Picked, Read, Routine, Values, Write, padded
from wm_quant.ops.within import Within

#: What the first call gives.
GROUP = "group"


def within(op: Within, builder: Builder) -> Routine:
    """The arg max; then the group's rows, multiplied down by their product's kernel where it has them whole."""
    columns = builder.net.sizes[op.source]
    parts = tiles_of(op.size, columns, op.block, op.grid)
    group = Call("argmax", (Read(op.by, op.first), op.groups), gives=GROUP)
    calls = _scaled(op, builder, parts) if op.block >= columns else _in_blocks(op, builder, parts)
    about = (
        f"{op.out} = {op.size} of {op.groups * op.size} rows x {columns} columns of {op.bits} bits, times {op.source}"
    )
    return Routine(op.name, op.kind, about, (group, *calls))


def _picked(op: Within, builder: Builder, part: str, dtype: str, of_group: Callable[[int], Values]) -> Picked:
    """A constant that has a part of each group, all of one length."""
    step = len(of_group(0))

    def values() -> Values:
        return np.concatenate([of_group(group) for group in range(op.groups)])

    held = builder.constant(f"{op.name}.{part}", dtype, op.groups * step, values)
    return Picked(held.name, step=step, by=GROUP)


def _scaled(op: Within, builder: Builder, parts: list[Tile]) -> Iterator[Call]:
    """A product of one column block that multiplies its rows down."""
    net, made = builder.net, [replace(tile, scaled=True) for tile in parts]
    rows, bias, mult = net.tensor(op, "rows"), net.ints(op, "bias"), net.ints(op, "mult")

    def words(group: int) -> Values:
        own = rows[group], bias[group], mult[group]
        return np.concatenate([scaled_words(*own, op.shift, tile) for tile in made])

    builder.write(op.out, made[-1].row + made[-1].rows)
    yield from _products(op, made, _picked(op, builder, "words", "u64", words), op.out, "")


def _in_blocks(op: Within, builder: Builder, parts: list[Tile]) -> Iterator[Call]:
    """A product of several: accumulators begin as the group's biases, and are multiplied down when all is added."""
    net, acc, count = builder.net, f"{op.out}.acc", padded(op.size, REQUANTIZE_UNROLL)
    rows, bias, mult = net.tensor(op, "rows"), net.tensor(op, "bias"), net.tensor(op, "mult")
    covered = max(count, *(tile.row + tile.rows for tile in parts))

    def words(group: int) -> Values:
        return np.concatenate([pack_lanes(rows[group], tile) for tile in parts])

    start = _picked(op, builder, "bias", "i64", lambda group: zero_padded(bias[group], covered, np.int64))
    factors = _picked(op, builder, "mult", "u32", lambda group: zero_padded(mult[group], count, np.uint32))
    yield Call(COPY, (start, builder.write(acc, covered), covered))
    yield from _products(op, parts, _picked(op, builder, "words", "u64", words), acc, None)
    yield Call("requantize", (Read(acc), factors, builder.write(op.out, count), count, op.shift))


def _products(op: Within, parts: list[Tile], words: Load, out: str, finish: str | None) -> Iterator[Call]:
    """A kernel call for each Tile. None is cut: who begins in between does not know the group."""
    at = 0
    for tile in parts:
        name = matvec_name(tile.accumulators, op.bits, tile.step, finish)
        held, source = replace(words, first=at), Read(op.source, tile.column)
        macs = min(tile.rows, op.size - tile.row) * tile.columns
        yield Call(name, (held, source, Write(out, tile.row), tile.groups, tile.columns), macs)
        at += tile.words
