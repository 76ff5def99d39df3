"""Encodings: selections from the field table, and where each field lies in a network's input."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property

from wm_train.errors import WmTrainError
from wm_train.frames import CONTROLS, EXTRA, ITEM_COLUMNS, PLAYERS, PRESSES, STAGE, STATE, STATE_AGE_ID, Field

_ORDER = ("v1", "v2", "v2.1", "v2.2")
#: Encodings that take flags: they read every field of STATE, which some extra fields are derived from.
_FLAGGED = ("v2.1", "v2.2")


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
    """What a network of that encoding reads.

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
