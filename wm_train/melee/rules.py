"""Melee's rules: five subsystems of a player's frame, the heads of each, and what those should have said.

    subsystem             writes                                       reads of the next Frame
    hit detection         hitlag, combo_count, last_attack
    damage and knockback  percent, stocks, knockback_x, knockback_y
    movement              self velocities, x, y, on_ground, ground     hitlag, knockback
    action transitions    action, state_age, facing, jumps, l_cancel   hitlag
    shield and grab       shield, hurtbox, invulnerable

A hit sets hitlag, which otherwise counts down; nothing moves and no animation runs while hitlag lasts, so hits are
ruled before movement. Velocities move a player, its own and those of knockback; a teleport (respawn, ledge, warp) sets
the position instead. A formula that both the rule and its targets need stands once, in a function that both call.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wm_train.melee.actions import ACTION_CATEGORY, CATEGORIES
from wm_train.melee.field_table import KNOCKBACK, SELF_SPEEDS, STATE, STATE_INDEX
from wm_train.melee.laws import LAWS
from wm_train.world.fields import fixed
from wm_train.world.rule_ops import Ops, Read, flag, whole
from wm_train.world.subsystem import (
    Decision,
    Event,
    Head,
    HeadSet,
    Number,
    Subsystem,
    event_heads,
    value_heads,
)

#: Game units between where velocities lead and where a player is, from which a frame counts as a teleport.
TELEPORT_UNITS = 8.0
#: Least way of a frame, in fixed point, that is not velocities': in 72 recorded games 93 % of the Frames of who stands
#: have none at all along x, and 95 % of who is in the air; 6.5 and 4.2 % have more than 0.1 units: a push, a step.
PUSH = fixed(0.1)
#: Most frames of hitlag.
HITLAG_FRAMES = 64
PERCENT_MAX = STATE[STATE_INDEX["percent"]].hi

#: Position -> the velocities that change it.
VELOCITIES: Mapping[str, tuple[str, str]] = {"x": ("self_x_air", "knockback_x"), "y": ("self_y", "knockback_y")}


def _choices(*names: str) -> tuple[Head, ...]:
    return tuple(Head(name, "choice", STATE[STATE_INDEX[name]].vocab) for name in names)


def _change(now: Read, after: Read, name: str) -> Any:
    """What a field changed by."""
    return after(name) - now(name)


def _hitlag_left(ops: Ops, now: Read) -> Any:
    """Hitlag after a frame without a hit."""
    return ops.clip(now("hitlag") - ops.one, 0, HITLAG_FRAMES * ops.one)


def _hit_detection(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    hit, left = head("hit") > 0, _hitlag_left(ops, now)
    return {
        "hitlag": ops.where(hit, whole(head("hitlag")), left),
        "combo_count": whole(now("combo_count") + head("combo_count")),
        "last_attack": head("last_attack"),
    }


def _hit_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    hit = after("hitlag") != _hitlag_left(ops, now)
    return (
        Number("hitlag", 0.2, head("hitlag") - after("hitlag"), hit),
        Number("combo_count", 0.2, head("combo_count") - _change(now, after, "combo_count")),
        Event("hit", hit),
    )


HIT_DETECTION = Subsystem(
    "hit detection",
    reads=("hitlag", "combo_count"),
    reads_new=(),
    writes=("hitlag", "combo_count", "last_attack"),
    heads=(*event_heads("hit"), *value_heads("hitlag", "combo_count"), *_choices("last_attack")),
    rule=_hit_detection,
    targets=_hit_targets,
)


def _damage_and_knockback(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    hurt = ops.where(head("damage") > 0, head("percent"), 0)
    return {
        "percent": ops.where(head("respawn") > 0, 0, now("percent") + hurt),
        "stocks": now("stocks") - ops.where(head("stock_lost") > 0, ops.one, 0),
        **{name: now(name) + head(name) for name in KNOCKBACK},
    }


def _damage_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    hurt = _change(now, after, "percent")
    damage = hurt > 0.01
    return (
        Number("percent", 0.2, head("percent") - hurt, damage),
        *(Number("speed", 10.0, head(name) - _change(now, after, name)) for name in KNOCKBACK),
        Event("damage", damage),
        Event("respawn", hurt < -0.5),
        Event("stock_lost", _change(now, after, "stocks") < 0),
    )


DAMAGE_AND_KNOCKBACK = Subsystem(
    "damage and knockback",
    reads=("percent", "stocks", *KNOCKBACK),
    reads_new=(),
    writes=("percent", "stocks", *KNOCKBACK),
    heads=(*value_heads("percent", *KNOCKBACK), *event_heads("damage", "respawn", "stock_lost")),
    rule=_damage_and_knockback,
    targets=_damage_targets,
)


def _lawful_damage(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    """The same, and percent does not fall: what resets it, and what a stock is lost by, are laws."""
    hurt = ops.where(head("damage") > 0, ops.clip(head("percent"), 0, fixed(PERCENT_MAX)), 0)
    return {"percent": now("percent") + hurt, **{name: now(name) + head(name) for name in KNOCKBACK}}


def _lawful_damage_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return tuple(
        target
        for target in _damage_targets(ops, now, after, head)
        if isinstance(target, Number) or target.head == "damage"
    )


LAWFUL_DAMAGE = replace(
    DAMAGE_AND_KNOCKBACK,
    reads=("percent", *KNOCKBACK),
    writes=("percent", *KNOCKBACK),
    heads=(*value_heads("percent", *KNOCKBACK), *event_heads("damage")),
    rule=_lawful_damage,
    targets=_lawful_damage_targets,
)


def steps(ops: Ops, frozen: Any, speed: Read) -> dict[str, Any]:
    """Game units that velocities move a player by in one frame, along each axis; none where hitlag has `frozen` it.

    speed   velocity -> its value in the frame that is moved to
    """
    return {axis: ops.where(frozen, 0, speed(own) + speed(knock)) for axis, (own, knock) in VELOCITIES.items()}


def _moved(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    """Where velocities or a teleport lead."""
    speed = {name: ops.name(f"next_{name}", now(name) + head(name)) for name in SELF_SPEEDS}
    speed |= {name: new(name) for name in KNOCKBACK}
    frozen = ops.name("frozen", new("hitlag") > 0)
    teleport = ops.name("teleport", head("teleport") > 0)
    step = steps(ops, frozen, speed.__getitem__)

    def position(axis: str) -> Any:
        moved = now(axis) + ops.name(f"step_{axis}", step[axis] + head(axis))
        return ops.where(teleport, head(f"teleport_{axis}"), moved)

    return {
        **{name: speed[name] for name in SELF_SPEEDS},
        **{axis: position(axis) for axis in VELOCITIES},
    }


def _movement(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    return _moved(ops, now, new, head) | {"on_ground": flag(ops, head("on_ground")), "ground": head("ground")}


def _moved_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    """Position error after integration, with the true freeze; a teleport's only where one happened."""
    frozen = after("hitlag") > 0
    moved = {axis: _change(now, after, axis) for axis in VELOCITIES}
    true, told = (steps(ops, frozen, speed) for speed in (after, lambda name: now(name) + head(name)))
    far = [abs(moved[axis] - true[axis]) > TELEPORT_UNITS for axis in VELOCITIES]
    teleport = far[0] | far[1]
    return (
        *(Number("position", 5.0, moved[axis] - (told[axis] + head(axis)), ~teleport) for axis in VELOCITIES),
        *(Number("teleport_to", 0.02, head(f"teleport_{axis}") - after(axis), teleport) for axis in VELOCITIES),
        *(Number("speed", 10.0, head(name) - _change(now, after, name)) for name in SELF_SPEEDS),
        Event("teleport", teleport),
    )


