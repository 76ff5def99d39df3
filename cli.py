"""wmq: from replays to a Solana program that computes what was trained. One verb per arrow of the pipeline.

Each verb opens files, calls one function, writes one artifact. Nothing is computed here; heavy imports happen inside
the verbs, so that `wmq export` never loads torch.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wm_cli import project

F = TypeVar("F", bound=Callable[..., Any])


class _Group(click.Group):
    """Turns the packages' own errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        from wm_cli.errors import WmCliError
        from wm_export.errors import WmExportError
        from wm_live.errors import WmLiveError
        from wm_quant.errors import WmQuantError
        from wm_train.errors import WmTrainError

        try:
            return super().invoke(ctx)
        except (WmTrainError, WmQuantError, WmExportError, WmLiveError, WmCliError, OSError) as error:
            raise click.ClickException(str(error)) from None
        except ModuleNotFoundError as error:
            raise click.ClickException(f"{error.name} is not installed; get it with: make setup") from None


def _verb(examples: str, name: str | None = None, group: click.Group | None = None) -> Callable[[F], Any]:
    """A command of a group whose help ends with examples."""

    def decorate(function: F) -> Any:
        text = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.splitlines())
        return (group or main).command(name, epilog=text)(function)

    return decorate


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
_dataset = click.option(
    "--dataset", type=click.Path(path_type=Path), default=project.DATASET, show_default=True, help="Dataset folder."
)


def _path_option(flag: str, default: Path, text: str) -> Callable[[F], F]:
    return click.option(flag, type=click.Path(path_type=Path), default=default, show_default=True, help=text)


def _folder_argument(name: str, default: Path | None) -> Callable[[F], F]:
    return click.argument(name, type=click.Path(path_type=Path), default=default, required=False)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="wmq")
def main() -> None:
    """Replays in, a learned world out: trained, made integer, run on chain, and proved the same bit for bit.

    \b
    In an empty folder:  wmq ingest ~/Slippi   wmq train   wmq train --qat   wmq quantize   wmq evaluate
                         wmq export --target solana   wmq build   wmq cu   wmq parity   wmq report
    Shell completion:    eval "$(_WMQ_COMPLETE=bash_source wmq)"      (or zsh_source, fish_source)
    """


_workers = click.option("--workers", type=click.IntRange(1), help="Processes; one per core if not given.")
_ray = click.option(
    "--ray",
    "address",
    metavar="ADDRESS",
    help="Let the machines of a Ray cluster do it: host:port, or local for one on this machine.",
)


@_verb("wmq ingest ~/Slippi\nwmq ingest game1.slp game2.slp --json\nwmq ingest /shared/replays --ray head:6379")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@_path_option("--out", project.DATASET, "Dataset folder to write or add to.")
@_workers
@_ray
@_json
def ingest(sources: tuple[Path, ...], out: Path, workers: int | None, address: str | None, as_json: bool) -> None:
    """Read .slp replays (files or folders) into a dataset. Files known already are not read again.

    Exit code 1 if the dataset has no game at all.
    """
    from dataclasses import asdict

    from wm_cli import console
    from wm_train.ingest import find_sources
    from wm_train.ingest import ingest as run

    with console.progress_bar("ingest", len(find_sources(sources))) as (bar, task):
        report = run(sources, out, workers, lambda done, total, outcome: bar.update(task, completed=done), address)
    if as_json:
        console.print_json(asdict(report))
    else:
        console.out.print(
            f"{out}: {report.games} games, {report.frames:,} frames "
            f"({report.parsed} read now, {report.known} known, {report.duplicates} duplicates)"
        )
        for rejected in report.rejected:
            console.out.print(f"  left out: {rejected.name}: {rejected.reason}: {rejected.detail}", highlight=False)
    sys.exit(0 if report.games else 1)


@_verb("wmq encode\nwmq encode --config big.yaml --dataset /shared/dataset --ray head:6379 --json")
@_dataset
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file whose encoding it is for, as in train."
)
@_workers
@_ray
@_json
def encode(dataset: Path, config: Path | None, workers: int | None, address: str | None, as_json: bool) -> None:
    """Write a dataset's games as integers that training maps instead of reading. Games known already are kept.

    They go into DATASET/encoded. Everything works without them, more slowly.
    """
    from wm_cli import data

    figures = data.encode(dataset, config, workers, address)
    _say(
        as_json,
        figures,
        f"{dataset}: {figures['games']} games encoded ({figures['encoded']} now, {figures['known']} known), "
        f"{figures['bytes']:,} bytes",
    )


@_verb("wmq overlap run other-run\nwmq overlap qnet other-games --json")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@_json
def overlap(a: Path, b: Path, as_json: bool) -> None:
    """Games that two runs, QNets or datasets share, by what they are to either: train/valid and so on.

    Exit code 1 if one was trained on games that the other holds out.
    """
    from wm_cli import data

    figures = data.overlap(a, b)
    lines = [f"{figures['shared']} games shared, of {figures['games_a']} of {a} and {figures['games_b']} of {b}"]
    for pair in figures["pairs"]:
        lines.append(
            f"  {pair['a']}/{pair['b']}: {len(pair['games'])}{'  trained on here, held out there' * pair['leak']}"
        )
    _say(as_json, figures, "\n".join(lines))
    sys.exit(0 if figures["ok"] else 1)


