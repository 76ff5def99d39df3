"""`wmq bits`: what INT4 weights cost each layer, and a choice of layers that fits a budget of compute units."""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.number_types import UNITS, Whole
from wm_cli.opening import held_out_games, open_run
from wm_cli.options import dataset_option, folder_argument, json_option, overwrite_option, verb
from wm_cli.writing import place_of
from wm_train.ranges import ENDLESS

if TYPE_CHECKING:
    from wm_export.lower.sensitivity import Figures
    from wm_quant.qnet import QNet
    from wm_train.checkpoint import Checkpoint


@verb(
    "wmq bits\nwmq bits --budget 850000 --out mixed.yaml\nwmq train --qat --config mixed.yaml",
    prints=(
        "run kernel_cu around_cu base layers layer macs cu saved_cu loss position_mae action_change_acc "
        "k10 budget ok choice bits.* frame_cu out"
    ),
)
@folder_argument("run", project.RUN)
@dataset_option
@click.option("--budget", type=Whole(1, UNITS), help="Compute units of a frame; chooses the layers that get INT4.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Config to write the choice to.")
@click.option(
    "--limit", type=Whole(1, ENDLESS), default=10_000, show_default=True, help="One-step frames of each measurement."
)
@overwrite_option
@json_option
def bits(
    run: Path, dataset: Path, budget: int | None, out: Path | None, limit: int, overwrite: bool, as_json: bool
) -> None:
    """What INT4 weights cost each layer of a run in accuracy and save in compute units, one layer at a time.

    With a budget: the layers that lose least for what they save get INT4 until a frame fits. Exit code 1 if it cannot.
    """
    from wm_cli.tables.costs import bits_table

    if out is not None and budget is None:
        raise click.UsageError("--out writes what --budget chooses: give both")
    with place_of(out, "bits", overwrite) if out else nullcontext():
        figures = int4_costs(run, dataset, limit, budget, out)
    output.show(as_json, figures, bits_table(figures))
    sys.exit(0 if figures.get("ok", True) else 1)


def int4_costs(run: Path, dataset: Path, limit: int, budget: int | None, out: Path | None) -> dict[str, Any]:
    """Losses and savings, layer by layer; with a budget also the choice, measured, and written to `out` as a config."""
    from wm_export.lower.bit_budget import around_cu
    from wm_export.lower.sensitivity import kernel_cu, quantized, sensitivities, wide_bits

    checkpoint = open_run(run)
    measure, wide = _measure(checkpoint, dataset, limit), quantized(checkpoint, wide_bits(checkpoint))
    layers = len(wide.model.layers)
    with output.progress_bar("bits", layers + 1 + (budget is not None)) as (bar, task):

        def counted(net: "QNet") -> "Figures":
            figures = measure(net)
            bar.advance(task)
            return figures

        base = counted(wide)
        table = list(sensitivities(checkpoint, base, counted))
        figures = {
            "run": str(run),
            "kernel_cu": kernel_cu(wide),
            "around_cu": around_cu(wide),
            "base": asdict(base),
            "layers": [_flat(asdict(layer)) for layer in table],
        }
        if budget is None:
            return figures
        return figures | _choice(checkpoint, table, budget, counted, out)


def _measure(checkpoint: "Checkpoint", dataset: Path, limit: int) -> "Callable[[QNet], Figures]":
    """Figures of a QNet on the games that the run was not trained on."""
    from wm_export.lower.sensitivity import Figures
    from wm_quant.interp import Interpreter
    from wm_train.measure.evaluate import evaluate

    world = checkpoint.config.model.world
    corpus = held_out_games(world, checkpoint.origin, dataset)

    def measure(net: "QNet") -> Figures:
        return Figures.of(evaluate(Interpreter(net).model(), corpus, world.encoding, limit=limit))

    return measure


def _flat(layer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if key != "figures"} | layer["figures"]


def _choice(
    checkpoint: "Checkpoint", table: list[Any], budget: int, measure: "Callable[[QNet], Figures]", out: Path | None
) -> dict[str, Any]:
    from wm_export.lower.bit_budget import around_cu, choose
    from wm_export.lower.sensitivity import kernel_cu, quantized, wide_bits

    kept = wide_bits(checkpoint)
    wide = quantized(checkpoint, kept)
    chosen = kept | choose(table, kernel_cu(wide) + around_cu(wide), budget)
    net = quantized(checkpoint, chosen)
    frame_cu = kernel_cu(net) + around_cu(net)
    if out is not None:
        _write(out, checkpoint, chosen)
    choice = {"bits": chosen, "frame_cu": frame_cu, **asdict(measure(net))}
    return {"budget": budget, "ok": frame_cu <= budget, "choice": choice, "out": str(out) if out else None}


def _write(out: Path, checkpoint: "Checkpoint", chosen: dict[str, int]) -> None:
    """A config with the run's model and these bits."""
    import yaml

    from wm_train.config import RunConfig, one_network
    from wm_train.files import atomic_write_bytes

    config = RunConfig(model=replace(one_network(checkpoint.config.model), bits=chosen)).to_json()
    # Through JSON, as YAML has no tuples; and with all bits, so that the file says what was chosen where it is 8 too.
    model = json.loads(json.dumps(config["model"]))
    model["bits"] = dict.fromkeys(checkpoint.config.model.layers, 8) | chosen
    atomic_write_bytes(out, yaml.safe_dump(dict(model=model), sort_keys=False).encode())