def _movement_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return (*_moved_targets(ops, now, after, head), Event("on_ground", after("on_ground") > 0.5))


def _pushed(ops: Ops, head: Read) -> Read:
    """Heads, of which those that add to the way of velocities say something, or nothing."""

    def read(name: str) -> Any:
        value = head(name)
        return ops.where((value > PUSH) | (value < -PUSH), value, 0) if name in VELOCITIES else value

    return read


def _lawful_movement(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    """The same, but velocities alone lead where nothing else pushes, and who stands goes on to stand unless an event
    says otherwise."""
    stays = ops.where(head("take_off") > 0, 0, 1)
    stands = ops.where(now("on_ground") > 0, stays, flag(ops, head("landing")))
    return _moved(ops, now, new, _pushed(ops, head)) | {"on_ground": stands, "ground": head("ground")}


def _lawful_movement_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    stood, stands = now("on_ground") > 0.5, after("on_ground") > 0.5
    return (
        *_moved_targets(ops, now, after, head),
        Event("landing", stands & ~stood),
        Event("take_off", stood & ~stands),
    )


MOVEMENT = Subsystem(
    "movement",
    reads=(*VELOCITIES, *SELF_SPEEDS),
    reads_new=("hitlag", *KNOCKBACK),
    writes=(*SELF_SPEEDS, *VELOCITIES, "on_ground", "ground"),
    heads=(
        *value_heads(*SELF_SPEEDS, "x", "y", "teleport_x", "teleport_y"),
        *event_heads("teleport", "on_ground"),
        *_choices("ground"),
    ),
    rule=_movement,
    targets=_movement_targets,
)

LAWFUL_MOVEMENT = replace(
    MOVEMENT,
    reads=(*MOVEMENT.reads, "on_ground"),
    heads=tuple(
        head
        for one in MOVEMENT.heads
        for head in (event_heads("landing", "take_off") if one.name == "on_ground" else (one,))
    ),
    rule=_lawful_movement,
    targets=_lawful_movement_targets,
)


def _age_step(ops: Ops, hitlag: Any) -> Any:
    """Frames by which an animation gets older."""
    return ops.where(hitlag > 0, 0, ops.one)


def _action_transitions(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    older = now("state_age") + _age_step(ops, new("hitlag"))
    return {
        "action": head("action"),
        "state_age": ops.where(head("age_reset") > 0, head("state_age"), older),
        "facing": flag(ops, head("facing")),
        "jumps": head("jumps"),
        "l_cancel": head("l_cancel"),
    }


def _gated_transitions(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    """The same, but the action stays unless an event says that it changes."""
    action = ops.where(head("action_changes") > 0, head("action"), now("action"))
    return _action_transitions(ops, now, new, head) | {"action": action}


def _transition_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    age_reset = abs(_change(now, after, "state_age") - _age_step(ops, after("hitlag"))) > 0.75
    return (
        Number("state_age", 0.05, head("state_age") - after("state_age"), age_reset),
        Event("age_reset", age_reset),
        Event("facing", after("facing") > 0.5),
    )


_ACTION = Decision("action", "category", tuple(ACTION_CATEGORY.tolist()))

ACTION_TRANSITIONS = Subsystem(
    "action transitions",
    reads=("state_age",),
    reads_new=("hitlag",),
    writes=("action", "state_age", "facing", "jumps", "l_cancel"),
    heads=(
        *value_heads("state_age"),
        *event_heads("age_reset", "facing"),
        *_choices("action", "jumps", "l_cancel"),
    ),
    rule=_action_transitions,
    targets=_transition_targets,
    decision=_ACTION,
)
GATED_TRANSITIONS = replace(
    ACTION_TRANSITIONS,
    reads=("state_age", "action"),
    heads=(*event_heads("action_changes"), *ACTION_TRANSITIONS.heads),
    rule=_gated_transitions,
    decision=replace(_ACTION, gate="action_changes"),
)
TWO_LEVEL_TRANSITIONS = replace(
    ACTION_TRANSITIONS,
    heads=(
        Head("category", "choice", len(CATEGORIES)),
        *(
            replace(head, within="category", labels=_ACTION.labels) if head.name == "action" else head
            for head in ACTION_TRANSITIONS.heads
        ),
    ),
)


def _shield_and_grab(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    return {
        "shield": now("shield") + head("shield"),
        "hurtbox": head("hurtbox"),
        "invulnerable": flag(ops, head("hurtbox")),
    }


def _shield_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return (Number("shield", 0.05, head("shield") - _change(now, after, "shield")),)


SHIELD_AND_GRAB = Subsystem(
    "shield and grab",
    reads=("shield",),
    reads_new=(),
    writes=("shield", "hurtbox", "invulnerable"),
    heads=(*value_heads("shield"), *_choices("hurtbox")),
    rule=_shield_and_grab,
    targets=_shield_targets,
)

#: How many groups a choice of many ids is made in, where it is not made of all at once: about as many as have ids each,
#: so that the fewest logits are said. Neighbours in a game's numbering are of one kind.
_GROUPS: Mapping[str, int] = {"action": 20, "ground": 4, "last_attack": 8}


def _in_groups(part: Subsystem) -> Subsystem:
    """The same with its choices of many ids in groups."""
    heads = (replace(head, groups=_GROUPS.get(head.name, 0)) for head in part.heads)
    return replace(part, heads=tuple(heads))


_CHANGED = ("percent", "x", "y", "shield")
_FLAGS = ("facing", "invulnerable", "on_ground")


def _published(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    changed = {name: now(name) + head(name) for name in _CHANGED}
    flags = {name: flag(ops, head(name)) for name in _FLAGS}
    return changed | flags | {name: head(name) for name in ("action", "jumps")}


def _published_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return (
        *(Number(name, 1.0, head(name) - _change(now, after, name), smooth=True) for name in _CHANGED),
        *(Event(name, after(name) > 0.5) for name in _FLAGS),
    )


PUBLISHED = Subsystem(
    "published",
    reads=_CHANGED,
    reads_new=(),
    writes=(*_CHANGED, *_FLAGS, "action", "jumps"),
    heads=(*value_heads(*_CHANGED), *event_heads(*_FLAGS), *_choices("action", "jumps")),
    rule=_published,
    targets=_published_targets,
    decision=_ACTION,
)

#: Output order of the integrated heads.
_NUMBERS = (
    *("percent", "x", "y", "shield", "self_x_air", "self_y", "knockback_x", "knockback_y", "self_x_ground"),
    *("state_age", "hitlag", "combo_count", "teleport_x", "teleport_y"),
)
_EVENTS = ("facing", "on_ground", "hit", "damage", "teleport", "respawn", "stock_lost", "age_reset")
_LAWFUL_EVENTS = ("facing", "landing", "take_off", "hit", "damage", "teleport", "age_reset")
_CHOICES = ("action", "jumps", "l_cancel", "hurtbox", "ground", "last_attack")
_LAWFUL = (HIT_DETECTION, LAWFUL_DAMAGE, LAWFUL_MOVEMENT, GATED_TRANSITIONS, SHIELD_AND_GRAB)
_LAWFUL_ORDER = ("action_changes", *_NUMBERS, *_LAWFUL_EVENTS, *_CHOICES)


def _five(name: str, transitions: Subsystem, order: tuple[str, ...]) -> HeadSet:
    """The five subsystems, with these action transitions."""
    return HeadSet(name, (HIT_DETECTION, DAMAGE_AND_KNOCKBACK, MOVEMENT, transitions, SHIELD_AND_GRAB), order)


#: Heads of one player, by name. `published` is the released trainer's set; it leaves most fields as they are.
#: `integrated` predicts every field that a world running by itself reads, and lets the rules integrate velocities.
#: The others do the same as `integrated`. In `gated` an event says whether the action changes at all, `two_level`
#: chooses a category before the action, and in `lawful` laws decide who loses a stock, what follows, and who stands;
#: events say who lands and who leaves the ground, and whether the action changes, as in `gated`. `lawful_grouped` is
#: `lawful` with its choices of many ids in groups.
HEAD_SETS: Mapping[str, HeadSet] = {
    heads.name: heads
    for heads in (
        HeadSet("published", (PUBLISHED,), tuple(head.name for head in PUBLISHED.heads)),
        _five("integrated", ACTION_TRANSITIONS, (*_NUMBERS, *_EVENTS, *_CHOICES)),
        _five("gated", GATED_TRANSITIONS, ("action_changes", *_NUMBERS, *_EVENTS, *_CHOICES)),
        HeadSet("lawful", _LAWFUL, _LAWFUL_ORDER, LAWS),
        HeadSet("lawful_grouped", tuple(map(_in_groups, _LAWFUL)), _LAWFUL_ORDER, LAWS),
        _five("two_level", TWO_LEVEL_TRANSITIONS, (*_NUMBERS, *_EVENTS, "category", *_CHOICES)),
    )
}
