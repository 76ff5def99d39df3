"""A FrameStackMLP's parameters as integers: folded, quantized, with multipliers. numpy only, and exact.

Training (fake_quant) and conversion (wm_quant.convert) both call `integer_mlp`, so there is nothing left to happen at
conversion. Every result is the same whatever library or order of sums computed it: products are exact by grid.snap.

    acc1 = bias1 + w1 @ codes + gather_k * sum_i rows[i, id_i] + sum_j session[j, sid_j]
    h1   = clamp(requantize(acc1, mult1, shift1), 0, 127)
    h2   = clamp(requantize(bias2 + w2 @ h1, mult2, shift2), 0, 127)
    out  = requantize(bias3 + w3 @ h2, mult3, shift3)            FRAC_BITS fractional bits
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import (
    CODE_MAX,
    CODE_MIN,
    FRAC_BITS,
    HEAD_BOUND,
    INT8,
    RELU_SHIFT_MIN,
    WEIGHT_GRIDS,
    Added,
    Codes,
    Floats,
    Ints,
    WeightGrid,
    nothing,
    quantize_rows,
    round_half_up,
    row_ratios,
)
from wm_train.grid.fold import Folded, folded, table_starts
from wm_train.world.encoding import Encoding
from wm_train.world.step import World

__all__ = ["BLOCK_COLUMNS", "IntegerDense", "IntegerMLP", "column_blocks", "dense_layer", "integer_mlp", "table_starts"]

#: Columns between two flushes of a matvec's lanes, at most; a multiple of the kernel's tile. By bits of the weights: as
#: many as let nearly all rows of a trained network keep the scale that suits them; of 5 bits half of those of 4, of 10
#: about a quarter of layer1's of 8, not measured on an MLP.
BLOCK_COLUMNS: Mapping[int, Mapping[str, int]] = {
    8: {"layer1": 320, "layer2": 512, "heads": 512},
    4: {"layer1": 320, "layer2": 128, "heads": 256},
    5: {"layer1": 160, "layer2": 64, "heads": 128},
    10: {"layer1": 64, "layer2": 64, "heads": 64},
    16: {"layer1": 2048, "layer2": 2048, "heads": 2048},
}

#: The largest head, a little below its bound: multipliers are rounded.
HEAD_MOST = HEAD_BOUND * (1 - 2.0**-16)


@dataclass(frozen=True)
class IntegerDense:
    """One dense layer: rows (N, K) on `grid`, bias (N,), mult (N,) and one shift; scale (N,) is what one unit of the
    accumulator is worth, kept for reports and for the float view in training. Integers are held in float64."""

    grid: WeightGrid
    rows: Floats
    bias: Floats
    mult: Ints
    shift: int
    scale: Floats


@dataclass(frozen=True)
class IntegerInput:
    """The layer that reads frames. ids: the folded id tables before rounding, in the order of Encoding.id_fields;
    gather_k (N,); session_rows (S, N): folded session tables in accumulator units, as in Encoding.session_fields."""

    layer1: IntegerDense
    ids: Folded
    gather_k: Floats
    session_rows: NDArray[Any]

    @cached_property
    def gather_rows(self) -> NDArray[Any]:
        """(R, N) INT8 rows of the folded id tables, held in float32."""
        return self.pick_rows(None)

    def pick_rows(self, numbers: Ints | None) -> NDArray[Any]:
        """`gather_rows[numbers]`, without making the others; `numbers` ascending."""
        return self.ids.rows(self.layer1.scale * self.gather_k, numbers)


@dataclass(frozen=True)
class IntegerMLP(IntegerInput):
    """All of it."""

    layer2: IntegerDense
    heads: IntegerDense


def column_blocks(columns: int, block: int) -> list[slice]:
    """Column blocks between lane flushes, `block` wide at most."""
    return [slice(start, min(start + block, columns)) for start in range(0, columns, block)]


@cache
def _dense_columns(encoding: Encoding) -> tuple[Ints, Floats]:
    """(dense_columns,) where each dense column lies in the network input, and what one code of it is worth there."""
    places = list(encoding.dense_fields())
    return np.array([encoding.offset(*p) for p in places]), np.array([f.scale * f.step for _, _, f in places])


def dense_codes_weight(encoding: Encoding, arrays: Mapping[str, NDArray]) -> Floats:
    """First-layer weights per INT8 code of each dense column, (N, dense_columns) float64."""
    columns, worth = _dense_columns(encoding)
    picked = np.take(arrays["layer1.weight"], columns, axis=1).astype(np.float64)
    return picked * (worth * arrays["gain"].astype(np.float64))


@dataclass(frozen=True)
class Tables:
    """How far folded tables reach from zero: of the ids (I, N), of the session (S, N), in the unit of the weights."""

    ids: Floats
    session: Floats

    def k(self, scale: Floats) -> Floats:
        """(N,) what one unit of the id tables' INT8 rows is worth in units of `scale` (N,)."""
        return _table_unit(self.ids, scale)

    def added(self, scale: Floats, picked: Ints) -> Floats:
        """An Added: one row of every table."""
        scale, ids = scale[picked], self.ids[:, picked]
        k = _table_unit(ids, scale)
        gathered: Floats = round_half_up(ids / (scale * k)).sum(0) * k
        return gathered + round_half_up(self.session[:, picked] / scale).sum(0)


