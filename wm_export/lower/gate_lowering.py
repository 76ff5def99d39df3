"""Products of two vectors: one call of gate over all values, in eights; or of gated_norm, which makes both of them
first, and norms the products."""

import numpy as np

from wm_export.lower.asm.gate_asm import GATE_UNROLL, GATED_FRONT, GATED_TILE_MAX, gated_norm_name
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Call, Read, Routine, Values, divisor, padded
from wm_export.lower.norm_lowering import pack_roots
from wm_export.lower.table_lowering import unsigned
from wm_quant.ops.gate import Gate
from wm_quant.ops.norm import RMSNorm
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


def gated_norm(scaling: RequantizeWide, table: Lut, op: Gate, norm: RMSNorm, builder: Builder) -> Routine:
    """One call, of as many values as there are: what lies behind the codes may be no codes."""
    net = builder.net

    def scales() -> Values:
        entries = unsigned(net.tensor(table, "table")).view(np.uint64)
        roots = pack_roots(net.tensor(norm, "eps"), net.tensor(norm, "table"))
        numbers = np.concatenate([roots, [norm.shift, scaling.shift], net.ints(scaling, "mult")])
        return np.concatenate([entries, numbers.view(np.uint64)])

    held = builder.constant(f"{scaling.name}.scales", "u64", GATED_FRONT + op.size, scales)
    codes, out = Read(table.source, table.first), builder.write(norm.out, padded(op.size, TILE_COLUMNS))
    kernel = gated_norm_name(divisor(op.size, GATED_TILE_MAX))
    call = Call(kernel, (Read(scaling.source, scaling.first), codes, held, out, op.size))
    kinds = " + ".join(it.kind for it in (scaling, table, op, norm))
    about = (
        f"{norm.out} = {op.size} values of {scaling.source} multiplied down, times a function of {table.source}, normed"
    )
    return Routine(scaling.name, kinds, about, (call,))
