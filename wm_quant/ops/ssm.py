"""The state space recurrence of a Mamba-2 (SSD), frame by frame; integer_mamba2.py says what each integer is worth.

Glossary, with the shape of one world's values
    H       heads
    P       channels of a head; E = H * P channels in all
    N       state cells of a channel
    x       (E,) what each channel writes
    B       (N,) how much of it each cell takes; called B_ in code, B is the number of worlds
    C       (N,) how much of each cell is read
    dt      (H,) the frame's step size, a code of 8 bits
    decay   (H, 256) exp(dt * A) * 2^15 for each code of dt; A is the head's rate of forgetting
    gain    (H, 256) dt * 2^16 in the units of x, B and h
    skip    (H,) D of the paper: what of x goes to y directly
    w       (E,) x * gain / 2^16
    h       (E, N) the state, kept from frame to frame, inside -65535..65535
    y       (E,) what is read
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Op, Tensor, Values, fits, integers, requantize_ref
from wm_quant.ops.intervals import Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import CODE_MAX, HEAD_BOUND, requantize
from wm_train.grid.integer_mamba2 import DECAY_BITS, DT_CODES, GAIN_BITS, STATE_MAX

HALF = 1 << (DECAY_BITS - 1)


@dataclass(frozen=True, kw_only=True)
class SSM(Op):
    """w = x * gain[dt] / 2^16; h = (h * decay[dt] + w * B) / 2^15; out = sum over cells of h * C + skip * x.

    source  x, B, C one after the other, (E + 2 N,)
    by      the vector of dt, (H,)
    """

    kind: ClassVar[str] = "ssm"

    by: str

    def cells(self, net: Network) -> int:
        """N, the state cells of each channel."""
        return (net.sizes[self.source] - self.size) // 2

    def state_cells(self, net: Network) -> int:
        """See Op: those of all channels."""
        return self.cells(net) * self.size

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        self.check_second(self.by, known)
        heads, cells, length = net.sizes[self.by], self.cells(net), net.sizes[self.source]
        if self.size % heads or cells < 1 or self.size + 2 * cells != length:
            raise self.refused(f"{self.size} channels of {heads} heads do not fit {length} values")

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """decay, gain (H, 256) int32; skip (H,) int32."""
        heads = net.sizes.get(self.by, 0)
        tables = dict.fromkeys(("decay", "gain"), Tensor((heads, len(DT_CODES)), np.int32))
        return tables | {"skip": Tensor((heads,), np.int32)}

    def memory(self, net: Network) -> int:
        """h, (E, N)."""
        return self.size * self.cells(net)

    def run(self, net: Network, values: Values) -> Values:
        """out (B, E) and the new memory (B, E * N)."""
        xBC, dt, h = values[self.source], values[self.by], values[self.kept]
        heads, cells, worlds = dt.shape[1], self.cells(net), len(dt)
        x = xBC[:, : self.size].reshape(worlds, heads, -1)
        B_, C = xBC[:, self.size : self.size + cells], xBC[:, self.size + cells :]
        at = (np.arange(heads), dt + CODE_MAX + 1)
        decay, gain = net.ints(self, "decay")[at], net.ints(self, "gain")[at]
        # In place: the state is the largest thing that there is.
        state = h.reshape(worlds, heads, -1, cells) * decay[..., None, None]
        state += requantize(x * gain[..., None], 1, GAIN_BITS)[..., None] * B_[:, None, None]
        state += HALF
        state >>= DECAY_BITS
        # |sum| < 2^53 by its bounds: exact in float64, and quick there.
        read = (state.astype(np.float64) @ C.astype(np.float64)[:, None, :, None])[..., 0].astype(np.int64)
        y = read + x * net.ints(self, "skip")[:, None]
        return {self.out: y.reshape(worlds, -1), self.kept: state.reshape(h.shape)}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Channel by channel, cell by cell."""
        xBC, dt, cells = values[self.source], values[self.by], self.cells(net)
        B_, C = xBC[self.size : self.size + cells], xBC[self.size + cells :]
        decay, gain, skip = (integers(net.tensor(self, part)) for part in ("decay", "gain", "skip"))
        y, after = [], []
        for channel, x in enumerate(xBC[: self.size]):
            head = channel * len(dt) // self.size
            at = dt[head] + CODE_MAX + 1
            w = requantize_ref(x, gain[head][at], GAIN_BITS, self.kind)
            h = values[self.kept][channel * cells : (channel + 1) * cells]
            sums = [a * decay[head][at] + w * b for a, b in zip(h, B_, strict=True)]
            h = [requantize_ref(value, 1, DECAY_BITS, self.kind) for value in sums]
            y.append(fits(sum(a * c for a, c in zip(h, C, strict=True)) + x * skip[head], self.kind))
            after += h
        return {self.out: y, self.kept: after}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """No sequence of inputs takes a state out of its 17 bits: |h| * decay + |w| |B| + half stays below the bound,
        over every entry of every head's table, if |h| did; |y| < 2^31."""
        reach, cells = values[self.source].reach, self.cells(net)
        decay, gain, skip = (net.tensor(self, part).astype(np.float64) for part in ("decay", "gain", "skip"))
        x = reach[: self.size].reshape(len(skip), -1).max(1)
        B_, C = reach[self.size : self.size + cells].max(), reach[self.size + cells :]
        w = requantize((np.abs(gain) * x[:, None]).astype(np.int64), 1, GAIN_BITS)
        widest = STATE_MAX * np.abs(decay) + w * B_ + HALF
        y = np.repeat(STATE_MAX * C.sum() + np.abs(skip) * x, self.size // len(skip))
        proofs = [
            below(self.name, f"an index of {self.by}", values[self.by].reach, CODE_MAX + 1),
            below(self.name, "a state times its decay", widest.max(1), (STATE_MAX + 1) << DECAY_BITS),
            below(self.name, "the accumulator of y", y, HEAD_BOUND),
        ]
        return Interval(-y, y, acc_bound=None), proofs
