"""Frames of the conv kernels, random ones and those at the ends of all ranges, and what they must give."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
#: |bias| + 4 * 2^11 * 2^7 is the most that a sum may reach.
BIAS_MAX = 2**31 - 1 - 4 * 2**18


@dataclass(frozen=True)
class Convolution:
    """taps (N, 4), the newest frame's last; bias (N,). At `ends` codes are at an end as well."""

    taps: Ints
    bias: Ints
    ends: bool

    def frames(self, count: int) -> Iterator[tuple[Ints, Ints, Ints]]:
        """One after the other from a memory of zeros: codes (N,), sums (N,), and the memory's words (N,) afterwards."""
        rng, n = np.random.default_rng(len(self.bias)), len(self.bias)
        seen = np.zeros((4, n), np.int64)
        for _ in range(count):
            x = rng.choice([-2048, 2047], n) if self.ends else rng.integers(-2048, 2048, n)
            seen = np.concatenate([seen[1:], x[None]])
            words = 2 * (seen[3] + (seen[2] << 21) + (seen[1] << 42))
            yield x, self.bias + (self.taps * seen.T).sum(1), words


def convolution(n: int, ends: bool) -> Convolution:
    """One of n channels."""
    rng = np.random.default_rng((n, ends))
    if ends:
        return Convolution(rng.choice([-128, 127], (n, 4)), rng.choice([-BIAS_MAX, BIAS_MAX], n), ends)
    return Convolution(rng.integers(-128, 128, (n, 4)), rng.integers(-BIAS_MAX, BIAS_MAX, n), ends)
