"""One frame of the world, in integers: encode a Frame into codes, decode heads into the next Frame.

`encode` and `decode` are written once, against the few operations of rule_ops.py; what happens between is the rules
of the game's subsystems. numpy runs them here (training metrics and the interpreter); the exporter runs the same
functions with operations that record ONNX nodes or lines of Rust. So there is one definition of the world step and
every executor derives from it.

Every value is an integer; continuous fields and heads have FRAC_BITS fractional bits. Nothing here branches on data.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN, FRAC_BITS, AnyInts, Frames, Ints, ratio
from wm_train.world.bounds import place_row, place_rows, seats_of
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Field, Kind, ends
from wm_train.world.rule_ops import ONE, CodeOps, LawOps, NumpyOps, Read
from wm_train.world.sight import facts_of, sight_columns
from wm_train.world.subsystem import Head, HeadSet, find_heads


@dataclass(frozen=True)
class World:
    """What a network of one encoding and one set of heads reads and writes."""

    encoding: Encoding
    heads_name: str = "integrated"

    def __post_init__(self) -> None:
        find_heads(self.game.head_sets, self.heads_name)

    @property
    def game(self) -> Game:
        """The game whose world it is."""
        return self.encoding.game

    @property
    def head_set(self) -> HeadSet:
        """Its subsystems, which have the heads."""
        return find_heads(self.game.head_sets, self.heads_name)

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads of one player, in output order."""
        return self.head_set.heads

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """Facts of the session's place that laws, and then sights, read, each once."""
        return tuple(dict.fromkeys((*self.head_set.facts, *facts_of(self.encoding.sights))))

    @property
    def place_numbers(self) -> int:
        """Numbers that the session's place gives to one seat: bounds of fields, then `facts`."""
        return 2 * len(self.game.bounded) + len(self.facts)

    @property
    def place_seats(self) -> int:
        """Seats that have numbers of their own."""
        return seats_of(self.facts)

    @property
    def place_size(self) -> int:
        """Numbers that the session's place gives to all seats."""
        return self.place_seats * self.place_numbers

    @cached_property
    def places(self) -> Ints:
        """(rows, place_size) int64 in fixed point, as bounds.place_rows."""
        return np.array(place_rows(self.encoding, self.facts), np.int64).reshape(-1, self.place_size)

    @cached_property
    def unknown_place(self) -> Ints:
        """(1, place_size) int64 of a place that is not known."""
        return np.array([place_row(self.game, self.facts, None)], np.int64)

    def session_places(self, session: Ints) -> Ints:
        """(B, place_size) the row of each session, given its ids (B, S) in the order of `Encoding.session_fields`, the
        place last."""
        picked: Ints = session[:, -1] if self.encoding.place else np.zeros(len(session), np.int64)
        rows: Ints = self.places[picked]
        return rows

    @cached_property
    def player_outputs(self) -> int:
        """Network outputs of one player that are read in every frame."""
        return sum(head.rows for head in self.heads)

    @property
    def always_read(self) -> int:
        """Network outputs that are read in every frame: player 0's heads, then player 1's."""
        return PLAYERS * self.player_outputs

    @cached_property
    def grouped(self) -> tuple[Head, ...]:
        """Choices of a player that are made in groups, in output order."""
        return tuple(head for head in self.heads if head.groups)

    @property
    def choices_in_groups(self) -> Iterator[tuple[int, Head]]:
        """(player, head) of each of them, in the order of what is read."""
        return product(range(PLAYERS), self.grouped)

    @property
    def outputs(self) -> int:
        """What a network can say: what is always read; then, player by player, the logits of all ids of each choice in
        groups."""
        return self.always_read + PLAYERS * sum(head.width for head in self.grouped)

    @property
    def read_outputs(self) -> int:
        """What of that is read in a frame: the same with the logits of one group's ids."""
        return self.always_read + PLAYERS * sum(head.members for head in self.grouped)

    def head(self, name: str) -> Head:
        """The head of that name."""
        for head in self.heads:
            if head.name == name:
                return head
        raise WmTrainError(f"heads {self.heads_name}: no head {name!r}")

    def span(self, player: int, name: str) -> slice:
        """Rows of the output that hold head `name` of `player`; of a choice in groups, the groups' logits."""
        wanted = self.head(name)
        before = self.heads[: self.heads.index(wanted)]
        start = player * self.player_outputs + sum(head.rows for head in before)
        return slice(start, start + wanted.rows)

    def ids_span(self, player: int, name: str) -> slice:
        """Rows of all `outputs` that hold the logits of every id of a choice in groups."""
        return self._behind(player, name, [head.width for head in self.grouped])

    def members_span(self, player: int, name: str) -> slice:
        """Rows of what is read that hold the logits of the ids of the group which such a choice chose."""
        return self._behind(player, name, [head.members for head in self.grouped])

    def _behind(self, player: int, name: str, sizes: list[int]) -> slice:
        number = self.grouped.index(self.head(name))
        start = self.always_read + player * sum(sizes) + sum(sizes[:number])
        return slice(start, start + sizes[number])

    def read(self, outputs: Ints) -> Ints:
        """What is read of everything that a network said: (..., outputs) -> (..., read_outputs)."""
        parts = [outputs[..., : self.always_read]]
        for player, head in self.choices_in_groups:
            group = outputs[..., self.span(player, head.name)].argmax(-1)[..., None, None]
            ids = outputs[..., self.ids_span(player, head.name)]
            ids = ids.reshape(*ids.shape[:-1], head.groups, head.members)
            parts.append(np.take_along_axis(ids, group, -2)[..., 0, :])
        return np.concatenate(parts, -1) if self.grouped else outputs


