"""The sum of the table rows that the window's ids pick: embeddings, folded through the first layer."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Sum, Tensor, Values, fits, integers, picked_bounds
from wm_quant.ops.intervals import Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, INT8, Ints
from wm_train.grid.integer_mlp import table_starts
from wm_train.world.fields import Field


@dataclass(frozen=True)
class Gather(Sum):
    """out += k * sum over i of rows[starts[i] + ids[i]], where `starts[i]` is the first row of field i's table."""

    kind: ClassVar[str] = "gather"
    reads_ids: ClassVar[bool] = True

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """rows (R, N) int8, a row for each id of each field of the window; k (N,) int32, 0 or more."""
        rows = int(table_starts(_fields(net))[-1])
        parts = {"rows": Tensor((rows, self.size), np.int8), "k": Tensor((self.size,), np.int32, low=0)}
        return parts | super().tensors(net)

    def _starts(self, net: Network) -> Ints:
        """(I,) the first row of each field's table."""
        return net.once(self, "starts", lambda: table_starts(_fields(net))[:-1])

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N) and the rows that ids (B, I) pick."""
        picked = net.tensor(self, "rows")[values[self.source] + self._starts(net)]
        return {self.out: self.start(net, values) + picked.sum(1, dtype=np.int64) * net.tensor(self, "k")}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Entry by entry."""
        starts, rows, k = integers(self._starts(net)), net.tensor(self, "rows"), integers(net.tensor(self, "k"))
        picked = [integers(rows[first + i]) for first, i in zip(starts, values[self.source], strict=True)]
        added = [fits(k[n] * sum(row[n] for row in picked), self.kind) for n in range(self.size)]
        start = self.start_ref(net, values)
        return {self.out: [fits(a + b, self.kind) for a, b in zip(start, added, strict=True)]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """The number of rows; the least and the largest entry of each field's table."""
        proofs = [below(self.name, "the number of rows", len(_fields(net)), GATHER_ROWS_MAX + 1)]
        low, high = picked_bounds(net.tensor(self, "rows"), _fields(net))
        k, start = net.tensor(self, "k").astype(np.float64), self.start_bounds(net, values)
        bound = start.acc_bound or INT8.acc_bound
        return Interval(start.low + low * k, start.high + high * k, acc_bound=bound), proofs


def _fields(net: Network) -> list[Field]:
    return [field for _, _, field in net.world.encoding.id_fields()]
