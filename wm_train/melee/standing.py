"""Melee's law of who stands where.

Who stands, stands on a surface of the stage. The action says whether a player stands, where it can only be one of both,
or the age of its animation, where that decides (stances.py); else what the rules made of `on_ground` does. It also says
who lands out of an action of the air, and the action follows. Who should stand and has no surface in reach falls, who
has fallen DEPTH into a floor lands, who has climbed a ledge stands behind it.
"""

from typing import Any

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.stages import EDGES, FLOORS, SURFACES
from wm_train.melee.stances import (
    AIR,
    CARRIED,
    CLIMBS,
    EITHER,
    GROUND,
    LANDS_AS,
    LANDS_AT,
    LEAVES_AS,
    RISES_AT,
    SPECIAL,
    SPECIAL_BITS,
    SPECIAL_STANCE,
    STANCE,
    TIMED,
    WAITING,
)
from wm_train.world.fields import fixed
from wm_train.world.law import Law
from wm_train.world.rule_ops import LawOps, Read, between

#: Game units from a surface at which who stands still does, who lands does from below and from above.
HOLD, REACH_UP, REACH_DOWN = 4.0, 10.0, 4.0
#: Game units from a surface at which whom the other carries can still be on the ground, and who climbs come to it.
REACH_FAR = 16.0
#: Game units below a floor at which nobody still falls who was above: in 635,312 recorded frames somebody came to be 8
#: below 17 times, and 10 below 6 times.
DEPTH = 9.0
#: Game units behind a ledge at which who climbs it stands at least.
BEHIND = 0.25
EDGE_LEFT, EDGE_RIGHT = EDGES[:2]


def _stance(ops: LawOps, action: Any, character: Any) -> Any:
    """The entry of the table of stances for an action, which may be a character's own."""
    own = ops.clip((character << SPECIAL_BITS) + action - SPECIAL, 0, len(SPECIAL_STANCE) - 1)
    special = ops.pick("special_stance", SPECIAL_STANCE, own)
    return ops.where(action > SPECIAL - 1, special, ops.pick("stance", STANCE, action))


def _timed(ops: LawOps, stance: Any, action: Any, character: Any, age: Any) -> Any:
    """The stance of an action, or what the age of its animation says where that decides."""
    row = ops.name("ground_row", ops.pick("timed", TIMED, action) + character)
    lands = ops.name("ground_timed", ops.pick("lands_at", LANDS_AT, row) << FRAC_BITS)
    rises = ops.pick("rises_at", RISES_AT, row) << FRAC_BITS
    return ops.where(lands > 0, ops.where((age > rises - 1) & (lands > age), AIR, GROUND), stance)


def _surface(ops: LawOps, number: int, x: Any, y: Any, was: Any, place: Read, up: Any, down: Any) -> tuple[Any, ...]:
    """(mask of whom a surface can hold, the height that it holds them at, mask of who has fallen through a floor)."""
    left, right, low, high = (place(name) for name in SURFACES[number])
    over = ops.name(f"ground_over_{number}", (x > left - 1) & (right + 1 > x))
    holds = over & (y > low - up) & (high + down > y)
    if number >= FLOORS:
        return holds, ops.clip(y, low, high), None
    through = over & (was > low - fixed(DEPTH) - 1) & (low - fixed(DEPTH) > y)
    return holds, ops.clip(y, low, high), through


def _surfaces(ops: LawOps, x: Any, y: Any, was: Any, place: Read, up: Any, down: Any) -> tuple[Any, Any, Any]:
    """(1 for whom a surface can hold, the height that the first of these holds them at, 1 for who fell through one)."""
    held, height, through = 0, y, 0
    for number in reversed(range(len(SURFACES))):
        holds, at, falls = _surface(ops, number, x, y, was, place, up, down)
        if falls is not None:
            through = ops.name(f"ground_through_{number}", ops.where(falls, 1, through))
            holds = holds | falls
        held = ops.name(f"ground_held_{number}", ops.where(holds, 1, held))
        height = ops.name(f"ground_height_{number}", ops.where(holds, at, height))
    return held, height, through


