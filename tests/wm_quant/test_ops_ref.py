"""ops_ref.py: the slow definitions, against exact fractions and by hand; 64 bits are enough or it is an error."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_quant.errors import WmQuantError
from wm_quant.ops_ref import gather_ref, matvec_ref, requantize_ref, requantize_relu_ref
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
