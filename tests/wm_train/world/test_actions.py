"""actions.py: every id of the action field in exactly one of 20 categories, and those in which a player expects it."""

import numpy as np
import pytest

from tests.factories import random_frames
from wm_train.errors import WmTrainError
from wm_train.melee import actions
from wm_train.melee.actions import ACTION_CATEGORY, CATEGORIES, RANGES
from wm_train.melee.field_table import STATE, STATE_INDEX

VOCAB = STATE[STATE_INDEX["action"]].vocab


def test_ranges_are_complete_and_disjoint() -> None:
    ids = [i for ranges in RANGES.values() for first, last in ranges for i in range(first, last + 1)]
    assert sorted(ids) == list(range(VOCAB))


def test_there_are_twenty_and_each_has_actions() -> None:
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 20
    assert ACTION_CATEGORY.shape == (VOCAB,) and set(ACTION_CATEGORY.tolist()) == set(range(20))


def test_ranges_of_a_category_are_ascending_and_do_not_touch() -> None:
    for ranges in RANGES.values():
        edges = [edge for pair in ranges for edge in (pair[0], pair[1] + 1)]
        assert edges == sorted(set(edges))


@pytest.mark.parametrize(
    ("action", "category"),
    [(0, "out of play"), (14, "standing"), (24, "jumping"), (38, "down"), (69, "aerial"), (70, "landing"),
     (89, "hurt"), (179, "shield"), (203, "jumping"), (214, "grab"), (236, "dodge"), (239, "held"), (253, "ledge"),
     (341, "special"), (399, "special")],
)  # fmt: skip
def test_an_action_is_where_a_player_expects_it(action: int, category: str) -> None:
    assert CATEGORIES[ACTION_CATEGORY[action]] == category


def test_any_frames_actions_have_a_category() -> None:
    frames = random_frames(np.random.default_rng(1), 50)
    picked = ACTION_CATEGORY[frames[..., STATE_INDEX["action"]]]
    assert picked.shape == (50, 2) and picked.min() >= 0


@pytest.mark.parametrize(
    ("ranges", "message"),
    [({"all": ((0, VOCAB),)}, "outside"), ({"a": ((0, 9),), "b": ((9, VOCAB - 1),)}, "in two"),
     ({"a": ((0, 8),), "b": ((10, VOCAB - 1),)}, "id 9 is in no category")],
)  # fmt: skip
def test_a_wrong_table_is_refused(monkeypatch: pytest.MonkeyPatch, ranges: dict, message: str) -> None:
    monkeypatch.setattr(actions, "RANGES", ranges)
    with pytest.raises(WmTrainError, match=message):
        actions._table()
