"""Frames of the ssm_chunked kernels, random ones and those at the ends of all ranges, and what they must give."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tests.wm_quant.single import single
from wm_export.lower.asm.chunked_asm import BIAS, Layout, chunked
from wm_export.lower.asm.listing import Kernel
from wm_export.lower.chunked_lowering import places_kept
from wm_export.lower.lowered_program import Buffer, Lifetime
from wm_export.lower.ssm_lowering import pack_tables
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.qnet import QNet
from wm_train.grid.chunked import Chunk
from wm_train.grid.integer_mamba2 import GAIN_BITS, STATE_MAX, held_most

ONE = 1 << 15


@dataclass(frozen=True)
class Frames:
    """Codes of x and B are at most `most`, those of C 127. At `ends` all of them are, and gains and decays take what a
    head holds to the end of its range."""

    shape: Chunk
    most: int
    ends: bool

    @property
    def kernel(self) -> Kernel:
        return chunked(self.shape)

    @cached_property
    def tables(self) -> tuple[Any, Any, Any]:
        """decay, gain (H, 256); skip (H,)."""
        rng = np.random.default_rng((self.shape.heads, self.shape.cells, self.most))
        size = self.shape.heads, 256
        decay = rng.choice([0, 1, 20_000, 32766, 32767], size) if self.ends else rng.integers(0, ONE, size)
        room = held_most(self.shape.every, self.most) * (1 - decay / ONE)
        gain = np.clip((room / self.most**2 * 2**GAIN_BITS).astype(np.int64), 0, 2**31 - 1)
        most = 2**31 - 1 - (STATE_MAX + 1) * 127 * self.shape.cells - self.shape.every * self.most - 1
        return decay, gain, rng.choice([-1, 1], self.shape.heads) * (most // self.most)

    @property
    def packed(self) -> bytes:
        """The tables as the kernel reads them."""
        return pack_tables(*self.tables).astype("<u8").tobytes()

    @cached_property
    def net(self) -> QNet:
        """The op by itself."""
        shape = self.shape
        width = shape.heads * shape.channels
        op = ChunkedSSM("op", "in", "out", width, by="dt", every=shape.every)
        names = dict(zip(("decay", "gain", "skip"), self.tables, strict=True))
        return single(op, names, {"in": width + 2 * shape.cells, "dt": shape.heads})

    @cached_property
    def buffer(self) -> Buffer:
        """What is kept, in the work area."""
        at = Layout(self.shape)
        count = (at.heads + at.record * self.shape.heads) // 4
        return Buffer("op.memory", count, Lifetime.MEMORY, "u32", BIAS, places_kept(self.shape))

    def frames(self, count: int) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
        """x with B and C (E + 2 N,), dt (H,); the memory before, y and the memory after."""
        shape, rng = self.shape, np.random.default_rng(self.shape.cells)
        width, kept = shape.heads * shape.channels, np.zeros((1, shape.size), np.int64)
        op = self.net.ops[-1]
        sign = rng.choice([-1, 1], width + 2 * shape.cells)
        for number in range(count):
            reach = np.repeat([self.most, 127], [width + shape.cells, shape.cells])
            codes = rng.integers(-reach, reach + 1)
            if self.ends:  # the same signs for long, so that states get to their ends
                sign = np.where(rng.random(len(sign)) < 0.02, -sign, sign) if number else sign
                codes = reach * sign
            dt = rng.integers(-127, 128, shape.heads)
            after = op.run(self.net, {"in": codes[None], "dt": dt[None], op.kept: kept})
            yield codes, dt, kept[0], after["out"][0], after[op.kept][0]
            kept = after[op.kept]


FRAMES = [
    Frames(Chunk(heads, channels, cells, every), most, ends)
    for heads, channels, cells, every, most in (
        (1, 2, 2, 1, 127), (2, 4, 4, 2, 2047), (3, 14, 6, 3, 1000), (4, 12, 8, 2, 2047), (4, 26, 14, 4, 2047),
        (8, 64, 32, 8, 2047), (9, 8, 34, 9, 2047),
    )
    for ends in (False, True)
]  # fmt: skip
