"""Frames of the ssm kernel, random ones and those at the ends of all ranges, and what they must give."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.ssm_lowering import pack_tables
from wm_train.grid.integer_mamba2 import STATE_MAX

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """x (E,), B and C (2, N), dt (H,); then out (E,) and the states (E, N)."""

    x: Ints
    bc: Ints
    dt: Ints
    out: Ints
    h: Ints


@dataclass(frozen=True)
class Recurrence:
    """Heads of channels of cells; codes of x, B, C are at most `most`. At `ends` all of them are, and gains and decays
    take a state to the end of its range."""

    heads: int
    channels: int
    cells: int
    most: int
    ends: bool

    @property
    def rows(self) -> int:
        return self.heads * self.channels

    @property
    def width(self) -> int:
        """Cells of a channel in memory."""
        return self.cells + self.cells % 2

    def numbers(self) -> tuple[Ints, Ints, Ints]:
        """decay, gain (H, 256); skip (H,)."""
        rng = np.random.default_rng((self.heads, self.cells, self.most))
        shape = self.heads, 256
        decay = rng.choice([0, 1, 32766, 32767], shape) if self.ends else rng.integers(-32767, 32768, shape)
        gain = ((2**31 - 2**14 - 1 - STATE_MAX * np.abs(decay)) // self.most * 2**16) // self.most - 2**16
        # |y| must stay below 2^31: what states at their ends leave is the skip's.
        skip = max((2**31 - 1 - STATE_MAX * self.most * self.cells) // self.most, 0)
        return decay, np.clip(gain, 0, 2**31 - 1), rng.choice([-skip, skip], self.heads)

    @property
    def tables(self) -> bytes:
        """As the kernel reads them."""
        return pack_tables(*self.numbers()).astype("<u8").tobytes()

    @property
    def zeros(self) -> bytes:
        """The memory of states that are zero."""
        return self.memory(np.zeros((self.rows, self.cells), np.int64))

    def memory(self, h: Ints) -> bytes:
        """The memory of these states (E, N)."""
        return (np.pad(h, ((0, 0), (0, self.width - self.cells))) + STATE_MAX + 1).astype("<u4").tobytes()

    def _codes(self, rng: np.random.Generator, *shape: int) -> Ints:
        if self.ends:
            return rng.choice([-self.most, self.most], shape)
        return rng.integers(-self.most, self.most + 1, shape)

    def frames(self, count: int) -> Iterator[Frame]:
        """One after the other from states that are zero."""
        rng, (decay, gain, skip) = np.random.default_rng(self.cells), self.numbers()
        h, head = np.zeros((self.rows, self.cells), np.int64), np.repeat(np.arange(self.heads), self.channels)
        for _ in range(count):
            x, bc, dt = (
                self._codes(rng, self.rows),
                self._codes(rng, 2, self.cells),
                rng.integers(-127, 128, self.heads),
            )
            at = head, dt[head] + 128
            w = (x * gain[at] + 2**15) >> 16
            h = (h * decay[at][:, None] + w[:, None] * bc[0] + 2**14) >> 15
            assert np.abs(h).max() <= STATE_MAX
            yield Frame(x, bc, dt, (h * bc[1]).sum(1) + skip[head] * x, h)


#: One cell below, at and above what the kernel takes at a time; codes as wide as the proofs allow.
RECURRENCES = [
    Recurrence(heads, channels, cells, most, ends)
    for heads, channels, cells, most in (
        (1, 1, 1, 127), (2, 3, 2, 2047), (1, 2, 31, 100), (2, 2, 32, 1000), (1, 2, 33, 127), (1, 1, 69, 127),
        (1, 1, 192, 127),
    )
    for ends in (False, True)
]  # fmt: skip
