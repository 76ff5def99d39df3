"""Melee's laws: how speeds die down (slowing.py), how long actions stay (stays.py), what a lost stock is and what
follows it, and who stands where.

A stock is lost in the frame in which a player is beyond the side or bottom blast zone, or beyond the top one while a
hit carries it up: in 72 recorded games every stock that is lost, and none besides. What follows is the same every time,
to the frame:

    lost, below, left or right   60 frames where it happened; the stock falls with the first
    lost, above                  176 frames; the stock falls with the 132nd
    lost, against the screen     51 and 78 frames; the stock falls with the 95th
    returning                    60 frames down from the stage's point of return, with 0 percent
    waiting                      until the player acts

The frames since it began are `state_age`, which a recording does not count for the lost (`settled`).

Who stands, stands on a surface of the stage. The action says whether a player stands, where it can only be one of both;
else what the rules made of `on_ground` does. Who should stand and has no surface in reach falls, who has fallen DEPTH
into a floor lands, and the action follows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.field_table import KNOCKBACK, LOST_ASIDE, SELF_SPEEDS, STATE, STATE_INDEX
from wm_train.melee.slowing import SLOWING_LAWS
from wm_train.melee.stages import BACK, BLAST, FLOORS, SURFACES
from wm_train.melee.stances import (
    AIR,
    CARRIED,
    EITHER,
    GROUND,
    LANDS_AS,
    LEAVES_AS,
    SPECIAL,
    SPECIAL_BITS,
    SPECIAL_STANCE,
    STANCE,
)
from wm_train.melee.stays import STAYS
from wm_train.world.fields import ends, fixed
from wm_train.world.law import Law
from wm_train.world.rule_ops import LawOps, Read, between, equals

AGES, STOCKS, HEIGHTS = (ends(STATE[STATE_INDEX[name]]) for name in ("state_age", "stocks", "y"))
#: Actions of a player who is lost (below, left, right, above, against the screen), returns, waits; the last of them.
BELOW, ABOVE, SCREEN, SCREEN_FALL, LOST_LAST = 0, 4, 6, 7, 10
LEFT, RIGHT = LOST_ASIDE
RETURNING, WAITING = 12, 13
#: Actions in which a hit carries a player.
HURT = (75, 91)
#: Frames of each lost action, by id; and, counted from 0, that in which the stock falls, where it is not the first.
LOST_FRAMES = (60, 60, 60, 176, 176, 176, 51, 78, 60, 60, 60)
STOCK_FALLS = {ABOVE: 131, SCREEN_FALL: 43}
RETURN_FRAMES = 60
#: Who comes back left of this faces right.
FACES_RIGHT = -20.0
#: Zero while a player is lost, however that came; its own speeds are where it stays in place.
STOPPED = (*KNOCKBACK, "hitlag", "on_ground")
#: LOST_FRAMES for every action.
LOST_TABLE = LOST_FRAMES + (0,) * (STATE[STATE_INDEX["action"]].vocab - len(LOST_FRAMES))

#: Game units from a surface at which who stands still does, who lands does from below and from above.
HOLD, REACH_UP, REACH_DOWN = 4.0, 10.0, 4.0
#: Game units from a surface at which whom the other carries can still be on the ground.
REACH_CARRIED = 16.0
#: Game units below a floor at which nobody still falls who was above: in 635,312 recorded frames somebody came to be 8
#: below 17 times, and 10 below 6 times.
DEPTH = 9.0


def settled(states: NDArray[np.int32]) -> NDArray[np.int32]:
    """Recorded states of one game (T, 2, fields) as Frames: `state_age` of the lost counts frames from 0."""
    action, age = (states[..., STATE_INDEX[name]] for name in ("action", "state_age"))
    number = np.arange(len(states))[:, None]
    began = np.diff(action, axis=0, prepend=-1) != 0
    since = number - np.maximum.accumulate(np.where(began, number, 0), axis=0)
    out = states.copy()
    most = round(STATE[STATE_INDEX["state_age"]].hi)
    out[..., STATE_INDEX["state_age"]] = np.where(action <= LOST_LAST, np.minimum(since, most) << FRAC_BITS, age)
    return out


def _falls(ops: LawOps, action: Any, frames: Any) -> Any:
    """Mask of who is lost for as long that the stock falls now."""
    above, screen = (equals(action, lost) & equals(frames, fixed(at)) for lost, at in STOCK_FALLS.items())
    return above | screen


def _lost(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """Who is beyond a blast zone is lost, and stays where that was until the time is over."""
    action, x, y = now("action"), new("x"), new("y")
    below, left, right = place("blast_bottom") > y, place("blast_left") > x, x > place("blast_right")
    carried = between(action, *HURT) & (now("knockback_y") > 0)
    aside = ops.name("lost_aside", (below | left | right) & (action > WAITING))
    begins = ops.name("lost_begins", aside | (y > place("blast_top")) & carried)
    lost_as = ops.where(below, BELOW, ops.where(left, LEFT, ops.where(right, RIGHT, ABOVE)))
    frames = ops.name("lost_frames_since", now("state_age") + ops.one)
    goes_on = ops.name("lost_goes_on", between(action, 0, LOST_LAST))
    still = ops.name("lost_still", goes_on & between(action, 0, RIGHT))
    turns = ops.name("lost_turns", equals(action, SCREEN) & (frames > fixed(LOST_FRAMES[SCREEN]) - 1))
    gone = ops.name("lost_gone", begins | goes_on)
    stops = ops.name("lost_stops", aside | still)
    # Nobody else is shown as lost, returning or waiting.
    played = ops.where((action > WAITING) & between(new("action"), 0, WAITING), action, new("action"))
    ended = ops.where(turns, SCREEN_FALL, action)
    since = ops.where(begins | turns, 0, frames)
    return {
        "stocks": ops.clip(now("stocks") - ops.where(aside | _falls(ops, action, frames), ops.one, 0), *STOCKS),
        "percent": ops.where(gone, now("percent"), new("percent")),
        "action": ops.where(begins, lost_as, ops.where(goes_on, ended, played)),
        "state_age": ops.clip(ops.where(gone, since, new("state_age")), *AGES),
        **{axis: ops.where(still, now(axis), new(axis)) for axis in ("x", "y")},
        **{speed: ops.where(stops, 0, new(speed)) for speed in SELF_SPEEDS},
        **{name: ops.where(gone, 0, new(name)) for name in STOPPED},
    }


#: What is the same for everybody who comes back or waits, and in each frame of coming back.
AT_REST = dict.fromkeys(("self_x_air", "self_x_ground", *STOPPED), 0)
FRESH = {
    "percent": 0,
    "shield": fixed(60),
    "combo_count": 0,
    "invulnerable": 0,
    "l_cancel": 0,
    "hurtbox": 0,
    "ground": STATE[STATE_INDEX["ground"]].vocab - 1,
    "last_attack": 0,
}


def _back(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """Who has been lost for its time and has a stock comes back, and descends from the stage's point of return."""
    was = now("action")
    # Who has come back waits or plays.
    waits = between(was, RETURNING, WAITING) & between(new("action"), 0, RETURNING)
    action = ops.name("back_played", ops.where(waits, WAITING, new("action")))
    time = ops.pick("lost_frames", LOST_TABLE, was) << FRAC_BITS
    over = between(was, 0, LOST_LAST) & (new("state_age") > time - 1) & between(action, 0, LOST_LAST)
    returns = ops.name("back_returns", over & (new("stocks") > 0))
    older = ops.name("back_older", now("state_age") + ops.one)
    descends = ops.name("back_descends", equals(was, RETURNING) & (fixed(RETURN_FRAMES) > older))
    rests = ops.name("back_rests", equals(action, WAITING) & between(was, RETURNING, WAITING))
    stays = ops.name("back_stays", descends | rests)
    lower = ops.clip(now("y") + place("back_speed"), *HEIGHTS)
    back = ops.name("back_comes", returns | descends)
    right = ops.where(fixed(FACES_RIGHT) > place("back_x"), 1, 0)
    return {
        "action": ops.where(back, RETURNING, action),
        "state_age": ops.where(returns, 0, ops.where(descends, older, new("state_age"))),
        "x": ops.where(returns, place("back_x"), ops.where(stays, now("x"), new("x"))),
        "y": ops.where(returns, place("back_y"), ops.where(descends, lower, ops.where(rests, now("y"), new("y")))),
        "self_y": ops.where(back, place("back_speed"), ops.where(rests, 0, new("self_y"))),
        "facing": ops.where(back, right, new("facing")),
        **{name: ops.where(back | rests, value, new(name)) for name, value in AT_REST.items()},
        **{name: ops.where(back, value, new(name)) for name, value in FRESH.items()},
    }


