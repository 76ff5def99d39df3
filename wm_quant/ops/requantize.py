"""Multiplying accumulators down to what the next op reads; each class keeps the result in a range of its own."""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.ops.base import Network, Numbers, Slice, Tensor, Values, fits, integers, requantize_ref
from wm_quant.ops.intervals import EXACT_BOUND, Bounds, Interval, Intervals, below
from wm_train.grid.arithmetic import CODE_MAX, HEAD_BOUND, RELU_SHIFT_MIN, Ints, requantize
from wm_train.grid.integer_mamba2 import FINE_MAX, WIDE_MAX


@dataclass(frozen=True, kw_only=True)
class Scaling(Slice):
    """What multiplies each value by mult / 2^shift, ties toward +inf, and keeps the result inside `clamp`.

    shift   shift_min..62
    """

    reads_sums: ClassVar[bool] = True
    shift_min: ClassVar[int] = 1

    shift: int

    def check(self, net: Network, known: Set[str]) -> None:
        """See Op."""
        super().check(net, known)
        self.check_shift(self.shift, self.shift_min)

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """mult (N,) int32, 0 or more."""
        return {"mult": Tensor((self.size,), np.int32, low=0)}

    def _scaled(self, net: Network, values: Values) -> Ints:
        """(B, N) each value times its mult / 2^shift."""
        scaled: Ints = requantize(self.read(values), net.ints(self, "mult"), self.shift)
        return scaled

    def _scaled_ref(self, net: Network, values: Numbers) -> list[int]:
        """(N,) the same of one world."""
        pairs = zip(self.read_ref(values), integers(net.tensor(self, "mult")), strict=True)
        return [requantize_ref(value, mult, self.shift, self.kind) for value, mult in pairs]

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        scaled = self._scaled(net, values)
        return {self.out: scaled if self.clamp is None else np.clip(scaled, *self.clamp)}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Value by value."""
        scaled = self._scaled_ref(net, values)
        return {self.out: scaled if self.clamp is None else _clamped(scaled, *self.clamp)}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """The accumulator, its product with the multiplier, and the result where nothing cuts it off."""
        scaled, proofs = self._scaled_bounds(net, values)
        if self.clamp is not None:
            return scaled.clipped(self.clamp), proofs
        return scaled, [*proofs, below(self.name, "the result", scaled.reach, HEAD_BOUND)]

    def _scaled_bounds(self, net: Network, values: Intervals) -> Bounds:
        source, mult = self.read_bounds(values), net.ints(self, "mult")
        proofs = []
        if source.acc_bound is not None:
            proofs.append(below(self.name, f"the accumulator {self.source}", source.reach, source.acc_bound))
        what = f"the product of {self.source} and its multiplier"
        proofs.append(below(self.name, what, source.reach * mult, EXACT_BOUND))
        ends = (requantize(end.astype(np.int64), mult, self.shift) for end in (source.low, source.high))
        return Interval(*(end.astype(np.float64) for end in ends)), proofs


@dataclass(frozen=True, kw_only=True)
class Requantize(Scaling):
    """out = source * mult / 2^shift, kept in no range: proved to fit int32 instead."""

    kind: ClassVar[str] = "requantize"


@dataclass(frozen=True, kw_only=True)
class RequantizeRelu(Scaling):
    """out = source * mult / 2^shift, kept inside 0..127: codes behind a ReLU."""

    kind: ClassVar[str] = "requantize_relu"
    clamp: ClassVar[tuple[int, int] | None] = (0, CODE_MAX)
    shift_min: ClassVar[int] = RELU_SHIFT_MIN


@dataclass(frozen=True, kw_only=True)
class RequantizeCode(Scaling):
    """out = source * mult / 2^shift, kept inside -127..127: codes of 8 bits."""

    kind: ClassVar[str] = "requantize_code"
    clamp: ClassVar[tuple[int, int] | None] = (-CODE_MAX, CODE_MAX)


@dataclass(frozen=True, kw_only=True)
class RequantizeFine(Scaling):
    """out = source * mult / 2^shift, kept inside -2047..2047: codes of 12 bits."""

    kind: ClassVar[str] = "requantize_fine"
    clamp: ClassVar[tuple[int, int] | None] = (-FINE_MAX, FINE_MAX)


@dataclass(frozen=True, kw_only=True)
class RequantizeWide(Scaling):
    """out = source * mult / 2^shift, kept inside +-(2^20 - 1): integers of 21 bits."""

    kind: ClassVar[str] = "requantize_wide"
    clamp: ClassVar[tuple[int, int] | None] = (-WIDE_MAX, WIDE_MAX)


@dataclass(frozen=True, kw_only=True)
class Add(Scaling):
    """out = out + source * mult / 2^shift, kept inside +-(2^20 - 1): the residual stream."""

    kind: ClassVar[str] = "add"
    clamp: ClassVar[tuple[int, int]] = (-WIDE_MAX, WIDE_MAX)

    @property
    def begins(self) -> bool:
        """See Op."""
        return False

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        return {self.out: np.clip(values[self.out] + self._scaled(net, values), *self.clamp)}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Value by value."""
        pairs = zip(values[self.out], self._scaled_ref(net, values), strict=True)
        return {self.out: _clamped([fits(a + b, self.kind) for a, b in pairs], *self.clamp)}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """The accumulator and its product with the multiplier."""
        scaled, proofs = self._scaled_bounds(net, values)
        before = values[self.out]
        return Interval(before.low + scaled.low, before.high + scaled.high).clipped(self.clamp), proofs


def _clamped(values: list[int], low: int, high: int) -> list[int]:
    return [min(max(value, low), high) for value in values]
