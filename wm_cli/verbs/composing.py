"""`wmq compose`, `subsystems`: one world out of runs of its subsystems, and what became of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.artifacts import DATASET, need, parts_here
from wm_cli.errors import WmCliError
from wm_cli.json_keys import METRIC_KEYS
from wm_cli.opening import held_out_games, open_run
from wm_cli.options import dataset_option, frames_limit_option, json_option, overwrite_option, path_option, verb
from wm_cli.writing import place_of
from wm_train.artifact import need_free_folder
from wm_train.writer import one_writer

if TYPE_CHECKING:
    from wm_train.checkpoint import Checkpoint
    from wm_train.games.corpus import Corpus

#: Shares of a subsystem's fields that are right.
SHARE_KEYS = "whole alone together every changes error"


@verb(
    "wmq compose\nwmq compose parts/*-qat --out composed && wmq quantize composed",
    prints="run form parameters subsystems subsystem parent held_out steps",
    stopped=lambda given: f"{given['out']} keeps what it had; the same command begins again",
)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@path_option("--out", project.COMPOSED, "Run folder of the world.")
@overwrite_option
@json_option
def compose(runs: tuple[Path, ...], out: Path, overwrite: bool, as_json: bool) -> None:
    """Make one world of runs of all its subsystems.

    RUNS are those of `wmq train --subsystem`, one of each; without any, the QAT runs in parts, or the float runs. Their
    networks stand side by side in one run, which every verb takes as any other.
    """
    figures = compose_runs(runs or default_parts(), out, overwrite)
    listed = ", ".join(row["subsystem"] for row in figures["subsystems"])
    text = f"{out}: {figures['form']}, {figures['parameters']:,} parameters: {listed}"
    output.say(as_json, figures, f"{text}; next: wmq {'quantize' if figures['form'] == 'qat' else 'evaluate'} {out}")


def default_parts() -> list[Path]:
    """The runs of subsystems of this project: those of QAT, or the float ones."""
    found = parts_here()
    trained = [path for path in found if path.name.endswith("-qat")]
    if not found:
        raise WmCliError(f"{project.PARTS}: no run of a subsystem; next: wmq train --subsystem NAME")
    return trained or found


def opened_parts(runs: Sequence[Path]) -> dict[str, "Checkpoint"]:
    """Runs by their folders' names."""
    return {str(run): open_run(run) for run in runs}


def compose_runs(runs: Sequence[Path], out: Path, overwrite: bool = False) -> dict[str, Any]:
    """The composed run, written to `out`, and what it is made of."""
    from wm_train.checkpoint import digest, save_checkpoint
    from wm_train.composed import composed
    from wm_train.shapes import parameter_count

    parts = opened_parts(runs)
    with one_writer(out, "compose"):
        need_free_folder(out, overwrite, WmCliError)
        made = composed(parts)
        out.mkdir(parents=True, exist_ok=True)
        save_checkpoint(out, made)
    keys = {run.config.model.world.head_set.subsystems[0].key: name for name, run in parts.items()}
    listed = [
        {"subsystem": key, "run": keys[key], "parameters": parameter_count(part.config.model),
         "parent": digest(Path(keys[key]))}
        for key, part in made.parts.items()
    ]  # fmt: skip
    figures = {"run": str(out), "form": made.form, "parameters": parameter_count(made.config.model)}
    return figures | {"subsystems": listed, **made.figures}


