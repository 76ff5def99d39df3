"""A lowered program: what one frame does on Solana, as data.

    Program   buffers, constants and routines of one program, and its Plan
    Buffer    a vector in the work area of an account, with a lifetime
    Constant  numbers that never change: one section of the weight blob
    Routine   the calls of one op of a frame; a function of the generated crate
    Call      one call of a kernel, or of a function of the generated crate, and its operands

The printers know no op: cost.py adds up the calls' formulas, solana/blob.py writes the constants, placement.py and
solana/layout.py place the buffers, solana/rust_network.py prints the calls.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.world.definition import Game
from wm_train.world.registry import find_game

Values = NDArray[Any]
#: A frame's transactions, each as (first routine, routine after the last).
Plan = tuple[tuple[int, int], ...]


class Lifetime(Enum):
    """How long what a buffer holds is needed."""

    #: Written and read within one frame.
    FRAME = "frame"
    #: The world's: the window that moves on, what a session's ids give, hashes of what ops keep. Padding stays zero, as
    #: the account began.
    SESSION = "session"
    #: An op's: what it keeps from frame to frame; zeros when a session begins.
    MEMORY = "memory"


@dataclass(frozen=True)
class Turns:
    """What of a memory a frame writes in turn; all else it may write in any frame.

    next       the element that holds whose turn it is, before a frame; the frame moves it on by one, around
    stretches  of each turn (first element, elements) of what is written in it alone: of each turn as many, and as long
    """

    next: int
    stretches: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class Lanes:
    """Several integers in one element of 64 bits: `count` of them added up, each `bits` bits above the one before, the
    first from bit `first` on. Each fits into so many bits, with its sign."""

    count: int
    bits: int
    first: int = 0

    def join(self, values: Values) -> NDArray[np.int64]:
        """(N,) the elements of (N, count) integers."""
        shifts = self.first + self.bits * np.arange(self.count)
        joined: NDArray[np.int64] = (values.astype(np.int64) << shifts).sum(1)
        return joined

    def split(self, elements: Values) -> NDArray[np.int64]:
        """(N, count) the integers of elements (N,)."""
        rest, half = elements.astype(np.int64) >> self.first, 1 << (self.bits - 1)
        out = []
        for _ in range(self.count):
            out.append(((rest + half) & (2 * half - 1)) - half)
            rest = (rest - out[-1]) >> self.bits
        return np.stack(out, 1)


@dataclass(frozen=True)
class Buffer:
    """`count` integers of type `dtype` ("i64", "u16") in the work area.

    What the interpreter knows as a vector lies in it as this says, and nothing else does: `pack` and `unpack`.

    bias    an element is the interpreter's integer plus this
    places  (length of the interpreter's vector,) the element of each integer; None: the first ones, in order. Elements
            that hold none are as if they held zeros
    turns   of a memory whose frames write parts of it in turn
    lanes   how an element holds several integers, and places count lanes; None: one each
    """

    name: str
    count: int
    lifetime: Lifetime = Lifetime.FRAME
    dtype: str = "i64"
    bias: int = 0
    places: Values | None = field(default=None, compare=False, repr=False)
    turns: Turns | None = field(default=None, compare=False, repr=False)
    lanes: Lanes | None = None

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return width(self.dtype)

    def zeros(self) -> Values:
        """(count,) the elements that hold zeros, little-endian."""
        return np.full(self.count, self.bias, numpy_type(self.dtype).newbyteorder("<"))

    def pack(self, values: Values) -> Values:
        """(count,) the elements that hold a vector of the interpreter, little-endian."""
        elements = self.zeros()
        if self.lanes:
            held = np.zeros(self.count * self.lanes.count, np.int64)
            held[self._at(len(values))] = values
            elements[:] = self.lanes.join(held.reshape(-1, self.lanes.count)).view(elements.dtype)
        else:
            elements[self._at(len(values))] = values + self.bias
        return elements

    def unpack(self, elements: Values, length: int) -> NDArray[np.int64]:
        """(length,) the vector of the interpreter that these elements hold."""
        held = self.lanes.split(elements).reshape(-1) if self.lanes else elements
        return held[self._at(length)].astype(np.int64) - self.bias

    def _at(self, length: int) -> Any:
        return slice(length) if self.places is None else self.places


@dataclass(frozen=True)
class Constant:
    """`count` integers of type `dtype` in the blob; `values` makes them, (count,) of that type."""

    name: str
    dtype: str
    count: int
    values: Callable[[], Values] = field(compare=False, repr=False)

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return width(self.dtype)

    def bytes(self) -> bytes:
        """The section, little-endian."""
        values = self.values()
        assert values.shape == (self.count,) and values.dtype == numpy_type(self.dtype), self.name
        return values.astype(values.dtype.newbyteorder("<")).tobytes()


def padded(size: int, step: int) -> int:
    """`size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def divisor(size: int, most: int) -> int:
    """The largest number up to `most` that `size` is a multiple of."""
    return next(step for step in range(most, 0, -1) if size % step == 0)


def numpy_type(dtype: str) -> "np.dtype[Any]":
    """The numpy type of "i64", "u16" and so on."""
    return np.dtype(f"{dtype[0]}{int(dtype[1:]) // 8}")


def width(dtype: str) -> int:
    """Bytes of one integer of type `dtype`."""
    return numpy_type(dtype).itemsize


@dataclass(frozen=True)
class Pointer:
    """An operand: element `first` of a buffer or a constant; `stride` elements further for each row group that a call
    leaves out at its beginning."""

    name: str
    first: int = 0
    stride: int = 0

    def moved(self, groups: int) -> "Pointer":
        """The operand of the call that starts `groups` row groups later."""
        return replace(self, first=self.first + groups * self.stride)


class Read(Pointer):
    """Of a buffer that the call reads."""


class Write(Pointer):
    """Of a buffer that the call writes, or adds to."""


class Load(Pointer):
    """Of a constant."""


@dataclass(frozen=True)
class Picked(Load):
    """Of a constant, `step` elements further as often as the number that a call gave under the name `by`."""

    step: int = 0
    by: str = ""


@dataclass(frozen=True)
class Rows:
    """An operand: the addresses of the rows that ids pick from tables, one table an id.

    ids         the buffer of ids, u16
    table       the constant that holds every row, `row` elements each
    firsts      number of each table's first row
    """

    ids: Read
    table: Load
    row: int
    firsts: tuple[int, ...]


@dataclass(frozen=True)
class Groups:
    """An operand: how many row groups the call covers. A call that has one can be cut between two of them."""

    count: int


@dataclass(frozen=True)
class Places:
    """An operand: the address of a list of addresses, for a kernel that has more of them than registers."""

    pointers: tuple[Pointer, ...]


#: A text is an argument that the frame was called with: `inputs`, `frame` or `work`.
Operand = Pointer | Rows | Places | Groups | int | str


@dataclass(frozen=True)
class Call:
    """One call.

    function   a kernel's name, or the path of a function of Rust's core or the generated crate
    operands   in order
    macs       multiply-accumulates, padding left out
    inside     the kernel calls that a function of the generated crate makes
    uses       buffers that such a function finds in the work area by itself
    gives      name of its result, where calls of the same routine that come after it read it
    operations  of the rule that it runs
    """

    function: str
    operands: tuple[Operand, ...]
    macs: int = 0
    inside: tuple["Call", ...] = ()
    uses: tuple[str, ...] = ()
    gives: str = ""
    operations: int = 0

    @property
    def is_kernel(self) -> bool:
        """Whether it calls a kernel: those have no path."""
        return "::" not in self.function

    @property
    def is_rule(self) -> bool:
        """Whether it calls a rule of the world."""
        return self.function.startswith("rules::")

    @property
    def groups(self) -> int:
        """Row groups of the call; 0 if it cannot be cut."""
        return sum(operand.count for operand in self.operands if isinstance(operand, Groups))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers among the operands, in order: what a kernel's cost depends on."""
        plain = (operand.count if isinstance(operand, Groups) else operand for operand in self.operands)
        return tuple(operand for operand in plain if isinstance(operand, int))

    @property
    def buffers(self) -> frozenset[str]:
        """Every buffer that the call touches."""
        places = (place for operand in self.operands for place in _pointers(operand))
        return frozenset(self.uses) | {place.name for place in places if isinstance(place, Read | Write)}

    def split(self, at: int) -> tuple["Call", "Call"]:
        """The call up to row group `at`, and the rest: 0 < at < groups."""
        macs = self.macs * at // self.groups
        head = tuple(Groups(at) if isinstance(o, Groups) else o for o in self.operands)
        tail = tuple(_moved(operand, at) for operand in self.operands)
        return replace(self, operands=head, macs=macs), replace(self, operands=tail, macs=self.macs - macs)


def _pointers(operand: Operand) -> tuple[Pointer, ...]:
    """What an operand points at."""
    if isinstance(operand, Places):
        return operand.pointers
    if isinstance(operand, Rows):
        return (operand.ids, operand.table)
    return (operand,) if isinstance(operand, Pointer) else ()


def _moved(operand: Operand, groups: int) -> Operand:
    if isinstance(operand, Groups):
        return Groups(operand.count - groups)
    if isinstance(operand, Places):
        return Places(tuple(pointer.moved(groups) for pointer in operand.pointers))
    return operand.moved(groups) if isinstance(operand, Pointer) else operand


@dataclass(frozen=True)
class Routine:
    """The calls of one op of a frame, or of a part of one.

    kind    the op's, for tables of costs
    about   one line for the reader of the generated code
    """

    name: str
    kind: str
    about: str
    calls: tuple[Call, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding left out."""
        return sum(call.macs for call in self.calls)

    @property
    def is_rule(self) -> bool:
        """Whether it is the world's, and calls its rules only."""
        return all(call.is_rule for call in self.calls)

    @property
    def groups(self) -> int:
        """Row groups, over all calls."""
        return sum(call.groups for call in self.calls)

    @property
    def kernel_calls(self) -> Iterator[Call]:
        """The kernel calls, in order, those that rules make among them."""
        for call in self.calls:
            yield from call.inside or ([call] if call.is_kernel else [])


@dataclass(frozen=True)
class SessionStart:
    """What is computed once, when a session opens: out[i] = layer[i] + the rows of `table` that the session's ids pick.

    vocab   rows of each id's table, in the order of the ids
    """

    table: Load
    layer: Load
    out: Write
    count: int
    vocab: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """One program.

    buffers     by name, in the order that they lie in where they share no bytes
    constants   by name, in the order of the blob
    routines    of a frame, in order
    start       of a session
    vectors     length of each buffer that a Trace holds, padding left out
    slots       frames in the window
    compact     buffers that are not needed at the same time share bytes
    cuts        where transactions end before a frame does, as `--cut` takes them
    plan        the transactions
    """

    buffers: Mapping[str, Buffer]
    constants: Mapping[str, Constant]
    routines: tuple[Routine, ...]
    start: SessionStart
    vectors: Mapping[str, int]
    slots: int
    compact: bool = False
    game: Game = field(default_factory=find_game)
    cuts: tuple[str, ...] = ()
    plan: Plan = ()

    @property
    def names(self) -> list[str]:
        """Name of every routine, in order."""
        return [routine.name for routine in self.routines]

    def kernels(self) -> list[str]:
        """Every kernel that a frame calls, in the order of the first call."""
        return list(dict.fromkeys(call.function for routine in self.routines for call in routine.kernel_calls))

    def live(self) -> dict[str, tuple[int, int]]:
        """Of every buffer of a frame the first and the last routine that touch it."""
        spans: dict[str, tuple[int, int]] = {}
        for number, routine in enumerate(self.routines):
            for name in set().union(*(call.buffers for call in routine.calls)):
                if self.buffers[name].lifetime is Lifetime.FRAME:
                    spans[name] = (spans.get(name, (number, 0))[0], number)
        return spans
