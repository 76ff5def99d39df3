"""Putting vectors together: a copy for each."""

from wm_export.lower.builder import Builder
from wm_export.lower.dense_lowering import COPY
from wm_export.lower.lowered_program import Call, Read, Routine, Write, padded
from wm_quant.ops.put import Put
from wm_train.grid.arithmetic import TILE_COLUMNS


def put(op: Put, builder: Builder) -> Routine:
    """One copy, of just as many values."""
    builder.buffer(op.source, op.first + op.count)
    builder.buffer(op.out, padded(op.size, TILE_COLUMNS))
    call = Call(COPY, (Read(op.source, op.first), Write(op.out, op.at), op.count))
    return Routine(op.name, op.kind, f"{op.out} from {op.at} on = {op.count} values of {op.source}", (call,))
