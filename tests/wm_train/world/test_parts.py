"""Head sets of one subsystem, and of all side by side: the same rules as in the whole."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.factories import make_heads, random_frames, small_model
from wm_train.config import LossConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.rules import HEAD_SETS
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS
from wm_train.world.rule_ops import NumpyOps
from wm_train.world.step import World, next_frames
from wm_train.world.subsystem import HeadSet

FIVE = [heads for name, heads in HEAD_SETS.items() if name != "published"]
by_name = pytest.mark.parametrize("heads", FIVE, ids=lambda heads: heads.name)
KEYS = ("hit_detection", "damage_and_knockback", "movement", "action_transitions", "shield_and_grab")


def drawn(heads: HeadSet) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """(fields of 50 current Frames, values of heads) by name."""
    rng = np.random.default_rng(3)
    frames = random_frames(rng, 50).astype(np.int64)
    now = {name: frames[..., at] for name, at in STATE_INDEX.items()}
    return now, {head.name: rng.integers(-9000, 9000, (50, PLAYERS)) for head in heads.heads}


@by_name
def test_each_part_has_its_heads_and_the_order_of_the_whole(heads: HeadSet) -> None:
    assert tuple(heads.parts) == KEYS
    joined = [head.name for part in heads.parts.values() for head in part.heads]
    assert [head.name for head in heads.joined.heads] == joined and sorted(joined) == sorted(heads.order)
    assert heads.joined.laws == heads.laws and all(not part.laws for part in heads.parts.values())
    assert heads.joined.subsystems is heads.subsystems


@by_name
def test_a_part_that_is_given_the_rest_writes_what_the_whole_writes(heads: HeadSet) -> None:
    now, head = drawn(heads)
    whole = heads.rule(NumpyOps(), now.__getitem__, head.__getitem__)
    apart: dict[str, Any] = {}
    for part in heads.parts.values():
        apart |= part.rule(NumpyOps(), now.__getitem__, head.__getitem__, whole.__getitem__)
    joined = heads.joined.rule(NumpyOps(), now.__getitem__, head.__getitem__)
    for made in (apart, joined):
        assert set(made) == set(whole) and all((made[name] == value).all() for name, value in whole.items())


def test_frames_of_a_part_are_those_of_the_world_in_its_fields() -> None:
    encoding = Encoding("v2.2", 1)
    whole, part = World(encoding, "integrated"), World(encoding, "integrated/movement")
    rng = np.random.default_rng(1)
    frames, moved = random_frames(rng, 6), {"hit": 1.0, "hitlag": 3.0, "self_x_air": 0.5, "knockback_x": 0.25}
    after = next_frames(whole, frames, make_heads(whole, 6, **moved))
    got = next_frames(part, frames, make_heads(part, 6, self_x_air=0.5), given=after)
    at = [STATE_INDEX[name] for name in part.head_set.writes]
    assert (got[..., at] == after[..., at]).all() and (got != after).any()


def test_a_part_is_no_world_by_itself() -> None:
    part = World(Encoding("v2.2", 1), "integrated/shield_and_grab")
    with pytest.raises(WmTrainError, match="one subsystem is no world by itself; make one of all with `wmq compose`"):
        next_frames(part, random_frames(np.random.default_rng(0), 2), make_heads(part, 2))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("melee/movement", "heads: got 'melee/movement', expected one of published, integrated, "),
        ("integrated/physics", "got subsystem 'physics', expected one of hit_detection, damage_and_knockback, "),
        ("integrated/", "got subsystem '', expected one of hit_detection, "),
    ],
)
def test_what_is_not_there_is_answered_with_what_there_is(name: str, text: str) -> None:
    with pytest.raises(WmTrainError, match=text):
        World(Encoding("v2.2", 1), name)


def test_one_subsystem_is_not_fed_its_own_frames() -> None:
    for key, losses in {"sampling": LossConfig(sampling=0.2), "horizon": LossConfig(horizon=(0.5,))}.items():
        with pytest.raises(WmTrainError, match=f"train.losses.{key} .* one subsystem alone is fed true Frames"):
            RunConfig(small_model(heads="integrated/movement"), TrainConfig(losses=losses))
