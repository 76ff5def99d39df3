"""`wmq cu`: compute units of a frame, predicted and metered, op by op."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.number_types import UNITS, WINDOWS, Whole
from wm_cli.opening import recording
from wm_cli.options import dataset_option, export_argument, json_option, verb
from wm_cli.verbs.making import as_one, built_export, each_program, kept_name
from wm_export.schema.limits import TRANSACTION_BUDGET

if TYPE_CHECKING:
    from rich.table import Table

    from wm_export.lower.cost import Cost


@verb(
    "wmq cu\nwmq cu --preset mlp\nwmq cu export --frames 1000 --budget 900000 --json",
    prints=(
        "total_cu worst_cu transactions step cu_predicted cu_worst cu_metered ops name kind macs cells cu "
        "kernel_cu cu_per_mac cu_per_cell budget frames_metered frames_different equal ok "
        "manifest_sha256 programs.*"
    ),
)
@export_argument
@click.option(
    "--preset",
    shell_complete=lambda ctx, param, begun: _presets(begun),
    help="A known shape instead of an export: its cost before anything is trained.",
)
@click.option("--frames", type=Whole(1, WINDOWS), default=20, show_default=True, help="Frames to meter.")
@click.option(
    "--budget",
    type=Whole(1, UNITS),
    default=TRANSACTION_BUDGET,
    show_default=True,
    help="Most units of a transaction.",
)
@dataset_option
@json_option
def cu(export: Path, preset: str | None, frames: int, budget: int, dataset: Path, as_json: bool) -> None:
    """Predicted and metered compute units, op by op. Exit code 1 if they differ or a transaction is over budget."""
    if preset:
        found = {preset: cost_of_preset(preset, budget)}
    else:
        found = each_program(export, lambda folder: meter_export(folder, dataset, frames, budget))
    if as_json:
        output.print_json(as_one({name: figures for name, (figures, _) in found.items()}))
    else:
        for figures, table in found.values():
            _print(figures, table)
    sys.exit(0 if all(figures["ok"] for figures, _ in found.values()) else 1)


def _presets(begun: str) -> list[str]:
    from wm_export.lower.cost import PRESET_OVERHEADS

    return [name for name in PRESET_OVERHEADS if name.startswith(begun)]


def _print(figures: Mapping[str, Any], table: "Table") -> None:
    output.print_tables([table])
    output.out.print(
        f"{figures['total_cu']:,} units a frame, {figures['cu_per_mac']:.4f} per MAC; "
        f"{figures['frames_metered']} frames metered, {figures['frames_different']} differ",
    )
    for step in figures["transactions"]:
        if over := max(0, step["cu_worst"] - figures["budget"]):
            output.out.print(
                f"transaction {step['step']}: up to {step['cu_worst']:,} units, {over:,} over the budget of "
                f"{figures['budget']:,}; cut a frame into more transactions with `wmq export --target solana --cut OP` "
                "(docs/guide.md), or take INT4 for some layers: `wmq bits`",
                soft_wrap=True,
            )


def cost_of_preset(name: str, budget: int) -> "tuple[dict[str, Any], Table]":
    """The cost of a known shape from the kernels' formulas and the committed constants; nothing is built."""
    from wm_cli.tables.costs import cost_table
    from wm_export.lower.cost import preset_cost

    cost = preset_cost(name)
    return cost_figures(cost, budget, {}, []), cost_table(cost)


def meter_export(folder: Path, dataset: Path, frames: int, budget: int) -> "tuple[dict[str, Any], Table]":
    """Predicted cost, and what the built program uses on `frames` held-out frames; the figures are kept."""
    from wm_cli.tables.costs import cost_table
    from wm_export.solana.metering import meter_runner, metered_ops, predicted, runner

    export = built_export(folder)
    cost, frames_run, program = predicted(export), recording(export.net, dataset, frames, 1), runner(export)
    spent = []
    with output.progress_bar("meter", frames_run.inputs.shape[1]) as (bar, task):
        for i in range(frames_run.inputs.shape[1]):
            one = slice(i, i + 1)
            spent.append(program.metered_step(frames_run.state.at(one), frames_run.inputs[0, one], number=i)[2])
            bar.advance(task)
    meter = meter_runner(export)
    meter.step(frames_run.state.at(slice(0, 1)), frames_run.inputs[0, :1])
    metered = metered_ops(meter, export)
    figures = cost_figures(cost, budget, metered, spent) | {"manifest_sha256": export.manifest.hash.hex()}
    project.keep_figures(kept_name("cu", export), figures)
    return figures, cost_table(cost, metered)


def cost_figures(cost: "Cost", budget: int, metered: Mapping[str, int], spent: list[list[int]]) -> dict[str, Any]:
    different = sum(frame != cost.transactions(number) for number, frame in enumerate(spent))
    equal = different == 0 and all(metered.get(op.name, op.cu) == op.cu for op in cost.ops)
    steps = [
        {"step": i, "cu_predicted": cu, "cu_worst": worst, "cu_metered": spent[0][i] if spent else None}
        for i, (cu, worst) in enumerate(zip(cost.transactions(frame=0), cost.worst, strict=True))
    ]
    return {
        "total_cu": cost.total_cu,
        "worst_cu": sum(cost.worst),
        "transactions": steps,
        "ops": [
            {
                "name": op.name,
                "kind": op.kind,
                "macs": op.macs,
                "cells": 0,
                "cu": op.cu,
                "kernel_cu": op.kernel_cu,
                "cu_metered": metered.get(op.name),
            }
            for op in cost.ops
        ],
        "cu_per_mac": cost.cu_per_mac,
        "cu_per_cell": None,
        "budget": budget,
        "frames_metered": len(spent),
        "frames_different": different,
        "equal": equal,
        "ok": equal and max(cost.worst) <= budget,
    }
