"""Encodings: selections from a game's fields, and where each field lies in a network's input."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from wm_train.errors import WmTrainError
from wm_train.world.definition import Edition, Extra, Game
from wm_train.world.fields import PLAYERS, Field
from wm_train.world.flags import NO_FLAGS, Flags, as_kind
from wm_train.world.registry import find_game
from wm_train.world.sight import Sight, fields_of


@dataclass(frozen=True)
class Encoding:
    """What a network of that encoding reads.

    Network input, in order: `slots` window slots, oldest first; the ids that are read in the newest slot only; then, if
    `conditioned`, the controllers of the frames after the window up to the one to be predicted. A slot is player 0,
    player 1, place; a player is its dense columns, then its embeddings.
    """

    name: str
    slots: int = 10
    flags: Flags = NO_FLAGS
    game: Game = field(default_factory=find_game)

    def __post_init__(self) -> None:
        object.__setattr__(self, "flags", as_kind(self.game.flags, self.flags))
        names = [edition.name for edition in self.game.editions]
        if self.name not in names:
            raise WmTrainError(f"encoding: got {self.name!r}, expected one of {', '.join(names)}")
        if not 1 <= self.slots <= 64:
            raise WmTrainError(f"encoding {self.name}: got {self.slots} window slots, expected 1 to 64")
        if self.flags.given and not self._edition.flagged:
            flagged = " and ".join(edition.name for edition in self.game.editions if edition.flagged) or "none"
            raise WmTrainError(f"encoding {self.name}: flags are for {flagged}, got {self._flag_text}")
        if not self.conditioned and (self.flags.press_events == "next" or self.flags.lookahead > 1):
            able = " or ".join(edition.name for edition in self.game.editions if edition.conditioned)
            raise WmTrainError(
                f"encoding {self.name}: {self._flag_text} reads the inputs after the window; use {able or 'none'}"
            )

    @property
    def _edition(self) -> Edition:
        return self.game.editions[self._order(self.name)]

    def _order(self, edition: str) -> int:
        """Number of an edition; fields without one are read from the first on."""
        return [e.name for e in self.game.editions].index(edition) if edition else 0

    @property
    def _flag_text(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self.flags.given.items())

    def _has(self, field: Field) -> bool:
        return self._order(field.first) <= self._order(self.name)

    @property
    def conditioned(self) -> bool:
        """Whether the controllers of the frame to be predicted join the window."""
        return self._edition.conditioned

    @property
    def lookahead(self) -> int:
        """Frames from the window's newest to the one that is predicted."""
        return self.flags.lookahead

    @property
    def span(self) -> int:
        """Known frames that a prediction needs: the window's, and those between it and the predicted one."""
        return self.slots + self.lookahead - 1

    @cached_property
    def kept_fields(self) -> tuple[Field, ...]:
        """Fields of a player that a world keeps from frame to frame: the game's state, then extras."""
        return self.game.state + tuple(f for extra in self.extras for f in extra.fields)

    @cached_property
    def frame_fields(self) -> tuple[Field, ...]:
        """Fields of a player in a Frame of this encoding: those that are kept, then sights."""
        return self.kept_fields + fields_of(self.sights)

    @cached_property
    def extras(self) -> tuple[Extra, ...]:
        """What flags append of recordings, in the order of the Frame."""
        return tuple(extra for flag, extra in self.game.extras.items() if getattr(self.flags, flag))

    @cached_property
    def sights(self) -> tuple[Sight, ...]:
        """What flags append by rule, in the order of the Frame."""
        return tuple(sight for flag, sight in self.game.sights.items() if getattr(self.flags, flag))

    @cached_property
    def frame_index(self) -> dict[str, int]:
        """Where each of `frame_fields` lies in a Frame, by name."""
        return {field.name: i for i, field in enumerate(self.frame_fields)}

    @cached_property
    def controls(self) -> tuple[Field, ...]:
        """Fields of a player in the inputs of this encoding: the game's, then presses where a flag asks for them."""
        return self.game.controls + (self.game.presses if self.flags.press_events != "none" else ())

    @cached_property
    def slot_controls(self) -> tuple[Field, ...]:
        """The first of `controls`: those read in a slot."""
        return self.game.controls + (self.game.presses if self.flags.press_events == "all" else ())

    @cached_property
    def next_controls(self) -> tuple[Field, ...]:
        """Those of `controls` that are read of each frame after the window: all, or none."""
        return self.controls if self.conditioned else ()

    @cached_property
    def state(self) -> tuple[Field, ...]:
        """State fields of a player that are read, in Frame order."""
        game = self.game
        as_ids = {item.name: item for flag, item in game.as_ids.items() if getattr(self.flags, flag)}
        base = tuple(as_ids.get(f.name, f) for f in game.state if self._has(f))
        return base + self.frame_fields[len(game.state) :]

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """Dense columns of a player in a slot: continuous, binary, then controls."""
        return tuple(f for f in self.state if f.is_dense) + self.slot_controls

    @property
    def controls_at(self) -> int:
        """Where the controls of a player begin among its `columns`."""
        return len(self.columns) - len(self.slot_controls)

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
    def place(self) -> tuple[Field, ...]:
        """Ids of a slot that belong to no player: the game's place, or nothing."""
        place = self.game.place
        return (place,) if place is not None and self._has(place) else ()

    @property
    def embeddings(self) -> tuple[Field, ...]:
        """Every embedded field once."""
        return self.ids + self.session_ids + self.place + self.newest_ids

    @property
    def player_dims(self) -> int:
        """Network inputs of one player in one slot."""
        return len(self.columns) + sum(f.width for f in self.ids + self.session_ids)

    @property
    def frame_dims(self) -> int:
        """Network inputs of one slot."""
        return PLAYERS * self.player_dims + sum(f.width for f in self.place)

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
        """(player, field) of every session id in order; player 0 stands for the place's slot-wide id."""
        yield from ((p, f) for p in range(PLAYERS) for f in self.session_ids)
        yield from ((0, f) for f in self.place)

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
        if field is self.game.place:
            return base + PLAYERS * self.player_dims
        base += player * self.player_dims
        if field.is_dense:
            return base + self.columns.index(field)
        return base + len(self.columns) + _widths_before(field, self.ids + self.session_ids)

    @cached_property
    def read_columns(self) -> tuple[str, ...]:
        """Every dataset column, as it is named there, that a Frame and its inputs are made from."""
        players = {f"p{p}_{f.column}" for p in range(PLAYERS) for f in self.state + self.game.controls if f.column}
        return tuple(sorted(players)) + self._list_columns

    @property
    def _list_columns(self) -> tuple[str, ...]:
        return tuple(name for extra in self.extras for name in extra.columns)

    @property
    def required_columns(self) -> frozenset[str]:
        """Dataset columns (without player prefix) that a game must have to be read."""
        return frozenset(f.column for f in self.state + self.game.controls if f.column).union(self._list_columns)

    @property
    def since(self) -> tuple[int, ...]:
        """First version of the recordings that has every field that is read."""
        return max(f.since for f in self.state + self.game.controls)


def _widths_before(field: Field, order: tuple[Field, ...]) -> int:
    """Embedding widths of the fields that come before `field`."""
    return sum(f.width for f in order[: order.index(field)])