def encode(ops: CodeOps, field: Field, value: Any) -> Any:
    """INT8 code of one dense field.

    value   fixed point if continuous, 0 or 1 if binary or button, steps of 1/80 if an axis
    returns code in -128..127
    """
    if field.kind is Kind.AXIS:
        return value
    if field.kind is not Kind.CONTINUOUS:
        return value << round(1 / field.step).bit_length() - 1
    return ops.clip(ops.requantize(value, *ratio(1 / (field.step * ONE))), CODE_MIN, CODE_MAX)


def pressed(ops: CodeOps, down: Any, before: Any) -> Any:
    """1 where a button went down, else 0.

    down    1 where it is down, else 0
    before  of the frame before: the same, or its code in the window; 0 where it was not down
    """
    return ops.where(before > 0, 0, down)


def decode(
    ops: LawOps, world: World, now: Read, head: Read, place: Sequence[Any] | Ints, given: Read | None = None
) -> dict[str, Any]:
    """What rules and laws change of one player, kept inside the fields' ranges.

    now      field name -> its value in the current Frame
    head     head name -> its value; a choice's is the chosen id already
    place    numbers of the session's place for the player's seat (bounds.py), bounds inside the fields' own ranges
    given    of heads of one subsystem: field name -> its value in the next Frame, as other subsystems write it
    returns  field name -> value in the next Frame, in the order of the state; the fields that are not here stay
    """
    game, heads = world.game, world.head_set
    bounded = {name: (place[2 * i], place[2 * i + 1]) for i, name in enumerate(game.bounded)}
    facts = place_facts(world, place)
    ruled = heads.rule(ops, now, head, given)

    def kept(field: Field) -> Any:
        low, high = bounded.get(field.name, ends(field))
        return ops.clip(ruled[field.name], low, high) if field.kind is Kind.CONTINUOUS else ruled[field.name]

    ops.begin("inside their ranges")
    inside = {name: kept(game.field(name)) for name in ruled}
    mended = heads.lawful(ops, now, inside, facts.__getitem__)
    return {field.name: mended[field.name] for field in game.state if field.name in mended}


def place_facts(world: World, place: Sequence[Any] | Ints) -> dict[str, Any]:
    """Fact -> its number, of a seat's numbers of the session's place."""
    return dict(zip(world.facts, place[2 * len(world.game.bounded) :], strict=True))


