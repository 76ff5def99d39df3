"""The one field table: every fact about a field of a Frame is here, and every dimension is derived from it.

A **Frame** is the state of one game frame as integers, `(N, 2, len(STATE))` int32: continuous fields in fixed point
(`FRAC_BITS` fractional bits), binary fields 0 or 1, categorical fields as ids. The **inputs** of a frame are the two
controllers, `(N, 2, len(CONTROLS))` int8: sticks and shoulder in steps of 1/80, buttons 0 or 1. An encoding with flags
(`Flags`) may append fields to both: see `Encoding.frame_fields` and `Encoding.controls`.

Glossary
    scale   float encoding: network input = value * scale (published v2.2 encoding)
    step    INT8 encoding: one code is `step` units of the value, codes saturate at -128 and 127
    column  one dense number of the network input; one per continuous, binary and control field
    id      one categorical field of a window slot; looked up in an embedding, or in its folded row table
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from typing import Any

from wm_train.errors import WmTrainError
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

_ORDER = ("v1", "v2", "v2.1", "v2.2")
#: Encodings that take flags: they read every field of STATE, which some extra fields are derived from.
_FLAGGED = ("v2.1", "v2.2")


def fixed(value: float) -> int:
    """`value` in the Frame's fixed point, ties toward +inf."""
    return math.floor(value * (1 << FRAC_BITS) + 0.5)


