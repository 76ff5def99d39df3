"""Causal convolutions: one call of the conv kernel; or a call of conv_lut for each run of channels that share a table,
which makes codes of the sums and looks them up. The codes of the frames before lie in a word a channel."""

from collections.abc import Iterator
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.asm.conv_asm import (
    CODE_FIRST,
    CODE_LANE,
    CONV_TILE_MAX,
    FILTER_WORDS,
    LUT_FILTER_WORDS,
    conv_lut_name,
)
from wm_export.lower.asm.table_asm import TABLE_ENTRIES, TABLE_WORDS
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import (
    Buffer,
    Call,
    Lanes,
    Lifetime,
    Load,
    Read,
    Routine,
    Values,
    Write,
    divisor,
    padded,
)
from wm_export.lower.table_lowering import runs, unsigned
from wm_quant.ops.conv import Conv
from wm_quant.ops.requantize import RequantizeFine
from wm_quant.ops.table import Lut
from wm_train.grid.arithmetic import TILE_COLUMNS
from wm_train.shapes import D_CONV

Ints = NDArray[np.int64]
#: A word of memory: the newest code lowest, each twice its value, so that the oldest one is shifted out whole.
WORD = Lanes(D_CONV - 1, CODE_LANE, CODE_FIRST)
#: A word of taps: that of the newest code highest, so that its product with a word of memory has their sum on top.
TAPS = Lanes(D_CONV - 1, CODE_LANE)
#: Shifts that conv_lut takes: what one leaves of any 64 bits is inside 2^60, and half a table on top of the sums fits.
LUT_SHIFTS = range(4, 52)


def pack_taps(rows: NDArray[Any]) -> Ints:
    """(N, 2) of filters (N, 4): a word of the three older taps, and the newest one."""
    return np.stack([TAPS.join(rows[:, :-1]), rows[:, -1].astype(np.int64)], 1)


def pack_filters(rows: NDArray[Any], bias: NDArray[Any]) -> NDArray[np.uint64]:
    """(N, 3) u64 of filters (N, 4) and biases (N,): the taps, and what is added to their sum."""
    packed: NDArray[np.uint64] = np.column_stack([pack_taps(rows), bias.astype(np.int64)]).view(np.uint64)
    return packed


def pack_lut_filters(rows: Ints, bias: Ints, mult: Ints, shift: int) -> NDArray[np.uint64]:
    """(N, 4) u64 of filters (N, 4), biases and multipliers (N,) int64: the taps, the multiplier, and what is added to
    the sum times that, so that the shift leaves the place in a table."""
    place = bias * mult + (1 << (shift - 1)) + (TABLE_ENTRIES // 2 << shift)
    packed: NDArray[np.uint64] = np.column_stack([pack_taps(rows), mult, place]).view(np.uint64)
    return packed


def lut_words(table: Values) -> NDArray[np.uint64]:
    """(1024,) a table (4096,): the first entry, of no code, is that of the first one."""
    words: NDArray[np.uint64] = unsigned(np.concatenate([table[1:2], table[1:]])).view(np.uint64)
    return words


def codes_kept(channels: int) -> Ints:
    """(3 * N,) the lane of the code of each frame before, oldest first, and channel."""
    age = np.arange(D_CONV - 1)[::-1, None]
    places: Ints = ((D_CONV - 1) * np.arange(channels) + age).reshape(-1)
    return places


def _memory(op: Conv, builder: Builder) -> Write:
    return builder.memory(Buffer(op.kept, op.size, Lifetime.MEMORY, "u64", lanes=WORD, places=codes_kept(op.size)))


def conv(op: Conv, builder: Builder) -> Routine:
    """One call."""
    net = builder.net
    rows, bias = net.tensor(op, "rows"), net.tensor(op, "bias")
    count = FILTER_WORDS * op.size
    filters = builder.constant(f"{op.name}.filters", "u64", count, lambda: pack_filters(rows, bias).reshape(-1))
    # What multiplies the result down reads it in eights.
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    call = Call("conv", (Read(op.source, op.first), filters, _memory(op, builder), out, op.size))
    about = f"{op.out} = {D_CONV} taps of each of {op.size} channels of {op.source}, frame by frame"
    return Routine(op.name, op.kind, about, (call,))


def looked_up(op: Conv, scaling: RequantizeFine, table: Lut, builder: Builder) -> Routine:
    """A call for each run; in front of its filters lie its table and the shift."""
    net = builder.net
    parts = list(runs(net.tensor(table, "group")))
    kernel = conv_lut_name(divisor(gcd(*(count for *_, count in parts)), CONV_TILE_MAX))

    def words() -> Iterator[Values]:
        numbers = net.ints(op, "rows"), net.ints(op, "bias"), net.ints(scaling, "mult")
        filters = pack_lut_filters(*numbers, scaling.shift)
        for group, first, count in parts:
            yield from (lut_words(net.tensor(table, "table")[group]), np.array([scaling.shift], np.uint64))
            yield filters[first : first + count].reshape(-1)

    front = TABLE_WORDS + 1
    size = len(parts) * front + LUT_FILTER_WORDS * op.size
    held = builder.constant(f"{op.name}.filters", "u64", size, lambda: np.concatenate(list(words())))
    memory, out = _memory(op, builder), builder.write(table.out, padded(op.size, TILE_COLUMNS))
    calls = []
    for number, (_, first, count) in enumerate(parts):
        own = Load(held.name, number * front + LUT_FILTER_WORDS * first)
        places = Read(op.source, op.first + first), own, Write(memory.name, first), Write(out.name, first)
        calls.append(Call(kernel, (*places, count)))
    kinds = " + ".join(it.kind for it in (op, scaling, table))
    about = f"{table.out} = functions of {D_CONV} taps of each of {op.size} channels of {op.source}"
    return Routine(op.name, kinds, about, tuple(calls))
