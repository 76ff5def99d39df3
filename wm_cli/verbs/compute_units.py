"""`wmq cu`: compute units of a frame, predicted and metered, op by op; of one model, or of two side by side."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from wm_cli import output, project
from wm_cli.artifacts import EXPORT
from wm_cli.number_types import WINDOWS, Whole
from wm_cli.opening import recording
from wm_cli.options import budget_option, dataset_option, json_option, overwrite_option, verb
from wm_cli.verbs.making import as_one, built_export, each_program, kept_name
from wm_cli.writing import place_of

Figures = dict[str, Any]


@verb(
    "wmq cu\nwmq cu --preset mlp\nwmq cu mamba2-1.2m\nwmq cu export mlp-int4 --page costs.html\n"
    "wmq cu export --frames 1000 --budget 900000 --json",
    prints=(
        "total_cu worst_cu memory_cu transactions step entry_cu cu_predicted cu_worst cu_metered ops name kind layer "
        "macs cells elements cu kernel_cu around_cu unit units cu_per_unit share weight_bytes memory_bytes work_bytes "
        "layers cu_per_mac cu_per_cell budget frames_metered frames_different equal ok model arch "
        "parameters around_known accounts blob shards scratch session manifest_sha256 programs.* models page"
    ),
)
@click.argument("model", type=click.Path(path_type=Path), default=project.EXPORT, required=False)
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option("--program", metavar="NAME", help="A program of an export that holds several.")
@click.option(
    "--preset",
    shell_complete=lambda ctx, param, begun: _presets(begun),
    help="A known shape instead of a model: its cost before anything is trained.",
)
@click.option("--frames", type=Whole(1, WINDOWS), default=20, show_default=True, help="Frames to meter, of an export.")
@budget_option
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page of HTML, with charts."
)
@overwrite_option
@dataset_option
@json_option
def cu(
    model: Path,
    other: Path | None,
    program: str | None,
    preset: str | None,
    frames: int,
    budget: int,
    page: Path | None,
    overwrite: bool,
    dataset: Path,
    as_json: bool,
) -> None:
    """Predicted and metered compute units, op by op; of two models, side by side.

    MODEL is an export, which is built and metered; or a QNet, a run, a config, or the name of an experiment or a
    preset, whose kernels are counted by formula and whose compiled code is an estimate. Exit code 1 if predicted and
    metered units differ, or a transaction is over budget.
    """
    from wm_cli.cost_figures import frame_figures
    from wm_cli.frame_cost import of_preset

    if preset and other:
        raise click.UsageError("--preset stands in the place of MODEL: for two, write wmq cu PRESET OTHER")

    def measured(path: Path) -> dict[str, Figures]:
        return costs(path, program, dataset, frames, budget)

    with place_of(page, "cu", overwrite) if page else nullcontext():
        found = {preset: frame_figures(of_preset(preset), budget)} if preset else measured(model)
        beside = measured(other) if other else {}
        if page:
            _write_page(page, [*found.values(), *beside.values()])
    _show(found, beside, page, as_json)
    sys.exit(0 if all(one["ok"] for one in (*found.values(), *beside.values())) else 1)


def _presets(begun: str) -> list[str]:
    from wm_quant.presets import PRESETS

    return [name for name in PRESETS if name.startswith(begun)]


def costs(path: Path, program: str | None, dataset: Path, frames: int, budget: int) -> dict[str, Figures]:
    """The figures of a model, or of each program of an export, by name."""
    from wm_cli.cost_figures import frame_figures
    from wm_cli.frame_cost import of_model
    from wm_export.manifest import check_name
    from wm_export.solana.export import program_folder

    if program is not None:
        check_name(program)
    folder = program_folder(path, program) if program is not None and EXPORT.lies_at(path) else path
    if path == project.EXPORT or EXPORT.lies_at(path) or folder.parent.name == "programs":
        return each_program(folder, lambda one: meter_export(one, dataset, frames, budget))
    return {str(path): frame_figures(of_model(path), budget)}


def meter_export(folder: Path, dataset: Path, frames: int, budget: int) -> Figures:
    """Predicted cost, and what the built program uses on `frames` held-out frames; the figures are kept."""
    from wm_cli.cost_figures import frame_figures
    from wm_cli.frame_cost import of_export
    from wm_export.solana.metering import meter_runner, metered_ops, runner

    export = built_export(folder)
    frames_run, program = recording(export.net, dataset, frames, 1), runner(export)
    spent = []
    with output.progress_bar("meter", frames_run.inputs.shape[1]) as (bar, task):
        for i in range(frames_run.inputs.shape[1]):
            one = slice(i, i + 1)
            spent.append(program.metered_step(frames_run.state.at(one), frames_run.inputs[0, one], number=i)[2])
            bar.advance(task)
    meter = meter_runner(export)
    meter.step(frames_run.state.at(slice(0, 1)), frames_run.inputs[0, :1])
    frame = of_export(str(folder), export, metered_ops(meter, export), spent)
    figures = frame_figures(frame, budget) | {"manifest_sha256": frame.sha256}
    project.keep_figures(kept_name("cu", export), figures)
    return figures


def _write_page(path: Path, models: Sequence[Figures]) -> None:
    from wm_cli.page.cost_page import cost_page
    from wm_train.files import atomic_write_bytes

    atomic_write_bytes(path, cost_page(models).encode())


def _show(found: Mapping[str, Figures], beside: Mapping[str, Figures], page: Path | None, as_json: bool) -> None:
    """What was found, as JSON or as tables."""
    from wm_cli.tables.costs import cost_table, side_by_side_table

    written = {"page": str(page)} if page else {}
    if as_json:
        models = [*found.values(), *beside.values()]
        output.print_json(({"models": models} if beside else as_one(dict(found))) | written)
        return
    if len(found) == len(beside) == 1:
        output.print_tables([side_by_side_table(*found.values(), *beside.values())])
    for figures in (*found.values(), *beside.values()):
        if len(found) != 1 or len(beside) != 1:
            output.print_tables([cost_table(figures)])
        for line in _said(figures):
            output.out.print(line, soft_wrap=True)
    if page:
        output.out.print(f"{page}: open it in a browser", soft_wrap=True)


def _said(figures: Figures) -> list[str]:
    """A frame's cost in words, and which transactions take too much."""
    from wm_cli.frame_cost import KNOWN

    frames = figures["frames_metered"]
    metered = f"; {frames} frames metered, {figures['frames_different']} differ" if frames else ""
    cell = f", {figures['cu_per_cell']:.4f} per state cell" if figures["cu_per_cell"] else ""
    lines = [
        f"{figures['model']}: {figures['total_cu']:,} units a frame, "
        f"{figures['cu_per_mac']:.4f} per MAC{cell}{metered}",
        f"kernels are exact, by formula; the compiled code around them is {KNOWN[figures['around_known']]}",
    ]
    for step in figures["transactions"]:
        if over := max(0, step["cu_worst"] - figures["budget"]):
            lines.append(
                f"transaction {step['step']}: up to {step['cu_worst']:,} units, {over:,} over the budget of "
                f"{figures['budget']:,}; cut a frame into more transactions with "
                "`wmq export --target solana --transactions 2`, take INT4 for some layers: `wmq bits`, "
                "or a shape that fits: `wmq design`"
            )
    return lines
