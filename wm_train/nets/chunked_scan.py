"""The recurrence of grid/chunked.py in torch: the very integers, held in floats that hold them exactly, or in int64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wm_train.config import Mamba2Config
from wm_train.grid.arithmetic import CODE_MAX
from wm_train.grid.chunked import Chunk
from wm_train.grid.integer_mamba2 import DECAY_BITS, GAIN_BITS, IntegerBlock

ONE = 1 << DECAY_BITS
PRODUCT_BITS = GAIN_BITS + DECAY_BITS


def chunk_of(model: Mamba2Config) -> Chunk | None:
    """The shape of each layer's recurrence; None where all heads are written in each frame."""
    return Chunk(model.n_heads, model.headdim, model.d_state, model.write_every) if model.write_every else None


@dataclass(frozen=True)
class Kept:
    """What is kept of a layer's recurrence over lanes, with the shapes of Chunk behind that of lanes: t and G in int64,
    all else in float64."""

    chunk: Chunk
    t: Tensor
    lost: Tensor
    G: Tensor
    S: Tensor
    x: Tensor
    B: Tensor

    @staticmethod
    def of(chunk: Chunk, vector: Tensor, h_unit: Tensor) -> "Kept":
        """Of a vector (lanes, size) whose states and gains are in their real unit; `h_unit` (H,)."""
        parts = {name: vector[:, part].unflatten(1, chunk.shapes[name]) for name, part in chunk.parts.items()}
        gains = torch.floor(parts["G"] / h_unit[:, None] + 0.5).long()
        states = torch.floor(parts["S"] / h_unit[:, None, None] + 0.5)
        rest = (parts[name].clone() for name in ("lost", "x", "B"))
        lost, x, B_ = rest
        return Kept(chunk, parts["t"].long(), lost, gains, states, x, B_)

    def vector(self, h_unit: Tensor) -> Tensor:
        """(lanes, size), states and gains in their real unit."""
        real = self.G * h_unit[:, None], self.S * h_unit[:, None, None]
        return torch.cat([part.double().flatten(1) for part in (self.t, self.lost, *real, self.x, self.B)], 1)

    def forget(self, lanes: Tensor) -> None:
        """Lanes (lanes,) bool begin a game."""
        for part in (self.t, self.lost, self.G, self.S, self.x, self.B):
            part[lanes] = 0

    def states(self) -> Tensor:
        """(lanes, H, P, N) what the states would be if all heads were written now."""
        faded = self.S * (1 - self.lost / ONE)[..., None, None]
        return faded + _written(self.x, self.G) @ self.B[:, self._frames] / ONE

    @property
    def _frames(self) -> Tensor:
        return torch.as_tensor(self.chunk.frames)

    def frame(self, x: Tensor, dt: Tensor, B_: Tensor, C: Tensor, ints: "Tables") -> Tensor:
        """One frame: x (lanes, H, P), dt (lanes, H) places of the tables, B_ and C (lanes, N). Gives y (lanes, H, P),
        the skip left out."""
        every, f, frames = self.chunk.every, self.chunk.places, self._frames
        lane, head = torch.arange(len(x))[:, None], torch.arange(self.chunk.heads)
        decay, place = ints.decay[head, dt], (self.t - head) % every
        self.x[lane, head, place], self.B[lane, self.t] = x, B_[:, None]
        kept = torch.floor((ONE - self.lost) * decay / ONE)
        self.G.mul_(decay.long()[..., None]).bitwise_right_shift_(DECAY_BITS)
        self.G[lane, head, place] = ints.gain[head, dt]
        dots = (self.B @ C[..., None])[..., 0][:, frames].long()
        k = (dots * self.G + (1 << (PRODUCT_BITS - 1 - f))).bitwise_right_shift(PRODUCT_BITS - f)
        late = (k.double()[..., None, :] @ self.x)[..., 0, :]
        read = (self.S @ C[:, None, :, None])[..., 0]
        y = torch.floor((kept[..., None] * read + late * 2.0 ** (DECAY_BITS - f)) / ONE + 0.5)
        self.lost[:] = ONE - kept
        self._write(*torch.nonzero(place == every - 1, as_tuple=True))
        self.t.add_(1).remainder_(every)
        return y

    def _write(self, lane: Tensor, head: Tensor) -> None:
        """The states of these heads, a head of a lane each."""
        written = _written(self.x[lane, head], self.G[lane, head]) @ self.B[lane[:, None], self._frames[head]]
        kept = (ONE - self.lost[lane, head])[:, None, None]
        self.S[lane, head] = torch.floor((self.S[lane, head] * kept + written) / ONE + 0.5)
        self.lost[lane, head], self.G[lane, head] = 0, 0


@dataclass(frozen=True)
class Tables:
    """decay (H, 256) float64, gain (H, 256) int64, skip (H,) float64."""

    decay: Tensor
    gain: Tensor
    skip: Tensor

    @staticmethod
    def of(ints: IntegerBlock) -> "Tables":
        """Those of a block."""
        decay, gain, skip = (torch.as_tensor(part.astype(float)) for part in (ints.decay, ints.gain, ints.skip))
        return Tables(decay, gain.long(), skip)


def _written(x: Tensor, gains: Tensor) -> Tensor:
    """(..., P, L) what codes of x (..., L, P) write, by their gains (..., L)."""
    return torch.floor(x * gains[..., None] * 2.0**-GAIN_BITS + 0.5).mT


@torch.no_grad()
def chunked_scan(x: Tensor, dt: Tensor, B_: Tensor, C: Tensor, ints: IntegerBlock, kept: Kept, reset: Tensor) -> Tensor:
    """The recurrence, frame after frame; arguments as `qat_mamba2.exact_scan`, with what is kept, which is moved on.

    returns the accumulators of y (B, L, H, P) in float64
    """
    tables, index = Tables.of(ints), dt.long() + CODE_MAX + 1
    x, B_, C = x.double(), B_.double(), C.double()
    borders, y = reset.any(0).tolist(), []
    for t in range(x.shape[1]):
        if borders[t]:
            kept.forget(reset[:, t])
        y.append(kept.frame(x[:, t], index[:, t], B_[:, t], C[:, t], tables))
    return torch.stack(y, 1) + x * tables.skip[:, None]
