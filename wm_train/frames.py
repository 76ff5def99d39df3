"""The one field table: every fact about a field of a Frame is here, and every dimension is derived from it.

A **Frame** is the state of one game frame as integers, `(N, 2, len(STATE))` int32: continuous fields in fixed point
(`FRAC_BITS` fractional bits), binary fields 0 or 1, categorical fields as ids. The **inputs** of a frame are the two
controllers, `(N, 2, len(CONTROLS))` int8: sticks and shoulder in steps of 1/80, buttons 0 or 1. Which fields a network
reads, and in which order, is its encoding's (encoding.py); one with flags may append fields to both.

Glossary
    scale   float encoding: network input = value * scale (published v2.2 encoding)
    step    INT8 encoding: one code is `step` units of the value, codes saturate at -128 and 127
    column  one dense number of the network input; one per continuous, binary and control field
    id      one categorical field of a window slot; looked up in an embedding, or in its folded row table
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wm_train.grid import FRAC_BITS

PLAYERS = 2


class Kind(Enum):
    """How a field is held in a Frame and how the network reads it."""

    CONTINUOUS = "continuous"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    AXIS = "axis"
    BUTTON = "button"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a player.

    `lo`, `hi` bound the value in `unit`; decode clamps to them. `column` names the dataset column it is read from.
    `since` is the first Slippi version that records it. `session` marks an id that does not change while a session
    lasts: the network sees the newest frame's in every slot (a game can change it, where Zelda becomes Sheik; a session
    then goes on with the id it began with). `newest` marks an id that is read in the window's newest slot only,
    `rounded` an id that the Frame holds as a number in fixed point. A field without `column` is derived (extras.py).
    """

    name: str
    kind: Kind
    column: str
    unit: str = ""
    lo: float = 0.0
    hi: float = 1.0
    scale: float = 1.0
    step: float = 1 / 64
    vocab: int = 0
    width: int = 0
    since: tuple[int, int, int] = (0, 1, 0)
    first: str = "v1"
    session: bool = False
    newest: bool = False
    rounded: bool = False
    bit: int = 0

    @property
    def is_dense(self) -> bool:
        """Whether the field is a number of the dense input (else an id)."""
        return self.kind is not Kind.CATEGORICAL


def _continuous(
    name: str, unit: str, lo: float, hi: float, scale: float, step: float, derived: bool = False, **more: Any
) -> Field:
    column = "" if derived else name
    return Field(
        name=name, kind=Kind.CONTINUOUS, column=column, unit=unit, lo=lo, hi=hi, scale=scale, step=step, **more
    )


def _categorical(name: str, vocab: int, width: int, **more: Any) -> Field:
    return Field(
        name=name, kind=Kind.CATEGORICAL, column=name, unit="id", hi=vocab - 1, vocab=vocab, width=width, **more
    )


def _binary(name: str, column: str, **more: Any) -> Field:
    return Field(name=name, kind=Kind.BINARY, column=column, unit="0 or 1", **more)


def _axis(name: str, column: str, lo: float) -> Field:
    return Field(name=name, kind=Kind.AXIS, column=column, unit="1/80", lo=lo, hi=80, step=1 / 80)


def _button(name: str, bit: int) -> Field:
    return Field(name=name, kind=Kind.BUTTON, column="buttons", unit="0 or 1", bit=bit)


_V20, _V21, _V35, _V38 = (2, 0, 0), (2, 1, 0), (3, 5, 0), (3, 8, 0)

