"""The same frames through two executors, compared whole: every tensor and every byte of the next Frame.

Teacher-forced: each frame starts from true frames, and from what the reference's network keeps by then. Rollouts: each
executor feeds on its own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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
    executors: Mapping[str, Executor],
    reference: Executor,
    recordings: Iterable[Recording],
    progress: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Compare the first frame of every world of each recording; of each executor, by its name, an Outcome.

    recordings  the same worlds at successive true frames: what the network keeps goes from each to the next, and the
                reference says it
    """
    outcomes = [Outcome(name) for name in executors]
    kept: Mapping[str, Any] | None = None
    for recording in recordings:
        state, inputs = recording.state if kept is None else replace(recording.state, memory=kept), recording.inputs[0]
        trace, after = reference.step(state, inputs)
        expected, kept = as_tensors(trace, after), after.memory
        for outcome, executor in zip(outcomes, executors.values(), strict=True):
            for index in range(inputs.shape[0]):
                part = slice(index, index + 1)
                got = as_tensors(*executor.step(state.at(part), inputs[part]))
                outcome.note(first_difference(outcome.executor, outcome.frames, got, _row(expected, index)))
                progress()
    return outcomes


def rollouts(
    executors: Mapping[str, Executor],
    reference: Executor,
    recording: Recording,
    progress: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Compare every frame of worlds that run by themselves, one world after the other; of each executor an Outcome."""
    outcomes = [Outcome(name) for name in executors]
    for index in range(recording.inputs.shape[1]):
        theirs = recording.state.at(slice(index, index + 1))
        states = dict.fromkeys(executors, theirs)
        for frame, following in enumerate(recording.inputs[:, [index]]):
            trace, theirs = reference.step(theirs, following)
            expected = as_tensors(trace, theirs)
            for outcome, (name, executor) in zip(outcomes, executors.items(), strict=True):
                trace, states[name] = executor.step(states[name], following)
                outcome.note(first_difference(name, frame, as_tensors(trace, states[name]), expected))
                progress()
    return outcomes
