"""The matrix product (GEMV): the layers of a network.

Products run in BLAS on integers held in floats: exact, because every partial sum is proved below 2^24, where they run
in float32, or below 2^53, in float64.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wm_quant.ops.base import Network, Numbers, Sum, Tensor, Values, fits, integers
from wm_quant.ops.intervals import Bounds, Interval, Intervals, Proof, below
from wm_train.grid.arithmetic import TILE_COLUMNS, WEIGHT_GRIDS, WeightGrid, lane_reach


@dataclass(frozen=True, kw_only=True)
class Matvec(Sum):
    """out += rows @ source.

    block   columns between two flushes of a kernel's lanes, a multiple of TILE_COLUMNS
    bits    of a weight: 4, 5, 8, 10 or 16, as the model's config says
    """

    kind: ClassVar[str] = "matvec"

    block: int
    bits: int = 8

    @property
    def grid(self) -> WeightGrid:
        """What its weights are."""
        return WEIGHT_GRIDS[self.bits]

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """rows (N, K) int8, or int16 of 10 and 16 bits: inside +-7, 15, 511, 32767 of 4, 5, 10, 16 bits."""
        most = None if self.bits == 8 else self.grid.weight_max
        low = None if most is None else -most
        rows = Tensor((self.size, net.sizes.get(self.source, 0)), self.grid.dtype, low, most)
        return {"rows": rows, **super().tensors(net)}

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        if self.block < TILE_COLUMNS or self.block % TILE_COLUMNS:
            raise self.refused(f"block {self.block}, expected a multiple of {TILE_COLUMNS}")
        if self.bits != (bits := net.model.bits.get(self.name, 8)):
            raise self.refused(f"bits {self.bits}, expected {bits} as in the model's config")

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N) + source (B, K) @ rows."""
        rows = net.once(self, "transposed", lambda: self._transposed(net))
        products = values[self.source].astype(rows.dtype) @ rows
        return {self.out: self.start(net, values) + products.astype(np.int64)}

    def _transposed(self, net: Network) -> NDArray[Any]:
        """(K, N) weights in the narrowest float that holds their sums exactly."""
        return exact_rows(net.tensor(self, "rows"), self.grid)

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Row by row."""
        source, out = values[self.source], []
        for start, row in zip(self.start_ref(net, values), integers(net.tensor(self, "rows")), strict=True):
            total = fits(sum(w * x for w, x in zip(row, source, strict=True)), self.kind)
            out.append(fits(start + total, self.kind))
        return {self.out: out}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """Lanes between two flushes, for whichever of a block's columns are added first."""
        product, proof = product_bounds(self.name, net.tensor(self, "rows"), self.block, self.grid, values[self.source])
        start = self.start_bounds(net, values)
        bound = max(start.acc_bound or 0, self.grid.acc_bound)
        return Interval(start.low + product.low, start.high + product.high, acc_bound=bound), [proof]


def exact_rows(rows: NDArray[Any], grid: WeightGrid) -> NDArray[Any]:
    """(..., K, N) rows (..., N, K) as columns, in the narrowest float that holds their sums exactly."""
    return np.ascontiguousarray(rows.astype(grid.exact).swapaxes(-1, -2))


def product_bounds(
    name: str, weights: NDArray[Any], block: int, grid: WeightGrid, source: Interval
) -> tuple[Interval, Proof]:
    """Where each row (N, K) times `source` lies, and that no lane overflows between two flushes, whichever of a block's
    columns are added first."""
    rows = weights.astype(np.float64)
    blocks = [slice(start, start + block) for start in range(0, rows.shape[1], block)]
    proof = below(name, "a lane", lane_reach(rows, blocks, source.codes), grid.lane_bound)
    plus, minus, reach = np.maximum(rows, 0), np.maximum(-rows, 0), source.codes.reach(rows)
    low = np.maximum(plus @ source.low - minus @ source.high, -reach)
    return Interval(low, np.minimum(plus @ source.high - minus @ source.low, reach)), proof
