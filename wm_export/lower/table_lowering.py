"""Functions of codes by their tables: a call of lut for each run of values that share one."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from wm_export.lower.asm.table_asm import TABLE_BIAS, TABLE_ENTRIES
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Call, Load, Read, Routine, Values, Write, padded
from wm_quant.ops.table import Lut
from wm_train.grid.arithmetic import TILE_COLUMNS


def runs(groups: Values) -> Iterator[tuple[int, int, int]]:
    """(group, first, count) of each stretch of equal entries of (N,), in order."""
    first = 0
    for group, values in groupby(groups.tolist()):
        count = len(list(values))
        yield group, first, count
        first += count


def unsigned(table: Values) -> Values:
    """int16 entries as the kernel holds them, flat."""
    return (table.reshape(-1).astype(np.int64) + TABLE_BIAS).astype(np.uint16)


def lut(op: Lut, builder: Builder) -> Routine:
    """A call for each run; entries are held without sign."""
    table, groups = builder.net.tensor(op, "table"), builder.net.tensor(op, "group")
    entries = builder.constant(f"{op.name}.table", "u16", table.size, lambda: unsigned(table))
    # What no op wrote is no code, so the kernel reads no padding; a matvec may read the result in whole tiles.
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    calls = tuple(
        Call(
            "lut",
            (
                Read(op.source, op.first + first),
                Load(entries.name, group * TABLE_ENTRIES),
                Write(out.name, first),
                count,
            ),
        )
        for group, first, count in runs(groups)
    )
    about = f"{op.out} = {len(table)} functions of {op.size} values of {op.source}"
    return Routine(op.name, op.kind, about, calls)
