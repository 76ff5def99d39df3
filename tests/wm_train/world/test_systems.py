"""systems.py: every predicted field has one writer in the table, and a row says what its rule does, no more."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from wm_train.melee.field_table import STATE
from wm_train.melee.rules import HEAD_SETS
from wm_train.world.rule_ops import NumpyOps, Read
from wm_train.world.subsystem import HeadSet
from wm_train.world.systems import passed_on, systems

#: Sets of five subsystems.
FIVE = [heads for name, heads in HEAD_SETS.items() if name != "published"]
by_name = pytest.mark.parametrize("heads", FIVE, ids=lambda heads: heads.name)


@by_name
def test_every_predicted_field_is_written_by_one_system(heads: HeadSet) -> None:
    written = Counter(name for row in systems(heads) for name in row.writes)
    ruled = {name for law in heads.laws for name in law.writes}
    predicted = {field.name for field in STATE if not field.session}
    assert set(written.values()) == {1} and set(written) <= predicted
    # What no system writes, a law does; without laws there is none.
    assert predicted - set(written) <= ruled


@by_name
def test_every_head_is_of_one_system_and_stands_in_the_order_of_the_set(heads: HeadSet) -> None:
    rows = systems(heads)
    assert Counter(head.name for row in rows for head in row.heads) == Counter(head.name for head in heads.heads)
    for row in rows:
        places = [heads.heads.index(head) for head in row.heads]
        assert places == sorted(places)


@by_name
def test_what_a_system_takes_was_written_before(heads: HeadSet) -> None:
    rows = systems(heads)
    place = {row.key: row.place for row in rows}
    assert [row.place for row in rows] == [0, 1, 2, 3, 4] == sorted(place.values())
    for row in rows:
        assert all(place[key] < row.place for key in row.takes.values())
        assert all(name in rows[place[key]].writes for name, key in row.takes.items())


@by_name
def test_a_rule_reads_what_its_row_says(heads: HeadSet) -> None:
    def noted(names: set[str]) -> Read:
        def read(name: str) -> Any:
            names.add(name)
            return np.ones(2, np.int64)

        return read

    for row, part in zip(systems(heads), heads.subsystems, strict=True):
        now: set[str] = set()
        new: set[str] = set()
        written = part.rule(NumpyOps(), noted(now), noted(new), noted(set()))
        assert (now, new, set(written)) == (set(row.reads), set(row.takes), set(row.writes))


def test_hits_and_knockback_are_handed_to_movement_and_transitions() -> None:
    rows = systems(HEAD_SETS["integrated"])
    assert [row.key for row in rows] == [
        "hit_detection", "damage_and_knockback", "movement", "action_transitions", "shield_and_grab",
    ]  # fmt: skip
    assert passed_on(rows, "hit_detection") == ("hitlag",)
    assert passed_on(rows, "damage_and_knockback") == ("knockback_x", "knockback_y")
    assert passed_on(rows, "movement") == ()
    assert rows[2].takes == {
        "hitlag": "hit_detection", "knockback_x": "damage_and_knockback", "knockback_y": "damage_and_knockback",
    }  # fmt: skip
