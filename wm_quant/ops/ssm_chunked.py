"""A recurrence whose states are written every few frames, head by head in turn; wm_train/grid/chunked.py says what is
kept, and what each letter is."""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Tensor, Values, fits, integers, requantize_ref
from wm_quant.ops.intervals import Bounds, Interval, Intervals, below
from wm_quant.ops.ssm import SSM
from wm_train.grid.arithmetic import CODE_MAX, HEAD_BOUND, Ints
from wm_train.grid.chunked import Chunk
from wm_train.grid.integer_mamba2 import DECAY_BITS, DT_CODES, GAIN_BITS, held_most

ONE = 1 << DECAY_BITS
#: Places that are taken off the product of a gain and a sum of codes, but for those of k.
PRODUCT_BITS = GAIN_BITS + DECAY_BITS


@dataclass(frozen=True, kw_only=True)
class ChunkedSSM(SSM):
    """As ssm, but a head's states are written every L frames, h = (h * kept + sum of w * B) / 2^15; until then they
    fade, and what the frames since then gave is kept beside them.

    every   L, 1 or more; divides the number of heads
    """

    kind: ClassVar[str] = "ssm_chunked"

    every: int

    def chunk(self, net: Network) -> Chunk:
        """The shape of what it keeps."""
        heads = net.sizes[self.by]
        return Chunk(heads, self.size // heads, self.cells(net), self.every)

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        heads = net.sizes[self.by]
        if self.every < 1 or heads % self.every:
            raise self.refused(f"writes every {self.every} frames, expected a divisor of {heads} heads")

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """decay, gain (H, 256) int32, 0 or more, decay at most 32767; skip (H,) int32."""
        shape = net.sizes.get(self.by, 0), len(DT_CODES)
        tables = {"decay": Tensor(shape, np.int32, 0, ONE - 1), "gain": Tensor(shape, np.int32, 0)}
        return tables | {"skip": Tensor(shape[:1], np.int32)}

    def memory(self, net: Network) -> int:
        """t, lost, G, S, x, B: (1 + H + H L + E N + L E + L N)."""
        return self.chunk(net).size

    def run(self, net: Network, values: Values) -> Values:
        """out (B, E) and the new memory."""
        shape, after = self.chunk(net), values[self.kept].copy()
        parts = {name: after[:, part].reshape(len(after), *shape.shapes[name]) for name, part in shape.parts.items()}
        t, lost, gains, states, xs, bs = parts.values()
        xBC, dt = values[self.source], values[self.by]
        x = xBC[:, : self.size].reshape(len(xBC), shape.heads, -1)
        B_, C = xBC[:, self.size : self.size + shape.cells], xBC[:, self.size + shape.cells :].astype(np.float64)
        at = (np.arange(shape.heads), dt + CODE_MAX + 1)
        decay, gain, f = net.ints(self, "decay")[at], net.ints(self, "gain")[at], shape.places
        world, head = np.arange(len(xBC))[:, None], np.arange(shape.heads)
        now = np.clip(t, 0, self.every - 1)
        place = (now - head) % self.every
        xs[world, head, place], bs[world, now] = x, B_[:, None]
        kept = ((ONE - lost) * decay) >> DECAY_BITS
        come = np.arange(self.every) <= place[..., None]  # places still to come stay as they are, and count for nothing
        gains[:] = np.where(come, (gains * decay[..., None]) >> DECAY_BITS, gains)
        gains[world, head, place] = gain
        # Sums stay below 2^53 by their bounds: exact in float64, and quick there.
        dots = _exact(bs @ C[..., None])[..., 0][:, shape.frames]
        k = np.where(come, (dots * gains + (1 << (PRODUCT_BITS - 1 - f))) >> (PRODUCT_BITS - f), 0)
        late = _exact(k[..., None, :].astype(np.float64) @ xs)[..., 0, :]
        read = _exact(states @ C[:, None, :, None])[..., 0]
        y = (kept[..., None] * read + (late << (DECAY_BITS - f)) + ONE // 2) >> DECAY_BITS
        y += x * net.ints(self, "skip")[:, None]
        lost[:] = ONE - kept
        self._write(place == self.every - 1, shape, parts)
        t[:] = (now + 1) % self.every
        return {self.out: y.reshape(len(y), -1), self.kept: after}

    def _write(self, due: Ints, shape: Chunk, parts: dict[str, Ints]) -> None:
        """The states of the heads that are due, (B, H) bool; what was kept beside them is in them then."""
        gains, xs = parts["G"][due][..., None], parts["x"][due]
        world, head = np.nonzero(due)
        w = ((xs * gains + (1 << (GAIN_BITS - 1))) >> GAIN_BITS).astype(np.float64)
        written = _exact(w.swapaxes(1, 2) @ parts["B"][world[:, None], shape.frames[head]])
        kept = (ONE - parts["lost"][due])[:, None, None]
        parts["S"][due] = (parts["S"][due] * kept + written + ONE // 2) >> DECAY_BITS
        parts["lost"][due], parts["G"][due] = 0, 0

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Head by head, channel by channel, cell by cell."""
        shape, f, every = self.chunk(net), self.chunk(net).places, self.every
        xBC, dt, cells, channels = values[self.source], values[self.by], shape.cells, shape.channels
        B_, C = xBC[self.size : self.size + cells], xBC[self.size + cells :]
        decay, gain, skip = (integers(net.tensor(self, part)) for part in ("decay", "gain", "skip"))
        old = {name: list(values[self.kept][part]) for name, part in shape.parts.items()}
        t = min(max(old["t"][0], 0), every - 1)
        old["B"][t * cells : (t + 1) * cells] = B_
        y = []
        for head in range(shape.heads):
            place, at = (t - head) % every, dt[head] + CODE_MAX + 1
            rows = old["x"][head * every * channels :][: every * channels]
            rows[place * channels : (place + 1) * channels] = xBC[head * channels : (head + 1) * channels]
            old["x"][head * every * channels : (head + 1) * every * channels] = rows
            kept = fits((ONE - old["lost"][head]) * decay[head][at], self.kind) >> DECAY_BITS
            gains = old["G"][head * every :][:every]
            gains[:place] = [fits(g * decay[head][at], self.kind) >> DECAY_BITS for g in gains[:place]]
            gains[place] = gain[head][at]
            b = [old["B"][(head + p) % every * cells :][:cells] for p in range(every)]
            dots = [fits(sum(c * v for c, v in zip(C, row, strict=True)), self.kind) for row in b]
            k = [requantize_ref(dots[p], gains[p], PRODUCT_BITS - f, self.kind) for p in range(place + 1)]
            for channel in range(channels):
                own = rows[channel::channels]
                first = (head * channels + channel) * cells
                states = old["S"][first : first + cells]
                late = fits(sum(a * v for a, v in zip(k, own, strict=False)), self.kind) << (DECAY_BITS - f)
                read = fits(kept * sum(c * s for c, s in zip(C, states, strict=True)), self.kind)
                y.append((fits(read + late + ONE // 2, self.kind) >> DECAY_BITS) + skip[head] * own[place])
                if place == every - 1:
                    w = [requantize_ref(v, g, GAIN_BITS, self.kind) for v, g in zip(own, gains, strict=True)]
                    sums = [sum(a * row[cell] for a, row in zip(w, b, strict=True)) for cell in range(cells)]
                    new = [
                        requantize_ref(s * kept + a, 1, DECAY_BITS, self.kind)
                        for s, a in zip(states, sums, strict=True)
                    ]
                    old["S"][first : first + cells] = new
            done = place == every - 1
            old["lost"][head] = 0 if done else ONE - kept
            old["G"][head * every : (head + 1) * every] = [0] * every if done else gains
        old["t"] = [(t + 1) % every]
        return {self.out: y, self.kept: [value for part in old.values() for value in part]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """Whatever comes, a head holds at most `held_most`: what it held fades by a decay and grows by what a frame
        would write, over every entry of its table. So its states keep their 17 bits; what the last frames give, and y,
        32."""
        shape, reach = self.chunk(net), values[self.source].reach
        decay, gain, skip = (net.tensor(self, part).astype(np.float64) for part in ("decay", "gain", "skip"))
        x = reach[: self.size].reshape(shape.heads, -1).max(1)
        B_, C = reach[self.size : self.size + shape.cells].max(), reach[self.size + shape.cells :].sum()
        most = held_most(self.every, B_)
        held = most * decay / ONE + gain * x[:, None] * B_ / (1 << GAIN_BITS)
        late = (1 << shape.places) * C * most / ONE + self.every * x / 2
        y = np.ceil(C * most / ONE + self.every * x / 2 + 1 + np.abs(skip) * x)
        proofs = [
            below(self.name, f"an index of {self.by}", values[self.by].reach, CODE_MAX + 1),
            below(self.name, "what a head holds", held.max(1), most + 1),
            below(self.name, "what the last frames give", late, HEAD_BOUND),
            below(self.name, "the accumulator of y", np.repeat(y, shape.channels), HEAD_BOUND),
        ]
        wide = np.repeat(y, shape.channels)
        return Interval(-wide, wide, acc_bound=None), proofs


def _exact(values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> Ints:
    """The integers that these floats are."""
    return values.astype(np.int64)
