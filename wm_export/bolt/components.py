"""The components of a match: what its systems read and write, as structs of fixed size and as the bytes of accounts.

A match is one entity, and a component holds the fields of both players, as every network reads both. Which field lies
in which component says the game (Game.components), all else its field table. Beside those there are

    input         both players' inputs, as the frame that is being made takes them
    match_clock   frames that are complete, and whose turn it is

A field that a later system takes as its rule left it, before it is kept inside its range, is there twice:
`ruled_<name>` is that value (world/systems.py).

    account   tag 8 | the members, one after the other, little-endian | address of who may write it 32
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import numpy_type, width
from wm_export.schema.accounts import discriminator
from wm_export.schema.records import Records
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS, Field, Kind, ends
from wm_train.world.subsystem import HeadSet
from wm_train.world.systems import passed_on, systems

INPUT, CLOCK = "input", "match_clock"
#: Bytes of an address: who may write a component stands behind its members.
ADDRESS_BYTES = 32
#: Of a member that holds what a rule left.
RULED = "ruled_"
#: Values of a component by member.
Values = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Member:
    """A member of a component's struct: integers of type `dtype` in an array of `shape`, () for one by itself."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    about: str

    @property
    def size(self) -> int:
        """Bytes."""
        return width(self.dtype) * prod(self.shape)

    @property
    def rust(self) -> str:
        """Its type."""
        text = self.dtype
        for length in reversed(self.shape):
            text = f"[{text}; {length}]"
        return text


@dataclass(frozen=True)
class Component:
    """One component; `name` as in Rust, in small letters."""

    name: str
    about: str
    members: tuple[Member, ...]

    @property
    def crate(self) -> str:
        """The crate and folder of its program."""
        return self.name.replace("_", "-")

    @property
    def struct(self) -> str:
        """Its type in Rust."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def size(self) -> int:
        """Bytes that a system gives back of it: all but the tag."""
        return sum(member.size for member in self.members) + ADDRESS_BYTES

    @property
    def tag(self) -> bytes:
        """First eight bytes of its account."""
        return discriminator("account", self.struct)

    def pack(self, values: Values) -> bytes:
        """The bytes of its members."""
        return b"".join(
            np.ascontiguousarray(values[m.name], numpy_type(m.dtype).newbyteorder("<")).tobytes() for m in self.members
        )

    def unpack(self, account: bytes) -> dict[str, NDArray[Any]]:
        """The values that an account holds."""
        found, at = {}, len(self.tag)
        for m in self.members:
            dtype = numpy_type(m.dtype).newbyteorder("<")
            found[m.name] = np.frombuffer(account, dtype, prod(m.shape), at).reshape(m.shape)
            at += m.size
        return found

    def account(self, values: Values, authority: bytes) -> bytes:
        """Data of an account that holds these values, and that `authority` may write."""
        return self.tag + self.pack(values) + authority


@dataclass(frozen=True)
class Components:
    """The components of every match of a game whose rules are these.

    WmExportError for a game that does not say what its components are.
    """

    game: Game
    heads: HeadSet

    def __post_init__(self) -> None:
        if not self.game.components:
            raise WmExportError(
                f"export: game {self.game.name} does not say which fields are one component; say so in "
                "Game.components, or export with --target solana"
            )

    @cached_property
    def passed(self) -> tuple[str, ...]:
        """Fields that a later system takes as their rule left them."""
        rows = systems(self.heads)
        return tuple(name for row in rows for name in passed_on(rows, row.key))

    @cached_property
    def holder(self) -> Mapping[str, str]:
        """Field -> the component that it lies in."""
        return {name: component for component, names in self.game.components.items() for name in names}

    @cached_property
    def every(self) -> tuple[Component, ...]:
        """All of them: those of the state, then input and clock."""
        return (*self.state, self._input, self._clock)

    @cached_property
    def state(self) -> tuple[Component, ...]:
        """Those that hold the fields of a Frame."""
        return tuple(
            Component(name, f"both players' {', '.join(names)}", tuple(self._members(names)))
            for name, names in self.game.components.items()
        )

    def named(self, name: str) -> Component:
        """One of them."""
        return next(component for component in self.every if component.name == name)

    def _members(self, names: tuple[str, ...]) -> Iterator[Member]:
        for name in names:
            yield Member(name, "i32", (PLAYERS,), _words(self.game.field(name)))
        for name in names:
            if name in self.passed:
                about = f"`{name}` as its rule left it, before it was kept inside its range: for later systems"
                yield Member(RULED + name, "i64", (PLAYERS,), about)

    @property
    def _input(self) -> Component:
        shape = (PLAYERS, Records(self.game).input_size)
        about = "of each player a byte for every axis, then one bit for every button"
        return Component(INPUT, "both players' inputs of the frame", (Member("pads", "u8", shape, about),))

    @property
    def _clock(self) -> Component:
        members = (
            Member("frame", "u64", (), "frames of the match that are complete"),
            Member("turn", "u8", (), "number of the system whose turn it is"),
        )
        return Component(CLOCK, "when a match is", members)

    def frame(self, values: Mapping[str, Values]) -> NDArray[np.int32]:
        """(2, len(game.state)) the Frame that the components hold, by component."""
        fields = [values[self.holder[item.name]][item.name] for item in self.game.state]
        return np.stack(fields, -1).astype(np.int32)

    def values_of(self, frame: NDArray[np.int32], ruled: Values) -> dict[str, dict[str, NDArray[Any]]]:
        """Component -> values of its members: the Frame (2, len(game.state)), and of each field of `passed` what its
        rule left, (2,) int64."""
        columns: dict[str, NDArray[Any]] = {item.name: frame[:, i] for i, item in enumerate(self.game.state)}
        columns |= {RULED + name: values for name, values in ruled.items()}
        return {one.name: {member.name: columns[member.name] for member in one.members} for one in self.state}


def _words(field: Field) -> str:
    """What a member of a field holds."""
    low, high = ends(field)
    if field.kind is Kind.CONTINUOUS:
        return f"{field.unit}, {FRAC_BITS} fractional bits: {low} to {high}"
    return f"{field.unit}: {low} to {high}"
