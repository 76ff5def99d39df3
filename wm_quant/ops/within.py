"""The logits of a choice in groups (subsystem.Head): those of one group's ids, of a product whose other rows are not
computed.

Which group it is depends on data, what it costs does not: groups are of equal length.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Op, Tensor, Values, fits, integers, requantize_ref
from wm_quant.ops.dense import exact_rows, product_bounds
from wm_quant.ops.intervals import EXACT_BOUND, Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import HEAD_BOUND, TILE_COLUMNS, WEIGHT_GRIDS, Ints, WeightGrid, requantize


@dataclass(frozen=True, kw_only=True)
class Within(Op):
    """out = (rows[g] @ source + bias[g]) * mult[g] / 2^shift, where g is the arg max of `groups` values of `by`.

    by      the vector that holds a value of each group, from element `first` on; the lowest of equal ones is picked
    layer   the layer of the model's config that the rows belong to
    block, bits   as of a matvec, whose rows those of a group are
    shift   1..62
    """

    kind: ClassVar[str] = "within"

    by: str
    first: int
    groups: int
    layer: str
    block: int
    shift: int
    bits: int = 8

    @property
    def grid(self) -> WeightGrid:
        """What its weights are."""
        return WEIGHT_GRIDS[self.bits]

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """rows (G, N, K) of each group, as of a matvec; bias (G, N) int32; mult (G, N) int32, 0 or more."""
        shape, most = (self.groups, self.size), self.grid.weight_max
        low, high = (None, None) if self.bits == 8 else (-most, most)
        rows = Tensor((*shape, net.sizes.get(self.source, 0)), self.grid.dtype, low, high)
        return {"rows": rows, "bias": Tensor(shape, np.int32), "mult": Tensor(shape, np.int32, low=0)}

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        self.check_second(self.by, known)
        length = net.sizes[self.by]
        if self.groups < 1 or not 0 <= self.first <= length - self.groups:
            raise self.refused(f"{self.groups} groups from {self.first} on, of {length} values in `{self.by}`")
        if self.block < TILE_COLUMNS or self.block % TILE_COLUMNS:
            raise self.refused(f"block {self.block}, expected a multiple of {TILE_COLUMNS}")
        if self.bits != (bits := net.model.bits.get(self.layer, 8)):
            raise self.refused(f"bits {self.bits}, expected {bits} as in the model's config")
        self.check_shift(self.shift, 1)

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N), group by group."""
        source, by = values[self.source], values[self.by]
        columns = net.once(self, "transposed", lambda: exact_rows(net.tensor(self, "rows"), self.grid))
        bias, mult = net.ints(self, "bias"), net.ints(self, "mult")
        group = by[:, self.first : self.first + self.groups].argmax(1)
        out: Ints = np.empty((len(by), self.size), np.int64)
        for g in np.unique(group):
            at = group == g
            acc = bias[g] + (source[at].astype(columns.dtype) @ columns[g]).astype(np.int64)
            out[at] = requantize(acc, mult[g], self.shift)
        return {self.out: out}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Row by row of one group."""
        source, of_groups = values[self.source], list(values[self.by][self.first : self.first + self.groups])
        group = of_groups.index(max(of_groups))
        parts = (integers(net.tensor(self, part)[group]) for part in ("rows", "bias", "mult"))
        out = []
        for row, bias, mult in zip(*parts, strict=True):
            total = fits(sum(w * x for w, x in zip(row, source, strict=True)), self.kind)
            out.append(requantize_ref(fits(bias + total, self.kind), mult, self.shift, self.kind))
        return {self.out: out}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """Lanes, accumulators, products and results of every group's rows."""
        rows, source = net.tensor(self, "rows"), values[self.source]
        flat, proof = product_bounds(self.name, rows.reshape(-1, rows.shape[2]), self.block, self.grid, source)
        bias, mult = (net.ints(self, part).reshape(-1) for part in ("bias", "mult"))
        acc = Interval(bias + flat.low, bias + flat.high)
        scaled = [requantize(end.astype(np.int64), mult, self.shift) for end in (acc.low, acc.high)]
        result = Interval(*(end.astype(np.float64) for end in scaled))
        proofs = [
            proof,
            below(self.name, "an accumulator", acc.reach, self.grid.acc_bound),
            below(self.name, "the product of an accumulator and its multiplier", acc.reach * mult, EXACT_BOUND),
            below(self.name, "the result", result.reach, HEAD_BOUND),
        ]
        low, high = (end.reshape(self.groups, self.size) for end in (result.low, result.high))
        return Interval(low.min(0), high.max(0)), proofs
