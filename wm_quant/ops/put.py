"""Vectors side by side in one: what networks of several subsystems say becomes the heads of a world."""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Op, Tensor, Values
from wm_quant.ops.intervals import Bounds, Interval, Intervals
from wm_train.grid.arithmetic import Ints


@dataclass(frozen=True, kw_only=True)
class Put(Op):
    """out[at : at + count] = source[first : first + count]. The first of them, at 0, begins `out`; each of the others
    goes on where the one before it ended (qnet.validate)."""

    kind: ClassVar[str] = "put"

    first: int
    at: int
    count: int

    @property
    def begins(self) -> bool:
        """See Op."""
        return self.at == 0

    @property
    def stretch(self) -> tuple[int, int]:
        """See Op."""
        return self.at, self.at + self.count

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """None."""
        return {}

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        length = net.sizes[self.source]
        if self.count < 1 or not 0 <= self.first <= length - self.count or not 0 <= self.at <= self.size - self.count:
            raise self.refused(
                f"{self.count} values from {self.first} on, of {length} in `{self.source}`, at {self.at} of {self.size}"
            )

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        source = values[self.source]
        out: Ints = np.zeros((len(source), self.size), np.int64) if self.begins else values[self.out].copy()
        out[:, self.at : self.at + self.count] = source[:, self.first : self.first + self.count]
        return {self.out: out}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Value by value."""
        out = [0] * self.size if self.begins else list(values[self.out])
        for i in range(self.count):
            out[self.at + i] = values[self.source][self.first + i]
        return {self.out: out}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """Where what is put lies."""
        own, source = slice(self.at, self.at + self.count), values[self.source].part(self.first, self.count)
        before = Interval(np.zeros(self.size), np.zeros(self.size)) if self.begins else values[self.out]
        low, high = before.low.copy(), before.high.copy()
        low[own], high[own] = source.low, source.high
        return Interval(low, high), []
