"""melee/rules.py: each subsystem reads, writes and hears what it says, and together they predict a Frame."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.rules import (
    DAMAGE_AND_KNOCKBACK,
    GATED_TRANSITIONS,
    HEAD_SETS,
    HIT_DETECTION,
    MOVEMENT,
    SHIELD_AND_GRAB,
    TWO_LEVEL_TRANSITIONS,
)
from wm_train.world.rule_ops import NumpyOps, Read
from wm_train.world.subsystem import Event, HeadSet, Number, Subsystem

FIVE = ("hit detection", "damage and knockback", "movement", "action transitions", "shield and grab")
EACH = list(dict.fromkeys(part for heads in HEAD_SETS.values() for part in heads.subsystems))


def noted(names: set[str]) -> Read:
    """A reader that gives ones and notes what it was asked for."""

    def read(name: str) -> Any:
        names.add(name)
        return np.ones(2, np.int64)

    return read


@pytest.mark.parametrize("part", EACH, ids=lambda part: f"{part.name}, {len(part.heads)} heads")
def test_a_rule_reads_and_writes_what_its_subsystem_says(part: Subsystem) -> None:
    now: set[str] = set()
    new: set[str] = set()
    head: set[str] = set()
    written = part.rule(NumpyOps(), noted(now), noted(new), noted(head))
    assert (now, new, set(written)) == (set(part.reads), set(part.reads_new), set(part.writes))
    # Where a choice is made within another one, the machine reads that one.
    assert head == {item.name for item in part.heads} - {item.within for item in part.heads}


@pytest.mark.parametrize("heads", HEAD_SETS.values(), ids=lambda heads: heads.name)
def test_every_head_but_choices_has_a_target(heads: HeadSet) -> None:
    """And nothing but fields of the Frame and heads of the set is read for one."""
    now: set[str] = set()
    after: set[str] = set()
    head: set[str] = set()
    targets = heads.targets(NumpyOps(), noted(now), noted(after), noted(head))
    names = {kind: {item.name for item in heads.heads if item.kind == kind} for kind in ("value", "event", "choice")}
    events = Counter(target.head for target in targets if isinstance(target, Event))
    gate = {heads.decision.gate} - {""} if heads.decision else set()
    assert set(events) == names["event"] - gate and max(events.values()) == 1
    assert head == names["value"] and all(isinstance(target, Number | Event) for target in targets)
    assert now | after <= set(STATE_INDEX)
    assert names["choice"] - {item.within for item in heads.heads} <= set(heads.writes)


@pytest.mark.parametrize("name", ["integrated", "gated", "two_level"])
def test_five_subsystems_write_all_but_the_character_once(name: str) -> None:
    heads = HEAD_SETS[name]
    assert tuple(part.name for part in heads.subsystems) == FIVE
    assert sorted(heads.writes) == sorted(f.name for f in STATE if not f.session)


def test_the_sets_share_their_subsystems() -> None:
    for name, transitions in (("gated", GATED_TRANSITIONS), ("two_level", TWO_LEVEL_TRANSITIONS)):
        parts = (HIT_DETECTION, DAMAGE_AND_KNOCKBACK, MOVEMENT, transitions, SHIELD_AND_GRAB)
        assert all(a is b for a, b in zip(HEAD_SETS[name].subsystems, parts, strict=True))


def test_sets_are_known_by_their_names() -> None:
    assert all(name == heads.name for name, heads in HEAD_SETS.items())


def test_outputs_stand_where_networks_that_were_trained_before_have_them() -> None:
    numbers = [
        *("percent", "x", "y", "shield", "self_x_air", "self_y", "knockback_x", "knockback_y", "self_x_ground"),
        *("state_age", "hitlag", "combo_count", "teleport_x", "teleport_y"),
    ]
    events = ["facing", "on_ground", "hit", "damage", "teleport", "respawn", "stock_lost", "age_reset"]
    choices = ["action", "jumps", "l_cancel", "hurtbox", "ground", "last_attack"]
    orders = {
        "published": ["percent", "x", "y", "shield", "facing", "invulnerable", "on_ground", "action", "jumps"],
        "integrated": numbers + events + choices,
        "gated": ["action_changes", *numbers, *events, *choices],
        "lawful": [
            "action_changes",
            *numbers,
            "facing",
            "landing",
            "take_off",
            "hit",
            "damage",
            "teleport",
            "age_reset",
            *choices,
        ],
        "two_level": [*numbers, *events, "category", *choices],
    }
    orders["lawful_grouped"] = orders["lawful"]
    assert {name: [head.name for head in heads.heads] for name, heads in HEAD_SETS.items()} == orders
