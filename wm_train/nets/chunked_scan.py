"""The recurrence of grid/chunked.py in torch: the very integers, held in int64 or in floats that hold them exactly.

L frames or fewer are walked at once. In so few, a head is written once at most: what they read of it are its states
before that or after it, so that all they read is two products of matrices.
"""

from collections.abc import Iterator
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
    """What is kept of a layer's recurrence over lanes, with the shapes of Chunk behind that of lanes: t, lost and G in
    int64, the others in float64."""

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
        gains = (parts["G"] / h_unit[:, None]).add_(0.5).floor_().long()
        states = (parts["S"] / h_unit[:, None, None]).add_(0.5).floor_()
        t, lost, x, B_ = parts["t"].long(), parts["lost"].long(), parts["x"].clone(), parts["B"].clone()
        return Kept(chunk, t, lost, gains, states, x, B_)

    def vector(self, h_unit: Tensor) -> Tensor:
        """(lanes, size), states and gains in their real unit."""
        vector = self.S.new_empty(len(self.S), self.chunk.size)
        for name, part in self.chunk.parts.items():
            kept, into = getattr(self, name), vector[:, part].unflatten(1, self.chunk.shapes[name])
            unit = h_unit.view(-1, *[1] * (kept.ndim - 2)) if name in ("G", "S") else kept.new_ones(())
            torch.mul(kept, unit, out=into)
        return vector

    def forget(self, lanes: Tensor) -> None:
        """Lanes (lanes,) bool begin a game."""
        for part in (self.t, self.lost, self.G, self.S, self.x, self.B):
            part[lanes] = 0

    def states(self, h_unit: Tensor) -> Tensor:
        """(lanes, H, P, N) float32 what the states would be if all heads were written now, in their real unit: what a
        gradient needs to know, so not to the last bit."""
        left, gains = (ONE - self.lost) * (h_unit / ONE), self.G * (h_unit / (1 << PRODUCT_BITS))[:, None]
        faded = self.S.float().mul_(left.float()[..., None, None]).flatten(0, 1)
        weighed, own = self.x * gains[..., None], self.B.float()[:, self._frames]
        return faded.baddbmm_(weighed.float().flatten(0, 1).mT, own.flatten(0, 1)).view_as(self.S)

    def walk(self, x: Tensor, dt: Tensor, B_: Tensor, C: Tensor, tables: "Tables") -> Tensor:
        """T frames in a row, T at most L. What is read late, or written, comes from sources: the L places that are
        kept, then the T frames.

        x (lanes, H, T, P), dt (lanes, T, H) places of the tables, B_ and C (lanes, T, N)
        returns y (lanes, H, T, P), the skip left out
        """
        every, heads, count = self.chunk.every, self.chunk.heads, x.shape[2]
        t = self.t + torch.arange(count)
        place = (t[:, None] - torch.arange(heads)[:, None]) % every
        due = place == every - 1  # (lanes, H, T)
        held, after = self._faded(dt, due, tables)
        xs, bs = torch.cat([self.x, x], 2), torch.cat([self.B, B_], 1)
        own = torch.cat([self._frames, every + torch.arange(count).expand(heads, -1)], 1)
        late = self._late((C @ bs.mT)[..., own].transpose(1, 2), held[..., 1:]) @ xs
        read = self._read(C)
        self._write(due, held, xs, bs[:, own])
        if count > 1:
            written = (due.cumsum(2) > due.long())[..., None]
            read = torch.where(written, self._read(C), read)
        y = (read * (held[..., :1] / ONE)).add_(late).add_(0.5).floor_()

        self.t.add_(count).remainder_(every)
        self.lost.copy_(ONE - after[..., 0])
        self.G.copy_(after[..., 1 : 1 + every].scatter(2, place, after[..., 1 + every :]))
        self.x.scatter_(2, place[..., None].expand_as(x), x)
        self.B.scatter_(1, (t % every)[..., None].expand_as(B_), B_)
        return y

    @property
    def _frames(self) -> Tensor:
        return torch.as_tensor(self.chunk.frames)

    def _faded(self, dt: Tensor, due: Tensor, tables: "Tables") -> tuple[Tensor, Tensor]:
        """What is left of the states, and then of each source's gain, in each frame (lanes, H, T, 1 + L + T) and after
        the last (lanes, H, 1 + L + T): behind a frame in which a head is due, all of it begins again."""
        head, first = torch.arange(self.chunk.heads), 1 + self.chunk.every
        decay, gain = (part[head, dt].transpose(1, 2) for part in (tables.decay, tables.gain))
        now = torch.cat([(ONE - self.lost)[..., None], self.G, torch.zeros_like(gain)], 2)
        anew, frames = torch.zeros_like(now[0, 0]), []
        anew[0] = ONE
        for frame in range(dt.shape[1]):
            now = (now * decay[..., frame, None]).bitwise_right_shift_(DECAY_BITS)
            now[..., first + frame] = gain[..., frame]
            frames.append(now)
            now = torch.where(due[..., frame, None], anew, now)
        return torch.stack(frames, 2), now

    def _late(self, dots: Tensor, gains: Tensor) -> Tensor:
        """k, what each source's x counts for in a frame, in units of y; dots and gains (lanes, H, T, L + T)."""
        f = self.chunk.places
        k = (dots.long() * gains).add_(1 << (PRODUCT_BITS - 1 - f)).bitwise_right_shift_(PRODUCT_BITS - f)
        return k.double().mul_(2.0**-f)

    def _read(self, C: Tensor) -> Tensor:
        """(lanes, H, T, P) C . S of each frame's C."""
        return (C @ self.S.flatten(1, 2).mT).unflatten(2, self.S.shape[1:3]).transpose(1, 2)

    def _write(self, due: Tensor, held: Tensor, xs: Tensor, own: Tensor) -> None:
        """The states of the heads that are due, and the others as they are; codes of x (lanes, H, L + T, P) and of B by
        source."""
        then = torch.where(due[..., None], held, 0).sum(2)
        left, gains = torch.where(due.any(2), then[..., 0], ONE) / ONE, then[..., 1:] * 2.0**-GAIN_BITS
        w = (xs * gains[..., None]).add_(0.5).floor_().mul_(1 / ONE)
        faded = self.S.mul_(left[..., None, None]).flatten(0, 1)
        faded.baddbmm_(w.flatten(0, 1).mT, own.flatten(0, 1)).add_(0.5).floor_()


