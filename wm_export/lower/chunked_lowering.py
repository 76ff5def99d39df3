"""A recurrence whose heads are written in turn: one call of an ssm_chunked kernel over all heads."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wm_export.errors import WmExportError
from wm_export.lower.asm.chunked_asm import BIAS, Layout, chunked
from wm_export.lower.asm.ssm_asm import HEAD_WORDS
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Buffer, Call, Lifetime, Load, Places, Read, Routine, Turns, Write, padded
from wm_export.lower.ssm_lowering import pack_tables
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_train.grid.arithmetic import TILE_COLUMNS
from wm_train.grid.chunked import Chunk

Ints = NDArray[np.int64]


def places_kept(shape: Chunk) -> Ints:
    """(shape.size,) the element of the memory that each integer of what is kept lies in."""
    at, every = Layout(shape), shape.every
    records = (at.heads + at.record * np.arange(shape.heads)) // 4
    states = np.concatenate(list(_states(shape)))
    parts = {
        "t": np.zeros(1, np.int64),
        "lost": records,
        "G": records[:, None] + at.gains // 4 + np.arange(every),
        "S": records[:, None, None] + at.states // 4 + states,
        "x": records[:, None] + at.rows // 4 + np.arange(every * shape.channels),
        "B": at.ring // 4 + np.arange(every * shape.cells),
    }
    places: Ints = np.concatenate([parts[name].reshape(-1) for name in shape.parts])
    return places


def _states(shape: Chunk) -> "list[Ints]":
    """(channels, cells) of each group, where in a head's states they lie."""
    first, found = 0, []
    for words, count in Layout(shape).groups:
        for _ in range(count):
            word = first * shape.cells + np.arange(words)[:, None] + words * np.arange(shape.cells)
            found.append(2 * np.repeat(word, 2, 0) + np.tile([0, 1], words)[:, None])
            first += words
    return found


def turns_kept(shape: Chunk) -> Turns:
    """In turn t is written: B of frame t, x of each head's place then, and the states of the heads that are due."""
    at, heads = Layout(shape), range(shape.heads)
    records = [(at.heads + at.record * head) // 4 for head in heads]

    def stretches(t: int) -> Iterator[tuple[int, int]]:
        yield at.ring // 4 + shape.cells * t, shape.cells
        for head, record in zip(heads, records, strict=True):
            place = (t - head) % shape.every
            yield record + at.rows // 4 + shape.channels * place, shape.channels
            if place == shape.every - 1:
                yield record + at.states // 4, shape.channels * shape.cells

    return Turns(0, tuple(tuple(stretches(t)) for t in range(shape.every)))


def ssm_chunked(op: ChunkedSSM, builder: Builder) -> Routine:
    """One call."""
    net, shape = builder.net, op.chunk(builder.net)
    try:
        kernel = chunked(shape)
    except ValueError as error:
        raise WmExportError(f"op {op.name}: no kernel {error}") from error
    at = Layout(shape)
    parts = [net.tensor(op, part) for part in ("decay", "gain", "skip")]
    held = shape.heads * HEAD_WORDS
    tables = builder.constant(f"{op.name}.tables", "u64", held, lambda: pack_tables(*parts).reshape(-1))
    count = (at.heads + at.record * shape.heads) // 4
    kept = Buffer(op.kept, count, Lifetime.MEMORY, "u32", BIAS, places_kept(shape), turns_kept(shape))
    memory, out = builder.memory(kept), builder.write(op.out, padded(op.size, TILE_COLUMNS))
    source = Read(op.source), Read(op.source, op.size), Read(op.by)
    places = Places((*source, Load(tables.name), Write(memory.name), Write(out.name)))
    about = f"{op.out}, and {shape.cells} states of each of {op.size} channels, a head of {shape.every} in turn"
    return Routine(op.name, op.kind, about, (Call(kernel.name, (places, shape.heads)),))
