"""Frames of a match in LiteSVM against the interpreter: every byte of every component, and of what networks keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_export.bolt.components import CLOCK, Values
from wm_export.bolt.slices import Sliced
from wm_export.bolt.svm_match import SvmMatch, Units
from wm_export.parity import Outcome
from wm_export.traces import Difference, first_difference

if TYPE_CHECKING:
    from wm_quant.interp import Interpreter
    from wm_train.measure.window import Window

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
            memories = match.codec.memories(bytes(match.accounts[CLOCK]), t + 1, state, after)
            got = {name: match.data(account) for name, account in match.accounts.items()}
            kept = {key: match.data(match.memories[key]) for key in memories}
            authority = bytes(match.payer.pubkey())
            found.outcome.note(difference(EXECUTOR, t, match.sliced, got, expected, authority, kept, memories))
            state = after
            progress()
    return found


def difference(
    executor: str,
    frame: int,
    sliced: Sliced,
    got: Mapping[str, bytes],
    expected: Mapping[str, Values],
    authority: bytes,
    kept: Mapping[str, bytes] = MappingProxyType({}),
    memories: Mapping[str, bytes] = MappingProxyType({}),
) -> Difference | None:
    """Where accounts of components, and the first bytes of memories `kept`, by system, are not what they must be."""
    wanted = {one.name: one.account(expected[one.name], authority) for one in sliced.components.every}
    found = {name: got[name] for name in wanted}
    for key, memory in memories.items():
        wanted[f"{key} memory"], found[f"{key} memory"] = memory, kept[key][: len(memory)]
    return first_difference(executor, frame, _bytes(found), _bytes(wanted))


def _bytes(accounts: Mapping[str, bytes]) -> dict[str, NDArray[np.uint8]]:
    return {name: np.frombuffer(data, np.uint8) for name, data in accounts.items()}