def _surface(ops: LawOps, number: int, now: Read, new: Read, place: Read, up: Any, down: Any) -> tuple[Any, Any, Any]:
    """(mask of whom a surface can hold, the height that it holds them at, mask of who has fallen through a floor)."""
    x, y, was = new("x"), new("y"), now("y")
    left, right, low, high = (place(name) for name in SURFACES[number])
    over = ops.name(f"ground_over_{number}", (x > left - 1) & (right + 1 > x))
    holds = over & (y > low - up) & (high + down > y)
    if number >= FLOORS:
        return holds, ops.clip(y, low, high), None
    through = over & (was > low - fixed(DEPTH) - 1) & (low - fixed(DEPTH) > y)
    return holds, ops.clip(y, low, high), through


def _stance(ops: LawOps, action: Any, character: Any) -> Any:
    """The entry of the table of stances for an action, which may be a character's own."""
    own = ops.clip((character << SPECIAL_BITS) + action - SPECIAL, 0, len(SPECIAL_STANCE) - 1)
    special = ops.pick("special_stance", SPECIAL_STANCE, own)
    return ops.where(action > SPECIAL - 1, special, ops.pick("stance", STANCE, action))


def _ground(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """Who stands, stands on something; the action follows."""
    action = new("action")
    entry = ops.name("ground_entry", _stance(ops, action, now("character")))
    carried = ops.name("ground_carried", entry > CARRIED - 1)
    stance = ops.name("ground_stance", ops.where(carried, entry - CARRIED, entry))
    free = ops.name("ground_free", (place("known") > 0) & (action > WAITING))
    stands = ops.where(stance > EITHER, 1, ops.where(stance > AIR, new("on_ground"), 0))
    stands = ops.name("ground_stands", stands)
    lands = now("on_ground") < 1
    reach = ops.where(carried, fixed(REACH_CARRIED), ops.where(lands, fixed(REACH_UP), fixed(HOLD)))
    down = ops.where(carried, fixed(REACH_CARRIED), ops.where(lands, fixed(REACH_DOWN), fixed(HOLD)))
    reach, down = ops.name("ground_reach", reach), ops.name("ground_down", down)
    held, height, through = 0, new("y"), 0
    for number in reversed(range(len(SURFACES))):
        holds, at, falls = _surface(ops, number, now, new, place, reach, down)
        if falls is not None:
            through = ops.name(f"ground_through_{number}", ops.where(falls, 1, through))
            holds = holds | falls
        held = ops.name(f"ground_held_{number}", ops.where(holds, 1, held))
        height = ops.name(f"ground_height_{number}", ops.where(holds, at, height))
    lands_now = (through > 0) & (stance < GROUND) & (entry < CARRIED)
    on = ops.name("ground_on", ops.where(lands_now, 1, ops.where(held > 0, stands, 0)))
    wrong = ops.where(on > 0, ops.where(stance > AIR, 0, 1), ops.where(stance > EITHER, 1, 0))
    mended = ops.name("ground_mended", free & (wrong > 0))
    leaves, landed = ops.pick("leaves_as", LEAVES_AS, action), ops.pick("lands_as", LANDS_AS, action)
    return {
        "on_ground": ops.where(free, on, new("on_ground")),
        "y": ops.where(free & (on > 0) & (entry < CARRIED), height, new("y")),
        "action": ops.where(mended, ops.where(stance > EITHER, leaves, landed), action),
        "state_age": ops.where(mended, 0, new("state_age")),
    }


LAWS = (
    *SLOWING_LAWS,
    STAYS,
    Law(
        "lost stocks",
        "lost",
        ("stocks", "percent", "action", "state_age", "x", "y", *SELF_SPEEDS, *STOPPED),
        BLAST,
        _lost,
    ),
    Law("coming back", "back", ("action", "state_age", "x", "y", "self_y", "facing", *AT_REST, *FRESH), BACK, _back),
    Law(
        "ground",
        "ground",
        ("on_ground", "y", "action", "state_age"),
        ("known", *(name for names in SURFACES for name in names)),
        _ground,
    ),
)
