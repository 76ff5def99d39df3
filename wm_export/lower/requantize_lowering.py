"""Multiplying accumulators down: one call of requantize or requantize_relu over all values, in eights."""

import numpy as np

from wm_export.lower.asm.requantize_asm import REQUANTIZE_UNROLL
from wm_export.lower.builder import Builder
from wm_export.lower.dense_lowering import zero_padded
from wm_export.lower.lowered_program import Call, Read, Routine, padded
from wm_quant.ops.requantize import Requantize, RequantizeRelu, Scaling
from wm_train.grid.arithmetic import TILE_COLUMNS


def _scaling(op: Scaling, builder: Builder, kernel: str) -> Routine:
    count, mult = padded(op.size, REQUANTIZE_UNROLL), builder.net.tensor(op, "mult")
    factors = builder.constant(f"{op.name}.mult", "u32", count, lambda: zero_padded(mult, count, np.uint32))
    builder.buffer(op.source, op.first + count)
    # A matvec may read the result in whole tiles.
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    call = Call(kernel, (Read(op.source, op.first), factors, out, count, op.shift))
    return Routine(op.name, op.kind, f"{op.out} = {op.size} values of {op.source}, multiplied down", (call,))


def requantize(op: Requantize, builder: Builder) -> Routine:
    """Results of any size."""
    return _scaling(op, builder, "requantize")


def requantize_relu(op: RequantizeRelu, builder: Builder) -> Routine:
    """Results cut off below 0 and above 127."""
    return _scaling(op, builder, "requantize_relu")
