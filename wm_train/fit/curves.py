"""A run's reports as TensorBoard curves, in RUN/curves.tfevents, where the tensorboard package is installed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CURVES = "curves.tfevents"


def scalars(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(curve, value) of one report."""
    yield "learning_rate", report["learning_rate"]
    yield "frames_per_second", report["frames_per_second"]
    for name, parts in (("loss", report["losses"]), ("held_out", report["held_out"] or {})):
        if parts:
            yield name, sum(parts.values())
        yield from ((f"{name}/{part}", value) for part, value in parts.items())


class Curves:
    """Event file of a run that began at `started` (seconds since 1970); an older one is written over."""

    def __init__(self, run: Path, started: float) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary, self._started = event_pb2.Event, summary_pb2.Summary, started
        self._records = RecordWriter((run / CURVES).open("wb"))
        self._records.write(self._event(wall_time=started, file_version="brain.Event:2").SerializeToString())

    def add(self, report: Mapping[str, Any]) -> None:
        """One point of every curve; on disk when this returns."""
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars(report)]
        when = self._started + report["seconds"]
        event = self._event(wall_time=when, step=report["step"], summary=self._summary(value=values))
        self._records.write(event.SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """The end of the file."""
        self._records.close()


def open_curves(run: Path, started: float) -> Curves | None:
    """Curves, or None without tensorboard."""
    try:
        return Curves(run, started)
    except ModuleNotFoundError:
        return None
