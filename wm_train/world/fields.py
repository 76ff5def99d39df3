"""What a field of a game is. The tables of fields are the games' own (game.py); every dimension is derived from them.

A **Frame** is the state of one game frame as integers, `(N, 2, len(game.state))` int32: continuous fields in fixed
point (`FRAC_BITS` fractional bits), binary fields 0 or 1, categorical fields as ids. The **inputs** of a frame are the
two controllers, `(N, 2, len(game.controls))` int8: axes in whole steps (`Field.step` of the axis' full deflection),
buttons 0 or 1. Which fields a network reads, and in which order, is its encoding's (encoding.py); one with flags may
append fields to both.

Glossary
    scale   float encoding: network input = value * scale (published v2.2 encoding)
    step    INT8 encoding: one code is `step` units of the value, codes saturate at -128 and 127
    column  one dense number of the network input; one per continuous, binary and control field
    id      one categorical field of a window slot; looked up in an embedding, or in its folded row table
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import FRAC_BITS

#: Players of a session: an account of the program has so many seats, so a game has no other number.
PLAYERS = 2


class Kind(Enum):
    """How a field is held in a Frame and how the network reads it."""

    CONTINUOUS = "continuous"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    AXIS = "axis"
    BUTTON = "button"


class Mirrored(Enum):
    """What becomes of a field where left and right are exchanged (symmetry.py)."""

    SAME = "same"
    NEGATED = "negated"
    FLIPPED = "flipped"


@dataclass(frozen=True)
class Column:
    """A column of a dataset's games: one value per frame (of each player, or of each entry of a list).

    stored  Arrow type by name, such as float32
    source  path of the value in a recording, dotted; "" where the recording's reader derives it
    convert the value as it is recorded and the column's name -> as it is stored; None where it is copied
    ids     of a list column that holds ids: how many of them, from 0 on, have a row in a network; 0 for other columns
    """

    name: str
    stored: str
    source: str = ""
    convert: Callable[[Any, str], Any] | None = None
    ids: int = 0


def positive(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Binary fields that hold where their column is above zero."""
    return np.asarray(values > 0)


def nonzero(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Binary fields that hold where their column is not zero."""
    return np.asarray(values != 0)


def zero(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Binary fields that hold where their column is zero."""
    return np.asarray(values == 0)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a player.

    `lo`, `hi` bound the value in `unit`; decode clamps to them. `column` names the dataset column it is read from; a
    binary field holds where `holds` says so of the column's integers, a button where the column has its `bit`. A field
    without `column` is derived by its game (Game.extras). `since` is the first version of the recordings that has it,
    `first` the first encoding that reads it. `session` marks an id that does not change while a session lasts: the
    network sees the newest frame's in every slot (where a game can change it, a session goes on with the id it began
    with). `unknown` is what a Frame holds in place of an id outside the vocabulary: an id that is nobody's, or that all
    ids from there on share. `newest` marks an id that is read in the window's newest slot only, `rounded` an id that
    the Frame holds as a number in fixed point. `mirrored` says what the field is where left and right are exchanged; of
    an id, `pairs` are those that then stand for each other, and all others stay.
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
    unknown: int = 0
    width: int = 0
    since: tuple[int, ...] = (0, 1, 0)
    first: str = ""
    session: bool = False
    newest: bool = False
    rounded: bool = False
    bit: int = 0
    mirrored: Mirrored = Mirrored.SAME
    pairs: tuple[tuple[int, int], ...] = ()
    holds: Callable[[NDArray[Any]], NDArray[np.bool_]] = positive

    @property
    def is_dense(self) -> bool:
        """Whether the field is a number of the dense input (else an id)."""
        return self.kind is not Kind.CATEGORICAL


def continuous(
    name: str, unit: str, lo: float, hi: float, scale: float, step: float, derived: bool = False, **more: Any
) -> Field:
    """A number; its column has its name, unless it is `derived`."""
    column = "" if derived else name
    return Field(
        name=name, kind=Kind.CONTINUOUS, column=column, unit=unit, lo=lo, hi=hi, scale=scale, step=step, **more
    )


def categorical(name: str, vocab: int, width: int, *, unknown: int, **more: Any) -> Field:
    """An id of 0..vocab-1 with an embedding `width` wide, others being `unknown`; its column has its name unless
    another is given."""
    about: dict[str, Any] = {"column": name, "unknown": unknown} | more
    return Field(name=name, kind=Kind.CATEGORICAL, unit="id", hi=vocab - 1, vocab=vocab, width=width, **about)


def binary(name: str, column: str, holds: Callable[[NDArray[Any]], NDArray[np.bool_]] = positive, **more: Any) -> Field:
    """0 or 1: whether `holds` is true of the column."""
    return Field(name=name, kind=Kind.BINARY, column=column, unit="0 or 1", holds=holds, **more)


def axis(name: str, column: str, lo: int, hi: int, **more: Any) -> Field:
    """A stick or trigger in whole steps lo..hi, one of which is 1/hi of its full deflection."""
    return Field(name=name, kind=Kind.AXIS, column=column, unit=f"1/{hi}", lo=lo, hi=hi, step=1 / hi, **more)


def button(name: str, column: str, bit: int) -> Field:
    """A button: one bit of its column."""
    return Field(name=name, kind=Kind.BUTTON, column=column, unit="0 or 1", bit=bit)


def index_of(fields: Sequence[Field]) -> dict[str, int]:
    """Where each field stands, by name."""
    return {field.name: i for i, field in enumerate(fields)}


def fixed(value: float) -> int:
    """`value` in the Frame's fixed point, ties toward +inf."""
    return math.floor(value * (1 << FRAC_BITS) + 0.5)


def ends(field: Field) -> tuple[int, int]:
    """Least and greatest value of a field as Frames hold it: in fixed point where it is continuous, else whole."""
    return (fixed(field.lo), fixed(field.hi)) if field.kind is Kind.CONTINUOUS else (int(field.lo), int(field.hi))