def identify(ops: CodeOps, field: Field, value: Any) -> Any:
    """Row of one categorical field in its table, from what a Frame holds; nearest, where that is in fixed point."""
    return ops.clip((value + ONE // 2) >> FRAC_BITS, 0, field.vocab - 1) if field.rounded else value


def codes(fields: tuple[Field, ...], values: AnyInts) -> Ints:
    """INT8 codes of dense fields.

    values  (..., len(fields)) integers as in a Frame or an input
    returns (..., len(fields)) int64 in -128..127
    """
    columns = [encode(NumpyOps(), field, values[..., i].astype(np.int64)) for i, field in enumerate(fields)]
    return np.stack(columns, -1)


def slot_codes(encoding: Encoding, frames: AnyInts, inputs: AnyInts) -> Ints:
    """Dense columns of a window slot, (N, slot_columns) int64.

    frames (N, 2, len(encoding.frame_fields)), inputs (N, 2, len(encoding.controls)) integers
    """
    dense, controls = tuple(f for f in encoding.state if f.is_dense), encoding.slot_controls
    state = codes(dense, frames[..., [encoding.frame_index[f.name] for f in dense]])
    both = np.concatenate([state, codes(controls, inputs[..., : len(controls)])], -1)
    return both.reshape(len(frames), encoding.slot_columns)


def next_codes(encoding: Encoding, ahead: AnyInts) -> Ints:
    """Dense columns of the inputs after the window: (B, lookahead, 2, len(encoding.controls)) -> (B, next_columns)."""
    if not encoding.conditioned:
        return np.zeros((len(ahead), 0), np.int64)
    return codes(encoding.next_controls, ahead).reshape(len(ahead), encoding.next_columns)


def with_presses(encoding: Encoding, before: AnyInts, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
    """Inputs as the encoding reads them.

    before   (N, 2, len(game.controls) or more) inputs of the frame before each, or their codes
    inputs   (N, 2, len(game.controls)) int8
    returns  (N, 2, len(encoding.controls)) int8
    """
    if encoding.flags.press_events == "none":
        return inputs
    buttons = list(encoding.game.button_places)
    down = pressed(NumpyOps(), inputs[..., buttons], before[..., buttons])
    return np.concatenate([inputs, down.astype(np.int8)], -1)


def newest_controls(encoding: Encoding, codes: Ints) -> Ints:
    """Codes of the controls in the newest slot of windows.

    codes    (B, slots * slot_columns) or more, as slot_codes
    returns  (B, 2, len(game.controls)) int64
    """
    newest = codes[:, (encoding.slots - 1) * encoding.slot_columns : encoding.slots * encoding.slot_columns]
    first = encoding.controls_at
    return newest.reshape(len(codes), PLAYERS, -1)[..., first : first + len(encoding.game.controls)]


def slot_ids(encoding: Encoding, frames: AnyInts) -> Ints:
    """Per-frame ids of a window slot: (N, 2, len(encoding.frame_fields)) -> (N, slot_ids) int64."""
    return _picked_ids(encoding, encoding.ids, frames)


def newest_ids(encoding: Encoding, frames: AnyInts) -> Ints:
    """Ids that are read of the window's newest Frame alone: (N, 2, len(frame_fields)) -> (N, 2 * newest_ids) int64."""
    return _picked_ids(encoding, encoding.newest_ids, frames)


def _picked_ids(encoding: Encoding, fields: tuple[Field, ...], frames: AnyInts) -> Ints:
    """(N, 2 * len(fields)) int64, player by player."""
    picked = frames[..., [encoding.frame_index[f.name] for f in fields]].astype(np.int64)
    for i, field in enumerate(fields):
        picked[..., i] = identify(NumpyOps(), field, picked[..., i])
    return picked.reshape(len(frames), PLAYERS * len(fields))


def inputs_ahead(encoding: Encoding, inputs: AnyInts, following: AnyInts) -> AnyInts:
    """Inputs after the window, (B, lookahead, 2, C): those of the last known frames, then `following`."""
    ahead: AnyInts = np.concatenate([inputs[:, encoding.slots :], following[:, None]], 1)
    return ahead


def window_codes(encoding: Encoding, frames: AnyInts, inputs: AnyInts, following: AnyInts) -> Ints:
    """Dense columns of whole windows.

    frames (B, span, 2, len(frame_fields)), inputs (B, span, 2, len(controls)), following (B, 2, len(controls)) integers
    returns (B, dense_columns) int64 codes
    """
    after = next_codes(encoding, inputs_ahead(encoding, inputs, following))
    return np.concatenate([shown_codes(encoding, frames, inputs), after], 1)


def shown_codes(encoding: Encoding, frames: AnyInts, inputs: AnyInts) -> Ints:
    """The first of `window_codes`: (B, slots * slot_columns) int64 codes of what the window shows."""
    shown, pads = frames[:, : encoding.slots], inputs[:, : encoding.slots]
    flat = slot_codes(encoding, shown.reshape(-1, *shown.shape[2:]), pads.reshape(-1, *pads.shape[2:]))
    return flat.reshape(len(frames), -1)


def window_ids(encoding: Encoding, frames: AnyInts) -> Ints:
    """Per-frame ids of whole windows: (B, span, 2, len(frame_fields)) -> (B, id_columns) int64."""
    shown = frames[:, : encoding.slots]
    flat = slot_ids(encoding, shown.reshape(-1, *shown.shape[2:])).reshape(len(frames), -1)
    return np.concatenate([flat, newest_ids(encoding, shown[:, -1])], 1)


def decided(world: World, heads: Ints, player: int, name: str) -> Ints:
    """What one head of a player says: a value's or event's number, the id that a choice takes.

    heads   (N, read_outputs) integers with FRAC_BITS fractional bits
    returns (N,) int64
    """
    head, rows = world.head(name), heads[:, world.span(player, name)]
    if head.kind != "choice":
        return rows[:, 0]
    if head.within:
        label = decided(world, heads, player, head.within)
        rows = np.where(np.array(head.labels) == label[:, None], rows, np.iinfo(np.int64).min)
    chosen: Ints = rows.argmax(1)
    if head.groups:
        return head.members * chosen + heads[:, world.members_span(player, name)].argmax(1)
    return chosen


def seat_numbers(world: World, bounds: Ints, seat: int) -> Ints:
    """(place_numbers, N) what the places give to one seat, of bounds (N, place_size)."""
    seats: Ints = bounds.T.reshape(world.place_seats, world.place_numbers, -1)
    return seats[min(seat, world.place_seats - 1)]


def joined_heads(heads: Sequence[Ints]) -> Ints:
    """(..., outputs) of a world whose heads stand subsystem after subsystem, of those of each, (..., its outputs)."""
    players = [one.reshape(*one.shape[:-1], PLAYERS, -1) for one in heads]
    joined: Ints = np.concatenate(players, -1)
    return joined.reshape(*joined.shape[:-2], -1)


def next_frames(
    world: World, frames: Frames, heads: Ints, bounds: Ints | None = None, given: Frames | None = None
) -> Frames:
    """The world step after the network. Fields that no rule writes stay as they were; sights are made anew.

    frames  (N, 2, len(kept_fields) or more) int32, the newest that the window shows
    heads   (N, read_outputs) integers with FRAC_BITS fractional bits
    bounds  (N, place_size) of each place (World.session_places); None: of one that is not known
    given   (N, 2, fields) of heads of one subsystem: next Frames, of which its rule reads what others write
    returns (N, 2, len(frame_fields)) int32
    """
    following, index = frames[..., : len(world.encoding.kept_fields)].copy(), world.game.state_index
    places = world.unknown_place if bounds is None else bounds
    for player in range(PLAYERS):
        head = partial(decided, world, heads, player)
        now, new = _fields(frames, index, player), None if given is None else _fields(given, index, player)
        for name, value in decode(NumpyOps(), world, now, head, seat_numbers(world, places, player), new).items():
            following[:, player, index[name]] = value
    return with_sights(world, following, places)


def _fields(frames: Frames, index: Mapping[str, int], player: int) -> Read:
    """Field -> (N,) int64 its values of one player."""
    return lambda name: frames[:, player, index[name]].astype(np.int64)


def with_sights(world: World, frames: Frames, places: Ints) -> Frames:
    """Frames (N, 2, len(kept_fields)) in places (N or 1, place_size), with what players see of them."""
    sights = world.encoding.sights
    if not sights:
        return frames
    facts = [place_facts(world, seat_numbers(world, places, seat)).__getitem__ for seat in range(PLAYERS)]
    columns = sight_columns(sights, world.game.state_index, frames, facts).astype(np.int32)
    return np.concatenate([frames, columns], -1)
