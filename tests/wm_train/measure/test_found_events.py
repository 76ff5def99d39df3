"""found_events.py: events of hand-made games, and predictions of them that are right, late, doubled or missing."""

from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, still_corpus
from wm_train.games.corpus import Corpus
from wm_train.measure.evaluate import evaluate
from wm_train.measure.footage import footage
from wm_train.measure.found_events import HitDamage, event_counts, event_figures, events_a_minute, happening, matched
from wm_train.measure.measures import measures_of
from wm_train.measure.window import Window, persistence
from wm_train.melee.events import EVENTS
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

V22 = Encoding("v2.2", 3)
NAMES = list(EVENTS)


def field(frames: Any, name: str) -> Any:
    return frames[..., STATE_INDEX[name]]


def happened(corpus: Corpus) -> dict[str, list[list[int]]]:
    """(frame, player) of every event of a game."""
    found = happening(GAME, EVENTS, corpus.frames[:-1], corpus.frames[1:])
    return {name: [[at + 1, player] for at, player in np.argwhere(found[..., i])] for i, name in enumerate(NAMES)}


def test_events_are_what_they_are_called() -> None:
    corpus = still_corpus((60,))
    field(corpus.frames, "stocks")[:] = 4 * ONE
    field(corpus.frames, "percent")[10:, 0] = 3 * ONE
    field(corpus.frames, "percent")[11:, 0] = 2 * ONE  # falls: no hit
    field(corpus.frames, "on_ground")[20:30, 1] = 1
    field(corpus.frames, "action")[:, 0] = 222
    field(corpus.frames, "action")[40:44, 0] = [223, 225, 228, 229]
    field(corpus.frames, "stocks")[50:, 1] = 3 * ONE
    expected = {"hits": [10, 0], "grabs": [40, 0], "landings": [20, 1], "take_offs": [30, 1], "kos": [50, 1]}
    assert happened(corpus) == {name: [one] for name, one in expected.items()}


def masks(*lines: str) -> list[np.ndarray]:
    """(T, 2) flags: player 0 as drawn, player 1 never."""
    return [np.stack([[c == "x" for c in line], [False] * len(line)], 1) for line in lines]


@pytest.mark.parametrize(("true", "said", "within", "found", "right"), [
    ("..x.......", "..x.......", 0, 1, 1),
    ("..x.......", "...x......", 0, 0, 0),
    ("..x.......", "....x.....", 2, 1, 1),
    ("..x.......", ".....x....", 2, 0, 0),
    ("....x.....", "..xxxxx...", 2, 1, 1),  # five predictions, one event
    ("..x.x.....", "...x......", 2, 1, 1),  # one prediction, two events
    ("..xx......", "..xx......", 2, 2, 2),
    ("..x..x....", "...xx.....", 2, 2, 2),
])  # fmt: skip
def test_each_prediction_finds_one_event_at_most(true: str, said: str, within: int, found: int, right: int) -> None:
    real, predicted = masks(true, said)
    one, other = matched(real, predicted, np.zeros(len(real), np.int64), within)
    assert (int(one.sum()), int(other.sum())) == (found, right)


def test_no_event_of_the_next_game_is_found() -> None:
    real, predicted = masks("....x.....", ".....x....")
    assert not matched(real, predicted, np.repeat([0, 1], 5), 2)[0].any()


def hit_game() -> Corpus:
    """100 frames; player 0 is hit in frames 20, 40, 60 and 80, by 5 each."""
    corpus = still_corpus((100,))
    field(corpus.frames, "percent")[:, 0] = np.arange(100) // 20 * 5 * ONE
    return corpus


def figures(predicted: list[tuple[int, float]], t: Any = range(2, 99)) -> Any:
    """Events of a model that says (frame, damage) of player 0."""
    corpus, said = hit_game(), dict(predicted)
    t = np.array(list(t))
    after = corpus.frames[t].copy()
    field(after, "percent")[:, 0] += np.array([round(said.get(int(i) + 1, 0) * ONE) for i in t], np.int32)
    happens = happening(GAME, EVENTS, corpus.frames[t], after)
    return event_figures(EVENTS, event_counts(EVENTS, footage(GAME, corpus), t, happens))["hits"]


def test_precision_recall_and_f1_by_hand() -> None:
    got = figures([(20, 5), (42, 5), (50, 5)])
    assert (got["real"], got["predicted"], got["within"]) == (4, 3, 2)
    assert (got["precision"], got["recall"]) == (1 / 3, 1 / 4) and got["f1"] == pytest.approx(2 / 7)
    assert (got["precision_within"], got["recall_within"]) == (2 / 3, 2 / 4)
    assert got["f1_within"] == pytest.approx(4 / 7)


def test_a_model_that_says_nothing_or_everything() -> None:
    assert figures([])["f1"] == figures([])["f1_within"] == 0
    every = figures([(i, 1.0) for i in range(100)])
    assert every["recall"] == every["recall_within"] == 1 and every["precision_within"] == 4 / 97


def test_frames_that_were_not_predicted_are_not_held_against_it() -> None:
    got = figures([(20, 5)], range(2, 30))
    assert (got["real"], got["recall"], got["recall_within"]) == (1, 1, 1)
    sparse = figures([(21, 5)], range(2, 99, 6))
    assert sparse["recall_within"] is None and sparse["f1_within"] is None and sparse["recall"] == 0


def test_a_lost_stock_may_be_three_frames_off() -> None:
    assert {name: event.within for name, event in EVENTS.items()} == dict.fromkeys(NAMES, 2) | {"kos": 3}


def test_damage_is_of_hits_that_both_have() -> None:
    dealt, true = np.array([[3.0, 0], [7, 2], [0, -4]]), np.array([[5.0, 1], [6, 0], [9, -4]])
    assert HitDamage.of(dealt, true).figures() == {"hits": 2, "mae": 1.5, "mean": 5.0, "real": 5.5}
    nothing = HitDamage.of(dealt[2:], true[2:]).figures()
    assert nothing["hits"] == 0 and nothing["mae"] is None


def test_events_are_counted_by_the_minute_of_a_player() -> None:
    corpus = hit_game()
    got = events_a_minute(EVENTS, GAME, corpus.frames[None, 1:61], corpus.frames[None, :60])
    # Three hits in 60 frames of two players.
    assert got["hits_a_minute"] == pytest.approx(90) and got["kos_a_minute"] == 0


def test_evaluate_tells_of_a_model_that_foresees_hits_one_frame_late() -> None:
    corpus = hit_game()
    field(corpus.frames, "x")[:, 0] = np.arange(100)

    def late(window: Window) -> Any:
        after = window.now.copy()
        now = field(window.now, "x")[:, 0]
        field(after, "percent")[:, 0] += np.where(now % 20 == 0, 4 * ONE, 0).astype(np.int32)
        return after

    got = evaluate(late, corpus, V22, starts=5)
    assert (got["events"]["hits"]["f1"], got["events"]["hits"]["f1_within"]) == (0, 1)
    assert got["hit_damage"]["hits"] == 0 and "coverage" not in got
    assert evaluate(persistence, corpus, V22, starts=5)["events"]["hits"]["predicted"] == 0


def test_an_encoding_that_reads_less_has_fewer_events() -> None:
    assert list(measures_of(Encoding("v1")).events) == ["hits", "grabs", "landings", "take_offs"]
