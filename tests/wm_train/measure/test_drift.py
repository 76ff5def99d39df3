"""drift.py: figures of hand-made worlds, and what counts as a world that could be the game."""

from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, random_corpus, still_corpus
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus
from wm_train.measure.drift import APART, POINTS, drift_figures, habits, usual
from wm_train.measure.window import Window, persistence
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

V22 = Encoding("v2.2", 3)
X, Y = STATE_INDEX["x"], STATE_INDEX["y"]


def walking(length: int = 400) -> Corpus:
    """Both players go to and fro by one unit a frame, between 0 and 50."""
    corpus = still_corpus((length, length))
    way = np.abs((np.arange(length) + 25) % 100 - 50)
    corpus.frames[..., X] = np.tile(way, 2)[:, None] * ONE
    return corpus


def oracle(corpus: Corpus) -> Any:
    at = {frame.tobytes(): i for i, frame in enumerate(corpus.frames)}
    return lambda window: corpus.frames[[at[frame.tobytes()] + 1 for frame in window.now]]


def test_a_perfect_world_does_not_drift() -> None:
    corpus = random_corpus(3, (150, 150))
    got = drift_figures(oracle(corpus), corpus, V22, 100, 6)
    assert got["starts"] == 6 and got["frames"] == 100
    assert not any(got["position_p50"] + got["position_p90"])
    assert set(got["action_acc"]) == set(got["stocks_acc"]) == {1.0}
    assert got["apart_after"] == 100
    assert got["habits"]["predicted"] == got["habits"]["real"] and got["usual"]["predicted"] == got["usual"]["real"]
    assert min(got["baselines"]["another_start"]["position_p50"]) > 0


def test_a_world_that_flies_off_drifts_as_far_as_it_should() -> None:
    corpus = walking()

    def fly(window: Window) -> Any:
        out = window.now.copy()
        out[..., Y] += 2 * ONE
        return out

    got = drift_figures(fly, corpus, V22, 90, 8)
    assert got["frames_ahead"] == list(range(1, 91))
    still = got["baselines"]["persistence"]["position_p50"]
    # x stands still, y is 2 a frame too far: the mean over both.
    assert got["position_p50"] == pytest.approx([p + ahead for ahead, p in enumerate(still, 1)])
    # By y alone a player is APART after APART frames; x can only make it sooner.
    assert 0 < got["apart_after"] <= APART + 1
    assert got["usual"]["real"] == {"inside": 1.0, "moves": 1.0}
    assert got["usual"]["predicted"] == {"inside": 0.0, "moves": 0.0}
    assert set(got["inside"]) == set(got["plausible"]) == {0.0}


def test_curves_have_a_bounded_number_of_points_and_end_at_the_end() -> None:
    corpus = walking(POINTS * 3 + 100)
    for frames in (7, POINTS, POINTS * 2 + 1):
        got = drift_figures(persistence, corpus, V22, frames, 2)
        ahead = got["frames_ahead"]
        assert ahead[-1] == frames and ahead[0] >= 1 and len(ahead) <= POINTS and len(set(np.diff(ahead))) <= 1
        assert {len(got[key]) for key in ("position_p50", "position_p90", "inside", "plausible")} == {len(ahead)}


def test_what_is_usual_is_that_of_the_stage() -> None:
    corpus = walking()
    corpus.place[400:] = 9
    corpus.frames[400:, :, X] += 200 * ONE
    bounds = usual(GAME, corpus)
    frames = corpus.frames[[[10, 11], [410, 411]]]
    assert bounds.places(frames, np.array([0, 9])).all() and not bounds.places(frames, np.array([9, 0])).any()


def test_a_jump_is_no_usual_motion() -> None:
    corpus = walking()
    bounds = usual(GAME, corpus)
    before, after = corpus.frames[None, 30:33], corpus.frames[None, 31:34].copy()
    assert bounds.motion(after, before).all()
    after[0, 1, 0, X] += 5 * ONE
    after[0, 2, 1, STATE_INDEX["self_y"]] = 3 * ONE
    assert bounds.motion(after, before).tolist() == [[[True, True], [False, True], [True, False]]]


def test_habits_are_counted_by_hand() -> None:
    frames = still_corpus((61,)).frames[None]
    frames[0, 20:, 0, STATE_INDEX["action"]] = 5
    frames[0, 30:, 1, STATE_INDEX["percent"]] = 12 * ONE
    frames[0, 40:, 1, STATE_INDEX["percent"]] = 0  # dead: percent falls, which is no healing
    frames[0, :40, 1, STATE_INDEX["stocks"]] = ONE
    frames[0, :, 0, STATE_INDEX["on_ground"]] = 1
    frames[0, 31:, 0, X] = np.arange(30)
    # 60 frames of two players are two seconds.
    assert habits(GAME, frames[:, 1:], frames[:, :-1]) == {
        "on_ground": 0.5, "still": 1 - 29 / 120, "actions_a_minute": 30.0, "percent_a_minute": 360.0,
        "stocks_a_minute": 30.0}  # fmt: skip


def test_progress_is_told_once_a_frame_and_short_games_are_refused() -> None:
    told: list[int] = []
    drift_figures(persistence, walking(), V22, 40, 2, advance=lambda: told.append(1))
    assert len(told) == 40
    with pytest.raises(WmTrainError, match="longer games"):
        drift_figures(persistence, walking(), V22, 500, 2)
