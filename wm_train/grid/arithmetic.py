"""The grid in plain integers: the tie rule, ranges, multipliers. torch, numpy, ONNX, Rust and sBPF obey it.

Float is legal above this line (choosing a scale), never below it (using one). All arrays are numpy; integers are held
in int64, or in float64 where a matrix product must be fast: exact there, because the bounds below are proved.

Glossary
    FRAC_BITS   fractional bits of a Frame's continuous fields and of every head
    mult, shift a real factor as mult / 2^shift, 0 <= mult < 2^31
    lane        a part of a 64-bit word in the matvec kernel; holds one row's partial sum
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
AnyInts = NDArray[np.integer[Any]]
Frames = NDArray[np.int32]
Floats = NDArray[np.float64]

FRAC_BITS = 12
CODE_MIN, CODE_MAX = -128, 127
MULT_BITS = 31
#: Integers below 2^EXACT_BITS are exact in float64, below 2^FLOAT32_BITS in float32.
EXACT_BITS = 53
FLOAT32_BITS = 24
#: Embeddings and first-layer weights are snapped to multiples of 2^-SNAP_BITS before they are folded, so that the
#: product of the two is exact in float64 whatever the order of its sums.
SNAP_BITS = 20
SNAP_LIMIT = 16.0
#: 2^shift and what is shifted fit 64 bits.
SHIFT_MAX = 62
#: What clamps to 0..127 reads the top bits of a value below 2^57, so it is shifted by at least this.
RELU_SHIFT_MIN = 7
#: Heads, and accumulators that are held in 32 bits, stay below it in magnitude.
HEAD_BOUND = 1 << 31
#: Rows in one gather, at most: so that 16-bit sums of bytes cannot spill.
GATHER_ROWS_MAX = 256
#: Columns that a matrix product takes at a time: blocks between lane flushes are multiples of it.
TILE_COLUMNS = 32


@dataclass(frozen=True)
class WeightGrid:
    """Weights of `bits` bits, and how a matvec kernel adds them up: `lanes` rows in a 64-bit word.

    span      the largest weight of a row, in units of the row's scale. More than weight_max clips it, for finer steps
              of all the others
    acc_bits  accumulators stay below 2^acc_bits in magnitude, and so that a product with a `mult` is exact in float64,
              such a layer's are below 2^mult_bits
    """

    bits: int
    lanes: int
    span: float
    acc_bits: int = 22

    @property
    def weight_max(self) -> int:
        """Weights are symmetric: -weight_max..weight_max."""
        return (1 << (self.bits - 1)) - 1

    @property
    def lane_bits(self) -> int:
        """Bits of a lane."""
        return 64 // self.lanes

    @property
    def lane_bound(self) -> int:
        """A lane's sum must stay inside [-lane_bound, lane_bound)."""
        return 1 << (self.lane_bits - 1)

    @property
    def acc_bound(self) -> int:
        """An accumulator must stay below it in magnitude."""
        return 1 << self.acc_bits

    @property
    def mult_bits(self) -> int:
        """Bits of a multiplier."""
        return EXACT_BITS - self.acc_bits

    @property
    def dtype(self) -> type[np.integer[Any]]:
        """What holds one weight."""
        return np.int8 if self.bits <= 8 else np.int16

    @property
    def exact(self) -> type[np.floating[Any]]:
        """The narrowest float that holds an accumulator exactly."""
        return np.float32 if self.acc_bits < FLOAT32_BITS else np.float64


#: What weights can be, by their bits. 8.75 and 16.5 have nearly the least squared error over rows of trained
#: networks.
WEIGHT_GRIDS: Mapping[int, WeightGrid] = {
    grid.bits: grid
    for grid in (
        WeightGrid(8, lanes=3, span=127.0),
        WeightGrid(4, lanes=4, span=8.75),
        WeightGrid(5, lanes=4, span=16.5),
        WeightGrid(10, lanes=3, span=511.0, acc_bits=23),
        WeightGrid(16, lanes=2, span=32767.0, acc_bits=31),
    )
}
INT8 = WEIGHT_GRIDS[8]


def round_half_up(value: Any) -> Any:
    """floor(value + 1/2): the tie rule for floats, elementwise."""
    return np.floor(np.asarray(value, np.float64) + 0.5)


@contextmanager
def within_floats(error: type[Exception]) -> Iterator[None]:
    """`error` where weights or scales of a network lead beyond what floats can say: they were not trained."""
    try:
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            yield
    except ArithmeticError as failure:
        raise error(f"weights or scales of the run are beyond what floats can say ({failure}); train again") from None


def requantize(acc: Any, mult: Any, shift: int) -> Any:
    """Multiply accumulators by `mult / 2^shift`: the one tie rule.

    acc     integers, |acc * mult| < 2^62
    mult    integers, 0 <= mult < 2^31
    shift   1..62
    returns (acc * mult + 2^(shift-1)) >> shift; ties toward +inf, no saturation
    """
    return (acc * mult + (1 << (shift - 1))) >> shift


