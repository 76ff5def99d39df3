"""Build an export's program, and learn what its compiled code costs: a few metered frames give the Overheads."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from wm_export.errors import WmExportError
from wm_export.lower.cost import Cost, Overheads, cost, kernel_cu, memory_cu
from wm_export.lower.lowered_program import Plan
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch
from wm_export.solana.build_record import check_built, keep_record
from wm_export.solana.building import build_from
from wm_export.solana.export import Export, checked_sources
from wm_export.solana.svm import SvmRunner
from wm_export.solana.toolchain import BuildInfo
from wm_export.solana.workspace import staged
from wm_train import json_schema as js
from wm_train.artifact import check_folder
from wm_train.files import atomic_write_json
from wm_train.naming import NAME
from wm_train.reading import JsonArtifact, read_json
from wm_train.world.fields import PLAYERS
from wm_train.writer import one_writer

if TYPE_CHECKING:
    from wm_quant.interp import State

#: Metering costs units of its own: its transactions get more than the chain's limit.
METER_LIMIT = 10_000_000

_UNITS = js.integer(-METER_LIMIT, METER_LIMIT)
OVERHEADS_JSON = JsonArtifact(
    WmExportError,
    "run `wmq build`",
    max_bytes=1 << 20,
    schema=js.record(
        {
            "ops": js.mapping(_UNITS, NAME),
            "steps": js.list_of(_UNITS),
            "merge": _UNITS,
            "peak": _UNITS,
            "toolchain": js.text(),
        }
    ),
)


def build(
    export: Export, arch: Arch = DEFAULT_ARCH, progress: Callable[[str], None] = lambda text: None
) -> tuple[BuildInfo, Overheads]:
    """Build program.so and meter.so from sources that were compared, meter one frame, and keep what compiled code costs
    in build/overheads.json. Raises WmTrainError if another process writes into the export."""
    with one_writer(export.folder, "build"):
        return _build(export, arch, progress)


def _build(export: Export, arch: Arch, progress: Callable[[str], None]) -> tuple[BuildInfo, Overheads]:
    sources, folder = checked_sources(export), export.program.parent
    if folder.is_symlink():
        raise WmExportError(f"{folder}: a link; nothing was built or run. Remove it")
    check_folder(folder, WmExportError)
    folder.mkdir(exist_ok=True)
    with staged(sources) as workspace:
        progress("program.so")
        info = build_from(workspace, export, export.program, arch)
        progress("meter.so")
        build_from(workspace, export, export.meter, arch, features=["meter"])
    progress("metering one frame")
    overheads = _measure_overheads(export, info.toolchain)
    atomic_write_json(folder / "overheads.json", asdict(overheads))
    keep_record(export, info)
    return info, overheads


def runner(export: Export) -> SvmRunner:
    """The built program in LiteSVM; WmExportError unless it is what `wmq build` made."""
    check_built(export, "program.so")
    return _runner(export)


def _runner(export: Export) -> SvmRunner:
    return SvmRunner(export.net, export.lowered, export.program, export.shards, export.manifest.hash)


def meter_runner(export: Export) -> SvmRunner:
    """The metering program in LiteSVM; WmExportError unless it is what `wmq build` made."""
    check_built(export, "meter.so")
    return _meter_runner(export)


def _meter_runner(export: Export) -> SvmRunner:
    return SvmRunner(
        export.net,
        export.lowered,
        export.meter,
        export.shards,
        export.manifest.hash,
        meter_ops=len(export.lowered.names) + 1,
        cu_limit=METER_LIMIT,
    )


def still_state(export: Export) -> "State":
    """A State of zeros: what is in it does not change what a frame costs."""
    from wm_quant.interp import State

    e, first, memories = export.net.world.encoding, export.net.ops[0], export.net.memories
    return State(
        np.zeros((1, PLAYERS, len(e.game.state)), np.int32),
        np.zeros((1, e.slots * e.slot_columns), np.int64),
        np.zeros((1, e.slots * e.slot_ids), np.int64),
        np.zeros((1, first.size), np.int64),
        np.zeros((1, export.net.world.place_size), np.int64),
        {name: np.zeros((1, count), np.int64) for name, count in memories.items()},
    )


def op_readings(runner: SvmRunner, plan: Plan) -> list[int]:
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
    names, plan = export.lowered.names, export.lowered.plan
    metered = dict(zip(names, op_readings(runner, plan), strict=True))
    firsts = {names[first] for first, _ in plan}
    return {name: cu for name, cu in metered.items() if name not in firsts}


def _measure_overheads(export: Export, toolchain: str) -> Overheads:
    """Overheads of the programs in the build folder, from one frame of its metering program and three of the other."""
    still, zeros = still_state(export), np.zeros((1, PLAYERS, len(export.net.world.game.controls)), np.int8)
    names, plan = export.lowered.names, export.lowered.plan
    kernels = [kernel_cu(routine) for routine in export.lowered.routines]
    metering = _meter_runner(export)
    metering.step(still, zeros)
    around = [metered - inside for metered, inside in zip(op_readings(metering, plan), kernels, strict=True)]
    merge, peak, spent = _tree_costs(export)
    # A transaction's first op cannot be told from what the transaction is charged before: it keeps its kernels, and the
    # rest counts as the transaction's.
    for first, _ in plan:
        around[first] = 0
    steps = tuple(total - sum(around[a:b]) - sum(kernels[a:b]) for (a, b), total in zip(plan, spent, strict=True))
    return Overheads(dict(zip(names, around, strict=True)), steps, merge, peak, toolchain)


def _tree_costs(export: Export) -> tuple[int, int, list[int]]:
    """Compute units of joining two nodes of the hash tree, of a peak under its root, and of each transaction of a frame
    without either, and without the digest of what the network keeps. From three frames that differ in nothing else."""
    program, zeros = _runner(export), np.zeros((1, PLAYERS, len(export.net.world.game.controls)), np.int8)
    first = 64 - export.net.world.encoding.slots
    even, one_more, two = (program.metered_step(still_state(export), zeros, first + i)[2] for i in (0, 2, 1))
    # Leaf 64 leads to peaks 64 and 1; leaf 66 to 64, 2 and 1; leaf 65 to 64 and 2, with one pair joined.
    peak = one_more[-1] - even[-1]
    merge = two[-1] - even[-1]
    return merge, peak, [*even[:-1], even[-1] - 2 * peak - memory_cu(export.lowered)]


def load_overheads(export: Export) -> Overheads:
    """What `build` has measured."""
    check_built(export, "overheads.json")
    path = export.program.parent / "overheads.json"
    data = read_json(path, OVERHEADS_JSON)
    names = export.lowered.names
    if sorted(data["ops"]) != sorted(names) or len(data["steps"]) != len(export.lowered.plan):
        raise OVERHEADS_JSON.refuse(path, f"expected overheads of {len(names)} ops, got those of another program")
    return Overheads(data["ops"], tuple(data["steps"]), data["merge"], data["peak"], data["toolchain"])


def predicted(export: Export) -> Cost:
    """The Cost of a built export."""
    return cost(export.lowered, load_overheads(export))
