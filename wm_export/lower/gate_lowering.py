"""Products of two vectors: one call of gate over all values, in eights; or of gated, which makes both of them first."""

import numpy as np

from wm_export.lower.asm.gate_asm import GATE_UNROLL, TABLE_WORDS
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Call, Read, Routine, Values, padded
from wm_export.lower.table_lowering import unsigned
from wm_quant.ops.gate import Gate
from wm_quant.ops.requantize import RequantizeWide
from wm_quant.ops.table import Lut
from wm_train.grid.arithmetic import TILE_COLUMNS


def gate(op: Gate, builder: Builder) -> Routine:
    """One call."""
    count = padded(op.size, GATE_UNROLL)
    builder.buffer(op.source, op.first + count)
    builder.buffer(op.by, count)
    # A matvec may read the result in whole tiles.
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    call = Call("gate", (Read(op.source, op.first), Read(op.by), out, count, op.shift))
    return Routine(op.name, op.kind, f"{op.out} = {op.size} values of {op.source}, times {op.by}", (call,))


def gated(scaling: RequantizeWide, table: Lut, op: Gate, builder: Builder) -> Routine:
    """One call, of a size that is whole eights: what lies behind the codes may be no codes."""
    net = builder.net

    def scales() -> Values:
        entries = unsigned(net.tensor(table, "table")).view(np.uint64)
        return np.concatenate([entries, [np.uint64(scaling.shift)], net.ints(scaling, "mult").view(np.uint64)])

    held = builder.constant(f"{scaling.name}.scales", "u64", TABLE_WORDS + 1 + op.size, scales)
    codes, out = Read(table.source, table.first), builder.write(op.out, padded(op.size, TILE_COLUMNS))
    call = Call("gated", (Read(scaling.source, scaling.first), codes, held, out, op.size))
    kinds = " + ".join(it.kind for it in (scaling, table, op))
    about = f"{op.out} = {op.size} values of {scaling.source} multiplied down, times a function of {table.source}"
    return Routine(scaling.name, kinds, about, (call,))