def ratio(factor: float) -> tuple[int, int]:
    """(mult, shift) nearest to `factor`, 2^-31 < factor < 2^20, with mult in 2^30..2^31-1."""
    mantissa, exponent = np.frexp(factor)
    mult, shift = int(round_half_up(mantissa * (1 << MULT_BITS))), MULT_BITS - int(exponent)
    if mult == 1 << MULT_BITS:
        mult, shift = mult >> 1, shift - 1
    return mult, shift


def row_ratios(factors: Floats, bits: int, least: int = 1) -> tuple[Ints, int]:
    """Integer multipliers (N,) of at most `bits` bits and the one shift, `least`..SHIFT_MAX, of a layer whose rows have
    the real `factors` (N,): multipliers saturate where a factor is too large for any shift, and lose bits where it is
    too small."""
    _, shift = ratio(float(factors.max()))
    shift = min(max(shift - (MULT_BITS - bits), least), SHIFT_MAX)
    return np.minimum(round_half_up(factors * 2.0**shift), (1 << bits) - 1).astype(np.int64), shift


def snap(value: Any) -> Floats:
    """`value` in multiples of 2^-SNAP_BITS, as integers held in float64; saturates at +-SNAP_LIMIT."""
    return round_half_up(np.clip(np.asarray(value, np.float64), -SNAP_LIMIT, SNAP_LIMIT) * (1 << SNAP_BITS))


@dataclass(frozen=True)
class Codes:
    """What a layer reads: codes in low..high, whose squares add up to at most `energy`."""

    low: float
    high: float
    energy: float = np.inf

    def reach(self, rows: Any) -> Any:
        """(N,) furthest that a sum of codes times integer rows (N, K) gets from zero, whichever of its terms are added:
        by Cauchy and Schwarz if there is an energy, else by the codes' ends."""
        if self.energy < np.inf:
            return np.ceil(np.sqrt(np.einsum("nk,nk->n", rows, rows, dtype=np.float64) * self.energy))
        plus, minus = np.maximum(rows, 0).sum(1), np.maximum(-rows, 0).sum(1)
        return np.maximum(plus * self.high - minus * self.low, minus * self.high - plus * self.low)


def lane_reach(rows: Any, blocks: list[slice], codes: Codes) -> Any:
    """Furthest that any lane of a row gets from zero.

    rows    (N, K) integer weights; `blocks` split K into the column blocks between two flushes
    returns (N,) max over blocks of |sum|
    """
    return np.max(_block_reach(rows, blocks, codes), 0)


def _block_reach(rows: Any, blocks: list[slice], codes: Codes) -> Any:
    return np.array([codes.reach(rows[:, block]) for block in blocks])


#: (scale (N,), the numbers of some rows (R,)) -> (R,) furthest that what an accumulator adds to a row's product gets
#: from zero, in units of the scale.
Added = Callable[[Floats, Ints], Floats]


def nothing(scale: Floats, picked: Ints) -> Floats:
    """An Added of rows to which nothing is added."""
    return np.zeros(len(picked))


def quantize_rows(
    weight: Floats,
    blocks: list[slice],
    codes: Codes,
    floor: Floats | float = 0.0,
    grid: WeightGrid = INT8,
    added: Added = nothing,
) -> tuple[Floats, Floats]:
    """Integer rows and their scales, small enough for the matvec lanes and for the accumulator.

    weight  (N, K) float64
    floor   (N,) or one: the scale is at least this
    added   what else is added up in each accumulator
    returns (rows, scale): rows (N, K) integers in -weight_max..weight_max held in float64, scale (N,) float64 > 0,
            weight ~ rows * scale; lane_reach(rows) < lane_bound and codes.reach(rows) + added(scale) < acc_bound: a row
            that would not fit gets a coarser scale
    """
    scale = np.maximum(np.maximum(np.abs(weight).max(1), 1e-12) / grid.span, floor)
    rows = _rounded(weight, scale, grid)
    wide = np.arange(len(rows))
    while len(wide):
        # What reaches too far is an exact integer, so the coarser scale does not depend on the order of any sum.
        over = _filled(rows, scale, wide, blocks, codes, grid, added)
        wide, over = wide[over >= 1], over[over >= 1]
        scale[wide] *= over * (1 + 1 / 256)
        rows[wide] = _rounded(weight[wide], scale[wide], grid)
    return rows, scale


def _filled(
    rows: Floats, scale: Floats, picked: Ints, blocks: list[slice], codes: Codes, grid: WeightGrid, added: Added
) -> Floats:
    """(R,) how far the picked rows reach, as a share of what their lanes and accumulators hold: below 1 they fit."""
    reach, more = _block_reach(rows[picked], blocks, codes), added(scale, picked)
    share: Floats = reach.max(0) / grid.lane_bound
    # The sum of the blocks' reaches is quick to say and no less than the reach of the row.
    unsure = np.flatnonzero(reach.sum(0) + more >= grid.acc_bound)
    total = codes.reach(rows[picked[unsure]]) + more[unsure]
    share[unsure] = np.maximum(share[unsure], total / grid.acc_bound)
    return share


def _rounded(weight: Floats, scale: Floats, grid: WeightGrid) -> Floats:
    return np.clip(round_half_up(weight / scale[:, None]), -grid.weight_max, grid.weight_max)
