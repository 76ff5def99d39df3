"""What the compiled code around the kernels will cost, and what a program will weigh, before anything is built:
estimates from what was metered and built.

Kernels are counted by formula and are exact. Around them stands compiled Rust, whose length is the compiler's choice;
`wmq build` meters it. Until then it is taken to be what the metered presets have: of the world's own routines as much
as there, and RULE_OPERATION_CU for each operation of rules, laws and sights that the presets' worlds lack; for each
operand of a kernel call as much as ops of the same kind took there, or, of a kind that no preset has, as much as the
mean over all kinds.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from math import ceil
from statistics import fmean

from wm_export.lower.cost import PRESET_OVERHEADS, Overheads, memory_cu
from wm_export.lower.kernels import kernel_named
from wm_export.lower.lowered_program import Operand, Places, Program, Routine, Rows
from wm_export.lower.lowering import lower
from wm_quant.presets import PRESETS, preset
from wm_train.config import ModelConfig

#: Of one operation of a rule: what the laws and sights of `lawful` worlds take, metered, over their number.
RULE_OPERATION_CU = 4.5

#: Bytes of compiled code, as built: of a program that computes nothing, and if it keeps a memory; of an operation of a
#: rule, of a call, and of a transaction more.
BARE_BYTES, MEMORY_BYTES, RULE_OPERATION_BYTES, CALL_BYTES, STEP_BYTES = 77_000, 10_000, 72, 850, 3_000


def known_overheads(model: ModelConfig, program: Program) -> tuple[Overheads, bool]:
    """Overheads of a program of this shape in one transaction: those committed for a preset, True; else an estimate,
    False."""
    same = next((name for name in PRESET_OVERHEADS if PRESETS[name] == model), None)
    if same is None or len(program.plan) > 1:
        return estimated(program), False
    return PRESET_OVERHEADS[same], True


def estimated(program: Program) -> Overheads:
    """Overheads that the compiled code of a program may have. Of every transaction, entrypoint and checks as dear as in
    the dearest preset."""
    metered = PRESET_OVERHEADS.values()
    return Overheads(
        {routine.name: _around(routine) for routine in program.routines},
        (max(max(each.steps) for each in metered),) * len(program.plan),
        max(each.merge for each in metered),
        max(each.peak for each in metered),
        "estimate",
    )


def program_bytes(program: Program) -> int:
    """Bytes that the built program may have: of kernels as many as they have, of compiled code an estimate."""
    compiled = BARE_BYTES + MEMORY_BYTES * (memory_cu(program) > 0) + STEP_BYTES * (len(program.plan) - 1)
    compiled += sum(RULE_OPERATION_BYTES * _operations(each) for each in program.routines)
    compiled += sum(CALL_BYTES * len(each.calls) for each in program.routines)
    kernels = {call.function for routine in program.routines for call in routine.kernel_calls}
    return compiled + sum(kernel_named(name).bytes for name in kernels)


def _around(routine: Routine) -> int:
    """Compute units beside the kernels of a routine."""
    rules, operands = _metered()
    if routine.is_rule:
        return ceil(rules.get(routine.name, 0) + RULE_OPERATION_CU * _operations(routine))
    return ceil(_operands(routine) * operands.get(routine.kind, fmean(operands.values())))


@cache
def _metered() -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Means over the presets: compute units of each rule beside its operations, by its routine's name, and of an
    operand, by the op's kind."""
    rules: dict[str, list[float]] = defaultdict(list)
    operands: dict[str, list[float]] = defaultdict(list)
    for name, overheads in PRESET_OVERHEADS.items():
        for routine in lower(preset(name)).routines:
            around = overheads.ops[routine.name]
            if routine.is_rule:
                rules[routine.name].append(around - RULE_OPERATION_CU * _operations(routine))
            else:
                operands[routine.kind].append(around / _operands(routine))
    return _means(rules), _means(operands)


def _means(found: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: fmean(values) for name, values in found.items()}


def _operations(routine: Routine) -> int:
    """Of the rules that a routine runs."""
    return sum(call.operations for call in routine.calls)


def _operands(routine: Routine) -> int:
    """Values that the compiled code hands to a routine's calls: it computes each, lists of addresses included."""
    return sum(_values(operand) for call in routine.calls for operand in call.operands)


def _values(operand: Operand) -> int:
    if isinstance(operand, Rows):
        return len(operand.firsts)
    return len(operand.pointers) if isinstance(operand, Places) else 1
