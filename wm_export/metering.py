"""Build an export's program, and learn what its compiled code costs: a few metered frames give the Overheads."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wm_export.errors import WmExportError
from wm_export.solana import Export
from wm_export.svm import SvmRunner
from wm_export.toolchain import BuildInfo, build_program
from wm_quant.cost import Cost, Overheads, cost, kernel_cost, op_names
from wm_train.bounds import BOUNDS
from wm_train.files import atomic_write_json
from wm_train.frames import CONTROLS, PLAYERS, STATE

if TYPE_CHECKING:
    from wm_quant.interp import State

#: Metering costs units of its own: its transactions get more than the chain's limit.
METER_LIMIT = 10_000_000


def build(export: Export, progress: Callable[[str], None] = lambda text: None) -> tuple[BuildInfo, Overheads]:
    """Build program.so and meter.so, meter one frame, and keep what compiled code costs in build/overheads.json."""
    crate = export.folder / "onchain" / "program"
    export.program.parent.mkdir(exist_ok=True)
    progress("program.so")
    info = build_program(crate, export.program)
    progress("meter.so")
    build_program(crate, export.meter, features=["meter"])
    for program in (export.program, export.meter):
        _check_identity(export, program)
    progress("metering one frame")
    overheads = measure_overheads(export, info.toolchain)
    atomic_write_json(export.folder / "build" / "overheads.json", asdict(overheads) | {"program_sha256": info.sha256})
    return info, overheads


def _check_identity(export: Export, program: Path) -> None:
    """WmExportError unless the manifest's hash is in the program, in words of 4 bytes wherever they were put."""
    raw, wanted = program.read_bytes(), export.manifest.hash
    if not all(wanted[i : i + 4] in raw for i in range(0, len(wanted), 4)):
        program.unlink()
        raise WmExportError(f"{program}: built from another export; is another build running? `wmq build` again")


def runner(export: Export) -> SvmRunner:
    """The built program in LiteSVM."""
    if not export.program.exists():
        raise WmExportError(f"{export.program}: not built yet; run `wmq build`")
    return SvmRunner(export.net, export.program, export.blob, export.manifest.hash, len(export.manifest.plan))


def meter_runner(export: Export) -> SvmRunner:
    """The metering program in LiteSVM."""
    ops = len(op_names(export.net)) + 1
    return SvmRunner(
        export.net,
        export.meter,
        export.blob,
        export.manifest.hash,
        len(export.manifest.plan),
        meter_ops=ops,
        cu_limit=METER_LIMIT,
    )


def still_state(export: Export) -> "State":
    """A State of zeros: what is in it does not change what a frame costs."""
    from wm_quant.interp import State

    e, first = export.net.world.encoding, export.net.ops[0]
    return State(
        np.zeros((1, PLAYERS, len(STATE)), np.int32),
        np.zeros((1, e.slots * e.slot_columns), np.int64),
        np.zeros((1, e.slots * e.slot_ids), np.int64),
        np.zeros((1, first.size), np.int64),
        np.zeros((1, BOUNDS), np.int64),
    )


def op_readings(runner: SvmRunner, plan: tuple[tuple[int, int], ...]) -> list[int]:
    """Metered compute units of every op of the last frame that `runner` (a metering one) computed.

    A transaction's first op is measured from the transaction's start and so holds entrypoint and checks as well.
    """
    readings = runner.meter_readings()
    own = readings[-2] - readings[-1]
    starts = {first for first, _ in plan}
    before = [runner.cu_limit if i in starts else readings[i - 1] for i in range(len(readings) - 1)]
    return [b - a - own for b, a in zip(before, readings, strict=False)]


def metered_ops(runner: SvmRunner, export: Export) -> dict[str, int]:
    """The same by op name, without the first op of each transaction: it cannot be told from entrypoint and checks."""
    metered = dict(zip(op_names(export.net), op_readings(runner, export.manifest.plan), strict=True))
    firsts = {op_names(export.net)[first] for first, _ in export.manifest.plan}
    return {name: cu for name, cu in metered.items() if name not in firsts}


def measure_overheads(export: Export, toolchain: str) -> Overheads:
    """Overheads of a built export, from one frame of its metering program and three of the other."""
    still, zeros = still_state(export), np.zeros((1, PLAYERS, len(CONTROLS)), np.int8)
    plan, kernels = export.manifest.plan, kernel_cost(export.net)
    metering = meter_runner(export)
    metering.step(still, zeros)
    metered = op_readings(metering, plan)
    merge, peak, spent = _tree_costs(export)
    ops = {name: metered[i] - kernels[name][2] for i, name in enumerate(kernels)}
    # A transaction's first op cannot be told from what the transaction is charged before: it keeps its kernels, and the
    # rest counts as the transaction's.
    for first, _ in plan:
        ops[list(kernels)[first]] = 0
    steps = tuple(
        total - sum(ops[n] + kernels[n][2] for n in list(kernels)[a:b])
        for (a, b), total in zip(plan, spent, strict=True)
    )
    return Overheads(ops, steps, merge, peak, toolchain)


def _tree_costs(export: Export) -> tuple[int, int, list[int]]:
    """Compute units of joining two nodes of the hash tree, of a peak under its root, and of each transaction of a frame
    without either. From three frames that differ in nothing else."""
    program, zeros = runner(export), np.zeros((1, PLAYERS, len(CONTROLS)), np.int8)
    first = 64 - export.net.world.encoding.slots
    even, one_more, two = (program.metered_step(still_state(export), zeros, first + i)[2] for i in (0, 2, 1))
    # Leaf 64 leads to peaks 64 and 1; leaf 66 to 64, 2 and 1; leaf 65 to 64 and 2, with one pair joined.
    peak = one_more[-1] - even[-1]
    merge = two[-1] - even[-1]
    return merge, peak, [*even[:-1], even[-1] - 2 * peak]


def load_overheads(export: Export) -> Overheads:
    """What `build` has measured."""
    path = export.folder / "build" / "overheads.json"
    try:
        data = json.loads(path.read_text())
        return Overheads(
            {str(k): int(v) for k, v in data["ops"].items()},
            tuple(map(int, data["steps"])),
            int(data["merge"]),
            int(data["peak"]),
            data["toolchain"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WmExportError(f"{path}: cannot be read ({error}); run `wmq build`") from None


def predicted(export: Export) -> Cost:
    """The Cost of a built export."""
    return cost(export.net, export.manifest.plan, load_overheads(export))


def built(folder: Path) -> bool:
    """Whether `build` has finished there."""
    return (folder / "build" / "overheads.json").exists()
