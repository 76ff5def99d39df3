"""A recurrence whose states are written every few frames, head by head in turn: integers of one layer. numpy only.

Between two writes a head's states stay as they are. What the frames since then would have written is kept as they gave
it: their codes of x and B, and each one's gain, faded by the decays of the frames after it. So a frame reads most of
its cells and writes few of them (the state space duality of the paper), and costs the same whichever heads it writes.

Glossary, with the shape of one world's values; the other letters are those of wm_quant/ops/ssm.py
    L       frames between two writes of a head; t is the frame's number mod L
    pos     (H,) (t - head) mod L: the frame's place among those since the head's last write; at L - 1 it is written
    kept    (H,) what is left of the states, in 2^-15; `lost` is 2^15 less it
    G       (H, L) each place's gain, faded; places still to come stay as they are, and count for nothing
    S       (E, N) the states, inside -65535..65535
    x       (H, L, P) codes of x by place       B   (L, N) codes of B by frame: head h's place p is frame (h + p) mod L

    kept    (kept * decay[dt]) >> 15            G   (G * decay[dt]) >> 15, the newest gain[dt]
    k       ((C . B) * G + 2^(30 - f)) >> (31 - f)
    y       ((kept * (C . S) + 2^(15 - f) * sum of k * x + 2^14) >> 15) + skip * x
    S       (S * kept + sum of ((x * G + 2^15) >> 16) * B + 2^14) >> 15, and then kept = 2^15, G = 0

All that is kept is one vector, in the order t, lost, G, S, x, B; zeros are a world that has seen nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import CODE_MAX, HEAD_BOUND
from wm_train.grid.integer_mamba2 import FINE_MAX, STATE_MAX


@dataclass(frozen=True)
class Chunk:
    """Shape of one layer's recurrence: heads of `channels` channels of `cells` cells, written every `every` frames."""

    heads: int
    channels: int
    cells: int
    every: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each part of what is kept, in order."""
        heads, channels, cells, every = self.heads, self.channels, self.cells, self.every
        return {
            "t": (1,),
            "lost": (heads,),
            "G": (heads, every),
            "S": (heads, channels, cells),
            "x": (heads, every, channels),
            "B": (every, cells),
        }

    @cached_property
    def parts(self) -> dict[str, slice]:
        """Where each part lies in the vector."""
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes.values())]).tolist()
        return {name: slice(a, b) for name, (a, b) in zip(self.shapes, pairwise(ends), strict=True)}

    @property
    def size(self) -> int:
        """Integers in all."""
        return self.parts["B"].stop

    @cached_property
    def frames(self) -> NDArray[np.int64]:
        """(H, L) which frame each head's places are of."""
        frames: NDArray[np.int64] = (np.arange(self.heads)[:, None] + np.arange(self.every)) % self.every
        return frames

    @property
    def places(self) -> int:
        """f: binary places of k, as many as what the last frames give has room for in 32 bits."""
        return read_places(self.cells, self.every)


def read_places(cells: int, every: int) -> int:
    """Binary places of what a frame's x counts for, where C and x have the most that codes can."""
    room = HEAD_BOUND - 1 - every * FINE_MAX / 2
    return int(np.floor(np.log2(room / ((STATE_MAX + 1) * CODE_MAX * cells))))
