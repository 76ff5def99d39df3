"""Products of the straight matvec kernels, with lanes at the ends of their range in every block, and their results."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tests.wm_export.lower.ends import ENDS
from wm_export.lower.asm.listing import Kernel
from wm_export.lower.asm.straight_asm import STRAIGHT_MAX_R, Straight, straight
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.grid.integer_mamba2 import WIDE_MAX

GROUPS, SHIFT = 2, 9


@dataclass(frozen=True)
class Product:
    """A call of a kernel of this shape that ends this way, of GROUPS groups."""

    shape: Straight
    finish: str

    @property
    def kernel(self) -> Kernel:
        return straight(self.shape, self.finish)

    @property
    def rows(self) -> int:
        return GROUPS * self.shape.r * self.shape.grid.lanes

    @cached_property
    def factors(self) -> tuple[Any, Any]:
        """weights (rows, columns) and x (columns,): sums of a block are -lane_bound, lane_bound - 1 and some between,
        in every mixture of neighbours, and of a third of the rows the same."""
        shape, bound, rng = self.shape, self.shape.grid.lane_bound, np.random.default_rng((self.rows, 1))
        x, weights = np.zeros(shape.columns, np.int64), rng.integers(-1, 2, (self.rows, shape.columns))
        for first in range(0, shape.columns, shape.block):
            # The first two columns of a block take lanes to their ends; the others count for nothing.
            x[first], x[first + 1 : first + shape.block][:1] = 1 - bound, 1
            weights[:, first + 1 : first + shape.block][:, :1] = -rng.integers(0, 2, (self.rows, 1))
        weights[: self.rows // 3] = weights[0]
        return weights, x

    @cached_property
    def scales(self) -> tuple[Any, Any, Any]:
        """bias, mult and what is added to, (rows,) each."""
        rng = np.random.default_rng((self.rows, 2))
        bias, mult = rng.integers(-(2**20), 2**20, self.rows), rng.choice([0, 1, 3, 255, 2**31 - 1], self.rows)
        return bias, mult, rng.choice([0, 1, -1, WIDE_MAX, -WIDE_MAX], self.rows)

    @property
    def words(self) -> Any:
        """(n,) int64 as the kernel reads them."""
        grid, shape, (bias, mult, _) = self.shape.grid, self.shape, self.scales
        lanes = self.factors[0].reshape(GROUPS, shape.r, grid.lanes, shape.columns)
        words = np.asarray(sum(lanes[:, :, lane] << (grid.lane_bits * lane) for lane in range(grid.lanes)))
        constants = (bias - -(-shape.columns // shape.block) * grid.lane_bound) * mult + (1 << (SHIFT - 1))
        scales = np.stack([mult, constants], 1).reshape(GROUPS, -1)
        held = [words.transpose(0, 2, 1).reshape(GROUPS, -1), np.full((GROUPS, 1), SHIFT), scales]
        return np.concatenate(held, 1).reshape(-1)

    @property
    def out(self) -> Any:
        """(rows,) int64."""
        (weights, x), (bias, mult, before) = self.factors, self.scales
        out = ((weights @ x + bias) * mult + (1 << (SHIFT - 1))) >> SHIFT
        out = out + before if self.finish == "add" else out
        return np.clip(out, *ENDS[self.finish]) if self.finish else out


_SMALL = [
    *(Straight(r, 4, 2, 7) for r in range(1, STRAIGHT_MAX_R + 1)),
    *(Straight(r, 8, 3, 7) for r in (1, 6, 7)),
    *(Straight(7, bits, 5, 5) for bits in WEIGHT_GRIDS),
    Straight(2, 8, 4, 4),
]  # fmt: skip
#: Those of presets, and the widest that the frame holds.
_WIDE = [Straight(7, 4, 64, 384), Straight(6, 4, 64, 768), Straight(6, 8, 512, 768), Straight(7, 8, 506, 506)]
PRODUCTS = [
    *(Product(shape, finish) for shape in _SMALL for finish in ("", *ENDS)),
    *(Product(shape, "add") for shape in _WIDE),
]
