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

import numpy as np
from numpy.typing import NDArray

from wm_train.frames import Encoding, Field
from wm_train.grid import (
    ACC_BOUND,
    CODE_MAX,
    CODE_MIN,
    FRAC_BITS,
    SNAP_BITS,
    WEIGHT_MAX,
    Floats,
    Ints,
    quantize_rows,
    round_half_up,
    row_ratios,
    snap,
)
from wm_train.world import World

#: Columns between two flushes of a matvec's lanes, at most; a multiple of the kernel's tile.
BLOCK_COLUMNS = {"layer1": 320, "layer2": 512, "heads": 512}


@dataclass(frozen=True)
class IntegerDense:
    """One dense layer: rows (N, K) INT8, bias (N,), mult (N,) and one shift; scale (N,) is what one unit of the
    accumulator is worth, kept for reports and for the float view in training. Integers are held in float64."""

    rows: Floats
    bias: Floats
    mult: Ints
    shift: int
    scale: Floats


@dataclass(frozen=True)
class IntegerMLP:
    """All of it. gather: rows (R, N) INT8 of the folded id tables, in the order of Encoding.id_fields, and k (N,);
    session: (S, N) folded session tables in accumulator units, in the order of Encoding.session_fields."""

    layer1: IntegerDense
    layer2: IntegerDense
    heads: IntegerDense
    gather_rows: Floats
    gather_k: Floats
    session_rows: Floats


def column_blocks(columns: int, layer: str) -> list[slice]:
    """Column blocks between lane flushes."""
    size = BLOCK_COLUMNS[layer]
    return [slice(start, min(start + size, columns)) for start in range(0, columns, size)]


def table_starts(fields: list[Field]) -> Ints:
    """(len(fields) + 1,) first row of each field's table when they are stacked; the last entry is the row count."""
    return np.concatenate([[0], np.cumsum([f.vocab for f in fields])]).astype(np.int64)


def _folded(encoding: Encoding, arrays: Mapping[str, NDArray], places: list[list[tuple[int, int, Field]]]) -> Floats:
    """Embedding tables times the first layer's columns they meet, summed over each entry's `places`, stacked.

    returns (sum of vocab, N) float64, exact
    """
    weight = snap(arrays["layer1.weight"])
    tables = []
    for where in places:
        field = where[0][2]
        columns = sum(weight[:, (at := encoding.offset(*place)) : at + field.width] for place in where)
        tables.append(snap(arrays[f"embeddings.{field.name}.weight"]) @ np.asarray(columns).T)
    rows = np.concatenate(tables) if tables else np.zeros((0, len(weight)))
    return rows / float(1 << (2 * SNAP_BITS))


def _id_places(encoding: Encoding) -> list[list[tuple[int, int, Field]]]:
    return [[place] for place in encoding.id_fields()]


def _session_places(encoding: Encoding) -> list[list[tuple[int, int, Field]]]:
    return [[(slot, player, field) for slot in range(encoding.slots)] for player, field in encoding.session_fields()]


def dense_codes_weight(encoding: Encoding, arrays: Mapping[str, NDArray]) -> Floats:
    """First-layer weights per INT8 code of each dense column, (N, dense_columns) float64."""
    places = list(encoding.dense_fields())
    columns = [encoding.offset(*place) for place in places]
    worth = np.array([field.scale * field.step for _, _, field in places]) * arrays["gain"].astype(np.float64)
    return arrays["layer1.weight"][:, columns].astype(np.float64) * worth


def _reach_of_tables(tables: Floats, fields: list[Field]) -> Floats:
    """(N,) furthest that one pick out of every table can take each row from zero."""
    starts = table_starts(fields)
    reach = np.zeros(tables.shape[1])
    for first, last in zip(starts[:-1], starts[1:], strict=True):
        reach += np.abs(tables[first:last]).max(0)
    return reach


def _first_layer(world: World, arrays: Mapping[str, NDArray], out_scale: float) -> tuple[IntegerDense, Floats, Floats, Floats]:
    encoding = world.encoding
    ids, session = _folded(encoding, arrays, _id_places(encoding)), _folded(encoding, arrays, _session_places(encoding))
    bias = arrays["layer1.bias"].astype(np.float64)
    id_fields = [f for _, _, f in encoding.id_fields()]
    session_fields = [f for _, f in encoding.session_fields()]
    # A row whose tables or bias dwarf its dense weights gets a coarser scale, so that the accumulator stays proved.
    floor = np.maximum(_reach_of_tables(ids, id_fields) / (ACC_BOUND / 4),
                       (np.abs(bias) + _reach_of_tables(session, session_fields)) / (ACC_BOUND / 16))  # fmt: skip
    weight = dense_codes_weight(encoding, arrays)
    dense = _dense(weight, bias, 1.0, out_scale, "layer1", CODE_MIN, floor)
    widest = np.abs(ids).max(0) if len(ids) else np.zeros(len(bias))
    k = np.maximum(np.ceil(widest / dense.scale / WEIGHT_MAX), 1)
    return dense, round_half_up(ids / (dense.scale * k)), k, round_half_up(session / dense.scale)


def _dense(weight: Floats, bias: Floats, in_scale: float, out_scale: float, layer: str, code_min: int,
           floor: Floats | float = 0.0) -> IntegerDense:  # fmt: skip
    """Quantize a layer: codes are worth `in_scale` each, results `out_scale` each; scales are at least `floor`."""
    blocks = column_blocks(weight.shape[1], layer)
    floor = np.maximum(floor, np.abs(bias) / (ACC_BOUND / 16)) / in_scale
    rows, scale = quantize_rows(weight, blocks, code_min, CODE_MAX, floor)
    scale = scale * in_scale
    mult, shift = row_ratios(scale / out_scale)
    return IntegerDense(rows, round_half_up(bias / scale), mult, shift, scale)


def integer_mlp(world: World, arrays: Mapping[str, NDArray], hidden_scales: tuple[float, float]) -> IntegerMLP:
    """Integers of a FrameStackMLP.

    arrays         its parameters and `gain`, by dotted name, float32
    hidden_scales  what one code of each hidden layer is worth; codes are 0..127 behind the ReLU
    """
    first, rows, k, session = _first_layer(world, arrays, hidden_scales[0])
    wide = {name: value.astype(np.float64) for name, value in arrays.items()}
    second = _dense(wide["layer2.weight"], wide["layer2.bias"], hidden_scales[0], hidden_scales[1], "layer2", 0)
    heads = _dense(wide["heads.weight"], wide["heads.bias"], hidden_scales[1], 2.0**-FRAC_BITS, "heads", 0)
    return IntegerMLP(first, second, heads, rows, k, session)
