"""ops_ref.py: the slow definitions, against exact fractions and by hand; 64 bits are enough or it is an error."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_quant.errors import WmQuantError
from wm_quant.ops_ref import (
    clamp_ref,
    conv_ref,
    gate_ref,
    gather_ref,
    lut_ref,
    matvec_ref,
    requantize_ref,
    requantize_relu_ref,
    rmsnorm_ref,
    ssm_ref,
)
from wm_train.grid import requantize


def test_matvec_by_hand() -> None:
    rows = np.array([[1, -2, 3], [127, -128, 0]], np.int8)
    assert matvec_ref(rows, np.array([10, 20, -30]), np.array([5, -6])).tolist() == [5 - 120, -6 + 1270 - 2560]


def test_gather_by_hand() -> None:
    rows = np.array([[1, -2], [3, 4], [-128, 127]], np.int8)
    got = gather_ref(rows, np.array([2, 3], np.int32), np.array([0, 2, 2]), np.array([100, 200]))
    assert got.tolist() == [100 + 2 * (1 - 256), 200 + 3 * (-2 + 254)]


@given(
    st.lists(st.tuples(st.integers(-(2**31), 2**31), st.integers(0, 2**31 - 1)), min_size=1, max_size=8),
    st.integers(1, 62),
)
def test_requantize_is_the_nearest_integer(pairs: list[tuple[int, int]], shift: int) -> None:
    acc, mult = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    exact = [math.floor(Fraction(a * m, 2**shift) + Fraction(1, 2)) for a, m in pairs]
    got = requantize_ref(acc, mult.astype(np.int32), shift)
    assert got.tolist() == exact and got.dtype == np.int64
    assert (got == requantize(acc, mult, shift)).all()
    assert requantize_relu_ref(acc, mult.astype(np.int32), shift).tolist() == [min(max(v, 0), 127) for v in exact]


def test_ties_and_the_relus_ends() -> None:
    acc, half = np.array([-3, -1, 1, 3, 253, 254, 255, 9999]), np.full(8, 1 << 30, np.int32)
    assert requantize_ref(acc, half, 31).tolist() == [-1, 0, 1, 2, 127, 127, 128, 5000]
    assert requantize_relu_ref(acc, half, 31).tolist() == [0, 0, 1, 2, 127, 127, 127, 127]


def test_what_does_not_fit_64_bits_is_an_error() -> None:
    one, big = np.array([1], np.int32), np.array([2**62])
    with pytest.raises(WmQuantError, match=r"requantize: \d+ does not fit 64 bits"):
        requantize_ref(big, np.array([4], np.int32), 1)
    with pytest.raises(WmQuantError, match="matvec"):
        matvec_ref(np.array([[2]], np.int8), big, np.array([0]))
    assert requantize_ref(big, one, 1).tolist() == [2**61]


def test_conv_by_hand() -> None:
    """Oldest tap first; the frame just read becomes the newest of what is kept."""
    rows, before = np.array([[1, 2, 3, 4], [-1, 0, 0, 5]], np.int8), np.array([[10, 20], [30, 40], [50, 60]])
    acc, after = conv_ref(rows, np.array([1000, -1]), np.array([7, -8]), before)
    assert acc.tolist() == [1000 + 10 + 60 + 150 + 28, -1 - 20 - 40] and after.tolist() == [[30, 40], [50, 60], [7, -8]]


def test_lut_by_hand() -> None:
    table = np.stack([np.arange(-2048, 2048), -np.arange(-2047, 2049)]).astype(np.int16)
    picked = lut_ref(table, np.array([0, 1, 0, 1], np.int8), np.array([-2047, -2047, 2047, 5]))
    assert picked.tolist() == [-2047, 2046, 2047, -6]
    with pytest.raises(WmQuantError, match=r"lut: codes -3\.\.2048, expected -2047\.\.2047"):
        lut_ref(table, np.zeros(2, np.int8), np.array([-3, 2048]))


def test_ssm_by_hand() -> None:
    """Two heads of one channel, two cells: h decays, is written, rounded by the tie rule, and then read. What is
    written was rounded before, once for all cells: 3 * 2^14 - 1/2 goes up."""
    decay, gain = np.zeros((2, 256), np.int32), np.zeros((2, 256), np.int32)
    decay[0, 128 + 3], gain[0, 128 + 3], decay[1, 128 - 4], gain[1, 128 - 4] = 1 << 14, 1 << 30, 0, (3 << 16) - 2
    h = np.array([[101, -101], [9, 9]])
    y, after = ssm_ref(decay, gain, np.array([7, -1]), np.array([4, 1 << 14]), np.array([3, -4]),
                       np.array([5, -5]), np.array([10, 1]), h)  # fmt: skip
    # 101 / 2 + 10 = 60.5 goes up to 61, and -60.5 up to -60; 3 * 2^14 * 5 / 2^15 = 7.5 the same way.
    assert after.tolist() == [[61, -60], [8, -7]]
    assert y.tolist() == [610 - 60 + 28, 80 - 7 - (1 << 14)]


def test_gate_and_clamp_by_hand() -> None:
    assert gate_ref(np.array([3, -3, 100]), np.array([64, 64, -128]), 7).tolist() == [2, -1, -100]
    assert clamp_ref(np.array([-9, -8, 0, 8, 9]), -8, 8).tolist() == [-8, -8, 0, 8, 8]


@pytest.mark.parametrize("size", [1, 200, 30_000])
def test_rmsnorm_is_a_division_by_the_root(size: int) -> None:
    """With the table that says what it is for: shift 20 and one code for 1/32."""
    rng = np.random.default_rng(size)
    values = rng.integers(-size, size + 1, 12)
    values[0] = size
    table = np.round(32 * math.sqrt(12) / np.sqrt(np.arange(256, 1024) + 0.5) * 2**13).astype(np.int64)
    got = rmsnorm_ref(values, table, 1, 13)
    want = 32 * values / math.sqrt(((values.astype(float) ** 2).sum() + 1) / 12)
    assert np.abs(got - np.clip(want, -127, 127)).max() < 0.8


def test_a_long_sum_of_squares_is_an_error_and_not_a_wrap() -> None:
    with pytest.raises(WmQuantError, match="rmsnorm"):
        rmsnorm_ref(np.array([2**32, 2**32]), np.ones(768, np.int64), 1, 20)
