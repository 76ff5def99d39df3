"""evaluate.py: exact figures on motion made by hand, and rollouts that end with their game."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, make_heads, random_corpus, random_window, still_corpus
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus
from wm_train.measure import worlds as stepping
from wm_train.measure.evaluate import evaluate, one_step
from wm_train.measure.rollouts import HORIZONS, rollout_figures
from wm_train.measure.starts import rollout_starts, window_ends
from wm_train.measure.window import Window, baselines, persistence, stepper, window_at
from wm_train.measure.worlds import rollout
from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS
from wm_train.world.step import World, next_frames

V22 = Encoding("v2.2", 3)
BASELINES = baselines(GAME)
constant_velocity, constant_velocity_freeze = (
    BASELINES[name] for name in ("constant_velocity", "constant_velocity_freeze")
)
LENGTHS = (60, 50)


def put(corpus: Corpus, player: int, name: str, values: Any) -> None:
    """Write a continuous field in units."""
    corpus.frames[:, player, STATE_INDEX[name]] = np.round(np.asarray(values) * ONE)


def moving() -> Corpus:
    """Player 0 flies at 1.5 a frame; each game starts elsewhere, so nothing may look across their border."""
    corpus = still_corpus(LENGTHS)
    put(corpus, 0, "self_x_air", 1.5)
    put(corpus, 0, "self_x_ground", 99)
    put(corpus, 0, "x", np.concatenate([1.5 * np.arange(n) - 200 * g for g, n in enumerate(LENGTHS)]))
    return corpus


def every(corpus: Corpus) -> Any:
    return corpus.windows(V22)


def test_persistence_misses_each_step() -> None:
    corpus = moving()
    got = one_step(persistence, corpus, V22, every(corpus)).errors().figures()
    # 1.5 in one of four coordinates.
    assert got["position_mae"] == got["position_p50"] == got["position_p95"] == 1.5 / 4
    assert got["frames"] == 57 + 47 and got["velocity_mae"] == got["damage_mae"] == 0
    assert got["action_acc"] == 1 and got["action_change_acc"] is got["action_change_acc_p0"] is None


@pytest.mark.parametrize("name", ["constant_velocity", "constant_velocity_freeze"])
def test_constant_velocity_follows_a_straight_flight(name: str) -> None:
    corpus = moving()
    figures = evaluate(BASELINES[name], corpus, V22)
    assert figures["position_mae"] == 0
    assert figures["rollout"]["20"]["position_mae_mean"] == figures["rollout"]["20"]["position_mae_last"] == 0


def test_on_the_ground_the_ground_velocity_moves() -> None:
    window = window_at(moving(), V22, np.array([10]))
    window.frames[..., STATE_INDEX["on_ground"]] = 1
    window.frames[..., STATE_INDEX["knockback_y"]] = 2 * ONE
    got = constant_velocity(window)[0, :, [STATE_INDEX["x"], STATE_INDEX["y"]]].T / ONE
    assert got.tolist() == [[15 + 99, 2], [0, 2]]


def test_baselines_leave_the_window_as_it_was() -> None:
    window = random_window(V22, 4)
    before = window.frames.copy()
    for step in BASELINES.values():
        step(window)
    assert (window.frames == before).all()


def test_only_the_freezing_baseline_stands_still_in_hitlag() -> None:
    corpus = still_corpus((40,))
    put(corpus, 0, "knockback_y", 2)
    hitlag = np.zeros(40)
    hitlag[10:15] = [5, 4, 3, 2, 1]
    put(corpus, 0, "hitlag", hitlag)
    put(corpus, 0, "y", np.cumsum(2.0 * (hitlag == 0)))
    # Four steps end in a frozen frame that the frame before announces (the first freeze comes as a surprise).
    t = np.arange(10, 30)
    assert one_step(constant_velocity, corpus, V22, t).errors().figures()["position_mae"] == 4 * 2 / 4 / 20
    assert one_step(constant_velocity_freeze, corpus, V22, t).errors().figures()["position_mae"] == 0
    assert one_step(constant_velocity_freeze, corpus, V22, np.array([9])).errors().figures()["position_mae"] == 2 / 4


def test_actions_are_counted_by_hand() -> None:
    corpus = still_corpus((40,))
    action = STATE_INDEX["action"]
    corpus.frames[10:, 0, action] = 7
    corpus.frames[20:, 1, action] = 8
    t = np.arange(5, 25)

    def step(window: Window) -> Any:
        """Always says 7 for player 0: right at its change, too early before."""
        out = window.now.copy()
        out[:, 0, action] = 7
        return out

    got = one_step(step, corpus, V22, t).errors().figures()
    # Wrong: player 0 at targets 6..9, player 1 at target 20.
    assert got["action_acc"] == 1 - 5 / 40
    assert (got["action_change_acc"], got["action_change_acc_p0"]) == (1 / 2, 1)


def test_velocity_and_damage_are_means_in_units() -> None:
    corpus = still_corpus((40,))
    put(corpus, 1, "percent", np.where(np.arange(40) < 20, 0, 12.5))
    put(corpus, 1, "self_y", np.where(np.arange(40) < 20, 0, 3))
    got = one_step(persistence, corpus, V22, np.arange(10, 30)).errors().figures()
    assert got["damage_mae"] == 12.5 / 20 / 2
    assert got["velocity_mae"] == pytest.approx(3 / 20 / 10, rel=1e-12)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = random_corpus()
    whole = one_step(constant_velocity, corpus, V22, every(corpus)).errors().figures()
    monkeypatch.setattr(stepping, "CHUNK", 7)
    assert one_step(constant_velocity, corpus, V22, every(corpus)).errors().figures() == whole


def test_rollouts_drift_as_far_as_they_should() -> None:
    corpus = moving()
    got = rollout_figures(persistence, corpus, V22)
    assert list(got) == [str(k) for k in HORIZONS] == ["5", "10", "20"]
    for k in HORIZONS:
        figures = got[str(k)]
        assert figures["position_mae"] == [0.375 * h for h in range(1, k + 1)]
        assert figures["position_mae_last"] == 0.375 * k
        assert figures["position_mae_mean"] == pytest.approx(0.375 * (k + 1) / 2, rel=1e-12)
        assert (figures["action_acc_last"], figures["percent_mae_last"]) == (1, 0)


def test_rollouts_end_with_their_game() -> None:
    corpus = random_corpus(0, (30, 24, 23, 60))
    starts = rollout_starts(corpus, V22, 20, 10_000, seed=0)
    inside = [
        t for t in every(corpus) if set(corpus.game[t : t + 21]) == {corpus.game[t]} and t + 20 < len(corpus.game)
    ]
    assert starts.tolist() == sorted(starts) == inside
    assert (corpus.game[starts] == 2).sum() == 1
    assert starts[-1] == len(corpus.game) - 21


def test_starts_are_seeded_and_distinct() -> None:
    corpus = moving()
    picks = [rollout_starts(corpus, V22, 5, 10, seed).tolist() for seed in (0, 0, 1)]
    assert picks[0] == picks[1] != picks[2] and len(set(picks[0])) == 10


def test_a_rollout_feeds_on_itself_and_on_true_inputs() -> None:
    corpus = random_corpus(4, (40,))
    seen: list[Window] = []

    def step(window: Window) -> Any:
        seen.append(window)
        return window.now + len(seen)

    t = np.array([4, 11])
    frames = rollout(step, corpus, V22, t, 4)
    assert frames.shape == (2, 4, PLAYERS, len(STATE))
    for ahead, window in enumerate(seen):
        assert (window.following == corpus.inputs[t + ahead + 1]).all()
        assert (window.inputs[:, -1] == corpus.inputs[t + ahead]).all()
        assert (window.inputs[:, 0] == corpus.inputs[t + ahead - 2]).all()
        assert (window.session == corpus.session(V22, np.arange(len(corpus.game)))[t]).all()
        assert (window.now == (corpus.frames[t] if ahead == 0 else frames[:, ahead - 1])).all()
    assert (seen[1].frames[:, 0] == corpus.frames[t - 1]).all()
    assert (frames[:, 3] == corpus.frames[t] + 1 + 2 + 3 + 4).all()


def test_a_rollout_may_end_at_the_last_frame() -> None:
    corpus = random_corpus(4, (24,))
    assert rollout(persistence, corpus, V22, np.array([3]), 20).shape[1] == 20


def test_a_perfect_network_is_perfect() -> None:
    """A stepper that knows the corpus scores 1 and 0 everywhere."""
    corpus = random_corpus(7, LENGTHS)
    marks = {corpus.frames[t].tobytes(): t for t in range(len(corpus.game))}

    def oracle(window: Window) -> Any:
        return corpus.frames[[marks[frame.tobytes()] + 1 for frame in window.now]]

    got = evaluate(oracle, corpus, V22)
    assert (got["action_acc"], got["action_change_acc"], got["position_mae"], got["damage_mae"]) == (1, 1, 0, 0)
    assert got["rollout"]["20"]["action_acc_last"] == 1 and got["rollout"]["20"]["position_mae_last"] == 0


def test_evaluate_gives_the_keys_that_others_read() -> None:
    got = evaluate(persistence, moving(), V22)
    assert {"frames", "action_acc", "action_change_acc", "action_change_acc_p0", "position_mae", "velocity_mae",
            "damage_mae", "rollout"} <= got.keys()  # fmt: skip
    for figures in got["rollout"].values():
        assert {"position_mae_mean", "position_mae_last", "action_acc_last", "percent_mae_last"} <= figures.keys()
    assert list(BASELINES) == ["persistence", "constant_velocity", "constant_velocity_freeze"]


def test_a_limit_spreads_over_the_games() -> None:
    corpus = moving()
    assert evaluate(persistence, corpus, V22, limit=9)["frames"] == 9
    assert evaluate(persistence, corpus, V22, limit=10_000)["frames"] == len(every(corpus))
    seen: list[Any] = []

    def step(window: Window) -> Any:
        seen.append(window.now[:, 0, STATE_INDEX["x"]])
        return window.now

    evaluate(step, corpus, V22, limit=5)
    assert (seen[0][0], seen[0][-1]) == tuple(corpus.frames[[2, -2], 0, STATE_INDEX["x"]])


def test_a_networks_heads_become_frames() -> None:
    world, window = World(V22, "published"), random_window(V22, 6)
    heads = make_heads(world, 6, x=2.5, action=42)
    expected = next_frames(world, window.now, heads, world.session_places(window.session))
    assert (stepper(world, lambda w: heads)(window) == expected).all()


def test_windows_hold_the_frames_up_to_t() -> None:
    corpus = random_corpus()
    window = window_at(corpus, V22, np.array([10, 45]))
    assert (window.frames[1] == corpus.frames[43:46]).all() and (window.inputs[1] == corpus.inputs[43:46]).all()
    assert (window.following == corpus.inputs[[11, 46]]).all() and (window.now == corpus.frames[[10, 45]]).all()
    moved = window.advanced(window.now, replace(window).following)
    assert (moved.frames[:, :2] == window.frames[:, 1:]).all() and (moved.inputs[:, -1] == window.following).all()


def test_a_further_horizon_changes_no_other_figure() -> None:
    corpus = random_corpus(1, (90, 80))
    plain, more = (
        evaluate(constant_velocity, corpus, V22),
        evaluate(constant_velocity, corpus, V22, further=(60, 33, 10)),
    )
    assert list(more["rollout"]) == ["5", "10", "20", "33", "60"]
    assert len(more["rollout"]["60"]["position_mae"]) == 60
    assert {k: more["rollout"][k] for k in plain["rollout"]} == plain["rollout"]
    alone = evaluate(constant_velocity, corpus, V22, further=(60,))["rollout"]
    assert alone["60"] == more["rollout"]["60"]


def test_a_horizon_that_no_game_has_is_refused_before_anything_is_measured() -> None:
    def never(window: Window) -> Any:
        raise AssertionError

    with pytest.raises(WmTrainError, match="93 frames in a row"):
        evaluate(never, random_corpus(1, (90, 80)), V22, further=(90,))


def test_models_of_other_windows_can_be_measured_on_the_same_frames() -> None:
    corpus = random_corpus(2, (60, 50))
    short, long = Encoding("v2.2", 3), Encoding("v2.2", 10)
    assert window_ends(corpus, short, 10).tolist() == window_ends(corpus, long).tolist()
    assert window_ends(corpus, short).tolist() == corpus.windows(short).tolist()
    got, expected = evaluate(constant_velocity, corpus, short, past=10), evaluate(constant_velocity, corpus, long)
    assert got == expected != evaluate(constant_velocity, corpus, short)


def test_players_can_be_measured_apart() -> None:
    corpus = moving()
    corpus.frames[30:, 1, STATE_INDEX["action"]] = 3
    errors = one_step(persistence, corpus, V22, every(corpus))
    players = np.zeros_like(errors.right)
    players[:, 0] = True
    mine, other = errors.of(players), errors.of(~players)
    assert (mine["position_mae"], other["position_mae"]) == (1.5 / 2, 0)
    assert (mine["action_acc"], other["action_acc"]) == (1, 1 - 1 / len(players))
    both = [one["position_mae"] or 0.0 for one in (mine, other)]
    assert errors.errors().figures()["position_mae"] == sum(both) / 2
