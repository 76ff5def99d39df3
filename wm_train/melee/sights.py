"""What a player sees around it: how high it is over what it could land on, where that ends, where the other one is.

A hit or a landing is decided within a fraction of a game unit; a network reads positions in steps of 1.5. So all of
this is in fine steps and ends nearby: `x` and `y` say the rest. What is measured is where velocities lead in the next
frame, for that is where it is decided. Ahead is where a player looks.
"""

from collections.abc import Mapping
from typing import Any

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.field_table import SIGHT
from wm_train.melee.reach import (
    ACTION_BITS,
    AHEAD,
    BEHIND,
    BELOW,
    FARTHEST,
    FIRST,
    LAST,
    MOVE_NUMBER,
    OFFSET,
    OVER,
)
from wm_train.melee.rules import VELOCITIES, steps
from wm_train.melee.stages import EDGES, SURFACES
from wm_train.world.fields import fixed
from wm_train.world.rule_ops import LawOps, Read
from wm_train.world.sight import Sight

#: Game units that a surface may be above a player who could still land on it: who lands comes to be that deep in it.
ABOVE = 10.0
#: Height of what is below a player who is over no surface; the ends of that are where the player is.
NOTHING = -300.0
#: Frames until a move hits that hits no more.
LATER = 16.0
#: What is known of moves, by what it is called where it is written down.
TABLES = {"first": FIRST, "last": LAST, "behind": BEHIND, "ahead": AHEAD, "below": BELOW, "over": OVER}


def _velocity(of: Read, axis: str) -> Any:
    """A player's own velocity along an axis, and that of knockback."""
    own, knockback = VELOCITIES[axis]
    return of(own) + of(knockback)


def _led(ops: LawOps, of: Read) -> tuple[Any, Any]:
    """Where its velocities lead a player: nowhere in hitlag."""
    step = steps(ops, of("hitlag") > 0, of)
    return of("x") + step["x"], of("y") + step["y"]


def _below(ops: LawOps, x: Any, y: Any, place: Read) -> tuple[Any, Any, Any]:
    """(height, left end, right end) of the highest surface that is below a position, or less than ABOVE over it."""
    height, first, last = fixed(NOTHING), x, x
    for number, names in enumerate(SURFACES):
        left, right, low, high = (place(name) for name in names)
        at = ops.name(f"sight_at_{number}", ops.clip(y, low, high))
        over = (x > left - 1) & (right + 1 > x) & (y + fixed(ABOVE) > at)
        nearer = ops.name(f"sight_nearer_{number}", over & (at > height))
        height = ops.name(f"sight_height_{number}", ops.where(nearer, at, height))
        first = ops.name(f"sight_first_{number}", ops.where(nearer, left, first))
        last = ops.name(f"sight_last_{number}", ops.where(nearer, right, last))
    return height, first, last


def _apart(ops: LawOps, me: Read, other: Read) -> tuple[Any, Any]:
    """How far ahead of a player and above it velocities lead the other one."""
    (x, y), (there_x, there_y) = _led(ops, me), _led(ops, other)
    x, there_x = ops.name("sight_x", x), ops.name("sight_there_x", there_x)
    return ops.where(me("facing") > 0, there_x - x, x - there_x), there_y - y


def _outside(ops: LawOps, value: Any, low: Any, high: Any) -> Any:
    """How far a value is beyond the nearer end of low..high: less than 0 inside."""
    under, above = ops.name("reach_under", low - value), ops.name("reach_above", value - high)
    return ops.where(under > above, under, above)


def _around(ops: LawOps, me: Read, other: Read, place: Read) -> Mapping[str, Any]:
    """The fields of SIGHT["geometry"]."""
    x, y = (ops.name(f"sight_{axis}", value) for axis, value in zip("xy", _led(ops, me), strict=True))
    across, up = _apart(ops, me, other)
    right = ops.name("sight_right", me("facing") > 0)
    height, first, last = _below(ops, x, y, place)
    outer_left, outer_right, edge_y = (place(name) for name in EDGES)
    beyond_left, beyond_right = outer_left - x, x - outer_right
    speed, there_speed = _velocity(me, "x"), _velocity(other, "x")
    return {
        "height": y - height,
        "height_near": y - height,
        "end_ahead": ops.where(right, last - x, x - first),
        "end_behind": ops.where(right, x - first, last - x),
        "edge_out": ops.where(beyond_left > beyond_right, beyond_left, beyond_right),
        "edge_up": y - edge_y,
        "other_ahead": across,
        "other_up": up,
        "other_comes": ops.where(right, there_speed - speed, speed - there_speed),
        "other_rises": _velocity(other, "y") - _velocity(me, "y"),
    }


def _reach(ops: LawOps, me: Read, other: Read, place: Read) -> Mapping[str, Any]:
    """The fields of SIGHT["reach"]."""
    action, age = me("action"), ops.name("reach_age", (me("state_age") + ops.one // 2) >> FRAC_BITS)
    number = ops.name("reach_move", ops.pick("move_number", MOVE_NUMBER, (me("character") << ACTION_BITS) + action))
    first, last, behind, ahead, below, over = (
        ops.name(f"reach_{name}", ops.pick(f"moves_{name}", table, number) - OFFSET) for name, table in TABLES.items()
    )
    now = ops.name("reach_now", (number > 0) & (age > first - 1) & (last + 1 > age))
    waits = (number > 0) & (first > age)
    across, up = _apart(ops, me, other)
    beside = ops.name("reach_beside", _outside(ops, across, behind << FRAC_BITS, ahead << FRAC_BITS))
    past = ops.name("reach_past", _outside(ops, up, below << FRAC_BITS, over << FRAC_BITS))
    out = ops.where(beside > past, beside, past)
    return {
        "hits_now": ops.where(now, ops.one, 0),
        "hits_in": ops.where(waits, (first - age) << FRAC_BITS, fixed(LATER)),
        "out_across": beside,
        "out_up": past,
        "strikes": ops.where(now, out, fixed(FARTHEST)),
    }


SIGHTS: Mapping[str, Sight] = {
    "geometry": Sight(SIGHT["geometry"], (*(name for names in SURFACES for name in names), *EDGES), _around),
    "reach": Sight(SIGHT["reach"], (), _reach),
}
