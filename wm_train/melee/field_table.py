"""The one field table: every fact about a field of Melee's Frames and inputs is here.

`since` is the first Slippi version that records a field; sticks and shoulder are in steps of 1/80.

An id that no row is for has the row of `unknown`, which is nobody's in a game of two, or a class of its own:
    stage      0, which the game has no stage for
    character  32, the sandbag of the home-run contest
    action     399: specials from there on, which Kirby alone has, of those that he copied
    jumps      7, more than anybody has; last_attack 63, which no attack has
    ground     31: lines from there on (of stages with many), and none
"""

from collections.abc import Mapping
from typing import Any

from wm_train.world.fields import (
    Field,
    Kind,
    Mirrored,
    axis,
    binary,
    button,
    categorical,
    continuous,
    index_of,
    nonzero,
    zero,
)

_V20, _V21, _V35, _V38 = (2, 0, 0), (2, 1, 0), (3, 5, 0), (3, 8, 0)
#: Of what points left or right: -1 and 1 across, or 0 and 1. All other fields are the same in a game that is mirrored.
_ACROSS: dict[str, Any] = {"mirrored": Mirrored.NEGATED}
_SIDE: dict[str, Any] = {"mirrored": Mirrored.FLIPPED}

#: Actions of a player who is lost beyond the left end of a stage, and beyond the right one.
LOST_ASIDE = (1, 2)

#: State of one player, in the order of the Frame. Ranges hold for every value the decoder may write.
STATE: tuple[Field, ...] = (
    continuous("percent", "%", 0, 999, 0.01, 2.0),
    continuous("x", "game units", -300, 300, 0.05, 1.5, **_ACROSS),
    continuous("y", "game units", -200, 300, 0.05, 1.5),
    continuous("shield", "shield points", 0, 60, 0.01, 0.5),
    continuous("self_x_air", "game units/frame", -32, 32, 0.05, 0.04, since=_V35, first="v2", **_ACROSS),
    continuous("self_y", "game units/frame", -32, 32, 0.05, 0.04, since=_V35, first="v2"),
    continuous("knockback_x", "game units/frame", -32, 32, 0.05, 0.05, since=_V35, first="v2", **_ACROSS),
    continuous("knockback_y", "game units/frame", -32, 32, 0.05, 0.06, since=_V35, first="v2"),
    continuous("self_x_ground", "game units/frame", -32, 32, 0.05, 0.04, since=_V35, first="v2", **_ACROSS),
    continuous("state_age", "frames", -8, 2000, 0.01, 1.0, since=(0, 2, 0), first="v2"),
    continuous("hitlag", "frames", 0, 64, 0.1, 0.125, since=_V38, first="v2"),
    continuous("stocks", "stocks", 0, 4, 0.25, 1 / 16, first="v2"),
    continuous("combo_count", "hits", 0, 60, 0.1, 0.125, first="v2.1"),
    binary("facing", "direction", **_SIDE),
    binary("invulnerable", "hurtbox", nonzero, since=_V21),
    binary("on_ground", "airborne", zero, since=_V20),
    categorical("action", 400, 32, unknown=399, pairs=(LOST_ASIDE,)),
    categorical("jumps", 8, 4, unknown=7, since=_V20),
    categorical("character", 33, 8, unknown=32, first="v2", session=True),
    categorical("l_cancel", 3, 2, unknown=0, since=_V20, first="v2.1"),
    categorical("hurtbox", 3, 2, unknown=2, since=_V21, first="v2.1"),
    categorical("ground", 32, 4, unknown=31, since=_V20, first="v2.1"),
    categorical("last_attack", 64, 8, unknown=63, first="v2.1"),
)

#: One controller, in the order of an input.
CONTROLS: tuple[Field, ...] = (
    axis("stick_x", "stick_x", -80, 80, **_ACROSS),
    axis("stick_y", "stick_y", -80, 80),
    axis("cstick_x", "cstick_x", -80, 80, **_ACROSS),
    axis("cstick_y", "cstick_y", -80, 80),
    axis("shoulder", "trigger", 0, 80),
    button("A", "buttons", 0x100),
    button("B", "buttons", 0x200),
    button("X", "buttons", 0x400),
    button("Y", "buttons", 0x800),
    button("Z", "buttons", 0x10),
    button("L", "buttons", 0x40),
    button("R", "buttons", 0x20),
    button("D_UP", "buttons", 0x08),
)

STAGE = Field(
    name="stage",
    kind=Kind.CATEGORICAL,
    column="stage",
    unit="id",
    hi=32,
    vocab=33,
    unknown=0,
    width=4,
    first="v2",
    session=True,
)

