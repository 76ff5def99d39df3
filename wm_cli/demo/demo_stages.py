"""Stages of a demo, and the project folder that they are carried out in.

A stage whose output is newer than its inputs is skipped, so the same command goes on after an interruption.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_cli import output, project
from wm_cli.errors import WmCliError
from wm_cli.verbs import data, measuring, training
from wm_export.solana.sources import INSTALL_TOOLCHAIN
from wm_train.artifact import foreign
from wm_train.files import atomic_write_json
from wm_train.writer import one_writer

SETTINGS = Path("demo.json")
META, QNET = project.DATASET / "meta.json", project.QNET / "qnet.json"
#: Most held-out frames that are measured one step ahead.
LIMIT = 20_000


@dataclass(frozen=True)
class DemoStage:
    """One step of the demo: `run` makes `output` from `inputs`. `lacks` says what this machine has not got for it."""

    title: str
    output: Path
    inputs: tuple[Path, ...]
    run: Callable[[], object]
    lacks: str = ""

    @property
    def done(self) -> bool:
        """Whether the output is there and no input is newer."""
        return self.output.exists() and newer(self.output, self.inputs)


def newer(path: Path, inputs: Sequence[Path]) -> bool:
    """Whether a file was made after all of these."""
    made = path.stat().st_mtime_ns
    return all(source.exists() and source.stat().st_mtime_ns <= made for source in inputs)


@contextlib.contextmanager
def demo_project(out: Path, source: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """The working folder is a demo's: one that was made from `source` with these settings, or a new one."""
    with one_writer(out.resolve(), "demo"), contextlib.chdir(out):
        _keep_settings(source, settings)
        yield


def _keep_settings(source: Path, settings: Mapping[str, Any]) -> None:
    """Write down what the demo is made from: an input of every stage, so that other settings make everything anew."""
    found = sorted(source.rglob("*.slp")) if source.is_dir() else [source]
    listed = "".join(f"{path.name} {path.stat().st_size}\n" for path in found)
    wanted = {"replays": str(source), "files": hashlib.sha256(listed.encode()).hexdigest(), **settings}
    kept = project.kept(SETTINGS)
    if kept is None and (held := foreign(Path(), ())) is not None:
        raise WmCliError(f"demo: {Path.cwd()} holds {held}, and was not made by a demo; give another folder with --out")
    if kept is not None and kept.get("replays") != wanted["replays"]:
        raise WmCliError(
            f"demo: {SETTINGS.resolve().parent} was made from {kept.get('replays')}, now it is {source}; "
            "give another folder with --out"
        )
    if kept is not None and kept.get("target") != wanted.get("target"):
        raise WmCliError(f"demo: {SETTINGS.resolve().parent} is of another --target; give another folder with --out")
    if kept != wanted:
        atomic_write_json(SETTINGS, wanted)


def carry_out(stages: Sequence[DemoStage]) -> None:
    """Run every stage that is not done, in order."""
    for number, stage in enumerate(stages, 1):
        _run(f"[{number:2}/{len(stages)}] {stage.title}", stage)


def _run(title: str, stage: DemoStage) -> None:
    if stage.lacks:
        output.out.print(f"{title}: left out, needs {stage.lacks}")
        return
    if stage.done:
        output.out.print(f"{title}: there already")
        return
    output.out.print(title)
    began = time.monotonic()
    stage.run()
    if not stage.output.exists():
        raise WmCliError(f"demo: stage {stage.title!r} left no {stage.output}; run again, or take its verb by hand")
    output.out.print(f"{'':8}{time.monotonic() - began:.1f} s")


def tell_left_out(stages: Sequence[DemoStage]) -> None:
    """Say what these stages lack, and what would get it."""
    for missing in sorted({stage.lacks for stage in stages}):
        output.out.print(
            f"left out for want of {missing}; get it with `{INSTALL_TOOLCHAIN}`, then run the same command",
        )


def train_stage(
    run: Path, inputs: Sequence[Path], config: Path | None, qat: bool, start: Path | None, **limits: Any
) -> None:
    """Train a run of the demo's dataset: further where an interrupted one was begun on the same inputs."""
    resume = run / "resume.pt"
    goes_on = resume.exists() and newer(resume, inputs)
    training.train_run(
        project.DATASET, run, config, qat, start, "yes" if goes_on else None, overwrite=not goes_on, **limits
    )


def ingesting(source: Path) -> DemoStage:
    """Replays become the dataset."""
    # An interrupted ingest writes META too; the kept figures say that it came to its end.
    return DemoStage("ingest the replays", figures_at("ingest"), (SETTINGS,), lambda: _ingest(source))


def _ingest(source: Path) -> None:
    report = data.read_replays([source], project.DATASET)
    output.out.print(f"{'':8}{report.games} games, {report.frames:,} frames; {len(report.rejected)} left out")
    project.keep_figures("ingest", asdict(report))


def evaluation(form: str, model: Path) -> DemoStage:
    """Figures of a run or QNet, the folder that `model` lies in, which are kept by its form."""
    return DemoStage(
        f"evaluate {form}",
        figures_at(f"evaluate-{form}"),
        (model,),
        lambda: measuring.evaluate_models([model.parent], project.DATASET, LIMIT)[0],
    )


def figures_at(name: str) -> Path:
    """The file of kept figures."""
    return project.FIGURES / f"{name}.json"


def kept_of(name: str) -> dict[str, Any]:
    """Figures that a stage has kept."""
    figures = project.kept_figures(name)
    if figures is None:
        raise WmCliError(f"{figures_at(name)}: not figures of this wmq; remove it and run the same command")
    return figures
