"""One frame of the world, in integers: encode a Frame into codes, decode heads into the next Frame.

`encode` and `decode` are written once, against the few operations of `Ops`. numpy runs them here (training metrics and
the interpreter); the exporter runs the same two functions with operations that record ONNX nodes or lines of Rust. So
there is one definition of the world step and every executor derives from it.

Every value is an integer; continuous fields and heads have FRAC_BITS fractional bits. Nothing here branches on data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from wm_train.actions import ACTION_CATEGORY, CATEGORIES
from wm_train.bounds import BOUNDED
from wm_train.encoding import Encoding
from wm_train.errors import WmTrainError
from wm_train.frames import PLAYERS, SPEEDS, STATE, STATE_INDEX, Field, Kind, fixed
from wm_train.grid import CODE_MAX, CODE_MIN, FRAC_BITS, AnyInts, Frames, Ints, ratio, requantize

ONE = 1 << FRAC_BITS


class Ops(Protocol):
    """What encode and decode need beyond `+ - >> << > ==` on values."""

    def where(self, mask: Any, a: Any, b: Any) -> Any:
        """`a` where `mask` holds, else `b`."""

    def clip(self, value: Any, low: Any, high: Any) -> Any:
        """`value` kept inside low..high, which are ints or values."""

    def requantize(self, value: Any, mult: int, shift: int) -> Any:
        """The tie rule of grid.requantize."""


class NumpyOps:
    """Ops on int64 arrays."""

    where = staticmethod(np.where)
    clip = staticmethod(np.clip)
    requantize = staticmethod(requantize)


@dataclass(frozen=True)
class Head:
    """One output of the network for one player.

    value   a number in the Frame's units: a change, or a new value where an event says so
    event   happens when > 0
    choice  `width` logits; the field becomes the arg max, lowest index on ties

    A choice `within` another one, which stands before it, takes the arg max among the ids whose LABELS entry is what
    the other chose; every label has ids.
    """

    name: str
    kind: str
    width: int = 1
    within: str = ""


#: Head that others are chosen within -> (width of those,) int64, the label of every id.
LABELS: Mapping[str, Ints] = {"category": ACTION_CATEGORY}


def _choices(*names: str) -> tuple[Head, ...]:
    return tuple(Head(name, "choice", STATE[STATE_INDEX[name]].vocab) for name in names)


def _heads(kind: str, *names: str) -> tuple[Head, ...]:
    return tuple(Head(name, kind) for name in names)


_INTEGRATED = (
    *_heads("value", "percent", "x", "y", "shield", *SPEEDS, "state_age", "hitlag", "combo_count"),
    *_heads("value", "teleport_x", "teleport_y"),
    *_heads("event", "facing", "on_ground", "hit", "damage", "teleport", "respawn", "stock_lost", "age_reset"),
    *_choices("action", "jumps", "l_cancel", "hurtbox", "ground", "last_attack"),
)


def _two_level(heads: tuple[Head, ...]) -> tuple[Head, ...]:
    """These heads, with the action chosen within a category that is chosen first."""
    at = [head.name for head in heads].index("action")
    first = Head("category", "choice", len(CATEGORIES))
    return (*heads[:at], first, replace(heads[at], within=first.name), *heads[at + 1 :])


#: Heads of one player. `published` is the released trainer's set; it leaves most fields as they are. `integrated`
#: predicts every field that a world running by itself reads, and lets the step integrate velocities. `gated` does the
#: same, and an event says whether the action changes at all. `two_level` does the same as `integrated`, and chooses a
#: category before the action.
HEADS: Mapping[str, tuple[Head, ...]] = {
    "published": (
        *_heads("value", "percent", "x", "y", "shield"),
        *_heads("event", "facing", "invulnerable", "on_ground"),
        *_choices("action", "jumps"),
    ),
    "integrated": _INTEGRATED,
    "gated": (*_heads("event", "action_changes"), *_INTEGRATED),
    "two_level": _two_level(_INTEGRATED),
}


@dataclass(frozen=True)
class World:
    """What a network of one encoding and one set of heads reads and writes."""

    encoding: Encoding
    heads_name: str = "integrated"

    def __post_init__(self) -> None:
        if self.heads_name not in HEADS:
            raise WmTrainError(f"heads: got {self.heads_name!r}, expected one of {', '.join(HEADS)}")

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads of one player, in output order."""
        return HEADS[self.heads_name]

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


def encode(ops: Ops, field: Field, value: Any) -> Any:
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


def ranges(bounds: Sequence[Any] | Ints) -> dict[str, Range]:
    """Bounds of a session, one after the other as in bounds.py, by the field that they are of."""
    return {name: (bounds[2 * i], bounds[2 * i + 1]) for i, name in enumerate(BOUNDED)}