#: State of one player, in the order of the Frame. Ranges hold for every value the decoder may write.
STATE: tuple[Field, ...] = (
    _continuous("percent", "%", 0, 999, 0.01, 2.0),
    _continuous("x", "game units", -300, 300, 0.05, 1.5),
    _continuous("y", "game units", -200, 300, 0.05, 1.5),
    _continuous("shield", "shield points", 0, 60, 0.01, 0.5),
    _continuous("self_x_air", "game units/frame", -32, 32, 0.05, 0.04, since=_V35, first="v2"),
    _continuous("self_y", "game units/frame", -32, 32, 0.05, 0.04, since=_V35, first="v2"),
    _continuous("knockback_x", "game units/frame", -32, 32, 0.05, 0.05, since=_V35, first="v2"),
    _continuous("knockback_y", "game units/frame", -32, 32, 0.05, 0.06, since=_V35, first="v2"),
    _continuous("self_x_ground", "game units/frame", -32, 32, 0.05, 0.04, since=_V35, first="v2"),
    _continuous("state_age", "frames", -8, 2000, 0.01, 1.0, since=(0, 2, 0), first="v2"),
    _continuous("hitlag", "frames", 0, 64, 0.1, 0.125, since=_V38, first="v2"),
    _continuous("stocks", "stocks", 0, 4, 0.25, 1 / 16, first="v2"),
    _continuous("combo_count", "hits", 0, 60, 0.1, 0.125, first="v2.1"),
    _binary("facing", "direction"),
    _binary("invulnerable", "hurtbox", since=_V21),
    _binary("on_ground", "airborne", since=_V20),
    _categorical("action", 400, 32),
    _categorical("jumps", 8, 4, since=_V20),
    _categorical("character", 33, 8, first="v2", session=True),
    _categorical("l_cancel", 3, 2, since=_V20, first="v2.1"),
    _categorical("hurtbox", 3, 2, since=_V21, first="v2.1"),
    _categorical("ground", 32, 4, since=_V20, first="v2.1"),
    _categorical("last_attack", 64, 8, first="v2.1"),
)

#: One controller, in the order of an input.
CONTROLS: tuple[Field, ...] = (
    _axis("stick_x", "stick_x", -80),
    _axis("stick_y", "stick_y", -80),
    _axis("cstick_x", "cstick_x", -80),
    _axis("cstick_y", "cstick_y", -80),
    _axis("shoulder", "trigger", 0),
    _button("A", 0x100),
    _button("B", 0x200),
    _button("X", 0x400),
    _button("Y", 0x800),
    _button("Z", 0x10),
    _button("L", 0x40),
    _button("R", 0x20),
    _button("D_UP", 0x08),
)

STAGE = Field(
    name="stage", kind=Kind.CATEGORICAL, column="stage", unit="id", hi=32, vocab=33, width=4, first="v2", session=True
)

#: `state_age` as an id, where a flag asks for it: the frame of an animation by itself, not a point on a scale.
STATE_AGE_ID = _categorical("state_age", 150, 8, since=(0, 2, 0), first="v2", rounded=True)

#: Buttons that went down in this frame, in the order of the buttons of CONTROLS.
PRESSES: tuple[Field, ...] = tuple(_button(f"press_{f.name}", f.bit) for f in CONTROLS if f.kind is Kind.BUTTON)

#: Dataset columns that the nearest items are found from.
ITEM_COLUMNS = ("item_type", "item_x", "item_y", "item_vx", "item_vy")
#: Landed moves that a queue remembers, and the game's own queue as well.
STALE_MOVES = 9
#: Where an item is that is not there.
ITEM_FAR = 256

_V30, _V311 = (3, 0, 0), (3, 11, 0)


def _state_flag(name: str, byte: int, bit: int) -> Field:
    return _binary(name, f"flags{byte}", bit=bit, since=_V20)


#: Fields that a flag appends to a player's state, in the order of the Frame behind STATE. A self-running world keeps
#: them as they were.
EXTRA: Mapping[str, tuple[Field, ...]] = {
    "projectiles": (
        Field(name="item_type", kind=Kind.CATEGORICAL, column="", unit="id", hi=255, vocab=256, width=8, since=_V30),
        _continuous("item_distance", "game units", 0, ITEM_FAR, 0.02, 2.0, derived=True, since=_V30),
        _continuous("item_vx", "game units/frame", -32, 32, 0.05, 1 / 16, derived=True, since=_V30),
        _continuous("item_vy", "game units/frame", -32, 32, 0.05, 1 / 16, derived=True, since=_V30),
        _continuous("item_count", "items", 0, 15, 0.1, 0.125, derived=True, since=_V30),
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
    "animation_index": (_categorical("animation_index", 400, 16, since=_V311),),
    "stale_moves": tuple(
        Field(name=f"stale_{i}", kind=Kind.CATEGORICAL, column="", unit="id", hi=63, vocab=64, width=4, newest=True)
        for i in range(1, STALE_MOVES + 1)
    ),
}

STATE_INDEX = {field.name: i for i, field in enumerate(STATE)}
SPEEDS = ("self_x_air", "self_y", "knockback_x", "knockback_y", "self_x_ground")


def fixed(value: float) -> int:
    """`value` in the Frame's fixed point, ties toward +inf."""
    return math.floor(value * (1 << FRAC_BITS) + 0.5)
