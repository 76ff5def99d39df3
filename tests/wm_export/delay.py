"""An op with a memory that the program can run: it gives what it read one frame ago."""

from dataclasses import dataclass, replace
from typing import ClassVar

from tests.factories import small_model, small_qnet
from wm_export.lower.builder import Builder
from wm_export.lower.dense_lowering import COPY
from wm_export.lower.lowered_program import Call, Read, Routine, Write, padded
from wm_quant.ops.base import Network, Numbers, Slice, Tensor, Values
from wm_quant.ops.intervals import Bounds, Intervals
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import TILE_COLUMNS


@dataclass(frozen=True, kw_only=True)
class Delay(Slice):
    """out = source of the frame before; zeros at first."""

    kind: ClassVar[str] = "delay"

    def tensors(self, net: Network) -> dict[str, Tensor]:
        return {}

    def memory(self, net: Network) -> int:
        return self.size

    def run(self, net: Network, values: Values) -> Values:
        return {self.out: values[self.kept], self.kept: self.read(values)}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        return {self.out: values[self.kept], self.kept: self.read_ref(values)}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        return self.read_bounds(values), []  # of codes behind a ReLU, which may be zero


def lower_delay(op: Delay, builder: Builder) -> Routine:
    """Two copies."""
    out = builder.write(op.out, padded(op.size, TILE_COLUMNS))
    calls = (
        Call(COPY, (Read(op.kept), out, op.size)),
        Call(COPY, (Read(op.source, op.first), Write(op.kept), op.size)),
    )
    return Routine(op.name, op.kind, f"{op.out} = {op.source} of the frame before", calls)


def delayed_qnet() -> QNet:
    """A small network whose second layer reads what the first gave one frame ago."""
    net = small_qnet(small_model(slots=1))
    size = net.sizes["hidden1"]
    delay = Delay(name="late", source="hidden1", out="late1", size=size)
    at = [op.name for op in net.ops].index("layer2")
    layer2 = replace(net.ops[at], source="late1")
    return replace(net, ops=(*net.ops[:at], delay, layer2, *net.ops[at + 1 :]))