def decode(
    ops: Ops,
    heads_name: str,
    now: Callable[[str], Any],
    head: Callable[[str], Any],
    bounded: Mapping[str, Range],
) -> dict[str, Any]:
    """Next state of one player.

    now      field name -> its value in the current Frame
    head     head name -> its value; a choice's is the chosen id already
    bounded  what the session's stage allows, by field name; inside the fields' own ranges
    returns  field name -> value in the next Frame, for every field of STATE
    """
    rules = {
        "published": _decode_published,
        "integrated": _decode_integrated,
        "gated": _decode_gated,
        "two_level": _decode_integrated,
    }[heads_name]
    ruled = rules(ops, now, head)

    def following(field: Field) -> Any:
        value = ruled[field.name] if field.name in ruled else now(field.name)
        low, high = bounded.get(field.name, (fixed(field.lo), fixed(field.hi)))
        return ops.clip(value, low, high) if field.kind is Kind.CONTINUOUS else value

    return {field.name: following(field) for field in STATE}


def _flag(ops: Ops, mask: Any) -> Any:
    return ops.where(mask, 1, 0)


def _whole(value: Any) -> Any:
    """Nearest whole number, still in fixed point."""
    return ((value + ONE // 2) >> FRAC_BITS) << FRAC_BITS


def _decode_published(ops: Ops, now: Callable[[str], Any], head: Callable[[str], Any]) -> dict[str, Any]:
    changed = {name: now(name) + head(name) for name in ("percent", "x", "y", "shield")}
    flags = {name: _flag(ops, head(name) > 0) for name in ("facing", "invulnerable", "on_ground")}
    return changed | flags | {name: head(name) for name in ("action", "jumps")}


def _decode_integrated(ops: Ops, now: Callable[[str], Any], head: Callable[[str], Any]) -> dict[str, Any]:
    """Velocities, hitlag, events and ids are predicted; position follows from them.

    A hit sets hitlag, which otherwise counts down; nothing moves and no animation runs while hitlag lasts. A teleport
    (respawn, ledge, warp) sets the position instead of moving it.
    """
    hitlag = ops.clip(ops.where(head("hit") > 0, _whole(head("hitlag")), now("hitlag") - ONE), 0, fixed(64))
    frozen = hitlag > 0
    speed = {name: now(name) + head(name) for name in SPEEDS}
    step_x = ops.where(frozen, 0, speed["self_x_air"] + speed["knockback_x"]) + head("x")
    step_y = ops.where(frozen, 0, speed["self_y"] + speed["knockback_y"]) + head("y")
    teleport, respawn = head("teleport") > 0, head("respawn") > 0
    age = now("state_age") + ops.where(frozen, 0, ONE)
    return speed | {
        "hitlag": hitlag,
        "x": ops.where(teleport, head("teleport_x"), now("x") + step_x),
        "y": ops.where(teleport, head("teleport_y"), now("y") + step_y),
        "percent": ops.where(respawn, 0, now("percent") + ops.where(head("damage") > 0, head("percent"), 0)),
        "shield": now("shield") + head("shield"),
        "stocks": now("stocks") - ops.where(head("stock_lost") > 0, ONE, 0),
        "combo_count": _whole(now("combo_count") + head("combo_count")),
        "state_age": ops.where(head("age_reset") > 0, head("state_age"), age),
        "facing": _flag(ops, head("facing") > 0),
        "on_ground": _flag(ops, head("on_ground") > 0),
        "invulnerable": _flag(ops, head("hurtbox") > 0),
        **{name: head(name) for name in ("action", "jumps", "l_cancel", "hurtbox", "ground", "last_attack")},
    }


def _decode_gated(ops: Ops, now: Callable[[str], Any], head: Callable[[str], Any]) -> dict[str, Any]:
    """The same, but the action stays unless an event says that it changes."""
    action = ops.where(head("action_changes") > 0, head("action"), now("action"))
    return _decode_integrated(ops, now, head) | {"action": action}


def identify(ops: Ops, field: Field, value: Any) -> Any:
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
        rows = np.where(LABELS[head.within] == label[:, None], rows, np.iinfo(np.int64).min)
    chosen: Ints = rows.argmax(1)
    return chosen


def next_frames(world: World, frames: Frames, heads: Ints, bounds: Ints | None = None) -> Frames:
    """The world step after the network. Fields that a flag appended stay as they were.

    frames  (N, 2, len(frame_fields)) int32, the newest that the window shows
    heads   (N, outputs) integers with FRAC_BITS fractional bits
    bounds  (N, 4) what each session's stage allows (bounds.session_bounds); None: the fields' own ranges
    returns (N, 2, len(frame_fields)) int32
    """
    bounded = {} if bounds is None else ranges(bounds.T)
    following = frames.copy()
    for player in range(PLAYERS):
        head = partial(decided, world, heads, player)

        def now(name: str, player: int = player) -> Any:
            return frames[:, player, STATE_INDEX[name]].astype(np.int64)

        for name, value in decode(NumpyOps(), world.heads_name, now, head, bounded).items():
            following[:, player, STATE_INDEX[name]] = value
    return following
