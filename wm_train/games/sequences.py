"""Whole games for training with carried state: lanes walk through games frame by frame, in chunks of equal length.

Epoch after epoch, the games stand in a shuffled queue. A lane that comes to the end of its game takes the next one from
the queue and goes on in the same row of the same chunk. So every game of an epoch is walked once, whole, by one lane,
and which frame stands where follows from the games' lengths, the number of lanes and the seed: a resumed run asks for
the step it stopped at. Finding a step costs one heap operation for each game before it; no game is read for that.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.order import shuffled
from wm_train.grid.arithmetic import Ints

Flags = NDArray[np.bool_]


class Chunk(NamedTuple):
    """One step's frames: B lanes, L frames each.

    frame  (B, L) int64  frame numbers in the games laid end to end, as in a Corpus of them
    reset  (B, L) bool   first frame of a game: what was carried so far belongs to another one
    valid  (B, L) bool   the same game has a next frame, which is number `frame + 1`
    """

    frame: Ints
    reset: Flags
    valid: Flags

    def and_next(self) -> Ints:
        """(B, L + 1) frame numbers: columns 0..L-1 are `frame`, columns 1..L what follows each where `valid`."""
        return np.concatenate([self.frame, self.frame[:, -1:] + self.valid[:, -1:]], 1)


class _Walk:
    """Which games each lane walks, from its frame 0 on; `visits[lane]` holds (frame it begins at, game)."""

    def __init__(self, lengths: Ints, lanes: int, seed: int) -> None:
        self.lengths: list[int] = lengths.tolist()
        self.seed = seed
        self.visits: list[list[tuple[int, int]]] = [[] for _ in range(lanes)]
        self.free = [(0, lane) for lane in range(lanes)]
        self.epoch = 0
        self.queue: list[int] = []

    def reach(self, first: int, end: int) -> None:
        """Go on until every lane has games up to frame `end`; forget those that end before frame `first`."""
        while self.free[0][0] < end:
            at, lane = self.free[0]
            game = self._next_game()
            self.visits[lane].append((at, game))
            heapq.heapreplace(self.free, (at + self.lengths[game], lane))
        self.visits = [[v for v in visits if v[0] + self.lengths[v[1]] > first] for visits in self.visits]

    def _next_game(self) -> int:
        if not self.queue:
            self.queue = shuffled(len(self.lengths), self.seed, self.epoch).tolist()
            self.epoch += 1
        return self.queue.pop()


class SequencePlan:
    """Which frames each step trains on. `lengths` are the games' frames, in the order of the Corpus they index."""

    def __init__(self, lengths: Sequence[int] | Ints, lanes: int, chunk: int, seed: int) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        if not len(self.lengths) or self.lengths.min() < 1 or lanes < 1 or chunk < 1:
            got = f"{len(self.lengths)} games, {lanes} lanes, chunks of {chunk}"
            raise WmTrainError(f"sequences: got {got}; expected at least one of each, and games of 1 frame or more")
        self.lanes, self.chunk, self.seed = lanes, chunk, seed
        self._starts = np.cumsum(self.lengths) - self.lengths
        self._walk = _Walk(self.lengths, lanes, seed)
        self._reached = 0

    def at(self, step: int) -> Chunk:
        """The chunk of a step, 0 or more: the same whatever was asked before. Steps in order are cheapest."""
        first = step * self.chunk
        if first < self._reached:
            self._walk = _Walk(self.lengths, self.lanes, self.seed)
        self._walk.reach(first, first + self.chunk)
        self._reached = first
        game, row = self._games_and_rows(first)
        return Chunk(self._starts[game] + row, row == 0, row + 1 < self.lengths[game])

    def _games_and_rows(self, first: int) -> tuple[Ints, Ints]:
        """Two (lanes, chunk): which game, and which of its frames."""
        game, begins = (np.zeros((self.lanes, self.chunk), np.int64) for _ in range(2))
        for lane, visits in enumerate(self._walk.visits):
            for at, number in visits:  # in order: each takes what the one before it leaves
                game[lane, max(at - first, 0) :], begins[lane, max(at - first, 0) :] = number, at
        return game, np.arange(first, first + self.chunk) - begins
