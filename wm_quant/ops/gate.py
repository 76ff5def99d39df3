"""The product of two vectors, element by element."""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Slice, Tensor, Values, requantize_ref
from wm_quant.ops.intervals import EXACT_BOUND, Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import Ints, requantize


@dataclass(frozen=True, kw_only=True)
class Gate(Slice):
    """out = source * by / 2^shift, ties toward +inf.

    by      the second vector, (N,)
    shift   1..62
    """

    kind: ClassVar[str] = "gate"

    by: str
    shift: int

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        self.check_shift(self.shift, 1)
        self.check_second(self.by, known)
        if net.sizes[self.by] != self.size:
            raise self.refused(f"`{self.by}` has {net.sizes[self.by]} values, expected {self.size}")

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """None."""
        return {}

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        out: Ints = requantize(self.read(values) * values[self.by], 1, self.shift)
        return {self.out: out}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Value by value."""
        pairs = zip(self.read_ref(values), values[self.by], strict=True)
        return {self.out: [requantize_ref(value, by, self.shift, self.kind) for value, by in pairs]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """The product."""
        reach = self.read_bounds(values).reach * values[self.by].reach
        proofs = [below(self.name, "the product", reach, EXACT_BOUND)]
        out = requantize(reach.astype(np.int64), 1, self.shift).astype(np.float64)
        return Interval(-out - 1, out), proofs