def _stances(ops: LawOps, now: Read, new: Read) -> tuple[Any, Any, Any]:
    """(the next action's entry, mask of whom the other one carries, the stance by action and age)."""
    action = new("action")
    entry = ops.name("ground_entry", _stance(ops, action, now("character")))
    carried = ops.name("ground_carried", entry > CARRIED - 1)
    stance = ops.where(carried, entry - CARRIED, entry)
    return entry, carried, ops.name("ground_stance", _timed(ops, stance, action, now("character"), new("state_age")))


def _wants_to_stand(ops: LawOps, new: Read, entry: Any, stance: Any, lands: Any) -> Any:
    """1 for whom the action, or else the rules, say stands."""
    # An action of the air is left by landing, but not while a hit stops it.
    may = lands & (entry < AIR + 1) & (new("hitlag") < 1)
    stands = ops.where(stance > EITHER, 1, ops.where((stance > AIR) | may, new("on_ground"), 0))
    return ops.name("ground_stands", stands)


def _reach(ops: LawOps, far: Any, lands: Any, least: float) -> Any:
    """How far from a surface it holds: whom another carries or who climbs, who lands, who stood already."""
    return ops.where(far, fixed(REACH_FAR), ops.where(lands, fixed(least), fixed(HOLD)))


def _behind(ops: LawOps, new: Read, place: Read, moved: Any) -> Any:
    """Where a player is along the stage: who is moved, behind the ledge."""
    inside = ops.clip(new("x"), place(EDGE_LEFT) + fixed(BEHIND), place(EDGE_RIGHT) - fixed(BEHIND))
    return ops.name("ground_x", ops.where(moved, inside, new("x")))


def _mended(ops: LawOps, free: Any, on: Any, stance: Any) -> Any:
    """Mask of whose action says of the ground what is not so."""
    wrong = ops.where(on > 0, ops.where(stance > AIR, 0, 1), ops.where(stance > EITHER, 1, 0))
    return ops.name("ground_mended", free & (wrong > 0))


def _standing(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """Who stands, stands on something; the action follows."""
    action = new("action")
    entry, carried, stance = _stances(ops, now, new)
    free = ops.name("ground_free", (place("known") > 0) & (action > WAITING))
    lands = ops.name("ground_lands", now("on_ground") < 1)
    climbs = ops.name("ground_climbs", lands & (stance > EITHER) & between(action, *CLIMBS))
    stands = _wants_to_stand(ops, new, entry, stance, lands)
    far = ops.name("ground_far", carried | climbs)
    up = ops.name("ground_up", _reach(ops, far, lands, REACH_UP))
    down = ops.name("ground_down", _reach(ops, far, lands, REACH_DOWN))
    x = _behind(ops, new, place, free & climbs)
    held, height, through = _surfaces(ops, x, new("y"), now("y"), place, up, down)
    lands_now = (through > 0) & (stance < GROUND) & (entry < CARRIED)
    on = ops.name("ground_on", ops.where(lands_now, 1, ops.where(held > 0, stands, 0)))
    mended = _mended(ops, free, on, stance)
    leaves, landed = ops.pick("leaves_as", LEAVES_AS, action), ops.pick("lands_as", LANDS_AS, action)
    return {
        "on_ground": ops.where(free, on, new("on_ground")),
        "x": x,
        "y": ops.where(free & (on > 0) & (entry < CARRIED), height, new("y")),
        "action": ops.where(mended, ops.where(stance > EITHER, leaves, landed), action),
        "state_age": ops.where(mended, 0, new("state_age")),
    }


STANDING_LAW = Law(
    "ground",
    "ground",
    ("on_ground", "x", "y", "action", "state_age"),
    ("known", *(name for names in SURFACES for name in names), EDGE_LEFT, EDGE_RIGHT),
    _standing,
)
