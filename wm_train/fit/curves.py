"""A run's reports as curves: for TensorBoard in RUN/curves.tfevents, where that package is installed; and in a project
of Weights & Biases, where `train.wandb` names one."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from wm_train.errors import WmTrainError

CURVES = "curves.tfevents"


def scalars(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(curve, value) of one report."""
    yield "learning_rate", report["learning_rate"]
    yield "frames_per_second", report["frames_per_second"]
    for name, parts in (("loss", report["losses"]), ("held_out", report["held_out"] or {})):
        if parts:
            yield name, sum(parts.values())
        yield from ((f"{name}/{part}", value) for part, value in parts.items())
    # A run that an older wmq began has reports without it.
    yield from ((f"alone/{name}", value) for name, value in (report.get("alone") or {}).items())


class Curves(Protocol):
    """Where the curves of a run go."""

    def add(self, report: Mapping[str, Any]) -> None:
        """One point of every curve."""

    def close(self) -> None:
        """Their end."""


class TensorBoardCurves:
    """Event file of a run that began at `started` (seconds since 1970); an older one is written over."""

    def __init__(self, run: Path, started: float) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary, self._started = event_pb2.Event, summary_pb2.Summary, started
        self._records = RecordWriter((run / CURVES).open("wb"))
        self._records.write(self._event(wall_time=started, file_version="brain.Event:2").SerializeToString())

    def add(self, report: Mapping[str, Any]) -> None:
        """See Curves; on disk when this returns."""
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars(report)]
        when = self._started + report["seconds"]
        event = self._event(wall_time=when, step=report["step"], summary=self._summary(value=values))
        self._records.write(event.SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """See Curves."""
        self._records.close()


class WandbCurves:
    """A run of a project of Weights & Biases, named as the run folder; a run that is resumed goes on there.

    WmTrainError where wandb refuses to begin.
    """

    def __init__(self, run: Path, started: float, project: str, config: Mapping[str, Any]) -> None:
        import wandb

        name = hashlib.sha256(f"{run.resolve()} {started}".encode()).hexdigest()[:16]
        quiet = wandb.Settings(console="off", silent=True)
        try:
            self._run = wandb.init(
                project=project, name=run.name, id=name, resume="allow", config=dict(config), settings=quiet
            )
        except wandb.Error as error:
            raise WmTrainError(
                f"config: train.wandb = {project}: {error}; mend that, set WANDB_MODE=offline, or leave the key out"
            ) from None

    def add(self, report: Mapping[str, Any]) -> None:
        """See Curves; what is there of a run that was resumed stays as it is."""
        if report["step"] >= self._run.step:
            self._run.log(dict(scalars(report)), step=report["step"])

    def close(self) -> None:
        """See Curves."""
        self._run.finish()


def need_wandb(project: str) -> None:
    """WmTrainError where a project is named and the package is not there."""
    try:
        if project:
            import wandb  # noqa: F401
    except ModuleNotFoundError:
        raise WmTrainError(
            f'config: train.wandb = {project}: the package wandb is not installed; `pip install "wmq[wandb]"` gets it, '
            "or leave the key out"
        ) from None


def open_curves(run: Path, started: float, config: Mapping[str, Any]) -> list[Curves]:
    """Those of a run: for TensorBoard if it is installed, in a project of Weights & Biases if the config names one."""
    found: list[Curves] = []
    # First, as it may be refused: then no file is open yet.
    if project := config["train"].get("wandb"):
        found.append(WandbCurves(run, started, project, config))
    with suppress(ModuleNotFoundError):
        found.append(TensorBoardCurves(run, started))
    return found
