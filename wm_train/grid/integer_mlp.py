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
    INT8,
    WEIGHT_GRIDS,
    Codes,
    Floats,
    Ints,
    WeightGrid,
    quantize_rows,
    round_half_up,
    row_ratios,
)
from wm_train.grid.fold import Folded, folded, table_starts
from wm_train.world.encoding import Encoding
from wm_train.world.step import World

__all__ = ["BLOCK_COLUMNS", "IntegerDense", "IntegerMLP", "column_blocks", "dense_layer", "integer_mlp", "table_starts"]

#: Columns between two flushes of a matvec's lanes, at most; a multiple of the kernel's tile. By bits of the weights: as
#: many as let nearly all rows of a trained network keep the scale that suits them.
BLOCK_COLUMNS: Mapping[int, Mapping[str, int]] = {
    8: {"layer1": 320, "layer2": 512, "heads": 512},
    4: {"layer1": 320, "layer2": 128, "heads": 256},
    16: {"layer1": 2048, "layer2": 2048, "heads": 2048},
}


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


def first_layer(
    world: World, arrays: Mapping[str, NDArray], out_scale: float, bits: int
) -> tuple[IntegerDense, Folded, Floats, NDArray[Any]]:
    """The parts of an IntegerInput whose results are worth `out_scale` each."""
    encoding = world.encoding
    ids, session = folded(encoding, arrays)
    bias = arrays["layer1.bias"].astype(np.float64)
    reach = ids.reach()
    # A row whose tables or bias dwarf its dense weights gets a coarser scale, so that the accumulator stays proved.
    bound = WEIGHT_GRIDS[bits].acc_bound
    floor = np.maximum(reach.sum(0) / (bound / 4), (np.abs(bias) + session.reach().sum(0)) / (bound / 16))
    weight, codes = dense_codes_weight(encoding, arrays), Codes(CODE_MIN, CODE_MAX)
    dense = dense_layer(weight, bias, codes, 1.0, out_scale, BLOCK_COLUMNS[bits]["layer1"], bits, floor)
    k = np.maximum(np.ceil(reach.max(0, initial=0) / dense.scale / INT8.weight_max), 1)
    return dense, ids, k, session.rows(dense.scale)


def dense_layer(
    weight: Floats, bias: Floats, codes: Codes, in_scale: float, out_scale: Floats | float, block: int, bits: int,
    floor: Floats | float = 0.0,
) -> IntegerDense:  # fmt: skip
    """Quantize a layer: codes are worth `in_scale` each, results `out_scale` each; scales are at least `floor`."""
    blocks, grid = column_blocks(weight.shape[1], block), WEIGHT_GRIDS[bits]
    floor = np.maximum(floor, np.abs(bias) / (grid.acc_bound / 16)) / in_scale
    rows, scale = quantize_rows(weight, blocks, codes, floor, grid)
    scale = scale * in_scale
    mult, shift = row_ratios(scale / out_scale, grid.mult_bits)
    return IntegerDense(grid, rows, round_half_up(bias / scale), mult, shift, scale)


def _hidden_fed(
    layer: str, arrays: Mapping[str, NDArray], in_scale: float, out_scale: float, bits: int
) -> IntegerDense:
    """A layer whose input is the codes 0..127 of a hidden layer."""
    weight, bias = (arrays[f"{layer}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    return dense_layer(weight, bias, Codes(0, CODE_MAX), in_scale, out_scale, BLOCK_COLUMNS[bits][layer], bits)


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
    first = first_layer(world, arrays, hidden_scales[0], bits.get("layer1", 8))
    second = _hidden_fed("layer2", arrays, hidden_scales[0], hidden_scales[1], bits.get("layer2", 8))
    heads = _hidden_fed("heads", arrays, hidden_scales[1], 2.0**-FRAC_BITS, bits.get("heads", 8))
    return IntegerMLP(*first, second, heads)