@dataclass(frozen=True)
class Flags:
    """What an encoding reads beyond its table; every one is off by default.

    state_age_as_embed  the age of an action is an id (STATE_AGE_ID) instead of a number
    press_events        buttons that went down (PRESSES): `none`, of the inputs after the window (`next`), or of every
                        slot as well (`all`)
    projectiles, state_flags, animation_index, stale_moves   the fields of EXTRA by that name
    lookahead           the Frame is predicted from the one `lookahead` frames before it, and from the inputs up to it
    """

    state_age_as_embed: bool = False
    press_events: str = "none"
    projectiles: bool = False
    state_flags: bool = False
    animation_index: bool = False
    stale_moves: bool = False
    lookahead: int = 1

    def __post_init__(self) -> None:
        if self.press_events not in ("none", "next", "all"):
            raise WmTrainError(f"flags: press_events is {self.press_events!r}, expected none, next or all")
        if not 1 <= self.lookahead <= 16:
            raise WmTrainError(f"flags: lookahead is {self.lookahead}, expected 1 to 16")

    @property
    def given(self) -> dict[str, bool | str | int]:
        """Those that are on, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}


NO_FLAGS = Flags()


@dataclass(frozen=True)
class Encoding:
    """A selection from the field table: what a network of that encoding reads.

    Network input, in order: `slots` window slots, oldest first; the ids that are read in the newest slot only; then, if
    `conditioned`, the controllers of the frames after the window up to the one to be predicted. A slot is player 0,
    player 1, stage; a player is its dense columns, then its embeddings.
    """

    name: str
    slots: int = 10
    flags: Flags = NO_FLAGS

    def __post_init__(self) -> None:
        if self.name not in _ORDER:
            raise WmTrainError(f"encoding: got {self.name!r}, expected one of {', '.join(_ORDER)}")
        if not 1 <= self.slots <= 64:
            raise WmTrainError(f"encoding {self.name}: got {self.slots} window slots, expected 1 to 64")
        if self.flags.given and self.name not in _FLAGGED:
            raise WmTrainError(f"encoding {self.name}: flags are for {' and '.join(_FLAGGED)}, got {self._flag_text}")
        if not self.conditioned and (self.flags.press_events == "next" or self.flags.lookahead > 1):
            raise WmTrainError(f"encoding {self.name}: {self._flag_text} reads the inputs after the window; use v2.2")

    @property
    def _flag_text(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self.flags.given.items())

    def _has(self, field: Field) -> bool:
        return _ORDER.index(field.first) <= _ORDER.index(self.name)

    @property
    def conditioned(self) -> bool:
        """Whether the controllers of the frame to be predicted join the window."""
        return self.name == "v2.2"

    @property
    def lookahead(self) -> int:
        """Frames from the window's newest to the one that is predicted."""
        return self.flags.lookahead

    @property
    def span(self) -> int:
        """Known frames that a prediction needs: the window's, and those between it and the predicted one."""
        return self.slots + self.lookahead - 1

    @cached_property
    def frame_fields(self) -> tuple[Field, ...]:
        """Fields of a player in a Frame of this encoding: STATE, then what flags append."""
        return STATE + tuple(f for flag, extra in EXTRA.items() if getattr(self.flags, flag) for f in extra)

    @cached_property
    def frame_index(self) -> dict[str, int]:
        """Where each of `frame_fields` lies in a Frame, by name."""
        return {field.name: i for i, field in enumerate(self.frame_fields)}

    @cached_property
    def controls(self) -> tuple[Field, ...]:
        """Fields of a player in the inputs of this encoding: CONTROLS, then PRESSES where a flag asks for them."""
        return CONTROLS + (PRESSES if self.flags.press_events != "none" else ())

    @cached_property
    def slot_controls(self) -> tuple[Field, ...]:
        """The first of `controls`: those read in a slot."""
        return CONTROLS + (PRESSES if self.flags.press_events == "all" else ())

    @cached_property
    def next_controls(self) -> tuple[Field, ...]:
        """Those of `controls` that are read of each frame after the window: all, or none."""
        return self.controls if self.conditioned else ()

    @cached_property
    def state(self) -> tuple[Field, ...]:
        """State fields of a player that are read, in Frame order."""
        as_id = self.flags.state_age_as_embed
        base = (STATE_AGE_ID if as_id and f.name == STATE_AGE_ID.name else f for f in STATE if self._has(f))
        return tuple(base) + self.frame_fields[len(STATE) :]

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """Dense columns of a player in a slot: continuous, binary, then controls."""
        return tuple(f for f in self.state if f.is_dense) + self.slot_controls

    @cached_property
    def ids(self) -> tuple[Field, ...]:
        """Ids of a player in a slot that change from frame to frame."""
        return tuple(f for f in self.state if not f.is_dense and not f.session and not f.newest)

    @cached_property
    def newest_ids(self) -> tuple[Field, ...]:
        """Ids of a player that are read in the newest slot only."""
        return tuple(f for f in self.state if f.newest)

    @cached_property
    def session_ids(self) -> tuple[Field, ...]:
        """Ids of a player that stay while a session lasts."""
        return tuple(f for f in self.state if f.session)

    @cached_property
    def stage(self) -> tuple[Field, ...]:
        """Ids of a slot that belong to no player: the stage, or nothing."""
        return (STAGE,) if self._has(STAGE) else ()

    @property
    def embeddings(self) -> tuple[Field, ...]:
        """Every embedded field once."""
        return self.ids + self.session_ids + self.stage + self.newest_ids

    @property
    def player_dims(self) -> int:
        """Network inputs of one player in one slot."""
        return len(self.columns) + sum(f.width for f in self.ids + self.session_ids)

    @property
    def frame_dims(self) -> int:
        """Network inputs of one slot."""
        return PLAYERS * self.player_dims + sum(f.width for f in self.stage)

    @property
    def newest_dims(self) -> int:
        """Network inputs of one player's `newest_ids`."""
        return sum(f.width for f in self.newest_ids)

    @property
    def next_columns(self) -> int:
        """Dense columns of the controllers after the window."""
        return self.lookahead * PLAYERS * len(self.next_controls)

    @property
    def input_dims(self) -> int:
        """Network inputs in all: what the first layer's weight matrix is wide."""
        return self.slots * self.frame_dims + PLAYERS * self.newest_dims + self.next_columns

    @property
    def slot_columns(self) -> int:
        """Dense columns of one slot."""
        return PLAYERS * len(self.columns)

    @property
    def dense_columns(self) -> int:
        """Dense columns of the whole input."""
        return self.slots * self.slot_columns + self.next_columns

    @property
    def slot_ids(self) -> int:
        """Per-frame ids of one slot."""
        return PLAYERS * len(self.ids)

    @property
    def id_columns(self) -> int:
        """Per-frame ids of the whole input."""
        return self.slots * self.slot_ids + PLAYERS * len(self.newest_ids)

    def dense_fields(self) -> Iterator[tuple[int, int, Field]]:
        """(slot, player, field) of every dense column in order; slots from `slots` on are inputs after the window."""
        for slot in range(self.slots):
            yield from ((slot, p, f) for p in range(PLAYERS) for f in self.columns)
        for ahead in range(self.lookahead):
            yield from ((self.slots + ahead, p, f) for p in range(PLAYERS) for f in self.next_controls)

    def id_fields(self) -> Iterator[tuple[int, int, Field]]:
        """(slot, player, field) of every per-frame id in order: the order of the row tables."""
        yield from ((s, p, f) for s in range(self.slots) for p in range(PLAYERS) for f in self.ids)
        yield from ((self.slots - 1, p, f) for p in range(PLAYERS) for f in self.newest_ids)

    def session_fields(self) -> Iterator[tuple[int, Field]]:
        """(player, field) of every session id in order; player 0 stands for the stage's slot-wide id."""
        yield from ((p, f) for p in range(PLAYERS) for f in self.session_ids)
        yield from ((0, f) for f in self.stage)

    def offset(self, slot: int, player: int, field: Field) -> int:
        """First network input of `field`; the one place that knows the input's order."""
        if slot >= self.slots:
            pad = (slot - self.slots) * PLAYERS + player
            start = self.input_dims - self.next_columns + pad * len(self.next_controls)
            return start + self.next_controls.index(field)
        if field.newest:
            start = self.slots * self.frame_dims + player * self.newest_dims
            return start + _widths_before(field, self.newest_ids)
        base = slot * self.frame_dims
        if field is STAGE:
            return base + PLAYERS * self.player_dims
        base += player * self.player_dims
        if field.is_dense:
            return base + self.columns.index(field)
        return base + len(self.columns) + _widths_before(field, self.ids + self.session_ids)

    @cached_property
    def read_columns(self) -> tuple[str, ...]:
        """Every dataset column, as it is named there, that a Frame and its inputs are made from."""
        players = {f"p{p}_{f.column}" for p in range(PLAYERS) for f in self.state + CONTROLS if f.column}
        return tuple(sorted(players)) + self._item_columns

    @property
    def _item_columns(self) -> tuple[str, ...]:
        return ITEM_COLUMNS if self.flags.projectiles else ()

    @property
    def required_columns(self) -> frozenset[str]:
        """Dataset columns (without player prefix) that a game must have to be read."""
        return frozenset(f.column for f in self.state + CONTROLS if f.column).union(self._item_columns)

    @property
    def since(self) -> tuple[int, int, int]:
        """First Slippi version whose replays have every field that is read."""
        return max(f.since for f in self.state + CONTROLS)


def _widths_before(field: Field, order: tuple[Field, ...]) -> int:
    """Embedding widths of the fields that come before `field`."""
    return sum(f.width for f in order[: order.index(field)])
