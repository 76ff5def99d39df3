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

#: Frames of each game that a network is given at once, and at whose borders its memory can be taken.
STRETCH = 64

#: No frames, and all of some.
NONE, ALL = np.zeros(0, np.int64), slice(None)

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


def _stretch(corpus: Corpus, net: Recurrent, at: Ints) -> Stretch:
    """Frames `at` (B, L); past the corpus' end the last one stands in."""
    following = np.minimum(at + 1, len(corpus.game) - 1)
    session = corpus.session(net.world.encoding, at[:, 0])
    return Stretch(corpus.frames[at], corpus.inputs[at], corpus.inputs[following], session)


class Walk:
    """Games of a corpus, fed to a network from their first frames on and the true past all along: the heads after some
    frames, and worlds that begin at some. A game is walked once, for whatever is asked of it.

    t       frames whose heads `heads` gives
    starts  (B,) where the worlds of `worlds` stand
    """

    def __init__(self, net: Recurrent, corpus: Corpus, t: Ints, starts: Ints) -> None:
        self._net, self._corpus, self._starts = net, corpus, starts
        asked = np.concatenate([t, starts])
        games, lane = np.unique(corpus.game[asked], return_inverse=True)
        self._first, self._last = np.searchsorted(corpus.game, games), np.zeros(len(games), np.int64)
        np.maximum.at(self._last, lane, asked)
        self._wanted = np.zeros(len(corpus.game), bool)
        self._wanted[t] = True
        self._lane, ahead = lane[len(t) :], (asked - self._first[lane])
        self._border, self._further = np.divmod(ahead[len(t) :], STRETCH)
        #: Frames of each game to walk: to the last whose heads are wanted, or the last border that a world boards at.
        self._length = max(ahead[: len(t)].max(initial=-1) + 1, STRETCH * self._border.max(initial=0))
        self._memory: dict[str, NDArray[Any]] = {}
        self._walked = False

    def heads(self) -> Iterator[tuple[Ints, Ints]]:
        """(some of `t`, their heads), until all of `t` has come."""
        memory = self._net.start(len(self._first))
        for start in range(0, self._length + 1, STRETCH):
            self._board(start // STRETCH, memory)
            frames = np.arange(start, min(start + STRETCH, self._length))
            if not len(frames):  # the walk ends at a border, where only memory is taken
                break
            # Past the last frame that is asked of it a game stands still, and what comes out is not looked at.
            at = np.minimum(self._first[:, None] + frames, self._last[:, None])
            heads, memory = self._net.run(memory, _stretch(self._corpus, self._net, at))
            fresh = (self._first[:, None] + frames <= self._last[:, None]) & self._wanted[at]
            if fresh.any():
                yield at[fresh], heads[fresh]
        self._walked = True

    def frames(self) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
        """(some of `t`, their next Frames), until all of `t` has come."""
        world, corpus = self._net.world, self._corpus
        for at, heads in self.heads():
            bounds = world.session_places(corpus.session(world.encoding, at))
            yield at, next_frames(world, corpus.frames[at], heads, bounds)

    def _board(self, border: int, memory: Memory) -> None:
        """Worlds take their games' memory at the last border before their starts."""
        here = self._border == border
        for name, values in memory.items():
            kept = self._memory.setdefault(name, np.empty((len(here), *values.shape[1:]), values.dtype))
            kept[here] = values[self._lane[here]]

    def worlds(self, some: slice = ALL) -> RecurrentWorlds:
        """Worlds that stand at some of `starts`, with the memory of all before; once all heads were given."""
        assert self._walked, "worlds have their memory when all heads have been given"
        memory = {name: values[some].copy() for name, values in self._memory.items()}
        t, further, seen = self._starts[some], self._further[some], 0
        for stop in np.unique(further[further > 0]):
            rows = further >= stop
            at = (t - further)[rows, None] + np.arange(seen, stop)
            before = {name: values[rows] for name, values in memory.items()}
            _, after = self._net.run(before, _stretch(self._corpus, self._net, at))
            for name, values in after.items():
                memory[name][rows] = values
            seen = stop
        session = self._corpus.session(self._net.world.encoding, t)
        return RecurrentWorlds(self._net, memory, self._corpus.frames[t], self._corpus.inputs[t], session)
