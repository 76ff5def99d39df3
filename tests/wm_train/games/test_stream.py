"""stream.py: every window once an epoch, whatever the buffer; any step again; never more than two groups at a time."""

import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import random_corpus, still_corpus
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, window_counts
from wm_train.games.sequences import SequencePlan
from wm_train.games.store import HeldGames
from wm_train.games.stream import WindowBatch, WindowPlan, chunks, read_ahead, window_batches
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding

V22 = Encoding("v2.2", 3)
LENGTHS = [9, 14, 3, 21, 11, 8, 17]


class Copies(HeldGames):
    """Games that are read anew each time, as from a disk; knows how many of them are alive."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__(still_corpus(lengths))
        self.made: list[weakref.ref[Any]] = []
        self.most = self.read = 0

    def corpus(self, games: Sequence[int] | Ints) -> Corpus:
        at = np.concatenate([np.flatnonzero(self._corpus.game == game) for game in games])
        made = super().take(at)
        made = Corpus(made.frames, made.inputs, made.place, made.game, tuple(self.names[game] for game in games))
        self.made.append(weakref.ref(made.frames))
        self.read += 1
        self.most = max(self.most, sum(ref() is not None for ref in self.made))
        return made


def plan(batch: int = 4, buffer: int = 3, seed: int = 0, lengths: Sequence[int] = LENGTHS) -> WindowPlan:
    return WindowPlan(np.array(lengths), V22, batch, buffer, seed)


def seen(batches: Iterator[WindowBatch], count: int) -> list[tuple[int, list[int]]]:
    """(group, windows by number in all games) of some batches; frames hold their number, so that it can be told."""
    return [(b.group, b.corpus.frames[b.t, 0, 0].tolist()) for b in islice(batches, count)]


def numbered() -> HeldGames:
    corpus = still_corpus(LENGTHS)
    corpus.frames[:, 0, 0] = np.arange(len(corpus.game))
    return HeldGames(corpus)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 5))
def test_windows_are_counted_as_they_are_found(lengths: list[int], slots: int) -> None:
    encoding = Encoding("v2.2", slots)
    assert window_counts(np.array(lengths), encoding).sum() == len(still_corpus(lengths).windows(encoding))


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 8), st.integers(0, 3))
def test_an_epoch_has_each_window_at_most_once_and_leaves_out_what_fills_no_batch(
    batch: int, buffer: int, seed: int
) -> None:
    games, order = numbered(), plan(batch, buffer, seed)
    steps = order.batches(0)
    epoch = seen(window_batches(games, order, 0), int(steps.sum()))
    counted = Counter(window for _, windows in epoch for window in windows)
    every = set(games.corpus(range(7)).windows(V22).tolist())
    assert set(counted) <= every and max(counted.values()) == 1
    assert len(every) - len(counted) <= len(steps) * (batch - 1)
    assert max(len(order.games(0, group)) for group in range(len(steps))) <= buffer
    assert sorted(np.concatenate([order.games(0, group) for group in range(len(steps))])) == list(range(7))


@settings(max_examples=30)
@given(st.integers(0, 60), st.integers(1, 8))
def test_a_run_that_begins_at_a_step_sees_what_it_would_have_seen(step: int, buffer: int) -> None:
    games, order = numbered(), plan(4, buffer)
    assert seen(window_batches(games, order, step), 5) == seen(window_batches(games, order, 0), step + 5)[step:]


def test_groups_change_with_their_games_and_epochs_differ() -> None:
    order = plan(buffer=3)
    per_epoch = int(order.batches(0).sum())
    batches = list(islice(window_batches(numbered(), order, 0), 2 * per_epoch))
    groups: dict[int, set[int]] = {}
    for batch in batches:
        groups.setdefault(batch.group, set()).add(id(batch.corpus))
    assert list(groups) == list(range(6)) and all(len(corpora) == 1 for corpora in groups.values())
    assert batches[0].corpus.names != batches[per_epoch].corpus.names


def test_a_buffer_that_holds_everything_is_read_once() -> None:
    games, order = Copies(LENGTHS), plan(buffer=7)
    batches = list(islice(window_batches(games, order, 0), 5 * int(order.batches(0).sum())))
    assert games.read == 1 and {batch.group for batch in batches} == {0}
    per_epoch = int(order.batches(0).sum())
    assert batches[0].t.tolist() != batches[per_epoch].t.tolist()


def test_memory_holds_the_group_in_use_and_the_next() -> None:
    games, order = Copies([6] * 40), plan(batch=2, buffer=2, lengths=[6] * 40)
    for batch in islice(window_batches(games, order, 0), 200):
        assert len(batch.corpus.names) == 2
    assert games.read > 20 and games.most == 2


def test_the_seed_decides() -> None:
    first, again, other = (seen(window_batches(numbered(), plan(seed=seed), 0), 9) for seed in (0, 0, 1))
    assert first == again != other


def test_a_batch_larger_than_all_windows_is_all_windows() -> None:
    (one,) = seen(window_batches(numbered(), plan(batch=10_000, buffer=7), 3), 1)
    assert sorted(one[1]) == numbered().corpus(range(7)).windows(V22).tolist()


def test_games_too_short_are_an_error() -> None:
    with pytest.raises(WmTrainError, match="4 frames in a row"):
        plan(lengths=[3, 2])


def test_chunks_carry_their_frames_and_the_next() -> None:
    corpus = random_corpus(lengths=(13, 9, 6))
    games, order = HeldGames(corpus), SequencePlan([13, 9, 6], 2, 5, seed=0)
    for step, (chunk, rows) in enumerate(islice(chunks(games, order, 3), 6), 3):
        assert all((a == b).all() for a, b in zip(chunk, order.at(step), strict=True))
        frames = rows.frames.reshape(2, 6, *rows.frames.shape[1:])
        assert (frames[:, :5] == corpus.frames[chunk.frame]).all()
        assert (frames[:, 1:][chunk.valid] == corpus.frames[chunk.frame[chunk.valid] + 1]).all()


def test_errors_of_a_read_come_where_its_result_would() -> None:
    def read(key: int) -> int:
        if key == 2:
            raise WmTrainError("gone")
        return key * 10

    reads = read_ahead(read, range(5))
    assert [next(reads), next(reads)] == [(0, 0), (1, 10)]
    with pytest.raises(WmTrainError, match="gone"):
        next(reads)
