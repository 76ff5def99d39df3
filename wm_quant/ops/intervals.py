"""Intervals of a vector's values over every input, and what is proved of them.

What stays below a bound, row by row, whatever the codes, the ids and the session are:

    lanes       |partial sum| < 2^20 between two flushes of INT8 and INT10 weights, 2^15 of INT4 and INT5, 2^31 of INT16
    acc         |accumulator| < 2^22, of INT10 weights 2^23, of INT16 2^31, and |acc * mult| < 2^53, so that float64
                rounds it as the integers do
    heads       inside int32, so that requantized heads need no saturation
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wm_quant.errors import WmQuantError
from wm_train.grid.arithmetic import EXACT_BITS, INT8, Codes, Floats

#: Integers below this are exact in float64.
EXACT_BOUND = 1 << EXACT_BITS


@dataclass(frozen=True, eq=False)
class Interval:
    """What each of N values can be.

    low, high   (N,) float64, the ends, both included
    energy      the most that the squares of all values add up to; infinite where nothing is known
    acc_bound   what |value| has to stay below where it is multiplied down, so that the sums that made it are exact;
                None where they are whatever stays below 2^53
    """

    low: Floats
    high: Floats
    energy: float = np.inf
    acc_bound: int | None = INT8.acc_bound

    @property
    def reach(self) -> Floats:
        """(N,) the largest magnitudes."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def codes(self) -> Codes:
        """What a matrix product makes of it."""
        return Codes(float(self.low.min()), float(self.high.max()), self.energy)

    def part(self, first: int, size: int) -> "Interval":
        """`size` of the values, from `first` on."""
        return Interval(self.low[first : first + size], self.high[first : first + size], acc_bound=self.acc_bound)

    def clipped(self, clamp: tuple[int, int]) -> "Interval":
        """Each end brought inside low..high."""
        return Interval(np.clip(self.low, *clamp), np.clip(self.high, *clamp))


@dataclass(frozen=True)
class Proof:
    """The widest value found and the bound it stays below, for one op."""

    op: str
    what: str
    row: int
    value: int
    bound: int

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


Intervals = Mapping[str, Interval]
#: What an op's result can be, and what was proved on the way.
Bounds = tuple[Interval, list[Proof]]


def below(op: str, what: str, values: Any, bound: int) -> Proof:
    """The Proof that each of `values` (N,), 0 or more, is less than `bound`; WmQuantError with the row that is not."""
    values = np.atleast_1d(np.asarray(values, np.float64))
    row = int(np.argmax(values))
    proof = Proof(op, what, row, int(values[row]), bound)
    if not proof.value < bound:
        raise WmQuantError(
            f'proof failed: op "{op}": {what} of row {row} reaches {proof.value}, must stay below {bound}; '
            "train this network again with --qat (a row like this has a runaway weight or bias)"
        )
    return proof
