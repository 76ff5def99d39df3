"""Worlds that remember: a network that reads one frame at a time and carries a memory. numpy only.

What `evaluate` asks of any world, answered for such a network: next Frames along true games, and worlds that begin
somewhere in a game with the memory of all of it up to there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.world.step import World, next_frames

#: Frames of each game that a network is given at once.
STRETCH = 256

#: Named arrays whose first axis is worlds; empty for a network that remembers nothing.
Memory = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Stretch:
    """L frames of B games, one after the other.

    frames (B, L, 2, len(STATE)), inputs and following (B, L, 2, len(CONTROLS)), session (B, S)
    """

    frames: NDArray[np.int32]
    inputs: NDArray[np.int8]
    following: NDArray[np.int8]
    session: Ints

    def windows(self) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int8]]:
        """frames and inputs (B * L, 1, 2, ·) and following (B * L, 2, ·): windows of one slot, game after game."""
        frames = self.frames.reshape(-1, 1, *self.frames.shape[2:])
        inputs = self.inputs.reshape(-1, 1, *self.inputs.shape[2:])
        return frames, inputs, self.following.reshape(-1, *self.following.shape[2:])


@runtime_checkable
class Recurrent(Protocol):
    """A network with a memory."""

    @property
    def world(self) -> World:
        """Encoding, of one slot, and heads."""

    def start(self, worlds: int) -> Memory:
        """Memory of worlds that have seen nothing."""

    def run(self, memory: Memory, stretch: Stretch) -> tuple[Ints, Memory]:
        """Heads (B, L, outputs) after each frame, and the memory after the last one; `memory` is left as it was."""


@dataclass
class RecurrentWorlds:
    """B worlds that run by themselves. frames (B, 2, len(STATE)) and inputs (B, 2, len(CONTROLS)) are the newest."""

    net: Recurrent
    memory: Memory
    frames: NDArray[np.int32]
    inputs: NDArray[np.int8]
    session: Ints

    def step(self, following: NDArray[np.int8]) -> NDArray[np.int32]:
        """The next Frames, given the inputs of that frame (B, 2, len(CONTROLS))."""
        now = Stretch(self.frames[:, None], self.inputs[:, None], following[:, None], self.session)
        heads, self.memory = self.net.run(self.memory, now)
        bounds = self.net.world.session_places(self.session)
        self.frames, self.inputs = next_frames(self.net.world, self.frames, heads[:, 0], bounds), following
        return self.frames


def _games(corpus: Corpus, t: Ints) -> tuple[Ints, Ints]:
    """First frame of each game that `t` touches, and one past the last frame that is needed of it."""
    touched, index = np.unique(corpus.game[t], return_inverse=True)
    last = np.zeros(len(touched), np.int64)
    np.maximum.at(last, index, t)
    return np.searchsorted(corpus.game, touched), last + 1


def _stretch(corpus: Corpus, net: Recurrent, at: Ints) -> Stretch:
    """Frames `at` (B, L); past the corpus' end the last one stands in."""
    following = np.minimum(at + 1, len(corpus.game) - 1)
    session = corpus.session(net.world.encoding, at[:, 0])
    return Stretch(corpus.frames[at], corpus.inputs[at], corpus.inputs[following], session)


def forced_heads(net: Recurrent, corpus: Corpus, t: Ints) -> Iterator[tuple[Ints, Ints]]:
    """(some of `t`, their heads): each game of `t` from its first frame on, the true past fed all along."""
    first, end = _games(corpus, t)
    wanted = np.zeros(len(corpus.game), bool)
    wanted[t] = True
    memory = net.start(len(first))
    for start in range(0, int((end - first).max()), STRETCH):
        at = np.minimum(first[:, None] + start + np.arange(STRETCH), end[:, None] - 1)
        heads, memory = net.run(memory, _stretch(corpus, net, at))
        # Past its end a game stands still and what comes out is not looked at.
        fresh = (np.arange(start, start + STRETCH) < (end - first)[:, None]) & wanted[at]
        if fresh.any():
            yield at[fresh], heads[fresh]


def forced(net: Recurrent, corpus: Corpus, t: Ints) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
    """(some of `t`, their next Frames), as forced_heads."""
    for at, heads in forced_heads(net, corpus, t):
        bounds = net.world.session_places(corpus.session(net.world.encoding, at))
        yield at, next_frames(net.world, corpus.frames[at], heads, bounds)


def begin(net: Recurrent, corpus: Corpus, t: Ints) -> RecurrentWorlds:
    """Worlds that stand at frames `t` (B,), ascending, with the memory of their games up to there."""
    first, end = _games(corpus, t)
    lane = np.searchsorted(first, t, "right") - 1
    ahead = t - first[lane]
    memory, seen = net.start(len(first)), 0
    kept = {name: np.empty((len(t), *values.shape[1:]), values.dtype) for name, values in memory.items()}
    for stop in np.unique(ahead):
        for start in range(seen, stop, STRETCH):
            at = np.minimum(first[:, None] + np.arange(start, min(start + STRETCH, stop)), end[:, None] - 1)
            _, memory = net.run(memory, _stretch(corpus, net, at))
        seen, here = stop, np.flatnonzero(ahead == stop)
        for name, values in kept.items():
            values[here] = memory[name][lane[here]]
    session = corpus.session(net.world.encoding, t)
    return RecurrentWorlds(net, kept, corpus.frames[t], corpus.inputs[t], session)
