"""Melee's laws: how speeds die down (slowing.py), how long actions stay (stays.py), who stands where (standing.py), and
what a lost stock is and what follows it.

A stock is lost in the frame in which a player is beyond the side or bottom blast zone, or beyond the top one while a
hit carries it up: in 72 recorded games every stock that is lost, and none besides. What follows is the same every time,
to the frame:

    lost, below, left or right   60 frames where it happened; the stock falls with the first
    lost, above                  176 frames; the stock falls with the 132nd
    lost, against the screen     51 and 78 frames; the stock falls with the 95th
    returning                    60 frames down from the stage's point of return, with 0 percent
    waiting                      until the player acts

The frames since it began are `state_age`, which a recording does not count for the lost (`settled`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.field_table import KNOCKBACK, LOST_ASIDE, SELF_SPEEDS, STATE, STATE_INDEX
from wm_train.melee.slowing import SLOWING_LAWS
from wm_train.melee.stages import BACK, BLAST
from wm_train.melee.stances import RETURNING, WAITING
from wm_train.melee.standing import STANDING_LAW
from wm_train.melee.stays import STAYS
from wm_train.world.fields import ends, fixed
from wm_train.world.law import Law
from wm_train.world.rule_ops import LawOps, Read, between, equals

AGES, STOCKS, HEIGHTS = (ends(STATE[STATE_INDEX[name]]) for name in ("state_age", "stocks", "y"))
#: Actions of a player who is lost (below, left, right, above, against the screen), returns, waits; the last of them.
BELOW, ABOVE, SCREEN, SCREEN_FALL, LOST_LAST = 0, 4, 6, 7, 10
LEFT, RIGHT = LOST_ASIDE
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
    STANDING_LAW,
)
