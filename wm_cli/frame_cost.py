"""What a frame of a model costs, whatever stage the model is at: a name, a config, a run, a QNet, an export.

Kernels are exact at every stage. The compiled code around them is metered of a built export, committed for the metered
presets, and of everything else an estimate, which figures and tables call so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wm_cli.artifacts import EXPORT, QNET, RUN, need
from wm_cli.errors import WmCliError
from wm_cli.experiments import experiments
from wm_export.errors import WmExportError
from wm_export.lower.cost import Cost, cost
from wm_export.lower.handled import Handled, handled
from wm_export.lower.lowering import lower
from wm_export.lower.unmetered import known_overheads
from wm_export.solana.blob import shard_sizes
from wm_export.solana.layout import Layout, layout
from wm_quant.errors import WmQuantError
from wm_quant.presets import PRESETS, preset, untrained
from wm_quant.qnet import QNet
from wm_train.config import ModelConfig
from wm_train.shapes import parameter_count

if TYPE_CHECKING:
    from wm_export.solana.export import Export

#: How the compiled code around the kernels is known -> what is said of it.
KNOWN = {
    "metered": "metered in the built program",
    "committed": "metered when this preset was built, and committed",
    "estimate": "an estimate from the metered presets: not metered, which only `wmq build` does",
}


@dataclass(frozen=True)
class FrameCost:
    """A frame of one model.

    known       how the compiled code around the kernels is known: a key of KNOWN
    handled     for each op of `cost`
    parameters  trained ones
    metered     compute units of ops by name, and `spent` those of each transaction of each metered frame
    sha256      of the export's manifest
    """

    name: str
    arch: str
    parameters: int
    cost: Cost
    known: str
    handled: list[Handled]
    layout: Layout
    metered: Mapping[str, int] = field(default_factory=dict)
    spent: list[list[int]] = field(default_factory=list)
    sha256: str = ""


def of_shape(name: str, net: QNet) -> FrameCost:
    """A network in one transaction, from formulas; nothing is built."""
    program = lower(net)
    overheads, committed = known_overheads(net.model, program)
    return FrameCost(
        name,
        net.model.arch,
        parameter_count(net.model),
        cost(program, overheads),
        "committed" if committed else "estimate",
        handled(net, program),
        layout(program, shard_sizes(program)),
    )


def of_export(name: str, export: "Export", metered: Mapping[str, int], spent: list[list[int]]) -> FrameCost:
    """A built export, and what of it was metered."""
    from wm_export.solana.metering import predicted

    return FrameCost(
        name,
        export.net.model.arch,
        parameter_count(export.net.model),
        predicted(export),
        "metered",
        handled(export.net, export.lowered),
        export.layout,
        metered,
        spent,
        export.manifest.hash.hex(),
    )


def of_preset(name: str) -> FrameCost:
    """The named preset; WmCliError for one that is not known."""
    if name not in PRESETS:
        raise WmCliError(f"preset: got {name!r}, expected one of {', '.join(PRESETS)}")
    return of_shape(name, preset(name))


def of_model(model: Path) -> FrameCost:
    """A QNet, a run, a config, an experiment or a preset. WmCliError, which lists the names, if it is none of these."""
    from wm_cli.opening import open_qnet, open_run
    from wm_train.config import load_config

    name = str(model)
    if QNET.lies_at(model):
        return of_shape(name, open_qnet(model))
    if RUN.lies_at(model):
        return of_shape(name, untrained(open_run(model).config.model))
    if config := model if model.is_file() else experiments().get(name):
        return of_shape(name, untrained(load_config(config).model))
    if name in PRESETS:
        return of_preset(name)
    if model.parent == Path() and not model.exists():
        named = ", ".join(sorted({*experiments(), *PRESETS}))
        raise WmCliError(f"{model}: no folder, no file, and no name of an experiment or a preset; there are {named}")
    need(model, EXPORT, QNET, RUN)
    raise AssertionError(model)


def units_of(shape: ModelConfig) -> int | None:
    """Compute units of a frame before it is built; None if no program can be made of this shape."""
    try:
        return of_shape("", untrained(shape)).cost.total_cu
    except (WmExportError, WmQuantError):
        return None
