"""arithmetic: the tie rule against exact fractions, multipliers, and rows that fit the lanes whatever the weights."""

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wm_train.grid.arithmetic import (
    CODE_MAX,
    CODE_MIN,
    MULT_BITS,
    SNAP_BITS,
    SNAP_LIMIT,
    WEIGHT_GRIDS,
    Codes,
    lane_reach,
    quantize_rows,
    ratio,
    requantize,
    round_half_up,
    row_ratios,
    snap,
)

INT8_CODES = Codes(CODE_MIN, CODE_MAX)
ACCS = st.integers(-(2**30), 2**30)
MULTS = st.integers(0, 2**31 - 1)


def exact(acc: int, mult: int, shift: int) -> int:
    return math.floor(Fraction(acc * mult, 2**shift) + Fraction(1, 2))


@given(ACCS, MULTS, st.integers(1, 62))
def test_requantize_is_the_nearest_integer(acc: int, mult: int, shift: int) -> None:
    assert requantize(acc, mult, shift) == exact(acc, mult, shift)
    got = requantize(np.array([acc, -acc]), np.array([mult, mult]), shift)
    assert got.dtype == np.int64 and got.tolist() == [exact(acc, mult, shift), exact(-acc, mult, shift)]


@given(st.integers(-(2**20), 2**20), st.integers(1, 31))
@example(0, 1)
@example(-1, 1)
def test_requantize_ties_go_toward_plus_infinity(whole: int, shift: int) -> None:
    """(whole + 1/2) becomes whole + 1, for negative numbers too."""
    assert requantize(2 * whole + 1, 1 << (shift - 1), shift) == whole + 1


def test_round_half_up_has_the_same_ties() -> None:
    values = [-2.5, -1.5, -0.5, 0.5, 1.5, -0.6, 0.4999]
    assert round_half_up(values).tolist() == [-2, -1, 0, 1, 2, -1, 0]


@given(st.floats(2.0**-31, 2.0**20, exclude_min=True, exclude_max=True))
@example(1 - 2.0**-53)
@example(1.0)
@example(math.nextafter(2.0**20, 0))
@example(math.nextafter(2.0**-31, 1))
def test_ratio_is_within_half_a_step(factor: float) -> None:
    mult, shift = ratio(factor)
    assert 2**30 <= mult < 2**31 and 1 <= shift <= 62
    assert abs(Fraction(mult, 2**shift) - Fraction(factor)) <= Fraction(1, 2 ** (shift + 1))


@given(st.lists(st.floats(2.0**-30, 2.0**19), min_size=1, max_size=20))
@example([1 - 2.0**-53, 0.5])
def test_row_ratios_share_one_shift(factors: list[float]) -> None:
    mult, shift = row_ratios(np.array(factors), MULT_BITS)
    assert mult.dtype == np.int64 and mult.min() >= 0 and 2**30 <= mult.max() < 2**31
    for got, factor in zip(mult.tolist(), factors, strict=True):
        assert abs(Fraction(got, 2**shift) - Fraction(factor)) <= Fraction(1, 2 ** (shift + 1))


def test_row_ratios_far_below_the_largest_become_zero() -> None:
    assert row_ratios(np.array([1.0, 2.0**-32, 2.0**-31, 2.0**-30]), MULT_BITS)[0].tolist() == [2**30, 0, 1, 1]


def test_snap_saturates_and_counts_steps() -> None:
    assert snap([1.0, 2.0**-SNAP_BITS, 99.0, -99.0]).tolist() == [2**20, 1, SNAP_LIMIT * 2**20, -SNAP_LIMIT * 2**20]
    assert snap([0.5 * 2.0**-SNAP_BITS, -0.5 * 2.0**-SNAP_BITS]).tolist() == [1, 0]


@given(st.lists(st.integers(-127, 127), min_size=5, max_size=5), st.sampled_from([(CODE_MIN, CODE_MAX), (0, CODE_MAX)]))
@settings(max_examples=50)
def test_lane_reach_is_the_furthest_that_codes_can_take_a_lane(row: list[int], codes: tuple[int, int]) -> None:
    blocks = [slice(0, 3), slice(3, 5)]
    furthest = max(
        abs(int(np.dot(row[block], x))) for block in blocks for x in itertools.product(codes, repeat=len(row[block]))
    )
    assert lane_reach(np.array([row]), blocks, Codes(*codes)).tolist() == [furthest]


