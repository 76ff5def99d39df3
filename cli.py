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
        from wm_quant.errors import WmQuantError
        from wm_train.errors import WmTrainError

        try:
            return super().invoke(ctx)
        except (WmTrainError, WmQuantError, WmExportError, WmCliError, OSError) as error:
            raise click.ClickException(str(error)) from None
        except ModuleNotFoundError as error:
            raise click.ClickException(f"{error.name} is not installed; get it with: make setup") from None


def _verb(examples: str) -> Callable[[F], Any]:
    """A command of the group whose help ends with examples."""

    def decorate(function: F) -> Any:
        text = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.splitlines())
        return main.command(epilog=text)(function)

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


@_verb("wmq ingest ~/Slippi\nwmq ingest game1.slp game2.slp --out dataset --json")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@_path_option("--out", project.DATASET, "Dataset folder to write or add to.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core if not given.")
@_json
def ingest(sources: tuple[Path, ...], out: Path, workers: int | None, as_json: bool) -> None:
    """Read .slp replays (files or folders) into a dataset. Files known already are not read again.

    Exit code 1 if the dataset has no game at all.
    """
    from dataclasses import asdict

    from wm_cli import console
    from wm_train.ingest import find_sources
    from wm_train.ingest import ingest as run

    with console.progress_bar("ingest", len(find_sources(sources))) as (bar, task):
        report = run(sources, out, workers, lambda done, total, outcome: bar.update(task, completed=done))
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


@_verb("wmq train\nwmq train --qat\nwmq train --config big.yaml --out run-big --max-minutes 60 --resume")
@_dataset
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: run, or run-qat with --qat]")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file; see docs/guide.md for its keys."
)
@click.option("--qat", is_flag=True, help="Train through the INT8 grid.")
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="Float run that --qat starts from.  [default: run, if it is there; else from scratch]",
)
@click.option("--max-minutes", type=click.FloatRange(0, min_open=True), help="Stop after this time.")
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
    """Train a model on a dataset."""
    from wm_cli import stages

    out = out or (project.RUN_QAT if qat else project.RUN)
    if qat and start is None and project.RUN.exists() and out != project.RUN:
        start = project.RUN
    figures = stages.train(dataset, out, config, qat, start, resume, minutes=max_minutes, steps=steps, seed=seed)
    _say(
        as_json,
        figures,
        f"{out}: {figures['form']}, {figures['steps']:,} steps in {figures['seconds']:.0f} s, "
        f"{figures['parameters']:,} parameters",
    )


def _say(as_json: bool, figures: dict[str, Any], text: str) -> None:
    from wm_cli import console

    if as_json:
        console.print_json(figures)
    else:
        console.out.print(text, highlight=False)


@_verb("wmq evaluate\nwmq evaluate run --dataset other-games --json")
@_folder_argument("model", None)
@_dataset
@click.option("--limit", type=click.IntRange(1), default=None, help="At most this many one-step frames, evenly spread.")
@_json
def evaluate(model: Path | None, dataset: Path, limit: int | None, as_json: bool) -> None:
    """Measure a run or a QNet on games it was not trained on, beside baselines that know no model.

    MODEL is a run or a QNet folder; the furthest stage that is there if not given.
    """
    from wm_cli import console, stages

    figures = stages.evaluate(model or project.newest_model(), dataset, limit or 0)
    if as_json:
        console.print_json(figures)
        return
    form = figures["model"]["form"]
    console.out.print(
        console.metrics_table({form: figures, **figures["baselines"]}, f"{figures['frames']:,} held-out frames")
    )


@_verb("wmq rollout --frames 120\nwmq rollout qnet --start 5000 --json")
@_folder_argument("model", None)
@_dataset
@click.option(
    "--start", type=click.IntRange(0), default=0, show_default=True, help="Number of the held-out window to start at."
)
@click.option("--frames", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Frames to run.")
@_json
def rollout(model: Path | None, dataset: Path, start: int, frames: int, as_json: bool) -> None:
    """Let a world run by itself on true inputs, and follow how far it drifts from the real game."""
    from wm_cli import console, stages

    figures = stages.rollout(model or project.newest_model(), dataset, start, frames)
    if as_json:
        console.print_json(figures)
        return
    for ahead in (1, 5, 10, 20, 60, 120, 300, 600, frames):
        if ahead <= frames:
            error = figures["position_error"][ahead - 1]
            console.out.print(f"frame {ahead:5}: position error {error:8.3f} game units", highlight=False)


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
    type=click.Choice(["ref", "ort", "native", "svm"]),
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
    svm: the program in LiteSVM.
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
