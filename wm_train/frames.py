"""The one field table: every fact about a field of a Frame is here, and every dimension is derived from it.

A **Frame** is the state of one game frame as integers, `(N, 2, len(STATE))` int32: continuous fields in fixed point
(`FRAC_BITS` fractional bits), binary fields 0 or 1, categorical fields as ids. The **inputs** of a frame are the two
controllers, `(N, 2, len(CONTROLS))` int8: sticks and shoulder in steps of 1/80, buttons 0 or 1.

Glossary
    scale   float encoding: network input = value * scale (published v2.2 encoding)
    step    INT8 encoding: one code is `step` units of the value, codes saturate at -128 and 127
    column  one dense number of the network input; one per continuous, binary and control field
    id      one categorical field of a window slot; looked up in an embedding, or in its folded row table
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
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
    then goes on with the id it began with).
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
    bit: int = 0

    @property
    def is_dense(self) -> bool:
        """Whether the field is a number of the dense input (else an id)."""
        return self.kind is not Kind.CATEGORICAL


def _continuous(name: str, unit: str, lo: float, hi: float, scale: float, step: float, **more: Any) -> Field:
    return Field(name=name, kind=Kind.CONTINUOUS, column=name, unit=unit, lo=lo, hi=hi, scale=scale, step=step, **more)


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

STATE_INDEX = {field.name: i for i, field in enumerate(STATE)}
SPEEDS = ("self_x_air", "self_y", "knockback_x", "knockback_y", "self_x_ground")

_ORDER = ("v1", "v2", "v2.1", "v2.2")


def fixed(value: float) -> int:
    """`value` in the Frame's fixed point, ties toward +inf."""
    return math.floor(value * (1 << FRAC_BITS) + 0.5)


@dataclass(frozen=True)
class Encoding:
    """A selection from the field table: what a network of that encoding reads.

    Network input, in order: `slots` window slots, oldest first; then, if `conditioned`, the controllers of the frame
    to be predicted. A slot is player 0, player 1, stage; a player is its dense columns, then its embeddings.
    """

    name: str
    slots: int = 10

    def __post_init__(self) -> None:
        if self.name not in _ORDER:
            raise WmTrainError(f"encoding: got {self.name!r}, expected one of {', '.join(_ORDER)}")
        if not 1 <= self.slots <= 64:
            raise WmTrainError(f"encoding {self.name}: got {self.slots} window slots, expected 1 to 64")

    def _has(self, field: Field) -> bool:
        return _ORDER.index(field.first) <= _ORDER.index(self.name)

    @property
    def conditioned(self) -> bool:
        """Whether the controllers of the frame to be predicted join the window."""
        return self.name == "v2.2"

    @cached_property
    def state(self) -> tuple[Field, ...]:
        """State fields of a player that are read, in Frame order."""
        return tuple(f for f in STATE if self._has(f))

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """Dense columns of a player in a slot: continuous, binary, then controls."""
        return tuple(f for f in self.state if f.is_dense) + CONTROLS

    @cached_property
    def ids(self) -> tuple[Field, ...]:
        """Ids of a player in a slot that change from frame to frame."""
        return tuple(f for f in self.state if not f.is_dense and not f.session)

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
        return self.ids + self.session_ids + self.stage

    @property
    def player_dims(self) -> int:
        """Network inputs of one player in one slot."""
        return len(self.columns) + sum(f.width for f in self.ids + self.session_ids)

    @property
    def frame_dims(self) -> int:
        """Network inputs of one slot."""
        return PLAYERS * self.player_dims + sum(f.width for f in self.stage)

    @property
    def next_columns(self) -> int:
        """Dense columns of the next frame's controllers."""
        return PLAYERS * len(CONTROLS) if self.conditioned else 0

    @property
    def input_dims(self) -> int:
        """Network inputs in all: what the first layer's weight matrix is wide."""
        return self.slots * self.frame_dims + self.next_columns

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

    def dense_fields(self) -> Iterator[tuple[int, int, Field]]:
        """(slot, player, field) of every dense column in order; slot == `slots` is the next frame's input."""
        for slot in range(self.slots):
            yield from ((slot, p, f) for p in range(PLAYERS) for f in self.columns)
        if self.conditioned:
            yield from ((self.slots, p, f) for p in range(PLAYERS) for f in CONTROLS)

    def id_fields(self) -> Iterator[tuple[int, int, Field]]:
        """(slot, player, field) of every per-frame id in order: the order of the row tables."""
        yield from ((s, p, f) for s in range(self.slots) for p in range(PLAYERS) for f in self.ids)

    def session_fields(self) -> Iterator[tuple[int, Field]]:
        """(player, field) of every session id in order; player 0 stands for the stage's slot-wide id."""
        yield from ((p, f) for p in range(PLAYERS) for f in self.session_ids)
        yield from ((0, f) for f in self.stage)

    def offset(self, slot: int, player: int, field: Field) -> int:
        """First network input of `field`; the one place that knows the input's order."""
        if slot == self.slots:
            return self.slots * self.frame_dims + player * len(CONTROLS) + CONTROLS.index(field)
        base = slot * self.frame_dims
        if field is STAGE:
            return base + PLAYERS * self.player_dims
        base += player * self.player_dims
        if field.is_dense:
            return base + self.columns.index(field)
        order = self.ids + self.session_ids
        return base + len(self.columns) + sum(f.width for f in order[: order.index(field)])

    @property
    def required_columns(self) -> frozenset[str]:
        """Dataset columns (without player prefix) that a game must have to be read."""
        return frozenset(f.column for f in self.state + CONTROLS)

    @property
    def since(self) -> tuple[int, int, int]:
        """First Slippi version whose replays have every field that is read."""
        return max(f.since for f in self.state + CONTROLS)
