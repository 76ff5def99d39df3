"""Frames of a match in LiteSVM against the interpreter: every byte of every component."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_export.bolt.components import Values
from wm_export.bolt.svm_match import SvmMatch, Units
from wm_export.parity import Outcome
from wm_export.traces import Difference, first_difference

if TYPE_CHECKING:
    from wm_quant.interp import Interpreter
    from wm_train.measure.evaluate import Window

#: Name of the executor.
EXECUTOR = "bolt"


@dataclass
class Applied:
    """What a comparison found; and compute units of each apply, of every frame."""

    outcome: Outcome
    units: list[list[Units]] = field(default_factory=list)


def compare(
    match: SvmMatch,
    reference: "Interpreter",
    windows: "Window",
    inputs: NDArray[np.int8],
    progress: Callable[[], None] = lambda: None,
) -> Applied:
    """Worlds that run by themselves from windows, in a match each: inputs (T, B, 2, controls) of T frames."""
    name = EXECUTOR if len(inputs) == 1 else f"{EXECUTOR} rollout"
    found, states = Applied(Outcome(name)), reference.begin(windows)
    for number in range(inputs.shape[1]):
        state = states.at(slice(number, number + 1))
        match.load(state, windows.session[number])
        for t, following in enumerate(inputs[:, number]):
            found.units.append(match.frame(following))
            trace, after = reference.step(state, following[None])
            ruled = match.codec.ruled(state, reference.net.heads(trace))
            expected = match.codec.values(after.frame[0], ruled, following, t + 1)
            found.outcome.note(_difference(match, t, expected))
            state = after
            progress()
    return found


def _difference(match: SvmMatch, frame: int, expected: Mapping[str, Values]) -> Difference | None:
    authority = bytes(match.payer.pubkey())
    every = match.sliced.components.every
    got = {one.name: np.frombuffer(match.data(match.accounts[one.name]), np.uint8) for one in every}
    wanted = {one.name: np.frombuffer(one.account(expected[one.name], authority), np.uint8) for one in every}
    return first_difference(EXECUTOR, frame, got, wanted)
