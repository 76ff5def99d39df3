"""Root mean square norm. The gain lies in the weights of the layer behind it; what is left is a division by a root.

    total   sum of squares + eps = m * 2^e, with 256 <= m < 1024, m cut down to a whole number and e even
    code    value * table[m - 256] / 2^(shift + e / 2), ties toward +inf

Codes are not cut off: as their squares add up to a constant, they lie in a ball, which bounds every sum of them.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Slice, Tensor, Values, fits, integers, requantize_ref
from wm_quant.ops.intervals import EXACT_BOUND, Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import SHIFT_MAX, Ints
from wm_train.grid.integer_mamba2 import NORM_MANTISSAS, norm_codes

#: Codes behind a norm are kept in 16 bits.
NORM_CODE_BOUND = 1 << 15
LOW, HIGH = NORM_MANTISSAS
#: Bits of the smallest mantissa, 256.
LOW_BITS = LOW.bit_length()


@dataclass(frozen=True, kw_only=True)
class RMSNorm(Slice):
    """out = source over its root mean square, in codes; see integer_mamba2.IntegerNorm.

    shift   5..62: small sums lower it by up to 4
    """

    kind: ClassVar[str] = "rmsnorm"
    shift_min: ClassVar[int] = 5

    shift: int

    @property
    def ends(self) -> tuple[int, int]:
        """See Op."""
        return 1 - NORM_CODE_BOUND, NORM_CODE_BOUND - 1

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        self.check_shift(self.shift, self.shift_min)

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """table (768,) int32, what to multiply by for each mantissa; eps (1,) int64, 1 or more."""
        return {"table": Tensor((HIGH - LOW,), np.int32), "eps": Tensor((1,), np.int64, low=1)}

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        source = self.read(values)
        total = (source * source).sum(1, keepdims=True) + net.ints(self, "eps")
        bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
        e = (bits - LOW_BITS) // 2 * 2
        mantissa = (total << np.maximum(-e, 0)) >> np.maximum(e, 0)
        root = net.ints(self, "table")[mantissa - LOW]
        shift = self.shift + e // 2
        codes: Ints = (source * root + (np.int64(1) << (shift - 1))) >> shift
        return {self.out: codes}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Two bits at a time until the sum of squares is a mantissa."""
        source, table = self.read_ref(values), integers(net.tensor(self, "table"))
        mantissa = fits(sum(v * v for v in source) + integers(net.tensor(self, "eps"))[0], self.kind)
        shift = self.shift
        while mantissa >= HIGH:
            mantissa, shift = mantissa >> 2, shift + 1
        while mantissa < LOW:
            mantissa, shift = mantissa << 2, shift - 1
        return {self.out: [requantize_ref(v, table[mantissa - LOW], shift, self.kind) for v in source]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """The sum of squares, a value times the root, and the shift of the largest sum; the codes lie in a ball."""
        reach, table = self.read_bounds(values).reach, net.tensor(self, "table").astype(np.float64)
        total = np.square(reach).sum() + float(net.tensor(self, "eps")[0])
        # The sum's mantissa has 9 or 10 bits; half of the others are shifted out on top of the op's shift.
        shift = self.shift + max(int(np.frexp(total)[1]) - LOW_BITS, 0) // 2
        codes = norm_codes(table, self.shift, self.size)
        proofs = [
            below(self.name, "the sum of squares", total, EXACT_BOUND),
            below(self.name, "a value times the root", reach * np.abs(table).max(), EXACT_BOUND),
            below(self.name, "the shift", shift, SHIFT_MAX + 1),
            below(self.name, "a code", codes.high, NORM_CODE_BOUND),
        ]
        return Interval(np.full(self.size, codes.low), np.full(self.size, codes.high), codes.energy), proofs
