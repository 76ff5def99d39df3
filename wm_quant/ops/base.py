"""What every op of a QNet has, and the three forms that ops come in.

    Op      one step of the network: what it needs (tensors, memory, check), what it computes (run, ref), how far that
            can go (bounds)
    Sum     adds to a vector, which starts from a bias or from what the session's ids give
    Slice   reads `size` values of its source, from element `first` on

`run` and `ref` are twins and stand side by side: numpy over many worlds at once, and Python integers of one world with
every result checked to fit 64 bits. Both get every vector so far by name and give the vectors that the op writes: its
`out`, and `<name>.memory` where it keeps something from frame to frame.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.ops.intervals import Bounds, Interval, Intervals
from wm_train.config import ModelConfig
from wm_train.grid.arithmetic import SHIFT_MAX, Ints
from wm_train.grid.integer_mlp import table_starts
from wm_train.json_schema import shown
from wm_train.naming import misnamed
from wm_train.reading import one_line
from wm_train.world.fields import Field
from wm_train.world.step import World

#: The vectors that a frame begins with: the window's dense columns (dense_columns,), its ids (id_columns,), and what
#: the first sum starts from.
CODES, IDS, SESSION_BIAS = "codes", "ids", "session_bias"
#: Of the name of the vector that holds what an op keeps: behind the op's.
KEPT = ".memory"
#: The `init` of a sum that starts from its own tensor of that name.
BIAS = "bias"
#: Longest vector.
SIZE_MAX = 1 << 20
INT64_MAX = 2**63 - 1

#: Vectors of B worlds by name, (B, length) int64 each; and of one world, Python integers.
Values = Mapping[str, Ints]
Numbers = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Tensor:
    """Shape, type and range of one of an op's tensors.

    low, high   the least and the largest entry; None: whatever `dtype` holds
    """

    shape: tuple[int, ...]
    dtype: type[np.integer[Any]]
    low: int | None = None
    high: int | None = None


class Network(Protocol):
    """What an op sees of the QNet that it belongs to."""

    @property
    def model(self) -> ModelConfig:
        """The config that the network was made from."""

    @property
    def world(self) -> World:
        """Encoding and heads."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of every vector."""

    @property
    def sums(self) -> Set[str]:
        """Vectors that accumulate products, so that a Scaling has to bound them."""

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Every tensor, as `<op>.<part>`."""

    def tensor(self, op: "Op", part: str) -> NDArray[Any]:
        """Tensor `part` of `op`."""

    def ints(self, op: "Op", part: str) -> Ints:
        """The same, in int64."""

    def once(self, op: "Op", what: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What `make` gives, made once for each network, op and `what`."""


@dataclass(frozen=True)
class Op(ABC):
    """One step of the network.

    name    unique, as wm_train.naming says; tensors are `<name>.<part>`
    source  the vector that it reads
    out     the vector that it writes or adds to, named as ops are
    size    length of `out`, 1 to SIZE_MAX
    """

    #: The name of the class in qnet.json.
    kind: ClassVar[str]
    #: What every result is kept inside, whatever the tensors say; None where nothing is cut off.
    clamp: ClassVar[tuple[int, int] | None] = None
    #: Whether it reads ids, not numbers; whether it may read a sum, as it bounds it; whether it makes one.
    reads_ids: ClassVar[bool] = False
    reads_sums: ClassVar[bool] = False
    makes_sum: ClassVar[bool] = False

    name: str
    source: str
    out: str
    size: int

    @property
    def begins(self) -> bool:
        """Whether `out` is new; else the op adds to what an earlier one wrote."""
        return True

    @property
    def ends(self) -> tuple[int, int] | None:
        """What every result of a proved op lies inside, both included; None where that depends on its tensors."""
        return self.clamp

    @property
    def stretch(self) -> tuple[int, int]:
        """The elements of `out` that the op writes: the first, and one past the last."""
        return 0, self.size

    @property
    def kept(self) -> str:
        """The vector of what the op keeps from frame to frame, of ops that do."""
        return self.name + KEPT

    @abstractmethod
    def tensors(self, net: Network) -> dict[str, Tensor]:
        """Part -> Tensor, of every tensor that the op has."""

    def memory(self, net: Network) -> int:
        """Integers that it keeps from frame to frame; zeros at first."""
        return 0

    def state_cells(self, net: Network) -> int:
        """State cells that it moves on by a frame, what a recurrence is counted by."""
        return 0

    @abstractmethod
    def run(self, net: Network, values: Values) -> Values:
        """The vectors that it writes, for many worlds at once."""

    @abstractmethod
    def ref(self, net: Network, values: Numbers) -> Numbers:
        """The same of one world, by Python integers; WmQuantError where one does not fit 64 bits."""

    @abstractmethod
    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """Where its result lies for every input inside `values`; WmQuantError where something could overflow."""

    def check(self, net: Network, known: Set[str]) -> None:
        """WmQuantError where the op is not as its class says, or reads what is not in `known`."""
        if not 1 <= self.size <= SIZE_MAX:
            raise self.refused(f"size {self.size}, expected 1 to {SIZE_MAX}")
        if self.reads_ids != (self.source == IDS):
            raise self.refused(f"a {self.kind} of `{self.source}`; ids are read by gathers only")
        if self.source not in known:
            raise self.refused(f"reads {self.source!r}, expected a vector that an earlier op wrote")
        if self.source in net.sums and not self.reads_sums:
            raise self.refused(f"a {self.kind} of the sum `{self.source}`; expected what a requantize made of it")
        if self.begins == (self.out in known):
            raise self.refused(f"`{self.out}` has {'two starts' if self.begins else 'no start'}")

    def check_fields(self) -> None:
        """WmQuantError where a field is not of its type, or no name where it is one. Before anything else is asked."""
        for item in fields(self):
            if type(value := getattr(self, item.name)) is not item.type:
                raise self.refused(f"{item.name} is {shown(value)}, expected {item.type}")
        if wrong := misnamed((self.name, self.out)):
            raise self.refused(wrong)

    def check_shift(self, shift: int, least: int) -> None:
        """WmQuantError where `shift` is not in least..SHIFT_MAX."""
        if not least <= shift <= SHIFT_MAX:
            raise self.refused(f"shift {shift}, expected {least}..{SHIFT_MAX}")

    def check_second(self, by: str, known: Set[str]) -> None:
        """WmQuantError where `by`, the second vector that it reads, is none."""
        if by not in known or by == IDS:
            raise self.refused(f"reads {by!r} too, expected a vector that an earlier op wrote")

    def refused(self, why: str) -> WmQuantError:
        """The error that names this op."""
        return WmQuantError(f'qnet: op "{one_line(self.name, 60)}": {why}')


