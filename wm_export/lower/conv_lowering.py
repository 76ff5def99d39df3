"""Causal convolutions: one call of the conv kernel; the codes of the frames before lie in 16 bits each, a word a
channel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.asm.conv_asm import CODE_BIAS, CODE_BITS, FILTER_WORDS
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Buffer, Call, Lifetime, Read, Routine, Write, padded
from wm_quant.ops.conv import Conv
from wm_train.grid.arithmetic import TILE_COLUMNS
from wm_train.shapes import D_CONV

Ints = NDArray[np.int64]


def pack_filters(rows: NDArray[Any], bias: NDArray[Any]) -> NDArray[np.uint64]:
    """(N, 3) u64 of filters (N, 4) and biases (N,): two words of two taps, and what is added to their products."""
    taps = rows.astype(np.int64)
    words = [taps[:, i + 2] + (taps[:, i] << 32) for i in range(2)]
    start = ((bias.astype(np.int64) - CODE_BIAS * taps.sum(1)) << 32) + (1 << 31)
    packed: NDArray[np.uint64] = np.ascontiguousarray(np.stack([*words, start], 1)).view(np.uint64)
    return packed


def codes_kept(channels: int) -> Ints:
    """(3 * N,) where the code of each frame before, oldest first, and channel lies: frame by frame in a channel's
    word, whose last place is empty."""
    frames = np.arange(D_CONV - 1)[:, None]
    places: Ints = (D_CONV * np.arange(channels) + frames).reshape(-1)
    return places


def conv(op: Conv, builder: Builder) -> Routine:
    """One call."""
    net = builder.net
    rows, bias = net.tensor(op, "rows"), net.tensor(op, "bias")
    count = FILTER_WORDS * op.size
    filters = builder.constant(f"{op.name}.filters", "u64", count, lambda: pack_filters(rows, bias).reshape(-1))
    kept = Buffer(op.kept, D_CONV * op.size, Lifetime.MEMORY, f"i{CODE_BITS}", places=codes_kept(op.size))
    memory: Write = builder.memory(kept)
    # What multiplies the result down reads it in eights.
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    call = Call("conv", (Read(op.source, op.first), filters, memory, out, op.size))
    about = f"{op.out} = {D_CONV} taps of each of {op.size} channels of {op.source}, frame by frame"
    return Routine(op.name, op.kind, about, (call,))
