"""The same frames through two executors, compared whole: every tensor and every byte of the next Frame.

Teacher-forced: each frame starts from the reference's State. Rollouts: each executor feeds on its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wm_export.traces import Difference, first_difference

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace


class Executor(Protocol):
    """Anything that steps worlds."""

    def step(self, state: "State", following: NDArray[np.int8]) -> "tuple[Trace, State]":
        """One frame: Trace and next State."""


@dataclass(frozen=True)
class Recording:
    """Worlds to run: `state` of B worlds, inputs (T, B, 2, len(game.controls)) int8 of the T frames that follow."""

    state: "State"
    inputs: NDArray[np.int8]


@dataclass
class Outcome:
    """What a comparison found; `mismatches` counts frames that differ anywhere."""

    executor: str
    frames: int = 0
    mismatches: int = 0
    first: Difference | None = None

    def note(self, difference: Difference | None) -> None:
        """Count one frame."""
        self.frames += 1
        self.mismatches += difference is not None
        self.first = self.first or difference

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        first = self.first.to_json() if self.first else None
        return {
            "executor": self.executor,
            "frames": self.frames,
            "mismatches": self.mismatches,
            "first_difference": first,
        }


def as_tensors(trace: "Trace", state: "State") -> "Trace":
    """A frame's outcome as named tensors: the Trace and the State after it."""
    kept = {name: values for name, values in trace.items() if name not in ("codes", "ids")}
    frame = state.frame.reshape(len(state.frame), -1).astype(np.int64)
    return kept | {"frame": frame, "next codes": state.codes, "next ids": state.ids}


def _row(tensors: "Trace", index: int) -> "Trace":
    return {name: values[index : index + 1] for name, values in tensors.items()}


def teacher_forced(
    name: str,
    executor: Executor,
    reference: Executor,
    recording: Recording,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Compare the first frame of every world of a recording, one world at a time."""
    outcome, inputs = Outcome(name), recording.inputs[0]
    expected = as_tensors(*reference.step(recording.state, inputs))
    for index in range(inputs.shape[0]):
        part = slice(index, index + 1)
        got = as_tensors(*executor.step(recording.state.at(part), inputs[part]))
        outcome.note(first_difference(name, index, got, _row(expected, index)))
        progress()
    return outcome


def rollouts(
    name: str,
    executor: Executor,
    reference: Executor,
    recording: Recording,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Compare every frame of worlds that run by themselves."""
    outcome = Outcome(name)
    for index in range(recording.inputs.shape[1]):
        mine = theirs = recording.state.at(slice(index, index + 1))
        for frame, (got, expected) in enumerate(
            _together(executor, reference, mine, theirs, recording.inputs[:, [index]])
        ):
            outcome.note(first_difference(name, frame, got, expected))
            progress()
    return outcome


def _together(
    executor: Executor, reference: Executor, mine: "State", theirs: "State", inputs: NDArray[np.int8]
) -> "Iterator[tuple[Trace, Trace]]":
    for following in inputs:
        trace, mine = executor.step(mine, following)
        expected, theirs = reference.step(theirs, following)
        yield as_tensors(trace, mine), as_tensors(expected, theirs)
