"""Multiplying accumulators down: one call of a requantize kernel over all values, in eights."""

from collections.abc import Callable

import numpy as np

from wm_export.lower.asm.requantize_asm import REQUANTIZE_UNROLL
from wm_export.lower.builder import Builder
from wm_export.lower.dense_lowering import zero_padded
from wm_export.lower.lowered_program import Call, Read, Routine, padded
from wm_quant.ops.requantize import Scaling
from wm_train.grid.arithmetic import TILE_COLUMNS


def scaling(kernel: str) -> Callable[[Scaling, Builder], Routine]:
    """The lowering of an op that this kernel computes."""

    def lowering(op: Scaling, builder: Builder) -> Routine:
        count, mult = padded(op.size, REQUANTIZE_UNROLL), builder.net.tensor(op, "mult")
        factors = builder.constant(f"{op.name}.mult", "u32", count, lambda: zero_padded(mult, count, np.uint32))
        builder.buffer(op.source, op.first + count)
        # A matvec may read the result in whole tiles.
        out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
        call = Call(kernel, (Read(op.source, op.first), factors, out, count, op.shift))
        verb = "=" if op.begins else "+="
        return Routine(op.name, op.kind, f"{op.out} {verb} {op.size} values of {op.source}, multiplied down", (call,))

    return lowering
