"""sequences.py: every lane walks whole games, every game of an epoch once, and any step can be asked for."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_train.errors import WmTrainError
from wm_train.games.order import shuffled
from wm_train.games.sequences import Chunk, SequencePlan
from wm_train.grid.arithmetic import Ints

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=7)


def walked(plan: SequencePlan, steps: int) -> Chunk:
    """The chunks of steps 0.. side by side: (lanes, steps * chunk)."""
    return Chunk(*(np.concatenate(parts, 1) for parts in zip(*map(plan.at, range(steps)), strict=True)))


def by_hand(lengths: Sequence[int], lanes: int, seed: int, frames: int) -> Ints:
    """(lanes, frames) frame numbers: frame by frame, the first lane without a game takes the next of the queue."""
    starts = np.cumsum([0, *lengths])
    queue: list[int] = []
    left: list[list[int]] = [[] for _ in range(lanes)]
    out, epoch = np.zeros((lanes, frames), np.int64), 0
    for frame in range(frames):
        for lane in range(lanes):
            if not left[lane]:
                if not queue:
                    queue, epoch = list(reversed(shuffled(len(lengths), seed, epoch))), epoch + 1
                game = queue.pop(0)
                left[lane] = list(range(starts[game], starts[game + 1]))
            out[lane, frame] = left[lane].pop(0)
    return out


@settings(max_examples=60)
@given(LENGTHS, st.integers(1, 5), st.integers(1, 9), st.integers(-3, 3))
def test_lanes_walk_whole_games_in_order(lengths: list[int], lanes: int, chunk: int, seed: int) -> None:
    index, reset, valid, visit = walked(SequencePlan(lengths, lanes, chunk, seed), 9)
    assert (index == by_hand(lengths, lanes, seed, 9 * chunk)).all()
    starts = np.cumsum([0, *lengths])
    assert (reset == np.isin(index, starts[:-1])).all()
    assert (valid == ~np.isin(index, starts[1:] - 1)).all()
    assert (index[:, 1:] == index[:, :-1] + 1)[valid[:, :-1]].all()
    assert (reset[:, 1:] == ~valid[:, :-1]).all() and reset[:, 0].all()
    assert sorted(visit[reset]) == list(range(reset.sum())) and (np.diff(visit, axis=1) != 0)[~reset[:, 1:]].sum() == 0


@settings(max_examples=40)
@given(LENGTHS, st.integers(1, 4), st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_any_step_is_the_same_whatever_was_asked_before(lengths: list[int], lanes: int, steps: list[int]) -> None:
    plan = SequencePlan(lengths, lanes, 5, seed=3)
    for step in steps:
        fresh = SequencePlan(lengths, lanes, 5, seed=3).at(step)
        assert all((a == b).all() for a, b in zip(plan.at(step), fresh, strict=True))


def test_every_game_is_met_once_an_epoch_and_epochs_differ() -> None:
    lengths = [7, 3, 11, 5, 8]
    index, reset, *_ = walked(SequencePlan(lengths, 1, 34, seed=0), 4)
    starts = (np.cumsum(lengths) - lengths).tolist()
    met = index[0][reset[0]].reshape(4, 5)
    assert all(sorted(epoch) == starts for epoch in met.tolist())
    assert len({tuple(epoch) for epoch in met.tolist()}) > 1
    assert Counter(index[0].tolist()) == Counter(list(range(34)) * 4)


def test_the_seed_and_the_number_of_lanes_decide_the_order() -> None:
    lengths = list(range(5, 25))
    indices = [SequencePlan(lengths, lanes, 400, seed).at(0).frame[:2] for lanes, seed in ((2, 0), (2, 1), (3, 0))]
    assert (indices[0] == SequencePlan(lengths, 2, 400, 0).at(0).frame).all()
    assert (indices[0] != indices[1]).any() and (indices[0] != indices[2]).any()


def test_what_is_behind_is_forgotten() -> None:
    plan = SequencePlan([4, 6, 5], 3, 8, seed=0)
    for step in range(200):
        plan.at(step)
    assert sum(map(len, plan._walk.visits)) <= 3 * 3 and len(plan._walk.queue) <= 3


@pytest.mark.parametrize(("lengths", "lanes", "chunk"), [([], 1, 1), ([3, 0], 1, 1), ([3], 0, 1), ([3], 1, 0)], ids=str)
def test_nothing_to_walk_is_an_error(lengths: list[int], lanes: int, chunk: int) -> None:
    with pytest.raises(WmTrainError, match="expected at least one"):
        SequencePlan(lengths, lanes, chunk, 0)
