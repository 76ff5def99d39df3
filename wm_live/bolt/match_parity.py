"""A match on the real rollup against the interpreter: every byte of every component, and of what networks keep, after
every frame."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.bolt.component_parity import difference
from wm_export.bolt.components import CLOCK
from wm_export.bolt.match_state import MatchCodec
from wm_export.parity import Outcome
from wm_live.bench.pace import percentiles
from wm_live.bolt.rollup_match import RollupMatch, Spent
from wm_live.errors import WmLiveError
from wm_quant.interp import Interpreter
from wm_train.measure.window import Window

#: Name of the executor.
EXECUTOR = "bolt er"


@dataclass
class Compared:
    """What a comparison of matches found, and what each frame took."""

    outcome: Outcome = field(default_factory=lambda: Outcome(f"{EXECUTOR} rollout"))
    spent: list[Spent] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Figures; compute units are the most of any frame, times are medians, transactions are those of the last."""
        first, seconds = self.outcome.first, [one.seconds for one in self.spent]
        return {
            "rollout_frames": self.outcome.frames,
            "executors": ["interp", EXECUTOR],
            "mismatches": self.outcome.mismatches,
            "first_difference": first.to_json() if first else None,
            "outcomes": [self.outcome.to_json()],
            "transactions": self.spent[-1].transactions,
            "frame_cu": max(one.cu for one in self.spent),
            "frame_ms": percentiles([1e3 * one for one in seconds]),
            "fps": round(1 / float(np.median(seconds)), 1),
        }


async def compare(
    match: RollupMatch, found: Compared, window: Window, inputs: NDArray[np.int8], progress: Callable[[], None]
) -> None:
    """Play a match that was made, from the newest Frame of a window (batch of one), on inputs (T, 2, controls), and
    compare each frame; then end it. WmLiveError if the base chain gets other components back."""
    net = match.export.net
    codec, reference, authority = MatchCodec(match.export.sliced), Interpreter(net), bytes(match.match.scene.payer)
    state = reference.begin(standing(window))
    await match.begin(window.session[0], window.now[0])
    for number, following in enumerate(inputs):
        found.spent.append(await match.frame(following))
        trace, after = reference.step(state, following[None])
        values = codec.values(after.frame[0], codec.ruled(state, net.heads(trace)), following, number + 1)
        memories = codec.memories(bytes(match.match.accounts[CLOCK]), number + 1, state, after)
        got, kept = await match.components(match.rollup), await match.memories(match.rollup)
        noted = difference(EXECUTOR, number, match.export.sliced, got, values, authority, kept, memories)
        found.outcome.note(noted)
        state = after
        progress()
    last = await match.components(match.rollup)
    await match.end()
    if await match.components(match.base) != last:
        raise WmLiveError(f"{match.base.url}: components came back from the rollup, and are not what they were there")


def standing(window: Window) -> Window:
    """A window that the newest Frame fills, while nobody presses anything: what a match begins with."""
    frames, inputs = np.broadcast_to(window.frames[:, -1:], window.frames.shape), np.zeros_like(window.inputs)
    return Window(frames.copy(), inputs, np.zeros_like(window.following), window.session)