#: `state_age` as an id, where a flag asks for it: the frame of an animation by itself, not a point on a scale.
STATE_AGE_ID = categorical("state_age", 150, 8, unknown=149, since=(0, 2, 0), first="v2", rounded=True)

#: Dataset columns that the nearest items are found from.
ITEM_COLUMNS = ("item_type", "item_x", "item_y", "item_vx", "item_vy")
#: Landed moves that a queue remembers, and the game's own queue as well.
STALE_MOVES = 9
#: Where an item is that is not there.
ITEM_FAR = 256

_V30, _V311 = (3, 0, 0), (3, 11, 0)


def _state_flag(name: str, byte: int, bit: int) -> Field:
    return binary(name, f"flags{byte}", bit=bit, since=_V20)


#: Fields that a flag appends to a player's state, in the order of the Frame behind STATE. A self-running world keeps
#: them as they were.
EXTRA: Mapping[str, tuple[Field, ...]] = {
    "projectiles": (
        Field(name="item_type", kind=Kind.CATEGORICAL, column="", unit="id", hi=255, vocab=256, width=8, since=_V30),
        continuous("item_distance", "game units", 0, ITEM_FAR, 0.02, 2.0, derived=True, since=_V30),
        continuous("item_vx", "game units/frame", -32, 32, 0.05, 1 / 16, derived=True, since=_V30, **_ACROSS),
        continuous("item_vy", "game units/frame", -32, 32, 0.05, 1 / 16, derived=True, since=_V30),
        continuous("item_count", "items", 0, 15, 0.1, 0.125, derived=True, since=_V30),
    ),
    # Of the five bytes, the bits whose meaning is known, that are ever set in a game of two, and that no other field
    # tells: in hitlag (byte 1, 0x20), for one, is `hitlag > 0` in every frame.
    "state_flags": (
        _state_flag("reflecting", 0, 0x10),
        _state_flag("interruptible", 0, 0x80),
        _state_flag("intangible", 1, 0x04),
        _state_flag("fast_falling", 1, 0x08),
        _state_flag("hit_in_hitlag", 1, 0x10),
        _state_flag("holding", 2, 0x04),
        _state_flag("shielding", 2, 0x80),
        _state_flag("in_hitstun", 3, 0x02),
        _state_flag("powershielding", 3, 0x20),
        _state_flag("dead", 4, 0x40),
        _state_flag("offscreen", 4, 0x80),
    ),
    "animation_index": (categorical("animation_index", 400, 16, unknown=399, since=_V311),),
    "stale_moves": tuple(
        Field(name=f"stale_{i}", kind=Kind.CATEGORICAL, column="", unit="id", hi=63, vocab=64, width=4, newest=True)
        for i in range(1, STALE_MOVES + 1)
    ),
}


def _seen(name: str, unit: str, low: float, high: float, step: float) -> Field:
    return continuous(name, unit, low, high, 0.05, step, derived=True, since=_V35)


#: Fields that a flag appends and that follow from a Frame and its stage (sights.py), in the order of the Frame behind
#: those of EXTRA.
SIGHT: Mapping[str, tuple[Field, ...]] = {
    "geometry": (
        _seen("height", "game units", -16, 32, 0.25),
        _seen("height_near", "game units", -8, 8, 1 / 16),
        _seen("end_ahead", "game units", 0, 32, 0.25),
        _seen("end_behind", "game units", 0, 32, 0.25),
        _seen("edge_out", "game units", -32, 32, 0.25),
        _seen("edge_up", "game units", -32, 32, 0.25),
        _seen("other_ahead", "game units", -32, 32, 0.25),
        _seen("other_up", "game units", -32, 32, 0.25),
        _seen("other_comes", "game units/frame", -8, 8, 1 / 16),
        _seen("other_rises", "game units/frame", -8, 8, 1 / 16),
    ),
    "reach": (
        _seen("hits_now", "0 or 1", 0, 1, 1 / 64),
        _seen("hits_in", "frames", 0, 16, 0.125),
        _seen("out_across", "game units", -16, 16, 0.125),
        _seen("out_up", "game units", -16, 16, 0.125),
        _seen("strikes", "game units", -8, 8, 1 / 16),
    ),
}

STATE_INDEX = index_of(STATE)
KNOCKBACK = ("knockback_x", "knockback_y")
SELF_SPEEDS = ("self_x_air", "self_y", "self_x_ground")
SPEEDS = ("self_x_air", "self_y", "knockback_x", "knockback_y", "self_x_ground")
