"""interventions.py: worlds that listen to their players, worlds that do not, and one that is not the same twice."""

from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, V22, random_corpus, still_corpus
from wm_train.games.corpus import Corpus
from wm_train.measure.interventions import intervention_figures
from wm_train.measure.window import Window, persistence
from wm_train.melee.field_table import CONTROLS, STATE_INDEX

STICK = [f.name for f in CONTROLS].index("stick_x")
X, ACTION = STATE_INDEX["x"], STATE_INDEX["action"]


def pressed() -> Corpus:
    """Player 0 holds the stick to the right for the whole game, player 1 does nothing."""
    corpus = still_corpus((200,))
    corpus.inputs[:, 0, STICK] = 80
    return corpus


def driven(window: Window) -> Any:
    """Each player moves by a unit a frame as its stick says."""
    after = window.now.copy()
    after[..., X] += np.sign(window.following[..., STICK].astype(np.int32)) * ONE
    after[..., ACTION] = np.abs(window.following[..., STICK]) > 0
    return after


def test_a_world_that_listens_reacts_by_as_much_as_it_should() -> None:
    got = intervention_figures(driven, pressed(), V22, starts=10, frames=20)
    assert got is not None and (got["starts"], got["frames"], got["same"]) == (10, 20, True)
    # Of the two players only the first one's inputs are changed by letting go: after 20 frames it is 20 units away.
    assert got["idle"] == {"runs": 10, "reacts": 1.0, "action": 1.0, "apart": 20.0, "other": 0.0}
    # Everybody holds the stick at every moment: another moment's inputs are the same.
    assert got["another"]["runs"] == 0 and got["another"]["reacts"] == 0


def test_a_world_that_does_not_listen_does_not_react() -> None:
    got = intervention_figures(persistence, random_corpus(0, (150,)), V22, starts=6)
    assert got is not None and got["same"]
    for kind in ("idle", "another"):
        assert got[kind] == {"runs": 12, "reacts": 0.0, "action": 0.0, "apart": 0.0, "other": 0.0}


def test_the_other_player_may_come_to_differ() -> None:
    def pushed(window: Window) -> Any:
        after = driven(window)
        after[:, 1, X] = after[:, 0, X]
        return after

    got = intervention_figures(pushed, pressed(), V22, starts=5)
    assert got is not None and got["idle"]["other"] == 1.0


def test_a_world_that_is_not_the_same_twice_is_found_out() -> None:
    calls: list[int] = []

    def fickle(window: Window) -> Any:
        calls.append(1)
        after = window.now.copy()
        after[..., X] += len(calls)
        return after

    got = intervention_figures(fickle, pressed(), V22, starts=3)
    assert got is not None and not got["same"]


def test_games_that_are_too_short_say_nothing() -> None:
    assert intervention_figures(persistence, still_corpus((20,)), V22) is None


@pytest.mark.parametrize("player", [0, 1])
def test_each_player_is_changed_alone(player: int) -> None:
    corpus = pressed()
    corpus.inputs[:] = corpus.inputs[:, [player, 1 - player]]
    got = intervention_figures(driven, corpus, V22, starts=4, frames=10)
    assert got is not None and got["idle"]["runs"] == 4 and got["idle"]["apart"] == 10.0
