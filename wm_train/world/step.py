"""One frame of the world, in integers: encode a Frame into codes, decode heads into the next Frame.

`encode` and `decode` are written once, against the few operations of rule_ops.py; what happens between is the rules
of the game's subsystems. numpy runs them here (training metrics and the interpreter); the exporter runs the same
functions with operations that record ONNX nodes or lines of Rust. So there is one definition of the world step and
every executor derives from it.

Every value is an integer; continuous fields and heads have FRAC_BITS fractional bits. Nothing here branches on data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN, FRAC_BITS, AnyInts, Frames, Ints, ratio
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Field, Kind, fixed
from wm_train.world.rule_ops import ONE, CodeOps, NumpyOps, Ops, Read
from wm_train.world.subsystem import Head, HeadSet


@dataclass(frozen=True)
class World:
    """What a network of one encoding and one set of heads reads and writes."""

    encoding: Encoding
    heads_name: str = "integrated"

    def __post_init__(self) -> None:
        if self.heads_name not in self.game.head_sets:
            known = ", ".join(self.game.head_sets)
            raise WmTrainError(f"heads: got {self.heads_name!r}, expected one of {known}")

    @property
    def game(self) -> Game:
        """The game whose world it is."""
        return self.encoding.game

    @property
    def head_set(self) -> HeadSet:
        """Its subsystems, which have the heads."""
        return self.game.head_sets[self.heads_name]

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads of one player, in output order."""
        return self.head_set.heads

    @property
    def player_outputs(self) -> int:
        """Network outputs of one player."""
        return sum(head.width for head in self.heads)

    @property
    def outputs(self) -> int:
        """Network outputs in all: player 0's heads, then player 1's."""
        return PLAYERS * self.player_outputs

    def head(self, name: str) -> Head:
        """The head of that name."""
        for head in self.heads:
            if head.name == name:
                return head
        raise WmTrainError(f"heads {self.heads_name}: no head {name!r}")

    def span(self, player: int, name: str) -> slice:
        """Rows of the output that hold head `name` of `player`."""
        wanted = self.head(name)
        before = self.heads[: self.heads.index(wanted)]
        start = player * self.player_outputs + sum(head.width for head in before)
        return slice(start, start + wanted.width)


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


#: Two values that a field is kept between.
Range = tuple[Any, Any]


def ranges(game: Game, bounds: Sequence[Any] | Ints) -> dict[str, Range]:
    """Bounds of a session, one after the other as in bounds.py, by the field that they are of."""
    return {name: (bounds[2 * i], bounds[2 * i + 1]) for i, name in enumerate(game.bounded)}


def decode(ops: Ops, world: World, now: Read, head: Read, bounded: Mapping[str, Range]) -> dict[str, Any]:
    """What the rules change of one player, kept inside the fields' ranges.

    now      field name -> its value in the current Frame
    head     head name -> its value; a choice's is the chosen id already
    bounded  what the session's place allows, by field name; inside the fields' own ranges
    returns  field name -> value in the next Frame, in the order of the state; the fields that are not here stay
    """
    ruled = world.head_set.rule(ops, now, head)

    def kept(field: Field) -> Any:
        low, high = bounded.get(field.name, (fixed(field.lo), fixed(field.hi)))
        return ops.clip(ruled[field.name], low, high) if field.kind is Kind.CONTINUOUS else ruled[field.name]

    return {field.name: kept(field) for field in world.game.state if field.name in ruled}


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
    shown, pads = frames[:, : encoding.slots], inputs[:, : encoding.slots]
    flat = slot_codes(encoding, shown.reshape(-1, *shown.shape[2:]), pads.reshape(-1, *pads.shape[2:]))
    return np.concatenate(
        [flat.reshape(len(frames), -1), next_codes(encoding, inputs_ahead(encoding, inputs, following))], 1
    )


def window_ids(encoding: Encoding, frames: AnyInts) -> Ints:
    """Per-frame ids of whole windows: (B, span, 2, len(frame_fields)) -> (B, id_columns) int64."""
    shown = frames[:, : encoding.slots]
    flat = slot_ids(encoding, shown.reshape(-1, *shown.shape[2:])).reshape(len(frames), -1)
    return np.concatenate([flat, newest_ids(encoding, shown[:, -1])], 1)


def decided(world: World, heads: Ints, player: int, name: str) -> Ints:
    """What one head of a player says: a value's or event's number, the id that a choice takes.

    heads   (N, outputs) integers with FRAC_BITS fractional bits
    returns (N,) int64
    """
    head, rows = world.head(name), heads[:, world.span(player, name)]
    if head.kind != "choice":
        return rows[:, 0]
    if head.within:
        label = decided(world, heads, player, head.within)
        rows = np.where(np.array(head.labels) == label[:, None], rows, np.iinfo(np.int64).min)
    chosen: Ints = rows.argmax(1)
    return chosen


def next_frames(world: World, frames: Frames, heads: Ints, bounds: Ints | None = None) -> Frames:
    """The world step after the network. Fields that no rule writes stay as they were.

    frames  (N, 2, len(frame_fields)) int32, the newest that the window shows
    heads   (N, outputs) integers with FRAC_BITS fractional bits
    bounds  (N, 2 * bounded fields) what each place allows (bounds.session_bounds); None: the fields' own ranges
    returns (N, 2, len(frame_fields)) int32
    """
    bounded = {} if bounds is None else ranges(world.game, bounds.T)
    following, index = frames.copy(), world.game.state_index
    for player in range(PLAYERS):
        head = partial(decided, world, heads, player)

        def now(name: str, player: int = player) -> Any:
            return frames[:, player, index[name]].astype(np.int64)

        for name, value in decode(NumpyOps(), world, now, head, bounded).items():
            following[:, player, index[name]] = value
    return following
