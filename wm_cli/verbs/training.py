"""`wmq train`, `sweep`, `compare`: one run, many short ones, and two of them side by side."""

import shlex
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.artifacts import DATASET, RUN, need
from wm_cli.errors import WmCliError
from wm_cli.estimate import Estimate
from wm_cli.experiments import need_config
from wm_cli.number_types import Real, minutes_type, steps_type
from wm_cli.opening import open_run
from wm_cli.options import (
    config_option,
    dataset_option,
    frames_limit_option,
    json_option,
    overwrite_option,
    seed_option,
    verb,
)
from wm_cli.packaged import example, need_start, start_at, worlds
from wm_cli.writing import place_of

if TYPE_CHECKING:
    from wm_train.config import ModelConfig, RunConfig

#: A held-out loss that is more times the least has risen.
LATE_LOSS = 1.01


@verb(
    "wmq train\nwmq train --qat\nwmq train --config mamba2-1.2m --max-minutes 60 --resume\n"
    f"wmq train --start {example()} --max-minutes 5 --out mine\n"
    "wmq train --start run --dataset others --out further\n"
    "wmq train --qat --start run --weights int8.pt\n"
    "wmq train --subsystem movement && wmq train --subsystem movement --qat\n"
    "torchrun --nproc-per-node 2 --no-python wmq train --steps 5000",
    prints="run form parameters steps seconds held_out best_held_out best_step",
    stopped=lambda given: _left(
        given["out"] or _default_run(given["config"], given["subsystem"], given["qat"]), given["resume"]
    ),
)
@dataset_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder.  [default: run, or run-qat with --qat; with --config runs/NAME, or runs/NAME-qat; with "
    "--subsystem parts/NAME, or parts/NAME-qat]",
)
@config_option
@click.option(
    "--subsystem",
    metavar="NAME",
    help="Train one subsystem of the world alone, on true Frames: a network with its heads only. Its size is the "
    "config's; without a config an equal share of the default's.",
)
@click.option("--qat", is_flag=True, help="Quantization-aware training: train with INT8 rounding in place.")
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="Float run to go on from, in float on other games or with --qat: its folder, or "
    f"{' or '.join(worlds(RUN))}.  [default with --qat: run, or runs/NAME, if it is there; else from scratch]",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Begin with these in place of that run's: the state_dict of its network by torch.save, in floats or as "
    "torchao quantizes it to INT8 or less; or floats in safetensors.",
)
@click.option(
    "--max-minutes",
    type=minutes_type,
    help="Stop after this processor time.  [default: the config's; where it has none, its steps decide]",
)
@click.option("--steps", type=steps_type, help="Stop after this many steps.")
@seed_option
@click.option(
    "--only",
    metavar="KINDS",
    help="Kinds of games to take, with commas between, or any; see `wmq ingest`.  [default: the config's: standard]",
)
@click.option("--cpu", is_flag=True, help="Take games with a computer player too.")
@click.option(
    "--resume",
    metavar="[auto]",
    is_flag=False,
    flag_value="yes",
    type=click.Choice(["yes", "auto"]),
    help="Go on where an interrupted run stopped. `auto`: the one command for a job that is started again and again: "
    "begin, go on, or do nothing where the run has come to its end.",
)
@overwrite_option
@json_option
def train(
    dataset: Path,
    out: Path | None,
    config: Path | None,
    subsystem: str | None,
    qat: bool,
    start: Path | None,
    weights: Path | None,
    max_minutes: float | None,
    steps: int | None,
    seed: int | None,
    only: str | None,
    cpu: bool,
    resume: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a model on a dataset. Under torchrun several processes train it together."""
    if resume and overwrite:
        raise click.UsageError("--resume goes on with the run that --overwrite loses: give one of them")
    out, floating = out or _default_run(config, subsystem, qat), _default_run(config, subsystem, qat=False)
    if qat and start is None and RUN.lies_at(floating) and out != floating:
        start = floating
    if weights is not None and start is None:
        raise click.UsageError("--weights are of the network of a run: give that run, as --start RUN")
    limits: dict[str, Any] = {"minutes": max_minutes, "steps": steps, "seed": seed}
    limits |= {"only": kinds_asked(config, only, cpu), "subsystem": subsystem}
    figures = train_run(dataset, out, config, qat, start, resume, overwrite, weights, **limits)
    output.say(
        as_json,
        figures,
        f"{out}: {figures['form']}, {figures['steps']:,} steps in {figures['seconds']:.0f} s, "
        f"{figures['parameters']:,} parameters\n{_held_out_text(out, figures, subsystem)}",
    )


def _default_run(config: Path | None, subsystem: str | None, qat: bool) -> Path:
    """Default folder of a run."""
    return project.run_of(config, qat) if subsystem is None else project.part_of(subsystem, qat)


def _held_out_text(out: Path, figures: Mapping[str, Any], subsystem: str | None) -> str:
    """The held-out loss in words: what it is, what it was at its least and where that is, and what to do next."""
    last, least, step = figures["held_out"], figures["best_held_out"], figures["best_step"]
    measure = both = "wmq compose, once there is a run of each subsystem"
    if subsystem is None:
        measure = f"wmq evaluate {shlex.quote(str(out))}"
        both = f"{measure} {shlex.quote(str(out / 'best'))}"
    if last is None or least is None:
        return f"no held-out loss: no held-out game has a window; next: {measure}"
    if step == figures["steps"]:
        return f"held-out loss {last:.4f}, the least of the run: longer training may help; next: {measure}"
    best = f"held-out loss {last:.4f}; the least was {least:.4f}, at step {step:,}, kept in {out / 'best'}"
    if last <= least * LATE_LOSS:
        return f"{best}; next: {measure}"
    return f"{best}; it has risen since: more games, or fewer steps, would help; next: {both}"


def kinds_asked(config: Path | None, only: str | None, cpu: bool) -> tuple[str, ...] | None:
    """The kinds of games that the options name, None if they leave it to the config."""
    if only is None and not cpu:
        return None
    named = run_config(config).train.only if only is None else tuple(kind.strip() for kind in only.split(","))
    return named + (("cpu",) if cpu and "cpu" not in named else ())


def _left(run: Path, resume: str | None) -> str:
    """What an interrupted training leaves in its folder."""
    from wm_train.fit.resume import interrupted

    if interrupted(run):
        return f"{run} keeps the run as it is; the same command {'' if resume else 'with --resume '}goes on"
    return f"{run} keeps what it had; the same command begins again"


def run_config(config: Path | None, **overrides: Any) -> "RunConfig":
    """The config of a file, or the default, with the overrides that are not None.

    A limit in minutes without one in steps removes the config's limit in steps.
    """
    from wm_train.config import load_config
    from wm_train.ranges import ENDLESS

    need_config(config)
    loaded = load_config(config)
    given = {key: value for key, value in overrides.items() if value is not None}
    if "minutes" in given and "steps" not in given:
        given["steps"] = ENDLESS
    return replace(loaded, train=replace(loaded.train, **given))


def part_model(model: "ModelConfig", subsystem: str, share: bool) -> "ModelConfig":
    """The shape of one subsystem's network; an MLP that has its `share`: hidden layers narrower by the number of the
    world's subsystems, in eights."""
    from wm_train.config import MLPConfig, one_network

    parts = len(model.world.head_set.subsystems)
    made = replace(one_network(model), heads=f"{model.heads}/{subsystem}")
    if share and isinstance(made, MLPConfig):
        wide, narrow = (max(8, width // parts // 8 * 8) for width in made.hidden)
        made = replace(made, hidden=(wide, narrow))
    return made


def _need_subsystem(theirs: "ModelConfig", subsystem: str | None, start: Path) -> None:
    """WmCliError if a run to begin with is of another subsystem than the one that is asked for, if one is."""
    if subsystem is not None and theirs.heads.partition("/")[2] != subsystem:
        raise WmCliError(
            f"{start}: predicts {theirs.heads}, and --subsystem asks for {subsystem}; give another --start"
        )


def train_run(
    dataset: Path,
    out: Path,
    config: Path | None,
    qat: bool,
    start: Path | None,
    resume: str | None,
    overwrite: bool = False,
    weights: Path | None = None,
    subsystem: str | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Train under a progress bar, one subsystem alone if it is named; overrides that are None leave the config's value.
    What the run came to."""
    from wm_train.checkpoint import load_checkpoint
    from wm_train.fit.resume import BEST, settled
    from wm_train.fit.train import Job, Progress
    from wm_train.fit.train import train as run
    from wm_train.games.corpus import moved_over
    from wm_train.shapes import parameter_count

    need(dataset, DATASET, option="--dataset")
    if resume == "auto" and settled(out):
        output.note(f"{out}: has come to its end; nothing is left to do")
    title, estimate = "train --qat" if qat else "train", Estimate(output.note)
    with start_at(start) if start else nullcontext() as found, output.progress_bar(title, 1) as (bar, task):
        if found is not None:
            need_start(found)
        asked = run_config(config, **overrides)
        if subsystem is not None:
            asked = replace(asked, model=part_model(asked.model, subsystem, share=config is None))
        if found is not None and (subsystem is not None or (config is None and not qat)):
            theirs = load_checkpoint(found).config.model
            _need_subsystem(theirs, subsystem, found)
            asked = replace(asked, model=theirs)
        seconds = 0.0

        def moved(share: float) -> None:
            bar.update(task, completed=share)
            estimate.moved(share)

        def shown(progress: Progress) -> None:
            nonlocal seconds
            seconds = progress.seconds
            text = f"{'qat' if qat else 'float'} step {progress.step:,}, loss {sum(progress.losses.values()):.4f}"
            bar.update(task, description=text)

        place: dict[str, Any] = {"resume": resume is not None, "auto": resume == "auto", "overwrite": overwrite}
        checkpoint = run(Job(dataset, out, asked, qat, found, weights=weights, **place), shown, moved)
    if crossed := moved_over(checkpoint.split, checkpoint.config.train):
        output.note(
            f"game {crossed[0]} trains or validates since no game else would: it may change sides as others are added; "
            "`wmq overlap` says which games two runs share"
        )
    parameters = parameter_count(checkpoint.config.model)
    best = load_checkpoint(out / BEST).figures if (out / BEST / "run.json").exists() else {}
    figures = {"run": str(out), "form": checkpoint.form, "parameters": parameters, **checkpoint.figures}
    figures |= {"best_held_out": best.get("held_out"), "best_step": best.get("steps")}
    return figures | {"seconds": round(seconds, 1)}


@verb(
    "wmq sweep sweep.yaml\nwmq sweep sweep.yaml --ray 10.0.0.5:6379 --out experiments/best.yaml --json",
    prints="metric mode trials values.* value error best",
    stopped="no trial was kept, and nothing was written; the same command begins again",
)
@click.argument("space", type=click.Path(path_type=Path, dir_okay=False))
@dataset_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("experiments/best.yaml"),
    show_default=True,
    help="The best config, as a file for `wmq train --config`.",
)
@click.option("--ray", "address", default="local", show_default=True, help="`local`, or host:port of a Ray cluster.")
@overwrite_option
@json_option
def sweep(space: Path, dataset: Path, out: Path, address: str, overwrite: bool, as_json: bool) -> None:
    """Try many configs in short runs, and say which is best. SPACE is a YAML file; see docs/guide.md."""
    from wm_cli.tables.compared_runs import sweep_table

    with place_of(out, "sweep", overwrite):
        figures = try_configs(space, dataset, out, address)
    if not as_json:
        output.print_tables([sweep_table(figures)])
    output.say(as_json, figures, f"{out}: the best of {len(figures['trials'])}")


def try_configs(path: Path, dataset: Path, out: Path, address: str) -> dict[str, Any]:
    """Every trial's value, best first; the best config is written to `out` as an experiment."""
    import yaml

    from wm_train.files import atomic_write_bytes
    from wm_train.fit.sweep import load_sweep, run

    asked = load_sweep(path)
    need(dataset, DATASET, option="--dataset")
    with output.progress_bar("sweep", None) as (bar, task):
        swept = run(asked, dataset, address, lambda done: bar.update(task, completed=done))
    if swept.best is None:
        raise WmCliError(f"{path}: no trial came to its end; the first says: {swept.trials[0].error}")
    atomic_write_bytes(out, yaml.safe_dump(plain_tree(swept.best.to_json()), sort_keys=False).encode())
    trials = [asdict(trial) for trial in swept.trials]
    return {"metric": swept.metric, "mode": swept.mode, "trials": trials, "best": str(out)}


def plain_tree(tree: Any) -> Any:
    """Tuples as lists, which YAML knows."""
    if isinstance(tree, dict):
        return {key: plain_tree(value) for key, value in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree


@verb(
    "wmq compare run run-remote\nwmq compare run run-remote --tolerance 0.05 --json",
    prints=(
        "same_config same_games same_form config key games train valid first second metrics metric "
        "difference tolerance ok"
    ),
)
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@dataset_option
@click.option(
    "--tolerance",
    type=Real(0, 1_000),
    default=0.02,
    show_default=True,
    help="Largest relative difference of a metric.",
)
@frames_limit_option
@json_option
def compare(first: Path, second: Path, dataset: Path, tolerance: float, limit: int | None, as_json: bool) -> None:
    """Hold two runs against each other, as one trained here and one trained elsewhere.

    Exit code 1 unless config, form and games are the same and every metric agrees within the tolerance.
    """
    from wm_cli.tables.compared_runs import compare_table

    figures = compare_runs(first, second, dataset, tolerance, limit or 0)
    if not as_json:
        output.print_tables([compare_table(figures)])
    output.say(as_json, figures, "the runs agree" if figures["ok"] else "the runs do not agree")
    sys.exit(0 if figures["ok"] else 1)


def compare_runs(first: Path, second: Path, dataset: Path, tolerance: float, limit: int) -> dict[str, Any]:
    """Configs, games, and, where those are the same, metrics on the held-out ones."""
    from wm_train.measure.compare import config_differences, game_differences, metric_differences
    from wm_train.nets.predict import held_out_figures

    runs = [open_run(folder) for folder in (first, second)]
    config = config_differences(runs[0].config, runs[1].config)
    games = game_differences(runs[0].split, runs[1].split)
    same_games = not any(only for use in games.values() for only in use.values())
    measured = partial(held_out_figures, dataset=dataset, limit=limit)
    metrics = metric_differences(measured(runs[0]), measured(runs[1]), tolerance) if same_games else []
    return {
        "same_config": not config,
        "same_games": same_games,
        "same_form": runs[0].form == runs[1].form,
        "config": config,
        "games": games,
        "metrics": metrics,
        "tolerance": tolerance,
        "ok": not config and same_games and runs[0].form == runs[1].form and all(row["ok"] for row in metrics),
    }
