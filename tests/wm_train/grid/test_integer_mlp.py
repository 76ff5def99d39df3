"""The integers of a network, against a fold and a quantizer in Python's own integers and fractions."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from wm_train.config import MLPConfig
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.grid.integer_mlp import BLOCK_COLUMNS, IntegerMLP, column_blocks, integer_mlp, table_starts
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.network import to_arrays

CONFIG = MLPConfig(slots=2, hidden=(64, 32))
SCALES = (0.05, 0.03)
SNAP = 1 << 20

Arrays = dict[str, NDArray[np.float32]]


def random_arrays(seed: int, spread: float = 1.0) -> Arrays:
    """Parameters with nothing at rest: normal numbers, gains from 0.5 to 2."""
    rng = np.random.default_rng(seed)
    shapes = {name: value.shape for name, value in to_arrays(FrameStackMLP(CONFIG)).items()}
    arrays = {name: rng.normal(0, 0.05 * spread, shape).astype(np.float32) for name, shape in shapes.items()}
    return arrays | {"gain": rng.uniform(0.5, 2, shapes["gain"]).astype(np.float32)}


def snapped(value: float) -> int:
    """In units of 2^-20, ties up."""
    return math.floor(Fraction(float(value)) * SNAP + Fraction(1, 2))


def half_up(value: float) -> int:
    return math.floor(value + 0.5)


def folded_row(arrays: Arrays, field: str, identity: int, starts: list[int], row: int) -> Fraction:
    """One entry of a folded table, exactly."""
    embedding, weight = arrays[f"embeddings.{field}.weight"][identity], arrays["layer1.weight"][row]
    total = sum(snapped(e) * snapped(weight[at + i]) for at in starts for i, e in enumerate(embedding))
    return Fraction(total, SNAP * SNAP)


def test_gather_rows_are_the_slow_fold() -> None:
    arrays, encoding = random_arrays(0), CONFIG.world.encoding
    ints = integer_mlp(CONFIG.world, arrays, SCALES)
    places = list(encoding.id_fields())
    starts = table_starts([f for _, _, f in places])
    for row in (0, 63):
        unit = float(ints.layer1.scale[row] * ints.gather_k[row])
        for place, start in zip(places, starts, strict=False):
            at, field = encoding.offset(*place), place[2]
            want = [half_up(float(folded_row(arrays, field.name, i, [at], row)) / unit) for i in range(field.vocab)]
            assert ints.gather_rows[start : start + field.vocab, row].tolist() == want, (row, place)


def test_gather_k_is_the_least_that_makes_int8() -> None:
    arrays, encoding = random_arrays(1, spread=8.0), CONFIG.world.encoding
    ints = integer_mlp(CONFIG.world, arrays, SCALES)
    for row in (3, 40):
        entries = [
            abs(folded_row(arrays, f.name, i, [encoding.offset(s, p, f)], row))
            for s, p, f in encoding.id_fields()
            for i in range(f.vocab)
        ]
        assert ints.gather_k[row] == max(1, math.ceil(float(max(entries)) / ints.layer1.scale[row] / 127))
    assert ints.gather_k.max() > 1
    assert np.abs(ints.gather_rows).max() == 127


def test_session_rows_sum_over_all_slots() -> None:
    arrays, encoding = random_arrays(2), CONFIG.world.encoding
    ints = integer_mlp(CONFIG.world, arrays, SCALES)
    fields = list(encoding.session_fields())
    starts = table_starts([f for _, f in fields])
    for (player, field), start in zip(fields, starts, strict=False):
        at = [encoding.offset(slot, player, field) for slot in range(encoding.slots)]
        for row in (0, 63):
            unit = float(ints.layer1.scale[row])
            want = [half_up(float(folded_row(arrays, field.name, i, at, row)) / unit) for i in range(field.vocab)]
            assert ints.session_rows[start : start + field.vocab, row].tolist() == want


def test_dense_rows_are_weight_times_worth_over_scale() -> None:
    arrays, encoding = random_arrays(3), CONFIG.world.encoding
    layer = integer_mlp(CONFIG.world, arrays, SCALES).layer1
    for row in (5, 33):
        for column, (slot, player, field) in enumerate(encoding.dense_fields()):
            weight = float(arrays["layer1.weight"][row, encoding.offset(slot, player, field)])
            code = weight * (field.scale * field.step * float(arrays["gain"][column]))
            assert layer.rows[row, column] == half_up(code / layer.scale[row])
        assert layer.bias[row] == half_up(float(arrays["layer1.bias"][row]) / layer.scale[row])
        assert layer.mult[row] == half_up(layer.scale[row] / SCALES[0] * 2.0**layer.shift)
    assert 1 << 30 <= layer.mult.max() < 1 << 31


def test_picked_rows_are_the_gather_rows() -> None:
    ints = integer_mlp(CONFIG.world, random_arrays(4), SCALES)
    numbers = np.flatnonzero(np.random.default_rng(4).random(len(ints.gather_rows)) < 0.3)
    assert np.array_equal(ints.pick_rows(numbers), ints.gather_rows[numbers])
    assert ints.pick_rows(numbers[:0]).shape == (0, CONFIG.hidden[0])


def furthest(ints: IntegerMLP) -> NDArray[np.float64]:
    """(N,) furthest that the first accumulator gets from zero, by counting every part's worst."""
    encoding = CONFIG.world.encoding
    dense = np.abs(ints.layer1.rows).sum(1) * 128 + np.abs(ints.layer1.bias)
    starts = table_starts([f for _, _, f in encoding.id_fields()])
    tables = [np.abs(ints.gather_rows[a:b]).max(0) for a, b in pairwise(starts)]
    starts = table_starts([f for _, f in encoding.session_fields()])
    session = [np.abs(ints.session_rows[a:b]).max(0) for a, b in pairwise(starts)]
    return dense + ints.gather_k * np.sum(tables, 0) + np.sum(session, 0)