NASTY = {
    "normal": lambda rng, n, k: rng.normal(0, 1, (n, k)),
    "all the same": lambda rng, n, k: np.full((n, k), rng.normal()),
    "all zero": lambda rng, n, k: np.zeros((n, k)),
    "one sign": lambda rng, n, k: -np.abs(rng.normal(0, 1, (n, k))),
    "one outlier": lambda rng, n, k: np.where(np.arange(k) == 0, 1e6, rng.normal(0, 1, (n, k))),
    "ties": lambda rng, n, k: rng.integers(-127, 128, (n, k)) + 0.5,
    "alternating": lambda rng, n, k: np.where(np.arange(k) % 2, 1.0, -1.0) * np.ones((n, 1)),
    "spread over decades": lambda rng, n, k: 10.0 ** rng.uniform(-30, 30, (n, k)) * rng.choice([-1, 1], (n, k)),
    "tiny": lambda rng, n, k: rng.normal(0, 1e-20, (n, k)),
}


@given(
    st.sampled_from(sorted(NASTY)),
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.integers(1, 700),
    st.sampled_from([(320, INT8_CODES), (512, Codes(0, CODE_MAX)), (512, Codes(-999, 999, 1e6))]),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from(sorted(WEIGHT_GRIDS)),
)
@example("all the same", 0, 2, 700, (320, INT8_CODES), 0.0, 8)
@example("all the same", 0, 2, 700, (320, INT8_CODES), 0.0, 4)
@example("all the same", 0, 2, 700, (700, INT8_CODES), 0.0, 16)
@settings(max_examples=150)
def test_quantized_rows_stay_inside_the_lanes(
    kind: str, seed: int, n: int, k: int, geometry: tuple[int, Codes], floor: float, bits: int
) -> None:
    grid = WEIGHT_GRIDS[bits]
    weight: Any = NASTY[kind](np.random.default_rng(seed), n, k)
    size, codes = geometry
    blocks = [slice(start, start + size) for start in range(0, k, size)]
    rows, scale = quantize_rows(weight.copy(), blocks, codes, floor, grid)
    assert (rows == np.floor(rows)).all() and np.abs(rows).max() <= grid.weight_max
    assert (lane_reach(rows, blocks, codes) < grid.lane_bound).all()
    assert (scale > 0).all() and (scale >= floor).all()
    wanted = np.clip(weight / scale[:, None], -grid.weight_max, grid.weight_max)
    assert (np.abs(wanted - rows) <= 0.5 + 1e-9).all()
    if grid.span <= grid.weight_max:
        assert (wanted == weight / scale[:, None]).all() or np.abs(wanted - weight / scale[:, None]).max() < 1e-9


def test_a_row_that_fits_keeps_the_finest_scale() -> None:
    rows, scale = quantize_rows(np.array([[1.27, -0.5], [2.54, 0.0]]), [slice(0, 2)], INT8_CODES)
    assert scale == pytest.approx([0.01, 0.02]) and rows.tolist() == [[127, -50], [127, 0]]


def test_an_int4_row_clips_its_outlier_for_finer_steps() -> None:
    weight = np.array([[0.875, 0.5, -0.25, 0.05, -0.05, 0.0]])
    rows, scale = quantize_rows(weight, [slice(0, 6)], INT8_CODES, grid=WEIGHT_GRIDS[4])
    assert scale == pytest.approx([0.1]) and rows.tolist() == [[7, 5, -2, 1, 0, 0]]


@pytest.mark.parametrize(
    ("bits", "lane_bits", "bound"), [(8, 21, 2**20), (4, 16, 2**15), (5, 16, 2**15), (10, 21, 2**20), (16, 32, 2**31)]
)
def test_lanes_share_a_word(bits: int, lane_bits: int, bound: int) -> None:
    grid = WEIGHT_GRIDS[bits]
    assert (grid.lane_bits, grid.lane_bound) == (lane_bits, bound) and grid.weight_max == 2 ** (bits - 1) - 1
    assert np.iinfo(grid.dtype).max >= grid.weight_max and grid.lane_bits * grid.lanes <= 64
    # A product with a multiplier is exact in float64, an accumulator in the float that is said to hold it.
    assert grid.acc_bound << grid.mult_bits == 2**53
    for most in (grid.acc_bound - 1, 1 - grid.acc_bound):
        assert int(grid.exact(most)) == most


def test_one_wide_row_does_not_coarsen_the_others() -> None:
    weight = np.ones((2, 320))
    weight[1, 1:] = 0
    rows, _ = quantize_rows(weight, [slice(0, 320)], INT8_CODES)
    assert rows[0].tolist() == [25.0] * 320 and rows[1, 0] == 127
