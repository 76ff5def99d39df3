"""Whole games for training with carried state: lanes walk through games frame by frame, in chunks of equal length.

Epoch after epoch, the games stand in a shuffled queue. A lane that comes to the end of its game takes the next one from
the queue and goes on in the same row of the same chunk. So every game of an epoch is walked once, whole, by one lane,
and which frame stands where follows from the games' lengths, the number of lanes and the seed: a resumed run asks for
the step it stopped at. Finding a step costs one heap operation for each game before it; no game is read for that.

With **moments**, a share of the lanes walks from one of them to the next instead, a few frames around each.
"""

import heapq
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.order import shuffled
from wm_train.grid.arithmetic import Ints

Flags = NDArray[np.bool_]
#: Frames before a moment at which a lane begins, from and below, and frames after it.
BEFORE, AFTER = (16, 48), 16
#: Sets draws around moments apart from others of the same seed.
_DRAWS = 0xA0A0


class Moments(NamedTuple):
    """Of each kind, (M,) frame numbers, ascending, in the games laid end to end; the share of lanes around them."""

    kinds: tuple[Ints, ...]
    share: float


class Chunk(NamedTuple):
    """One step's frames: B lanes, L frames each.

    frame  (B, L) int64  frame numbers in the games laid end to end, as in a Corpus of them
    reset  (B, L) bool   first frame of a visit: what was carried so far belongs to another one
    valid  (B, L) bool   the same visit has a next frame, which is number `frame + 1`
    visit  (B, L) int64  how many visits were begun before this one, in all lanes; one is a walk through a game, or
                         through a few frames around a moment
    """

    frame: Ints
    reset: Flags
    valid: Flags
    visit: Ints

    def and_next(self) -> Ints:
        """(B, L + 1) frame numbers: columns 0..L-1 are `frame`, columns 1..L what follows each where `valid`."""
        return np.concatenate([self.frame, self.frame[:, -1:] + self.valid[:, -1:]], 1)

    def visit_and_next(self) -> Ints:
        """(B, L + 1) visits of the frames of `and_next`."""
        return np.concatenate([self.visit, self.visit[:, -1:]], 1)


class _Visit(NamedTuple):
    """A lane's walk: the frame of the lane that it begins at, number of the first frame, frames, number of the walk."""

    at: int
    first: int
    length: int
    number: int


@lru_cache(64)
def _order(count: int, seed: int, kind: int, epoch: int) -> Ints:
    """(count,) the order in which the moments of a kind are shown."""
    return shuffled(count, seed, _DRAWS, kind, epoch)


def _around(moments: Moments, number: int, ends: Ints, seed: int) -> tuple[int, int]:
    """(first frame, frames) of the window number `number` around a moment: each kind in turn. `ends` (G,) are the frame
    numbers at which games end."""
    turn, kind = divmod(number, len(moments.kinds))
    epoch, place = divmod(turn, len(moments.kinds[kind]))
    moment = int(moments.kinds[kind][_order(len(moments.kinds[kind]), seed, kind, epoch)[place]])
    game = int(np.searchsorted(ends, moment, side="right"))
    before = int(np.random.default_rng((seed % (1 << 64), _DRAWS, number)).integers(*BEFORE))
    first = max(moment - before, int(ends[game - 1]) if game else 0)
    return first, min(moment + AFTER + 1, int(ends[game])) - first


class _Walk:
    """What each lane walks, from its frame 0 on; `visits[lane]` are in order. The first lanes walk around moments."""

    def __init__(self, lengths: Ints, lanes: int, seed: int, moments: Moments | None) -> None:
        self.lengths: list[int] = lengths.tolist()
        self.ends: Ints = np.cumsum(lengths)
        self.moments, self.shown = moments, 0
        self.around = min(lanes, max(1, round(lanes * moments.share))) if moments else 0
        self.seed = seed
        self.visits: list[list[_Visit]] = [[] for _ in range(lanes)]
        self.begun = 0
        self.free = [(0, lane) for lane in range(lanes)]
        self.epoch = 0
        self.queue: list[int] = []

    def reach(self, first: int, end: int) -> None:
        """Go on until every lane has games up to frame `end`; forget those that end before frame `first`."""
        while self.free[0][0] < end:
            at, lane = self.free[0]
            start, length = self._next_moment() if lane < self.around else self._next_game()
            self.visits[lane].append(_Visit(at, start, length, self.begun))
            self.begun += 1
            heapq.heapreplace(self.free, (at + length, lane))
        self.visits = [[v for v in visits if v.at + v.length > first] for visits in self.visits]

    def _next_moment(self) -> tuple[int, int]:
        assert self.moments
        self.shown += 1
        return _around(self.moments, self.shown - 1, self.ends, self.seed)

    def _next_game(self) -> tuple[int, int]:
        if not self.queue:
            self.queue = shuffled(len(self.lengths), self.seed, self.epoch).tolist()
            self.epoch += 1
        game = self.queue.pop()
        return int(self.ends[game]) - self.lengths[game], self.lengths[game]


class SequencePlan:
    """Which frames each step trains on. `lengths` are the games' frames, in the order of the Corpus they index."""

    def __init__(
        self, lengths: Sequence[int] | Ints, lanes: int, chunk: int, seed: int, moments: Moments | None = None
    ) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        if not len(self.lengths) or self.lengths.min() < 1 or lanes < 1 or chunk < 1:
            got = f"{len(self.lengths)} games, {lanes} lanes, chunks of {chunk}"
            raise WmTrainError(f"sequences: got {got}; expected at least one of each, and games of 1 frame or more")
        self.lanes, self.chunk, self.seed, self._moments = lanes, chunk, seed, moments
        self._walk = _Walk(self.lengths, lanes, seed, moments)
        self._reached = 0

    def longer(self, times: int) -> "SequencePlan":
        """One whose chunks hold those of so many steps of this one's."""
        return SequencePlan(self.lengths, self.lanes, self.chunk * times, self.seed, self._moments)

    def at(self, step: int) -> Chunk:
        """The chunk of a step, 0 or more: the same whatever was asked before. Steps in order are cheapest."""
        first = step * self.chunk
        if first < self._reached:
            self._walk = _Walk(self.lengths, self.lanes, self.seed, self._moments)
        self._walk.reach(first, first + self.chunk)
        self._reached = first
        begins, start, length, number = self._visits(first)
        row = np.arange(first, first + self.chunk) - begins
        return Chunk(start + row, row == 0, row + 1 < length, number)

    def _visits(self, first: int) -> Ints:
        """(4, lanes, chunk): the _Visit of each frame."""
        out = np.zeros((4, self.lanes, self.chunk), np.int64)
        for lane, visits in enumerate(self._walk.visits):
            for visit in visits:  # in order: each takes what the one before it leaves
                out[:, lane, max(visit.at - first, 0) :] = np.array(visit)[:, None]
        return out
