"""Worlds that a model steps: shown true games, and then on their own. numpy only.

A **Stepper** takes Windows and returns next Frames, all integers; a network that remembers is a `Recurrent` instead.
Float networks, their QAT forms, QNets and the baselines are stepped by the same code.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.measure.recurrent import ALL, NONE, Recurrent, RecurrentWorlds, Walk
from wm_train.measure.window import Stepper, Window, window_at
from wm_train.world.encoding import Encoding

#: Anything that steps a world.
Model = Stepper | Recurrent
#: Windows that a stepper is given at a time, at most.
CHUNK = 4096


def chunks(t: Ints) -> Iterator[Ints]:
    """`t` in pieces of at most CHUNK."""
    yield from (t[i : i + CHUNK] for i in range(0, len(t), CHUNK))


@dataclass
class WindowWorlds:
    """B worlds that run by themselves, seen through their newest window."""

    step_window: Stepper
    window: Window

    def step(self, following: NDArray[np.int8]) -> NDArray[np.int32]:
        """The next Frames, given the inputs of that frame (B, 2, len(CONTROLS))."""
        seen = replace(self.window, following=following)
        frames = self.step_window(seen)
        self.window = seen.advanced(frames, following)
        return frames


#: Worlds that run by themselves.
Worlds = WindowWorlds | RecurrentWorlds


@dataclass(frozen=True)
class WindowWalk:
    """What Walk is to a network that remembers, for a stepper, which needs no more than the windows."""

    step_window: Stepper
    corpus: Corpus
    encoding: Encoding
    t: Ints
    starts: Ints

    def frames(self) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
        """See Walk."""
        for chunk in chunks(self.t):
            yield chunk, self.step_window(window_at(self.corpus, self.encoding, chunk))

    def worlds(self, some: slice = ALL) -> WindowWorlds:
        """See Walk."""
        return WindowWorlds(self.step_window, window_at(self.corpus, self.encoding, self.starts[some]))


def walk_of(model: Model, corpus: Corpus, encoding: Encoding, t: Ints, starts: Ints) -> Walk | WindowWalk:
    """True games shown to a model: its next Frames after frames `t`, and worlds that begin at `starts`."""
    if isinstance(model, Recurrent):
        return Walk(model, corpus, t, starts)
    return WindowWalk(model, corpus, encoding, t, starts)


def begin(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Worlds:
    """Worlds that stand at frames `t` (B,), and have seen the true game up to there."""
    walk = walk_of(model, corpus, encoding, NONE, t)
    deque(walk.frames(), 0)
    return walk.worlds()


def forced(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
    """(some of `t`, their next Frames) given the true past, until all of `t` has come."""
    return walk_of(model, corpus, encoding, t, NONE).frames()


def run(worlds: Worlds, inputs: Iterable[NDArray[np.int8]]) -> NDArray[np.int32]:
    """Frames (B, H, 2, len(STATE)) of worlds that run by themselves on H inputs (B, 2, len(CONTROLS)), which may be
    made as they are asked for."""
    return np.stack([worlds.step(following) for following in inputs], 1)


def true_inputs(corpus: Corpus, t: Ints, horizon: int) -> Iterator[NDArray[np.int8]]:
    """What the players really did in the `horizon` frames after `t`."""
    return (corpus.inputs[t + ahead] for ahead in range(1, horizon + 1))


def true_frames(corpus: Corpus, t: Ints, horizon: int) -> NDArray[np.int32]:
    """(B, horizon, 2, len(STATE)) what really followed frames `t`."""
    return corpus.frames[t[:, None] + np.arange(1, horizon + 1)]


def rollout(model: Model, corpus: Corpus, encoding: Encoding, t: Ints, horizon: int) -> NDArray[np.int32]:
    """Frames (B, horizon, 2, len(STATE)) of worlds that run by themselves from `t`; true inputs fed."""
    return run(begin(model, corpus, encoding, t), true_inputs(corpus, t, horizon))
