"""A function of one code as a lookup table (LUT): SiLU, from codes of 12 bits to codes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wm_quant.errors import WmQuantError
from wm_quant.ops.base import Network, Numbers, Slice, Tensor, Values, integers
from wm_quant.ops.intervals import Bounds, Interval, Intervals, below
from wm_train.grid.integer_mamba2 import FINE_CODES, FINE_MAX


@dataclass(frozen=True, kw_only=True)
class Lut(Slice):
    """out = table[group, source + 2048]; codes are -2047..2047, so the first entry is never picked."""

    kind: ClassVar[str] = "lut"

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """table (G, 4096) int16; group (N,) int8, the table of each value, 0..G - 1."""
        group = net.tensors.get(f"{self.name}.group", np.zeros(1, np.int8))
        tables = int(group.max(initial=0)) + 1
        return {
            "table": Tensor((tables, len(FINE_CODES)), np.int16),
            "group": Tensor((self.size,), np.int8, low=0),
        }

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        return {self.out: net.ints(self, "table")[net.ints(self, "group"), self.read(values) + FINE_MAX + 1]}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Code by code; WmQuantError where one has no entry."""
        codes, (table, group) = self.read_ref(values), (integers(net.tensor(self, part)) for part in ("table", "group"))
        if any(abs(code) > FINE_MAX for code in codes):
            raise WmQuantError(f"lut: codes {min(codes)}..{max(codes)}, expected {-FINE_MAX}..{FINE_MAX}")
        return {self.out: [table[g][code + FINE_MAX + 1] for g, code in zip(group, codes, strict=True)]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """What picks an entry; the ends of each table."""
        proofs = [below(self.name, f"an index of {self.source}", self.read_bounds(values).reach, FINE_MAX + 1)]
        tables = net.tensor(self, "table")[net.tensor(self, "group")].astype(np.float64)
        return Interval(tables.min(1), tables.max(1)), proofs
