"""Causal convolution over frames, one filter a channel (depthwise), with the frames before kept as its memory."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Slice, Tensor, Values, fits, integers
from wm_quant.ops.intervals import Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import HEAD_BOUND
from wm_train.grid.integer_mamba2 import FINE_MAX
from wm_train.shapes import D_CONV

#: Codes of the frames before are kept in 12 bits.
CODE_BOUND = FINE_MAX + 1


@dataclass(frozen=True, kw_only=True)
class Conv(Slice):
    """out = bias + sum over k of rows[:, k] * source of k - 3 frames ago; the newest frame is last."""

    kind: ClassVar[str] = "conv"

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """rows (N, 4) int8, bias (N,) int32."""
        return {"rows": Tensor((self.size, D_CONV), np.int8), "bias": Tensor((self.size,), np.int32)}

    def memory(self, net: Network) -> int:
        """What it read in the last 3 frames, (3, N), oldest first."""
        return (D_CONV - 1) * self.size

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N) and the new memory (B, 3 * N)."""
        codes, before = self.read(values), values[self.kept]
        seen = np.concatenate([before.reshape(len(codes), -1, self.size), codes[:, None]], 1)
        acc = net.ints(self, "bias") + (seen * net.ints(self, "rows").T).sum(1)
        return {self.out: acc, self.kept: seen[:, 1:].reshape(before.shape)}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Channel by channel."""
        seen = [*values[self.kept], *self.read_ref(values)]
        out = []
        for n, (row, bias) in enumerate(zip(*(integers(net.tensor(self, p)) for p in ("rows", "bias")), strict=True)):
            taps = seen[n :: self.size]
            out.append(fits(bias + sum(w * x for w, x in zip(row, taps, strict=True)), self.kind))
        return {self.out: out, self.kept: seen[self.size :]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """What it keeps begins as zeros, so each tap reaches as far as the source does. Codes are kept in 12 bits, sums
        in 32; how far a sum may get is proved where it is multiplied down."""
        rows, bias = (net.tensor(self, part).astype(np.float64) for part in ("rows", "bias"))
        codes = self.read_bounds(values).reach
        reach = np.abs(rows).sum(1) * codes
        proofs = [
            below(self.name, "a code that it keeps", codes, CODE_BOUND),
            below(self.name, "a sum", np.abs(bias) + reach, HEAD_BOUND),
        ]
        return Interval(bias - reach, bias + reach), proofs
