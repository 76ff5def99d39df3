"""Batches out of more games than memory holds: shuffled within a buffer of games, the next one being read ahead.

Which windows a step sees follows from the games' lengths and the seed alone:

    epoch -> games shuffled -> cut into groups of at most `buffer` games -> windows of a group shuffled -> batches

so a resumed run reads one group and goes on. Where all games fit into one group it is read once and stays.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import NamedTuple, TypeVar

import numpy as np

from wm_train.errors import WmTrainError
from wm_train.games.augment import Augment
from wm_train.games.corpus import Corpus, window_counts
from wm_train.games.order import shuffled
from wm_train.games.sequences import Chunk, SequencePlan
from wm_train.games.store import Games
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding

K = TypeVar("K")
V = TypeVar("V")


class WindowBatch(NamedTuple):
    """One step: windows of `corpus` that end at frames `t` (batch,) int64. `group` changes when `corpus` does."""

    group: int
    corpus: Corpus
    t: Ints


class Place(NamedTuple):
    """Where a step is: its epoch, the group in the epoch, the batch in the group."""

    epoch: int
    group: int
    batch: int


class WindowPlan:
    """Which windows each step trains on."""

    def __init__(self, lengths: Ints, encoding: Encoding, batch: int, buffer: int, seed: int) -> None:
        self.encoding, self.seed = encoding, seed
        self._counts = window_counts(np.asarray(lengths, np.int64), encoding)
        total = int(self._counts.sum())
        if not total:
            raise WmTrainError(f"no game has {encoding.span + 1} frames in a row; ingest longer games")
        self.batch = min(batch, total)
        self.groups = -(-len(self._counts) // buffer)

    def games(self, epoch: int, group: int) -> Ints:
        """(games,) numbers of the games of a group, ascending."""
        order = shuffled(len(self._counts), self.seed, epoch)
        return np.sort(np.array_split(order, self.groups)[group])

    def visits(self, place: Place) -> Ints:
        """(games,) a number for each of a group's games that no game of another group or epoch has."""
        return place.epoch * len(self._counts) + self.games(place.epoch, place.group)

    def batches(self, epoch: int) -> Ints:
        """(groups,) full batches in each group; what is left over of a group is not seen in that epoch."""
        order = shuffled(len(self._counts), self.seed, epoch)
        windows = [int(self._counts[games].sum()) for games in np.array_split(order, self.groups)]
        # A group of fewer windows than a batch would never be seen: it is one smaller batch.
        return np.array([max(n // self.batch, min(n, 1)) for n in windows], np.int64)

    def place(self, step: int) -> Place:
        """Where a step is. No game is read for it."""
        for epoch in count():
            ends = np.cumsum(self.batches(epoch))
            if step < ends[-1]:
                group = int(np.searchsorted(ends, step, side="right"))
                return Place(epoch, group, step - int(ends[group - 1] if group else 0))
            step -= int(ends[-1])
        raise AssertionError

    def next_group(self, place: Place) -> Place:
        """The beginning of the group after that of `place`."""
        return Place(*divmod(place.epoch * self.groups + place.group + 1, self.groups), 0)

    def windows(self, corpus: Corpus, place: Place) -> Iterator[Ints]:
        """(batch,) ends of windows, batch by batch, from `place` to the end of its group, of which `corpus` is."""
        ends = corpus.windows(self.encoding)
        ends = ends[shuffled(len(ends), self.seed, place.epoch, place.group)]
        for batch in range(place.batch, int(self.batches(place.epoch)[place.group])):
            yield ends[batch * self.batch : (batch + 1) * self.batch]


def window_batches(games: Games, plan: WindowPlan, step: int, augment: Augment | None = None) -> Iterator[WindowBatch]:
    """The batches of steps `step`, `step` + 1 and so on without end. Holds the group in use and the next one. With
    `augment`, each game of a group is turned anew in each epoch."""
    place, read = plan.place(step), _group_reader(games, plan, augment)
    corpus = read(place)
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        while True:
            following, coming = plan.next_group(place), None
            number = place.epoch * plan.groups + place.group if plan.groups > 1 or augment else 0
            for t in plan.windows(corpus, place):
                yield WindowBatch(number, corpus, t)
                # Not before: until now the caller has held the last batch of the group before this one.
                coming = coming or thread.submit(read, following)
            corpus, place = coming.result() if coming else read(following), following


def _group_reader(games: Games, plan: WindowPlan, augment: Augment | None) -> Callable[[Place], Corpus]:
    read = _read_group(games, plan)
    if augment is None:
        return read

    def turned(place: Place) -> Corpus:
        corpus = read(place)
        return augment.turned(corpus, plan.visits(place)[corpus.game])

    return turned


def _read_group(games: Games, plan: WindowPlan) -> Callable[[Place], Corpus]:
    if plan.groups > 1:
        return lambda place: games.corpus(plan.games(place.epoch, place.group))
    only = games.corpus(plan.games(0, 0))
    return lambda place: only


def chunks(
    games: Games, plan: SequencePlan, step: int, augment: Augment | None = None
) -> Iterator[tuple[Chunk, Corpus]]:
    """The chunks of steps `step`, `step` + 1 and so on without end, each with the frames of `Chunk.and_next()`. With
    `augment`, each game is turned anew where a lane begins with it.

    The Corpus has lanes * (chunk + 1) rows, lane by lane.
    """

    def read(chunk: Chunk) -> Corpus:
        corpus = games.take(chunk.and_next())
        return augment.turned(corpus, chunk.visit_and_next().ravel()) if augment else corpus

    return read_ahead(read, map(plan.at, count(step)))


def read_ahead(read: Callable[[K], V], keys: Iterable[K]) -> Iterator[tuple[K, V]]:
    """(key, read(key)) of each key in order; the next is read in a thread while one is in use. Errors of `read` raise
    where its result would have come."""
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        coming: tuple[K, Future[V]] | None = None
        for key in keys:
            following = key, thread.submit(read, key)
            if coming:
                yield coming[0], coming[1].result()
            coming = following
        if coming:
            yield coming[0], coming[1].result()