@_verb(
    "wmq train\nwmq train --qat\nwmq train --config experiments/mlp-v22.yaml --max-minutes 60 --resume\n"
    "torchrun --nproc-per-node 2 --no-python wmq train --steps 5000"
)
@_dataset
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder.  [default: run, or run-qat with --qat; with --config runs/NAME, or runs/NAME-qat]",
)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file; see docs/guide.md for its keys."
)
@click.option("--qat", is_flag=True, help="Train through the INT8 grid.")
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="Float run that --qat starts from.  [default: run, or runs/NAME, if it is there; else from scratch]",
)
@click.option("--max-minutes", type=click.FloatRange(0, min_open=True), help="Stop after this processor time.")
@click.option("--steps", type=click.IntRange(1), help="Stop after this many steps.")
@click.option("--seed", type=int, help="Of initialisation, order and split.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@_json
def train(
    dataset: Path,
    out: Path | None,
    config: Path | None,
    qat: bool,
    start: Path | None,
    max_minutes: float | None,
    steps: int | None,
    seed: int | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a model on a dataset. Under torchrun several processes train it together."""
    from wm_cli import stages

    out, floating = out or project.run_of(config, qat), project.run_of(config, qat=False)
    if qat and start is None and floating.exists() and out != floating:
        start = floating
    figures = stages.train(dataset, out, config, qat, start, resume, minutes=max_minutes, steps=steps, seed=seed)
    _say(
        as_json,
        figures,
        f"{out}: {figures['form']}, {figures['steps']:,} steps in {figures['seconds']:.0f} s, "
        f"{figures['parameters']:,} parameters",
    )


@_verb("wmq sweep sweep.yaml\nwmq sweep sweep.yaml --ray 10.0.0.5:6379 --out experiments/best.yaml --json")
@click.argument("space", type=click.Path(path_type=Path, dir_okay=False))
@_dataset
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("experiments/best.yaml"),
    show_default=True,
    help="The best config, as a file for `wmq train --config`.",
)
@click.option("--ray", "address", default="local", show_default=True, help="`local`, or host:port of a Ray cluster.")
@_json
def sweep(space: Path, dataset: Path, out: Path, address: str, as_json: bool) -> None:
    """Try many configs in short runs, and say which is best. SPACE is a YAML file; see docs/guide.md."""
    from wm_cli import console, experiments

    figures = experiments.sweep(space, dataset, out, address)
    if not as_json:
        console.out.print(experiments.sweep_table(figures))
    _say(as_json, figures, f"{out}: the best of {len(figures['trials'])}")


@_verb("wmq compare run run-remote\nwmq compare run run-remote --tolerance 0.05 --json")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@_dataset
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.02,
    show_default=True,
    help="Largest relative difference of a metric.",
)
@click.option("--limit", type=click.IntRange(1), default=None, help="At most this many one-step frames, evenly spread.")
@_json
def compare(first: Path, second: Path, dataset: Path, tolerance: float, limit: int | None, as_json: bool) -> None:
    """Hold two runs against each other, as one trained here and one trained elsewhere.

    Exit code 1 unless config, form and games are the same and every metric agrees within the tolerance.
    """
    from wm_cli import console, experiments

    figures = experiments.compare(first, second, dataset, tolerance, limit or 0)
    if not as_json:
        console.out.print(experiments.compare_table(figures))
    _say(as_json, figures, "the runs agree" if figures["ok"] else "the runs do not agree")
    sys.exit(0 if figures["ok"] else 1)


def _say(as_json: bool, figures: dict[str, Any], text: str) -> None:
    from wm_cli import console

    if not console.speaks():
        return
    if as_json:
        console.print_json(figures)
    else:
        console.out.print(text, highlight=False)


@_verb(
    "wmq evaluate\nwmq evaluate run --dataset other-games --horizon 60 --json\nwmq evaluate run qnet-ptq run-qat qnet"
)
@click.argument("models", nargs=-1, type=click.Path(path_type=Path))
@_dataset
@click.option("--limit", type=click.IntRange(1), default=None, help="At most this many one-step frames, evenly spread.")
@click.option(
    "--horizon", "horizons", type=click.IntRange(1, 3600), multiple=True, help="A further rollout horizon; repeatable."
)
@_json
def evaluate(
    models: tuple[Path, ...], dataset: Path, limit: int | None, horizons: tuple[int, ...], as_json: bool
) -> None:
    """Measure runs or QNets on games they were not trained on, beside baselines that know no model.

    MODELS are run or QNet folders; the furthest stage that is there if none is given. Several are measured on the same
    frames, and each is compared with the first.
    """
    from wm_cli import console, measures

    models = models or (project.newest_model(),)
    with console.progress_bar("evaluate", len(models)) as (bar, task):
        measured = measures.evaluate(models, dataset, limit or 0, horizons, lambda: bar.advance(task))
    differences = measures.differences(models, measured)
    if as_json:
        several = {"models": [{"path": str(p), **m} for p, m in zip(models, measured, strict=True)]}
        console.print_json(measured[0] if len(models) == 1 else several | {"differences": differences})
        return
    names = [figures["model"]["form"] for figures in measured] if len(models) == 1 else map(str, models)
    rows = dict(zip(names, measured, strict=True)) | measured[0]["baselines"]
    tables = [console.metrics_table(rows, f"{measured[0]['frames']:,} held-out frames")]
    if differences:
        tables.append(console.differences_table(differences, measures.BARS))
    console.print_tables(tables)


@_verb("wmq rollout --frames 120\nwmq rollout qnet --start 5000 --json\nwmq rollout --starts 20 --seconds 60")
@_folder_argument("model", None)
@_dataset
@click.option("--start", type=click.IntRange(0), help="Number of the held-out window to start at.  [default: 0]")
@click.option("--frames", type=click.IntRange(1, 100_000), help="Frames to run.  [default: 300]")
@click.option("--seconds", type=click.IntRange(1, 1_000), help="The same in seconds of 60 frames.")
@click.option("--starts", type=click.IntRange(2, 1_000), help="So many worlds, from seeded windows, instead of one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of those windows.")
@_json
def rollout(
    model: Path | None,
    dataset: Path,
    start: int | None,
    frames: int | None,
    seconds: int | None,
    starts: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Let a world run by itself on true inputs, and follow how far it drifts from the real game.

    With --starts many worlds run: how fast they drift, and whether what they show could be the game.
    """
    from wm_cli import console, measures
    from wm_train.drift import FPS

    if (frames and seconds) or (starts and start is not None):
        raise click.UsageError("--frames and --seconds, or --start and --starts, cannot be given together")
    model, length = model or project.newest_model(), frames or (seconds or 0) * FPS or 300
    if starts:
        with console.progress_bar("rollout", length) as (bar, task):
            figures = measures.drift(model, dataset, length, starts, seed, lambda: bar.advance(task))
        tables = console.drift_tables(figures)
    else:
        figures = measures.rollout(model, dataset, start or 0, length)
        tables = [console.track_table(figures["position_error"])]
    if as_json:
        console.print_json(figures)
    else:
        console.print_tables(tables)


@_verb("wmq diagnose\nwmq diagnose run --dataset other-games --json")
@_folder_argument("model", None)
@_dataset
@click.option("--limit", type=click.IntRange(1), default=None, help="At most this many frames, evenly spread.")
@_json
def diagnose(model: Path | None, dataset: Path, limit: int | None, as_json: bool) -> None:
    """Where a run or a QNet errs on games it was not trained on, and which flag of its encoding might help.

    MODEL is a run or a QNet folder; the furthest stage that is there if not given.
    """
    from wm_cli import console, stages

    figures = stages.diagnose(model or project.newest_model(), dataset, limit or 0)
    if as_json:
        console.print_json(figures)
        return
    for table in console.diagnosis_tables(figures):
        console.out.print(table)


@_verb("wmq speculate\nwmq speculate qnet --windows 3000 --json")
@_folder_argument("model", None)
@_dataset
@click.option(
    "--windows", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Held-out windows to try."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of those windows.")
@_json
def speculate(model: Path | None, dataset: Path, windows: int, seed: int, as_json: bool) -> None:
    """What it costs to compute frames before their inputs have come, as if inputs repeated, and to roll back.

    By inputs alone over all games, and by what the model makes of them over held-out games.
    """
    from wm_cli import console, measures

    with console.err.status("speculate"):
        figures = measures.speculate(model or project.newest_model(), dataset, windows, seed)
    if as_json:
        console.print_json(figures)
    else:
        console.print_tables(console.speculation_tables(figures))


@main.group(
    epilog="\b\nExamples:\n  wmq study character --character 9 --max-minutes 10\n  wmq study character --character all"
)
def study() -> None:
    """Train and measure several runs that differ in one thing."""


@_verb("wmq study character --character 9 --max-minutes 10\nwmq study character --character all --json", group=study)
@click.option("--character", required=True, help="Character-select id, as in the dataset's meta.json, or all.")
@_dataset
@_path_option("--out", project.STUDY, "Folder of the study's runs.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file; see docs/guide.md for its keys."
)
@click.option("--max-minutes", type=click.FloatRange(0, min_open=True), help="Of each run.")
@click.option("--steps", type=click.IntRange(1), help="Of each run.")
@click.option("--seed", type=int, help="Of initialisation, order and split.")
@_json
def character(
    character: str,
    dataset: Path,
    out: Path,
    config: Path | None,
    max_minutes: float | None,
    steps: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """What a model is worth on a character that it never saw, beside one trained on as many games that saw it.

    Half of the character's games are kept for measuring; neither run trains on them. Interrupted, it goes on with the
    run that it stopped in.
    """
    from wm_cli import console, stages, studies

    wanted = stages.run_config(config, minutes=max_minutes, steps=steps, seed=seed)
    ids = studies.characters(dataset, character)
    with console.progress_bar("study", 2 * len(ids)) as (bar, task):
        runs: list[str] = []

        def shown(name: str, progress: Any) -> None:
            runs.extend([name] * (name not in runs))
            bar.update(task, completed=len(runs) - 1 + progress.share, description=name)

        figures = studies.character_study(studies.Study(dataset, out, wanted), ids, shown)
    if as_json:
        console.print_json(figures)
    else:
        console.print_tables(map(console.character_table, figures["characters"]))


@_verb(
    "wmq study qat --config experiments/mlp-v22.yaml --config experiments/mamba2-1.2m.yaml\n"
    "wmq study qat --config mine.yaml --seeds 0,1,2,3,4 --json",
    group=study,
)
@click.option(
    "--config", "configs", type=click.Path(path_type=Path, dir_okay=False, exists=True), multiple=True, required=True,
    help="YAML file of a model and its training; repeatable.",
)  # fmt: skip
@_dataset
@_path_option("--out", project.STUDY, "Folder for the runs.")
@click.option("--seeds", default="0,1,2", show_default=True, help="Seeds, with commas between.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Processor minutes of each, QAT included, not the config's.",
)
@click.option("--limit", type=click.IntRange(1), help="At most this many one-step frames, evenly spread.")
@_json
def qat(
    configs: tuple[Path, ...],
    dataset: Path,
    out: Path,
    seeds: str,
    minutes: float | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """What INT8 costs: each config with each seed in float, rounded afterwards (PTQ), and trained through the grid.

    Interrupted, it goes on with the run that it stopped in.
    """
    from wm_cli import console, stages, studies

    if not all(seed.strip().isdecimal() for seed in seeds.split(",")):
        raise click.UsageError(f"--seeds {seeds}: expected numbers with commas between, such as 0,1,2")
    wanted = {path.stem: stages.run_config(path, minutes=minutes, steps=None, seed=None) for path in configs}
    numbers = [int(seed) for seed in seeds.split(",")]
    with console.progress_bar("study", len(wanted) * len(numbers)) as (bar, task):
        runs: list[str] = []

        def shown(name: str, progress: Any) -> None:
            runs.extend([name] * (name not in runs))
            bar.update(task, completed=len(runs) - 1 + progress.share, description=name)

        figures = studies.qat_study(dataset, out, wanted, numbers, limit or 0, shown)
    if as_json:
        console.print_json(figures)
    else:
        console.print_tables(map(console.qat_table, figures["configs"]))


@_verb("wmq quantize\nwmq quantize run --out qnet-ptq")
@_folder_argument("run", None)
@_path_option("--out", project.QNET, "QNet folder.")
@_json
def quantize(run: Path | None, out: Path, as_json: bool) -> None:
    """Turn a run into an integer network, proved free of overflow.

    RUN is a QAT run (run-qat by default), whose integers are taken as they are, or a float run, which is rounded to the
    grid with activation ranges calibrated on its training games.
    """
    from wm_cli import stages

    figures = stages.quantize(run or (project.RUN_QAT if project.RUN_QAT.exists() else project.RUN), out)
    _say(as_json, figures, f"{out}: {figures['parameters']:,} integers, {figures['proofs']} ranges proved")


@_verb("wmq bits\nwmq bits --budget 850000 --out mixed.yaml\nwmq train --qat --config mixed.yaml")
@_folder_argument("run", project.RUN)
@_dataset
@click.option("--budget", type=click.IntRange(1), help="Compute units of a frame; chooses the layers that get INT4.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Config to write the choice to.")
@click.option(
    "--limit", type=click.IntRange(1), default=10_000, show_default=True, help="One-step frames of each measurement."
)
@_json
def bits(run: Path, dataset: Path, budget: int | None, out: Path | None, limit: int, as_json: bool) -> None:
    """What INT4 weights cost each layer of a run in accuracy and save in compute units, one layer at a time.

    With a budget: the layers that lose least for what they save get INT4 until a frame fits. Exit code 1 if it cannot.
    """
    from wm_cli import console
    from wm_cli.bits import bits as measure

    if out is not None and budget is None:
        raise click.UsageError("--out writes what --budget chooses: give both")
    figures = measure(run, dataset, limit, budget, out)
    if as_json:
        console.print_json(figures)
    else:
        console.out.print(console.bits_table(figures))
    sys.exit(0 if figures.get("ok", True) else 1)


@_verb("wmq export --target solana\nwmq export qnet --target onnx --out world.onnx")
@_folder_argument("qnet", project.QNET)
@click.option("--target", type=click.Choice(["solana", "onnx"]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="[default: export, or world.onnx]")
@click.option(
    "--cut", "cuts", type=int, multiple=True, help="Split a frame into transactions before this op number; repeatable."
)
@_json
def export(qnet: Path, target: str, out: Path | None, cuts: tuple[int, ...], as_json: bool) -> None:
    """Write a QNet's weight blob, manifest, IDL and Rust workspace, or an integer-only ONNX graph."""
    from wm_cli import stages

    out = out or (project.EXPORT if target == "solana" else project.ONNX)
    figures = stages.export(qnet, target, out, cuts)
    _say(as_json, figures, f"{out}: {figures['bytes']:,} bytes, sha256 {figures['sha256']}")


@_verb("wmq build\nwmq build export --json")
@_folder_argument("export", project.EXPORT)
@_json
def build(export: Path, as_json: bool) -> None:
    """Build an export's Solana program, and meter what its compiled code costs."""
    from wm_cli import stages

    figures = stages.build(export)
    _say(
        as_json,
        figures,
        f"{figures['program']}: {figures['size']:,} bytes, sha256 {figures['sha256']} ({figures['toolchain']})",
    )


@_verb("wmq cu\nwmq cu --preset mlp\nwmq cu export --frames 1000 --budget 900000 --json")
@_folder_argument("export", project.EXPORT)
@click.option("--preset", help="A known shape instead of an export: its cost before anything is trained.")
@click.option("--frames", type=click.IntRange(1), default=20, show_default=True, help="Frames to meter.")
@click.option(
    "--budget", type=click.IntRange(1), default=1_400_000, show_default=True, help="Most units of a transaction."
)
@_dataset
@_json
def cu(export: Path, preset: str | None, frames: int, budget: int, dataset: Path, as_json: bool) -> None:
    """Predicted and metered compute units, op by op. Exit code 1 if they differ or a transaction is over budget."""
    from wm_cli import console, stages

    figures, table = stages.cu_of_preset(preset, budget) if preset else stages.cu(export, dataset, frames, budget)
    if as_json:
        console.print_json(figures)
    else:
        console.out.print(table)
        console.out.print(
            f"{figures['total_cu']:,} units a frame, {figures['cu_per_mac']:.4f} per MAC; "
            f"{figures['frames_metered']} frames metered, {figures['frames_different']} differ",
            highlight=False,
        )
    sys.exit(0 if figures["ok"] else 1)


@_verb("wmq parity\nwmq parity export --frames 2000 --target svm --json")
@_folder_argument("export", project.EXPORT)
@click.option("--frames", type=click.IntRange(1), default=200, show_default=True, help="Teacher-forced frames.")
@click.option("--rollouts", type=click.IntRange(0), default=5, show_default=True, help="Worlds that run by themselves.")
@click.option("--rollout-frames", type=click.IntRange(1), default=60, show_default=True, help="Frames of each.")
@click.option(
    "--target",
    "targets",
    type=click.Choice(["ref", "ort", "native", "svm", "er"]),
    multiple=True,
    help="Executor to compare with the interpreter; repeatable. Default: all that this machine can run.",
)
@_dataset
@_json
def parity(
    export: Path,
    frames: int,
    rollouts: int,
    rollout_frames: int,
    targets: tuple[str, ...],
    dataset: Path,
    as_json: bool,
) -> None:
    """The same frames through every executor, compared to the last bit. Exit code 1 at any difference.

    ref: integer loops in Python; ort: ONNX Runtime; native: the program's crates on this host;
    svm: the program in LiteSVM; er: the program on a real rollup of its own (make rollup), rollouts only.
    """
    from wm_cli import console, stages

    figures = stages.parity(export, dataset, frames, rollouts, rollout_frames, targets)
    if as_json:
        console.print_json(figures)
    else:
        for row in figures["outcomes"]:
            console.out.print(
                f"{row['executor']:12} {row['frames']:6,} frames, {row['mismatches']} differ", highlight=False
            )
        console.out.print(figures["first_difference"] or "every tensor and every byte of every next Frame is equal")
    sys.exit(1 if figures["mismatches"] else 0)


# ---------------------------------------------------------------------------------------------------------------- live


@_verb("wmq localnet\nwmq localnet --storage net --base-chain surfpool --json")
@click.option(
    "--base-chain",
    "base",
    default="lite",
    show_default=True,
    help="lite, solana-test-validator, surfpool, or the URL of one that runs.",
)
@click.option(
    "--storage",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for state and logs, taken up again.  [default: a temporary one]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_000),
    default=8899,
    show_default=True,
    help="Of the base chain; the next is taken too.",
)
@click.option(
    "--rollup-port",
    type=click.IntRange(1, 65_000),
    default=7799,
    show_default=True,
    help="Of the rollup; the next two are taken too.",
)
@_json
def localnet(base: str, storage: Path | None, port: int, rollup_port: int, as_json: bool) -> None:
    """Run a base chain and the real MagicBlock validator on this machine until Ctrl-C.

    Needs `make rollup` once. Everything listens on 127.0.0.1 only.
    """
    from wm_live.localnet import Localnet, Places, run

    def ready(at: Places) -> None:
        where = {"base": at.base, "rollup": at.rollup, "identity": str(at.identity), "storage": str(at.storage)}
        _say(as_json, where, "\n".join(f"{name:9} {value}" for name, value in where.items()))
        sys.stdout.flush()

    run(Localnet(base, storage, (port, rollup_port)), ready)


_cluster = click.option("--cluster", default="localnet", show_default=True, help="localnet, devnet, or a node's URL.")
_keypair = click.option(
    "--keypair",
    type=click.Path(path_type=Path),
    default=project.KEYPAIR,
    show_default=True,
    help="Keypair file as `solana-keygen new` writes it.",
)


class _DeployGroup(click.Group):
    """`wmq deploy [EXPORT]` deploys; only where the first word is another verb of the group it is that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if known else ["run", *args])


@main.group(
    cls=_DeployGroup,
    epilog="\b\nExamples:\n  wmq deploy --keypair payer.json --dry-run\n  wmq deploy export --cluster devnet --keypair "
    "payer.json\n  wmq deploy verify --model ADDRESS\n  wmq deploy abort --keypair payer.json",
)
def deploy() -> None:
    """Put a built export on a chain: its program, and its weights, frozen for ever.

    \b
    wmq deploy [run] [EXPORT]   deploys, or goes on where it stopped (see wmq deploy run --help)
    wmq deploy verify [EXPORT]  compares the chain with an export
    wmq deploy abort [EXPORT]   gives up an unfinished deployment
    """


@deploy.command("run")
@_folder_argument("export", project.EXPORT)
@_cluster
@_keypair
@click.option("--dry-run", is_flag=True, help="Say what it takes and costs; send nothing.")
@click.option("--final", is_flag=True, help="Drop the upgrade authority: nobody can ever replace the program.")
@_json
def deploy_run(export: Path, cluster: str, keypair: Path, dry_run: bool, final: bool, as_json: bool) -> None:
    """Deploy an export. Interrupted, it goes on where it stopped: everything is read back from the chain."""
    from wm_cli import console
    from wm_export.solana import open_export
    from wm_live.verbs import run_deploy

    opened, show = open_export(export), console.err if as_json else console.out
    try:
        with console.progress_bar("reading the chain", None) as (bar, task):
            figures = run_deploy(
                opened,
                cluster,
                keypair,
                dry_run,
                final,
                lambda deployment: show.print("\n".join(deployment.lines()), highlight=False, markup=False),
                lambda name, done, total: bar.update(task, description=name, completed=done, total=total),
            )
    except KeyboardInterrupt:
        console.err.print("interrupted; run the same again to go on, or `wmq deploy abort` to get the rent back")
        sys.exit(130)
    done = "nothing was sent" if dry_run else f"deployed and verified in {figures.get('seconds_taken')} s"
    _say(as_json, figures, f"{done}\nprogram {figures['program']}\nmodel   {figures['model']}")


@deploy.command("verify")
@_folder_argument("export", project.EXPORT)
@_cluster
@click.option("--keypair", type=click.Path(path_type=Path), help="Keypair that deployed it, instead of --model.")
@click.option("--model", metavar="ADDRESS", help="The model account, instead of the keypair that deployed it.")
@_json
def deploy_verify(export: Path, cluster: str, keypair: Path | None, model: str | None, as_json: bool) -> None:
    """Compare program and weights on a chain with an export, from the chain alone. Exit code 1 if they differ."""
    from wm_export.solana import open_export
    from wm_live.verbs import run_verify

    found = run_verify(open_export(export), cluster, model, keypair)
    _say(as_json, found.to_json(), "\n".join(found.lines()))
    sys.exit(0 if found.ok else 1)


@deploy.command("abort")
@_folder_argument("export", project.EXPORT)
@_cluster
@_keypair
@_json
def deploy_abort(export: Path, cluster: str, keypair: Path, as_json: bool) -> None:
    """Close an unfinished model and a program's left-over buffer, and get their rent back."""
    from wm_export.solana import open_export
    from wm_live.verbs import run_abort
    from wm_live.wallet import sol

    figures = run_abort(open_export(export), cluster, keypair).to_json()
    names = " and ".join(figures["returned"]) or "nothing to close"
    _say(as_json, figures, f"{names}: {sol(figures['total'])} SOL came back, {sol(figures['fees'])} of fees deducted")


@_verb("wmq fund --keypair payer.json --sol 60\nwmq fund --cluster devnet --keypair payer.json --sol 2")
@_cluster
@_keypair
@click.option("--sol", type=click.FloatRange(0, 100_000, min_open=True), required=True, help="What it shall have.")
@_json
def fund(cluster: str, keypair: Path, sol: float, as_json: bool) -> None:
    """Ask a cluster's faucet for SOL until the keypair has enough. Devnet gives a few a day.

    A keypair file that is not there is made, readable by you alone.
    """
    from wm_live.verbs import run_fund
    from wm_live.wallet import sol as in_sol

    figures = run_fund(cluster, keypair, sol)
    _say(as_json, figures, f"{figures['payer']} has {in_sol(figures['balance'])} SOL")


_log = click.option("--log", "folder", type=click.Path(path_type=Path), help="Log folder.  [default: session-ID]")
_start = click.option(
    "--start", type=click.IntRange(0), default=0, show_default=True, help="Which window of a real game to start from."
)


def _session_options(function: F) -> F:
    """Where a session is, and which it is: the wallet's own, by its number."""
    number = click.option("--id", "number", type=click.IntRange(0), default=0, show_default=True, help="Its number.")
    rollup = click.option("--rollup", help="The rollup's node.  [default: the cluster's]")
    for option in (number, _keypair, rollup, _cluster, _folder_argument("export", project.EXPORT)):
        function = option(function)
    return function


@main.group(epilog="\b\nExamples:\n  wmq session open --id 1\n  wmq session show --id 1\n  wmq session close --id 1")
def session() -> None:
    """Open, show, commit and close a session of a deployed world."""


@_verb("wmq session open --id 1\nwmq session open --id 2 --cluster devnet --opponent any", "open", session)
@_session_options
@_dataset
@_start
@_log
@click.option("--opponent", help="Wallet of the second player, or `any`.  [default: this wallet plays both]")
@_json
def session_open(
    dataset: Path, start: int, folder: Path | None, opponent: str | None, as_json: bool, **where: Any
) -> None:
    """Create a session on the base chain and bring it to its first frame on the rollup."""
    from wm_cli import places, sessions

    figures = sessions.open_session(places.Where(**where), dataset, start, folder, opponent)
    _say(as_json, figures, f"session {figures['session']}: {figures['status']}, its log in {figures['log']}")


@_verb("wmq session join 7hGx... --keypair mine.json", "join", session)
@click.argument("address")
@_folder_argument("export", project.EXPORT)
@_cluster
@_keypair
@_json
def session_join(address: str, export: Path, cluster: str, keypair: Path, as_json: bool) -> None:
    """Take the second seat of another wallet's session."""
    from wm_cli import sessions

    figures = sessions.join_session(export, cluster, keypair, address)
    _say(as_json, figures, f"session {address}: joined as {figures['player']}")


@_verb("wmq session show --id 1 --json", "show", session)
@_session_options
@_json
def session_show(as_json: bool, **where: Any) -> None:
    """Where a session stands."""
    from wm_cli import places, sessions

    figures = sessions.show_session(places.Where(**where))
    text = f"{figures['status']} on the {figures['on']}, frame {figures['frame_number']:,}, root {figures['root']}"
    _say(as_json, figures, f"session {figures['session']}: {text}")


@_verb("wmq session commit --id 1", "commit", session)
@_session_options
@_json
def session_commit(as_json: bool, **where: Any) -> None:
    """Write a session, as it stands on the rollup, to the base chain."""
    from wm_cli import places, sessions

    figures = sessions.commit_session(places.Where(**where))
    _say(as_json, figures, f"session {figures['session']}: committed at frame {figures['committed']:,}")


@_verb("wmq session close --id 1", "close", session)
@_session_options
@_log
@_json
def session_close(folder: Path | None, as_json: bool, **where: Any) -> None:
    """End a session, take it back to the base chain, and return its rent. Exit code 1 if it is not what its log has."""
    from wm_cli import places, sessions

    figures = sessions.close_session(places.Where(**where), folder)
    compared = "equal to its log, " if figures["compared"] else ""
    _say(as_json, figures, f"{figures['frames']:,} frames, {compared}{figures['lamports']:,} lamports returned")


@_verb("wmq play --frames 3600\nwmq play --inputs keyboard --watch\nwmq play --id 2 --cluster devnet --fps 30")
@_session_options
@_dataset
@_start
@_log
@click.option("--frames", type=click.IntRange(1), default=600, show_default=True, help="Frames to compute.")
@click.option(
    "--fps", type=click.FloatRange(0), default=60.0, show_default=True, help="Frames a second; 0: as fast as it goes."
)
@click.option(
    "--inputs",
    type=click.Choice(["replay", "random", "keyboard"]),
    default="replay",
    show_default=True,
    help="The real game's, by chance, or this terminal's: wasd and j k l i u for player 1, the game's for player 2.",
)
@click.option("--opponent", help="Wallet of the second player, or `any`, who plays with --guest.")
@click.option("--guest", metavar="SESSION", help="Sit down at another wallet's session, and send this player's inputs.")
@click.option("--watch", is_flag=True, help="Show it in a browser as well.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Of that page; a free one if not given.")
@_json
def play(folder: Path | None, as_json: bool, number: int, guest: str | None, **options: Any) -> None:
    """Play a session: 60 frames a second, each computed by the program on the rollup, and every one kept in a log.

    Opens the session if there is none; one that was interrupted, or lost by its rollup, goes on where its log allows.
    """
    from wm_cli import places, playing

    keys = ("export", "cluster", "rollup", "keypair")
    where = places.Where(number=number, **{key: options.pop(key) for key in keys})
    pace = playing.Pace(folder=folder, **options)
    if guest is not None:
        figures = playing.play_as_guest(where, pace, guest)
        _say(
            as_json, figures, f"session {guest}: played as {figures['player']} up to frame {figures['frame_number']:,}"
        )
        return
    figures = playing.play_session(where, pace)
    _say(
        as_json,
        figures,
        f"{figures['frames']:,} frames at {figures['fps']:.1f} fps, {figures['late_frames']} late, "
        f"{figures['cu_per_frame']:,} units a frame; log in {figures['log']}",
    )


@main.group(name="bench", epilog="\b\nExamples:\n  wmq bench rollup --seconds 60 --json")
def bench_group() -> None:
    """Measure."""


@_verb("wmq bench rollup --seconds 60 --json\nwmq bench rollup --sessions 4", "rollup", bench_group)
@_session_options
@_dataset
@click.option("--seconds", type=click.FloatRange(0.5), default=10.0, show_default=True, help="Of the paced part.")
@click.option("--sessions", type=click.IntRange(1, 8), default=1, show_default=True, help="At the same time.")
@_json
def bench_rollup(dataset: Path, seconds: float, sessions: int, as_json: bool, **where: Any) -> None:
    """Frames a second of a rollup: at the game's pace, and as fast as they are computed."""
    from wm_cli import live, places

    figures = live.bench_rollup(places.Where(**where), dataset, seconds, sessions)
    trip, execution = figures["round_trip_ms"], figures["execution_ms"]
    _say(
        as_json,
        figures,
        f"{sessions} session(s), {figures['steps']} transaction(s) a frame: {figures['fps']:.1f} of 60 fps held, "
        f"{figures['late_frames']} late of {figures['frames']:,}; at most {figures['max_fps']:.0f} fps\n"
        f"execution {execution['p50']} / {execution['p95']} / {execution['p99']} ms a frame, "
        f"round trip {trip['p50']} / {trip['p95']} / {trip['p99']} ms (p50 / p95 / p99)",
    )


@_verb("wmq verify --log session-1\nwmq verify --log session-1 --rollup http://127.0.0.1:7799 --json")
@_folder_argument("export", project.EXPORT)
@_cluster
@click.option("--rollup", help="The rollup's node, to compare with what it has now as well.")
@click.option("--log", "folder", type=click.Path(path_type=Path), required=True, help="The session's log.")
@_json
def verify(export: Path, cluster: str, rollup: str | None, folder: Path, as_json: bool) -> None:
    """What a stranger can check: every frame of a log computed again, and its root against the committed one.

    Exit code 1 if a frame is not what the model computes, or the chain has not committed to this log.
    """
    from wm_cli import live

    found = live.verify_session(export, cluster, rollup, folder)
    _say(as_json, found.to_json(), "\n".join(found.lines()))
    sys.exit(0 if found.ok else 1)


@_verb("wmq dispute 7 --log session-1\nwmq dispute 1234 --log session-1 --cluster devnet --dry-run")
@click.argument("frame", type=click.IntRange(0))
@_folder_argument("export", project.EXPORT)
@_cluster
@_keypair
@click.option("--log", "folder", type=click.Path(path_type=Path), required=True, help="The session's log.")
@click.option("--dry-run", is_flag=True, help="Only say what it takes.")
@click.option("--keep", is_flag=True, help="Leave the verdict's account on the chain.")
@_json
def dispute(
    frame: int, export: Path, cluster: str, keypair: Path, folder: Path, dry_run: bool, keep: bool, as_json: bool
) -> None:
    """Let the base chain compute one frame of a session again, and say whether the rollup told the truth.

    Exit code 1 if it did not.
    """
    from wm_cli import live
    from wm_live.dispute import Costs

    found = live.dispute_frame(export, cluster, keypair, folder, frame, dry_run, keep)
    if isinstance(found, Costs):
        _say(as_json, found.to_json(), found.text())
        return
    _say(as_json, found.to_json(), found.text)
    sys.exit(0 if found.right else 1)


@_verb("wmq live\nwmq live export-split --frames 600 --json")
@_folder_argument("export", project.EXPORT)
@_dataset
@click.option("--frames", type=click.IntRange(10), default=3600, show_default=True, help="Frames to play.")
@click.option("--dispute", "disputed", type=click.IntRange(0), default=7, show_default=True, help="Frame to dispute.")
@_json
def live(export: Path, dataset: Path, frames: int, disputed: int, as_json: bool) -> None:
    """The whole live way once, on a rollup of its own: deploy, delegate, play, commit, undelegate, verify, dispute.

    Needs `make rollup` once. Exit code 1 unless everything is as it must be.
    """
    from wm_cli import live as run

    figures = run.live(export, dataset, frames, disputed)
    _say(
        as_json,
        figures,
        f"deployed in {figures['deploy_s']:.1f} s; {figures['frames']:,} frames of {figures['steps']} transaction(s) "
        f"at {figures['fps']:.1f} fps, {figures['late_frames']} late; committed, taken back, "
        f"verified: {figures['audit']['ok']}, frame {disputed} judged {figures['dispute']['verdict']}",
    )
    sys.exit(0 if figures["ok"] else 1)


@_verb("wmq watch 7hGx...Qe --rpc http://127.0.0.1:7799\nwmq watch --rollout qnet --start 5000 --frames 600")
@click.argument("address", required=False)
@click.option(
    "--rollout",
    "model",
    type=click.Path(path_type=Path),
    help="Run or QNet to let run beside its replay.  [default: the furthest stage]",
)
@click.option("--rpc", default="http://127.0.0.1:7799", show_default=True, help="Node that has the session.")
@_folder_argument("export", project.EXPORT)
@_dataset
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="Held-out window to start at.")
@click.option("--frames", type=click.IntRange(1, 18_000), default=600, show_default=True, help="Frames of a rollout.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Of the page; a free one if not given.")
def watch(
    address: str | None, model: Path | None, rpc: str, export: Path, dataset: Path, start: int, frames: int, port: int
) -> None:
    """Show a session as it is played, or a rollout beside its replay, in a browser on this machine."""
    from wm_cli import console, playing
    from wm_live.watch import watch as run

    feed = (
        playing.session_feed(address, rpc, export)
        if address
        else playing.rollout_feed(model or project.newest_model(), dataset, start, frames)
    )
    run(feed, port, lambda text: console.err.print(text, highlight=False))


@_verb("wmq report\nwmq report --out report.html")
@_path_option("--out", project.REPORT, "HTML file.")
@_dataset
def report(out: Path, dataset: Path) -> None:
    """One page from what the other verbs have measured: metrics, parity, compute units, and the predicted game."""
    from wm_cli.report import write_report

    write_report(out, dataset)
    _say(False, {}, f"{out}: open it in a browser")


@_verb("wmq demo\nwmq demo --replays ~/Slippi --out demo")
@click.option(
    "--replays",
    type=click.Path(path_type=Path, exists=True),
    help="Your own .slp files instead of the demo's one game.",
)
@_path_option("--out", Path("demo"), "Project folder; run again to go on where it stopped.")
@click.option(
    "--max-minutes",
    type=click.FloatRange(0.05),
    default=4.0,
    show_default=True,
    help="Float training; QAT gets half of it.",
)
def demo(replays: Path | None, out: Path, max_minutes: float) -> None:
    """The whole way once: replay, training, QAT, integers, program, LiteSVM, parity, report."""
    from wm_cli.demo import run_demo

    sys.exit(run_demo(replays, out, max_minutes))


@_verb("wmq doctor\nwmq doctor --json")
@_json
def doctor(as_json: bool) -> None:
    """What is installed, what is missing, and the one command that gets it."""
    from wm_cli import console
    from wm_export.doctor import checks
    from wm_export.doctor import report as as_figures

    figures = as_figures(checks())
    if as_json:
        console.print_json(figures)
    else:
        for check in figures["checks"]:
            mark = (
                "[green]ok     [/]"
                if check["ok"]
                else "[yellow]missing[/]"
                if check.get("optional")
                else "[red]missing[/]"
            )
            hint = "" if check["ok"] else f" (need {check['need']}; get it with: {check['fix']})"
            console.out.print(f"{mark} {check['name']}: {check['found']}{hint}", highlight=False)
    sys.exit(0 if figures["ok"] else 1)


if __name__ == "__main__":
    main()
