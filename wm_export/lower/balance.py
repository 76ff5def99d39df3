"""Where to cut a frame so that its transactions cost about the same: places for plan.py, by the kernels' formulas."""

from collections.abc import Sequence

from wm_export.errors import WmExportError
from wm_export.lower.cost import kernel_cu, memory_cu
from wm_export.lower.lowered_program import Program


def balanced_cuts(program: Program, count: int) -> list[str]:
    """The places that cut a whole frame into `count` transactions, each as near to its share as row groups and borders
    between ops let it be; WmExportError where there are not so many places."""
    units = [kernel_cu(routine) for routine in program.routines]
    # The digest of what the network keeps comes behind the last op, and belongs to the last transaction.
    whole, inside = sum(units) + memory_cu(program), sum(units)
    places = [_place(program, units, min(whole * number // count, inside)) for number in range(1, count)]
    cuts = list(dict.fromkeys(f"{op}.{group}" if group else str(op) for op, group in places if op or group))
    if len(cuts) != count - 1:
        raise WmExportError(f"plan: a frame of {len(units)} ops cannot be cut into {count} transactions of equal cost")
    return cuts


def _place(program: Program, units: Sequence[int], wanted: int) -> tuple[int, int]:
    """(op, row group) of the place that has about `wanted` compute units before it."""
    before = 0
    for op, cu in enumerate(units):
        if wanted <= before + cu:
            groups = max(program.routines[op].groups, 1)
            group = round(groups * (wanted - before) / max(cu, 1))
            return (op + 1, 0) if group == groups else (op, group)
        before += cu
    raise AssertionError(wanted)
