"""Root mean square norms: one call of the rmsnorm kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.asm.norm_asm import NORM_WORDS
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Call, Read, Routine, padded
from wm_quant.ops.norm import RMSNorm
from wm_train.grid.arithmetic import TILE_COLUMNS


def pack_roots(eps: NDArray[Any], table: NDArray[Any]) -> NDArray[np.int64]:
    """(769,) eps (1,) and the root for each mantissa (768,)."""
    return np.concatenate([eps, table]).astype(np.int64)


def rmsnorm(op: RMSNorm, builder: Builder) -> Routine:
    """One call."""
    eps, table = (builder.net.tensor(op, part) for part in ("eps", "table"))
    roots = builder.constant(f"{op.name}.roots", "i64", NORM_WORDS, lambda: pack_roots(eps, table))
    # A matvec reads the result in whole tiles.
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    call = Call("rmsnorm", (Read(op.source, op.first), roots, out, op.size, op.shift))
    return Routine(op.name, op.kind, f"{op.out} = {op.size} values of {op.source} over their root mean square", (call,))
