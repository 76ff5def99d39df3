"""Melee's laws of how speeds die down: what a hit gave, and that of who stands.

Knockback begins in hitlag, or where the other player lets go, and nowhere else. Then it falls to rest. In the air it is
a vector that becomes FALL shorter in each frame and keeps its direction: the greater of its two parts falls by FALL at
most and by FALL / sqrt(2) at least, the lesser by no more than that. On the ground it falls by the character's traction
at least, less an eighth for slopes, and an edge stops it. It is kept in hitlag; whom the other player carries has none,
nor has who hangs on a ledge.

Who stands slows down: while most of the actions of who stands last, the speed along the ground falls by the character's
traction in each frame, or by twice that, to rest.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import sqrt
from typing import Any

from wm_train.melee.actions import RANGES
from wm_train.melee.field_table import KNOCKBACK, STATE, STATE_INDEX
from wm_train.world.fields import ends, fixed
from wm_train.world.law import Law
from wm_train.world.rule_ops import LawOps, Read, equals

_ACTIONS, _CHARACTERS = (STATE[STATE_INDEX[name]].vocab for name in ("action", "character"))
SPEEDS, KNOCK, WIDTHS, HEIGHTS = (ends(STATE[STATE_INDEX[name]]) for name in ("self_x_ground", KNOCKBACK[0], "x", "y"))
#: What a replay's number and a Frame's fixed point round a fall by, in fixed point.
ROUNDED = 2
#: Game units a frame that knockback in the air becomes shorter by in a frame.
FALL = 0.051
FALL_MOST, FALL_LEAST = fixed(FALL) + ROUNDED, fixed(FALL / sqrt(2)) - ROUNDED
LESSER_MOST = fixed(FALL / sqrt(2)) + ROUNDED


def _table(ids: Iterable[int]) -> tuple[int, ...]:
    """1 for the actions of these ids, for every action."""
    found = frozenset(ids)
    return tuple(int(action in found) for action in range(_ACTIONS))


def _of(*categories: str) -> Iterator[int]:
    """The ids of categories of actions."""
    return (i for category in categories for first, last in RANGES[category] for i in range(first, last + 1))


#: 1 for actions in which the other player carries, and for those and who hangs on a ledge: in 40,320 recorded frames
#: none of them has knockback.
CARRIED, HELD = _table(_of("held")), _table(_of("held", "ledge"))
#: 1 for actions in which the speed along the ground never rises or turns while they last: in 72 recorded games never in
#: at least 200 frames of each, 331,049 in all.
SLOWING = _table(
    (
        *(14, 18, 23, 24, *range(39, 45), 51, 53, *range(55, 58), 63, 64, *range(70, 82), *range(178, 181)),
        *(182, 183, 184, 186, 187, 191, 192, 194, 195, 199, 212, 214, 216, 217, 221, 222, *range(226, 229)),
        *(235, *range(238, 243)),
    )
)


#: Character -> what its speed along the ground falls by in a frame, or twice that, in game units: in all but 18
#: of 331,049 recorded frames of SLOWING actions.
TRACTION: Mapping[int, float] = {
    **dict.fromkeys((1, 2, 4, 7, 20, 22), 0.08),
    **dict.fromkeys((13, 18, 24), 0.06),
    **dict.fromkeys((6, 9), 0.1),
    **{10: 0.035, 12: 0.09, 16: 0.04, 25: 0.07},
}
#: What it falls by at least where the character's is not known, and at most.
TRACTION_LEAST, TRACTION_MOST = 0.02, 4.0


def _tractions(times: int, unknown: float, rounded: int) -> tuple[int, ...]:
    """By character, so many times its traction, in fixed point."""
    return tuple(fixed(times * TRACTION[i]) + rounded if i in TRACTION else fixed(unknown) for i in range(_CHARACTERS))


TRACTIONS = (
    ("traction", _tractions(1, TRACTION_LEAST, -ROUNDED)),
    ("twice_traction", _tractions(2, TRACTION_MOST, ROUNDED)),
)


def _falling(ops: LawOps, speed: Any, least: Any, most: Any, range_: tuple[int, int]) -> tuple[Any, Any]:
    """The ends of where a speed can be after a frame in which it falls by `least` to `most`, to rest."""
    low, high = range_
    return (
        ops.clip(speed - most, 0, high) + ops.clip(speed + least, low, 0),
        ops.clip(speed - least, 0, high) + ops.clip(speed + most, low, 0),
    )


def _knockback_ends(ops: LawOps, now: Read, new: Read) -> dict[str, tuple[Any, Any]]:
    """Component of knockback -> where it can be after a frame that no hit is in."""
    flies = ops.name("knockback_flies", (now("on_ground") < 1) & (new("on_ground") < 1))
    slides = ops.name("knockback_slides", (now("on_ground") > 0) & (new("on_ground") > 0))
    traction = ops.name("knockback_traction", ops.pick(*TRACTIONS[0], now("character")))
    across, up = (ops.clip(now(name), 0, KNOCK[1]) - ops.clip(now(name), KNOCK[0], 0) for name in KNOCKBACK)
    wider = ops.name("knockback_wider", across > up)
    # What slides slows down along x, and an edge stops it; where a player lands or leaves the ground, no part grows.
    along = (ops.where(slides, traction - (traction >> 3), 0), KNOCK[1])
    greater, lesser, any_ = (FALL_LEAST, FALL_MOST), (0, LESSER_MOST), (0, KNOCK[1])
    found = {}
    for name, first, second, other in zip(KNOCKBACK, (greater, lesser), (lesser, greater), (along, any_), strict=True):
        least, most = (
            ops.name(f"{name}_{end}", ops.where(flies, ops.where(wider, a, b), c))
            for end, a, b, c in zip(("least_fall", "most_fall"), first, second, other, strict=True)
        )
        found[name] = _falling(ops, now(name), least, most, KNOCK)
    return found


def _knockback(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """Knockback begins with a hit, or where the other player lets go, and falls to rest."""
    lag, left = now("hitlag"), new("hitlag")
    frozen = ops.name("knockback_frozen", (left > 0) & (lag > left))
    begins = (lag > 0) | (left > 0) | (ops.pick("carried", CARRIED, now("action")) > 0)
    slope = ops.name("knockback_slope", new("on_ground") > 0)  # it turns along x into some of y
    free = {"knockback_x": ops.name("knockback_begins", begins)}
    free["knockback_y"] = free["knockback_x"] | slope
    held = ops.name("knockback_held", ops.pick("held", HELD, new("action")) > 0)
    after = {}
    for name, (low, high) in _knockback_ends(ops, now, new).items():
        fallen = ops.where(free[name], new(name), ops.clip(new(name), low, high))
        after[name] = ops.name(f"{name}_left", ops.where(held, 0, ops.where(frozen, now(name), fallen)))
    ways = zip(("x", "y"), (WIDTHS, HEIGHTS), KNOCKBACK, strict=True)
    return after | {axis: _led(ops, new, axis, range_, after[name] - new(name)) for axis, range_, name in ways}


def _led(ops: LawOps, new: Read, axis: str, range_: tuple[int, int], change: Any) -> Any:
    """A position that a velocity leads to which a law has changed; in hitlag none does."""
    return ops.clip(new(axis) + ops.where(new("hitlag") > 0, 0, change), *range_)


def _friction(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """The speed along the ground of who slows down, and the way that it makes: it falls by the character's traction, or
    by twice that, and ends at rest."""
    action = new("action")
    stays = equals(action - now("action"), 0) & (now("on_ground") > 0) & (new("on_ground") > 0)
    slows = ops.name("friction_slows", stays & (ops.pick("slowing", SLOWING, action) > 0))
    frozen = ops.name("friction_frozen", (now("hitlag") > 0) & (new("hitlag") > 0))  # its speed is kept
    once, twice = (
        ops.name(f"friction_{name}", ops.where(frozen, 0, ops.pick(name, table, now("character"))))
        for name, table in TRACTIONS
    )
    least, most = _falling(ops, now("self_x_ground"), once, twice, SPEEDS)
    least, most = ops.name("friction_least", least), ops.name("friction_most", most)
    ground, air = (
        ops.name(f"friction_{name}", ops.where(slows, ops.clip(new(name), least, most), new(name)))
        for name in ("self_x_ground", "self_x_air")
    )
    return {"self_x_ground": ground, "self_x_air": air, "x": _led(ops, new, "x", WIDTHS, air - new("self_x_air"))}


SLOWING_LAWS = (
    Law("knockback", "knockback", (*KNOCKBACK, "x", "y"), (), _knockback),
    Law("friction", "friction", ("self_x_ground", "self_x_air", "x"), (), _friction),
)