@dataclass(frozen=True)
class Sum(Op):
    """Adds to `out`.

    init    for the first op that adds to `out`: what it starts from (`session_bias`; or `bias`, the tensor of that
            name), else empty
    """

    makes_sum: ClassVar[bool] = True

    init: str = ""

    @property
    def begins(self) -> bool:
        """See Op."""
        return bool(self.init)

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        if self.init not in ("", BIAS, SESSION_BIAS):
            raise self.refused(f"starts from {self.init!r}, expected {BIAS}, {SESSION_BIAS} or nothing")

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """bias (N,) int32 of the op that starts the sum; session (R, N) int32, a row for each id of each field of a
        session, where those ids belong to the start."""
        parts = {BIAS: Tensor((self.size,), np.int32)} if self.init else {}
        if self.init == SESSION_BIAS:
            rows = int(table_starts(_session_fields(net))[-1])
            parts["session"] = Tensor((rows, self.size), np.int32)
        return parts

    def start(self, net: Network, values: Values) -> Ints:
        """What it adds to, (B, N) or (N,)."""
        if self.init == BIAS:
            return net.ints(self, BIAS)
        return values[self.init or self.out]

    def start_ref(self, net: Network, values: Numbers) -> Sequence[int]:
        """The same of one world."""
        if self.init == BIAS:
            return integers(net.tensor(self, BIAS))
        return values[self.init or self.out]

    def start_bounds(self, net: Network, values: Intervals) -> Interval:
        """Where what it adds to lies, over all sessions."""
        if not self.init:
            return values[self.out]
        bias = net.tensor(self, BIAS).astype(np.float64)
        if self.init == BIAS:
            return Interval(bias, bias, acc_bound=0)
        low, high = picked_bounds(net.tensor(self, "session"), _session_fields(net))
        return Interval(bias + low, bias + high, acc_bound=0)

    def session_start(self, net: Network, session: Ints) -> Ints:
        """(B, N) what the sum starts from in sessions with these ids (B, S); of the op that starts from them."""
        starts = table_starts(_session_fields(net))[:-1]
        return net.ints(self, BIAS) + net.ints(self, "session")[session + starts].sum(1)


@dataclass(frozen=True, kw_only=True)
class Slice(Op):
    """Reads `size` values of its source.

    first   the element of the source that they begin at
    """

    first: int = 0

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        length = net.sizes[self.source]
        if not 0 <= self.first <= length - self.size:
            raise self.refused(f"{self.size} values from {self.first} on, of {length} in `{self.source}`")

    def read(self, values: Values) -> Ints:
        """(B, N) what it reads."""
        return values[self.source][:, self.first : self.first + self.size]

    def read_ref(self, values: Numbers) -> Sequence[int]:
        """(N,) the same of one world."""
        return values[self.source][self.first : self.first + self.size]

    def read_bounds(self, values: Intervals) -> Interval:
        """Where it lies."""
        return values[self.source].part(self.first, self.size)


def _session_fields(net: Network) -> list[Field]:
    return [field for _, field in net.world.encoding.session_fields()]


def picked_bounds(table: NDArray[Any], table_fields: list[Field]) -> tuple[Any, Any]:
    """(N,) the least and the most that one row out of each field's table (R, N) can add up to."""
    low, high = np.zeros(table.shape[1]), np.zeros(table.shape[1])
    for first, last in pairwise(table_starts(table_fields)):
        rows = table[first:last].astype(np.float64)
        low, high = low + rows.min(0), high + rows.max(0)
    return low, high


def integers(array: NDArray[Any]) -> Any:
    """An array as lists of Python integers."""
    return array.tolist()


def fits(value: int, what: str) -> int:
    """`value`, or WmQuantError where it does not fit 64 bits."""
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise WmQuantError(f"{what}: {value} does not fit 64 bits")
    return value


def requantize_ref(value: int, mult: int, shift: int, what: str) -> int:
    """floor(value * mult / 2^shift + 1/2): the tie rule by Python integers."""
    return fits(value * mult + (1 << (shift - 1)), what) >> shift