LAYERS = ("layer1", "layer2", "heads")


def with_bits(layer: str, bits: int) -> tuple[IntegerMLP, IntegerMLP]:
    """The same network with INT8 throughout, and with other bits in one layer."""
    arrays = random_arrays(6)
    wide, other = (integer_mlp(CONFIG.world, arrays, SCALES, asked) for asked in ({}, {layer: bits}))
    most = {4: 7, 5: 15, 10: 511, 16: 32767}[bits]
    for name in LAYERS:
        before, after = getattr(wide, name), getattr(other, name)
        assert np.abs(after.rows).max() == (most if name == layer else 127)
        assert name == layer or (after.rows == before.rows).all()
    return wide, other


@pytest.mark.parametrize("layer", LAYERS)
def test_sixteen_bits_are_256_times_finer(layer: str) -> None:
    wide, fine = (getattr(made, layer) for made in with_bits(layer, 16))
    # A row that fits no lane in INT8 was made coarser; here all fit.
    assert (fine.scale * 250 < wide.scale).all()
    apart = np.abs(fine.rows * fine.scale[:, None] - wide.rows * wide.scale[:, None])
    assert (apart <= 0.51 * wide.scale[:, None]).all()
    assert (fine.mult < 1 << 22).all() and fine.mult.max() >= 1 << 21
    np.testing.assert_allclose(fine.bias * fine.scale, wide.bias * wide.scale, atol=0.51 * wide.scale.max())
    np.testing.assert_allclose(
        fine.mult / 2.0**fine.shift / fine.scale, (wide.mult / 2.0**wide.shift / wide.scale).mean(), rtol=1e-4
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_bits_are_those_of_one_layer(layer: str) -> None:
    wide, narrow = with_bits(layer, 4)
    weights = before_scale = getattr(wide, layer).rows * getattr(wide, layer).scale[:, None]
    got = getattr(narrow, layer)
    inside = np.abs(before_scale) <= 7.5 * got.scale[:, None]
    assert (np.abs(got.rows * got.scale[:, None] - weights) <= 0.53 * got.scale[:, None])[inside].all()
    assert np.abs(narrow.gather_rows).max() > 7  # the id tables keep their 8 bits


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("part", ["bias", "tables", "session", "dense"])
def test_a_runaway_row_stays_provable(part: str, bits: int) -> None:
    arrays, encoding = random_arrays(5), CONFIG.world.encoding
    weight = arrays["layer1.weight"]
    if part == "bias":
        arrays["layer1.bias"][7] = 1e6
    elif part == "dense":
        weight[7] = 9.0
        arrays["gain"][:] = 1.0
    else:
        weight[7] = 1e-9  # a scale for these weights alone would be far too fine for the tables
        fields = encoding.ids if part == "tables" else encoding.session_ids
        for slot in range(encoding.slots):
            for field in fields:
                weight[7, (at := encoding.offset(slot, 0, field)) : at + field.width] = 1e4
    ints, grid = integer_mlp(CONFIG.world, arrays, SCALES, {"layer1": bits}), WEIGHT_GRIDS[bits]
    assert furthest(ints)[7] < grid.acc_bound
    lanes = max(
        np.abs(ints.layer1.rows[7, block]).sum() * 128
        for block in column_blocks(ints.layer1.rows.shape[1], BLOCK_COLUMNS[bits]["layer1"])
    )
    assert lanes < grid.lane_bound
    assert np.abs(ints.gather_rows).max() <= 127
    assert furthest(ints)[7] > 0