@dataclass(frozen=True)
class Tables:
    """decay, gain (H, 256) int64, skip (H,) float64."""

    decay: Tensor
    gain: Tensor
    skip: Tensor

    @staticmethod
    def of(ints: IntegerBlock) -> "Tables":
        """Those of a block."""
        decay, gain, skip = (torch.as_tensor(part.astype(float)) for part in (ints.decay, ints.gain, ints.skip))
        return Tables(decay.long(), gain.long(), skip)


def _stretches(reset: Tensor, most: int) -> Iterator[slice]:
    """Frames of reset (lanes, L), at most so many at a time, in none of which but the first a game begins."""
    first = 0
    for border in [*reset.any(0).nonzero().flatten().tolist(), reset.shape[1]]:
        for start in range(first, border, most):
            yield slice(start, min(start + most, border))
        first = border


@torch.no_grad()
def chunked_scan(x: Tensor, dt: Tensor, B_: Tensor, C: Tensor, ints: IntegerBlock, kept: Kept, reset: Tensor) -> Tensor:
    """The recurrence; arguments as `qat_mamba2.exact_scan`, with what is kept, which is moved on.

    returns the accumulators of y (B, L, H, P) in float64
    """
    tables, index = Tables.of(ints), dt.long() + CODE_MAX + 1
    x, B_, C, y = x.double().transpose(1, 2), B_.double(), C.double(), []
    for some in _stretches(reset, kept.chunk.every):
        if (begun := reset[:, some.start]).any():
            kept.forget(begun)
        y.append(kept.walk(x[:, :, some], index[:, some], B_[:, some], C[:, some], tables))
    return (torch.cat(y, 2) + x * tables.skip[:, None, None]).transpose(1, 2)
