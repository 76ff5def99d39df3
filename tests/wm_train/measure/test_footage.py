"""footage.py: the past of a frame, never across the border of two worlds."""

import numpy as np

from tests.factories import ONE, still_corpus
from wm_train.measure.footage import Footage, by_world, footage, with_past
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee import GAME

X, STOCKS = STATE_INDEX["x"], STATE_INDEX["stocks"]


def worlds(*lengths: int) -> Footage:
    return footage(GAME, still_corpus(lengths))


def player0(length: int, *at: int) -> np.ndarray:
    """(length, 2) flags of player 0."""
    flags = np.zeros((length, 2), bool)
    flags[list(at), 0] = True
    return flags


def test_a_change_is_from_the_frame_before_in_the_same_world() -> None:
    games = worlds(3, 2)
    games.frames[:, 0, X] = np.array([5, 7, 4, 9, 9]) * ONE
    assert games.change("x")[:, 0].tolist() == [0, 2 * ONE, -3 * ONE, 0, 0]
    assert games.value("x")[:, 0].tolist() == [5, 7, 4, 9, 9] and not games.change("x")[:, 1].any()


def test_lately_looks_back_so_many_frames() -> None:
    games = worlds(6, 3)
    assert games.lately(player0(9, 1, 5), 3)[:, 0].astype(int).tolist() == [0, 1, 1, 1, 0, 1, 0, 0, 0]
    assert not games.lately(player0(9, 1), 3)[:, 1].any()


def test_in_a_row_counts_from_the_last_break() -> None:
    games = worlds(5, 4)
    flags = player0(9, 0, 1, 3, 4, 5, 6)
    assert games.in_a_row(flags)[:, 0].tolist() == [1, 2, 0, 1, 2, 1, 2, 0, 0]


def test_worlds_stand_behind_the_true_frames_that_led_to_them() -> None:
    corpus = still_corpus((10, 10))
    corpus.frames[:, 0, X] = np.arange(20) * ONE
    corpus.place[10:] = 7
    shown = np.full((2, 2, *corpus.frames.shape[1:]), 99 * ONE, np.int32)
    games, own = with_past(GAME, corpus, np.array([2, 14]), shown, 4)
    # The first world's past is shorter than four frames: the game's first frame stands in.
    assert games.value("x")[:, 0].tolist() == [0, 0, 1, 2, 99, 99, 11, 12, 13, 14, 99, 99]
    assert own.tolist() == ([False] * 4 + [True] * 2) * 2
    assert games.place.tolist() == [0] * 6 + [7] * 6 and games.world.tolist() == [0] * 6 + [1] * 6


def test_time_to_the_first_breach_is_of_each_worlds_own_frames() -> None:
    games = worlds(4, 4, 4)
    own = np.tile([False, True, True, True], 3)
    broken = np.zeros(12, bool)
    broken[[0, 2, 3, 8 + 1]] = True
    assert by_world(games, own, broken).tolist() == [2, np.inf, 1]