@verb(
    "wmq subsystems\nwmq subsystems composed --whole run-qat --page subsystems.html",
    prints="run whole parameters cu subsystems subsystem fields field decomposes worlds composed "
    f"{SHARE_KEYS} {METRIC_KEYS}",
)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--whole", type=click.Path(path_type=Path), help="Run of one network, to hold it against.")
@dataset_option
@frames_limit_option
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page of HTML too.")
@overwrite_option
@json_option
def subsystems(
    runs: tuple[Path, ...],
    whole: Path | None,
    dataset: Path,
    limit: int | None,
    page: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Hold the subsystems of a composed world against one network, each on the fields that it writes.

    RUNS is a run of `wmq compose` (composed, by default), or those that it would be made of.
    """
    from contextlib import nullcontext

    from wm_cli.page.subsystem_page import subsystem_page
    from wm_cli.tables.subsystem_shares import share_tables
    from wm_train.files import atomic_write_bytes

    with place_of(page, "subsystems", overwrite) if page else nullcontext():
        figures = measure(runs or (project.COMPOSED,), whole, dataset, limit or 0)
        if page:
            atomic_write_bytes(page, subsystem_page(figures).encode())
    if not as_json:
        output.print_tables(share_tables(figures))
    kept = sum(row["decomposes"] or False for row in figures["subsystems"])
    text = f"{kept} of {len(figures['subsystems'])} subsystems alone are within a point of one network"
    output.say(as_json, figures, text if whole else "give --whole RUN to hold them against one network")


def measure(runs: Sequence[Path], whole: Path | None, dataset: Path, limit: int) -> dict[str, Any]:
    """Shares by subsystem, what each costs, and the worlds' own metrics."""
    from wm_export.lower.sensitivity import kernel_cu
    from wm_quant.convert import from_checkpoint
    from wm_quant.side_by_side import subsystems as networks
    from wm_train.shapes import parameter_count

    need(dataset, DATASET, option="--dataset")
    world, one = opened(runs), None if whole is None else open_run(whole)
    corpus = _held_out(world, one, dataset)
    rows = _rows(world, one, corpus, limit)
    nets = networks(from_checkpoint(world, ""))
    for row in rows:
        key = row["subsystem"]
        row |= {"parameters": parameter_count(world.parts[key].config.model), "cu": kernel_cu(nets[key])}
    worlds = {"composed": _metrics(world, corpus, limit)}
    worlds |= {} if one is None else {"whole": _metrics(one, corpus, limit)}
    return {"run": ", ".join(map(str, runs)), "whole": whole and str(whole), "subsystems": rows, "worlds": worlds}


def opened(runs: Sequence[Path]) -> "Checkpoint":
    """The composed run, or the one that runs of all subsystems make."""
    from wm_train.composed import composed

    if len(runs) > 1:
        return composed(opened_parts(runs))
    made = open_run(runs[0])
    if not made.parts:
        raise WmCliError(f"{runs[0]}: is a run of one network, expected a composed one; next: wmq compose")
    return made


def _held_out(world: "Checkpoint", whole: "Checkpoint | None", dataset: Path) -> "Corpus":
    """Games that none of them was trained on. WmCliError if they read different things."""
    ours = world.config.model.world
    corpus = held_out_games(ours, world.origin, dataset)
    if whole is not None:
        theirs = whole.config.model.world
        if theirs.encoding != ours.encoding or dict(whole.split) != dict(world.split):
            raise WmCliError("subsystems: the runs read different encodings or were trained on other games; "
                             "train all with the same encoding, slots, flags and games")  # fmt: skip
    return corpus


def _rows(world: "Checkpoint", whole: "Checkpoint | None", corpus: "Corpus", limit: int) -> list[dict[str, Any]]:
    from wm_train.measure.starts import evenly, window_ends
    from wm_train.measure.subsystems import Heads, rows
    from wm_train.nets.predict import heads_along
    from wm_train.world.step import World

    shape = world.config.model.world
    t = evenly(window_ends(corpus, shape.encoding), limit)

    def of(run: "Checkpoint") -> tuple[World, Heads]:
        return run.config.model.world, heads_along(run, corpus, t)

    parts = world.parts
    worlds = {key: part.config.model.world for key, part in parts.items()}
    found = rows(worlds, corpus, lambda key: of(parts[key])[1], of(world), None if whole is None else of(whole))
    return [row.to_json() for row in found]


def _metrics(run: "Checkpoint", corpus: "Corpus", limit: int) -> dict[str, Any]:
    """A world's metrics, its parameters, and the compute units of its kernels."""
    from wm_export.lower.sensitivity import kernel_cu
    from wm_quant.convert import from_checkpoint
    from wm_train.measure.evaluate import evaluate
    from wm_train.nets.predict import checkpoint_model
    from wm_train.shapes import parameter_count

    figures = evaluate(checkpoint_model(run), corpus, run.config.model.world.encoding, limit=limit)
    about = {"parameters": parameter_count(run.config.model), "cu": kernel_cu(from_checkpoint(run, ""))}
    return about | figures
