"""subsystem.py: rules run in order on what was written before them; head sets that do not fit together are refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from wm_train.errors import WmTrainError
from wm_train.melee.melee import GAME
from wm_train.world.rule_ops import NumpyOps, Ops, Read
from wm_train.world.subsystem import Decision, Event, Head, HeadSet, Number, Subsystem, event_heads, value_heads


def _push_rule(ops: Ops, now: Read, new: Read, head: Read) -> Mapping[str, Any]:
    return {"speed": now("speed") + head("push"), "kicked": head("kick")}


def _roll_rule(ops: Ops, now: Read, new: Read, head: Read) -> Mapping[str, Any]:
    return {"place": now("place") + new("speed")}


def _push_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return (Number("push", 2.0, head("push") - (after("speed") - now("speed"))), Event("kick", after("kicked") > 0))


def _no_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return ()


PUSH = Subsystem(
    "push", ("speed",), (), ("speed", "kicked"), (*value_heads("push"), *event_heads("kick")), _push_rule, _push_targets
)
ROLL = Subsystem("roll", ("place",), ("speed",), ("place",), (), _roll_rule, _no_targets)


class Noted(NumpyOps):
    """Ops that note in which order rules begin and values get names."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, subsystem: str) -> None:
        """See Ops."""
        self.notes.append(subsystem)

    def name(self, name: str, value: Any) -> Any:
        """See Ops."""
        self.notes.append(name)
        return value


def test_a_rule_reads_what_was_written_before_it() -> None:
    heads, ops = HeadSet("ball", (PUSH, ROLL), ("kick", "push")), Noted()
    got = heads.rule(ops, {"speed": 3, "place": 10}.__getitem__, {"push": 2, "kick": 1}.__getitem__)
    assert got == {"speed": 5, "kicked": 1, "place": 15} and tuple(got) == heads.writes
    assert ops.notes == ["push", "next_speed", "next_kicked", "roll", "next_place"]


def test_heads_stand_in_the_order_that_is_given() -> None:
    assert [head.name for head in HeadSet("ball", (PUSH, ROLL), ("kick", "push")).heads] == ["kick", "push"]


def test_targets_are_those_of_every_subsystem() -> None:
    after = {"speed": 4, "kicked": 0}
    number, event = HeadSet("ball", (ROLL_ALONE, PUSH), ("push", "kick")).targets(
        NumpyOps(), {"speed": 3}.__getitem__, after.__getitem__, {"push": 7}.__getitem__
    )
    assert isinstance(number, Number) and (number.part, number.weight, number.error) == ("push", 2.0, 6)
    assert isinstance(event, Event) and (event.head, event.happened) == ("kick", False)


def test_the_decision_is_that_of_the_subsystem_that_has_one() -> None:
    choice = Decision("kick", "side", (0, 1, 1))
    assert HeadSet("ball", (PUSH, ROLL), ("push", "kick")).decision is None
    assert HeadSet("ball", (replace(PUSH, decision=choice), ROLL), ("push", "kick")).decision is choice


ROLL_ALONE = replace(ROLL, reads_new=())
_UNEVEN = replace(PUSH, heads=(Head("push", "value"), Head("kick", "choice", 3, groups=2)))
_INSIDE = replace(PUSH, heads=(Head("side", "choice", 2), Head("kick", "choice", 3, within="side", labels=(0, 1, 1))))


def test_a_game_has_every_field_that_its_heads_write() -> None:
    heads = HeadSet("ball", (PUSH, ROLL), ("push", "kick"))
    with pytest.raises(WmTrainError, match="game melee: heads ball write kicked, place, speed, which no state field"):
        replace(GAME, head_sets={"ball": heads})


@pytest.mark.parametrize(
    ("subsystems", "order", "text"),
    [
        ((ROLL, PUSH), ("push", "kick"), "roll reads 'speed' of the next Frame, which no subsystem before it writes"),
        ((ROLL,), (), "roll reads 'speed' of the next Frame"),
        ((PUSH, replace(ROLL, writes=("place", "speed"))), ("push", "kick"), "'speed' is written by two subsystems"),
        ((PUSH, ROLL), ("push",), "the output order is not the subsystems' heads: 'kick'"),
        ((PUSH, ROLL), ("push", "kick", "nose"), "the output order is not the subsystems' heads: 'nose'"),
        ((PUSH, ROLL), ("push", "kick", "kick"), "the output order is not the subsystems' heads: 'a name that stands"),
        ((_UNEVEN, ROLL), ("kick", "push"), "'kick' in 2 groups, expected a choice by itself whose 3 ids make groups"),
        ((_INSIDE, ROLL), ("kick", "side"), "'kick' is chosen within 'side'; put it first"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    subsystems: tuple[Subsystem, ...], order: tuple[str, ...], text: str
) -> None:
    with pytest.raises(WmTrainError, match="heads ball: .*" + text):
        HeadSet("ball", subsystems, order)
