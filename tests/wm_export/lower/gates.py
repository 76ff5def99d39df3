"""Calls of the gated_norm kernel, and what they must give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.integer_mamba2 import WIDE_MAX

Ints = NDArray[np.int64]
#: Where values are, one after the other: 0 inside of their range, 1 above, -1 below.
WAYS = {"inside": [0], "above": [1], "below": [-1], "in turn": [0, 1, -1, 1, 1, 0, 0, -1, -1, 0]}
#: Of every case, whose roots say their mantissa: so far up that no bit of a value is lost.
NORM_SHIFT, ROOT_BITS = 10, 22


@dataclass(frozen=True)
class Gated:
    """acc, codes (N,), what the kernel reads beside them, and out (N,)."""

    acc: Ints
    codes: Ints
    words: Ints
    out: Ints


def gated(n: int, shift: int, way: str) -> Gated:
    """Values around the ends of their range, or at the way that its name says; entries and codes at all ends."""
    rng, half = np.random.default_rng((n, shift)), 1 << (shift - 1)
    at = np.resize(WAYS.get(way, [0]), n) if way != "mixed" else rng.integers(-1, 2, n)
    inside = rng.integers(-(WIDE_MAX << shift), (WIDE_MAX << shift) + 1, n)
    beyond = rng.integers(0, 1 << 50, n) * rng.integers(0, 2, n)
    # The last that is inside, or the first that is not, and further.
    acc = np.where(at == 0, inside, at * ((WIDE_MAX << shift) + half + beyond + (at < 0)))
    acc[:2] = np.where(at[:2] == 0, [(WIDE_MAX << shift) + half - 1, -(WIDE_MAX << shift) - half], acc[:2])
    mult = np.ones(n, np.int64)
    if way == "mixed":
        acc[n // 2 :], mult[n // 2 :] = rng.integers(-(2**30), 2**30, n - n // 2), rng.integers(0, 2**21, n - n // 2)
    table, codes = rng.integers(-2047, 2048, 4096), rng.integers(-2048, 2048, n)
    table[[0, -1]], codes[2:4] = [-2047, 2047], [-2048, 2047]
    values = (np.clip((acc * mult + half) >> shift, -WIDE_MAX, WIDE_MAX) * table[codes + 2048] + (1 << 10)) >> 11
    eps, roots = 77, np.arange(256, 1024) << ROOT_BITS
    held = (table + (1 << 15)).astype("<u2").view("<i8")
    return Gated(acc, codes, np.concatenate([held, [eps], roots, [NORM_SHIFT, shift], mult]), _normed(values, eps))


def _normed(values: Ints, eps: int) -> Ints:
    total = int((values * values).sum()) + eps
    half = next(half for half in range(-4, 23) if (total << 8) >> (2 * half + 8) < 1024)
    m, shift = (total << 8) >> (2 * half + 8), NORM_SHIFT + half
    return (values * (m << ROOT_BITS) + (1 << (shift - 1))) >> shift