def _table_unit(reach: Floats, scale: Floats) -> Floats:
    unit: Floats = np.maximum(np.ceil(reach.max(0, initial=0) / scale / INT8.weight_max), 1)
    return unit


def first_layer(
    world: World, arrays: Mapping[str, NDArray], out_scale: float, bits: int, least: int = 1
) -> tuple[IntegerDense, Folded, Floats, NDArray[Any]]:
    """The parts of an IntegerInput whose results are worth `out_scale` each; `least` of the layer's shift."""
    encoding = world.encoding
    ids, session = folded(encoding, arrays)
    bias, met = arrays["layer1.bias"].astype(np.float64), Tables(ids.reach(), session.reach())
    # A row whose tables or bias dwarf its dense weights gets a coarser scale, so that the accumulator stays proved.
    bound = WEIGHT_GRIDS[bits].acc_bound
    floor = np.maximum(met.ids.sum(0) / (bound / 4), (np.abs(bias) + met.session.sum(0)) / (bound / 16))
    weight, codes = dense_codes_weight(encoding, arrays), Codes(CODE_MIN, CODE_MAX)
    block = BLOCK_COLUMNS[bits]["layer1"]
    dense = dense_layer(weight, bias, codes, 1.0, out_scale, block, bits, floor, added=met.added, least=least)
    return dense, ids, met.k(dense.scale), session.rows(dense.scale)


def dense_layer(
    weight: Floats, bias: Floats, codes: Codes, in_scale: float, out_scale: Floats | float, block: int, bits: int,
    floor: Floats | float = 0.0, added: Added = nothing, least: int = 1, most: float = np.inf,
) -> IntegerDense:  # fmt: skip
    """Quantize a layer: codes are worth `in_scale` each, results `out_scale` each; scales are at least `floor`.

    added   what an accumulator adds to its product and its bias
    least   of the shift
    most    results stay below it in magnitude, whatever the codes: a row that would not is worth less
    """

    def more(scale: Floats, picked: Ints) -> Floats:
        return added(scale, picked) + round_half_up(np.abs(bias[picked]) / (scale[picked] * in_scale))

    blocks, grid = column_blocks(weight.shape[1], block), WEIGHT_GRIDS[bits]
    floor = np.maximum(floor, np.abs(bias) / (grid.acc_bound / 16)) / in_scale
    rows, scale = quantize_rows(weight, blocks, codes, floor, grid, more)
    scale = scale * in_scale
    whole = round_half_up(bias / scale)
    if most < np.inf:
        scale = np.minimum(scale, most * out_scale / np.maximum(codes.reach(rows) + np.abs(whole), 1))
    mult, shift = row_ratios(scale / out_scale, grid.mult_bits, least)
    return IntegerDense(grid, rows, whole, mult, shift, scale)


def _hidden_fed(
    layer: str, arrays: Mapping[str, NDArray], in_scale: float, out_scale: float, bits: int,
    least: int = 1, most: float = np.inf,
) -> IntegerDense:  # fmt: skip
    """A layer whose input is the codes 0..127 of a hidden layer; `least` and `most` as in `dense_layer`."""
    weight, bias = (arrays[f"{layer}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    codes, block = Codes(0, CODE_MAX), BLOCK_COLUMNS[bits][layer]
    return dense_layer(weight, bias, codes, in_scale, out_scale, block, bits, least=least, most=most)


def integer_mlp(
    world: World,
    arrays: Mapping[str, NDArray],
    hidden_scales: tuple[float, float],
    bits: Mapping[str, int] = MappingProxyType({}),
) -> IntegerMLP:
    """Integers of a FrameStackMLP.

    arrays         its parameters and `gain`, by dotted name, float32
    hidden_scales  what one code of each hidden layer is worth; codes are 0..127 behind the ReLU
    bits           of the layers whose weights do not have 8
    """
    one, two = hidden_scales
    first = first_layer(world, arrays, one, bits.get("layer1", 8), RELU_SHIFT_MIN)
    second = _hidden_fed("layer2", arrays, one, two, bits.get("layer2", 8), least=RELU_SHIFT_MIN)
    heads = _hidden_fed("heads", arrays, two, 2.0**-FRAC_BITS, bits.get("heads", 8), most=HEAD_MOST)
    return IntegerMLP(*first, second, heads)
