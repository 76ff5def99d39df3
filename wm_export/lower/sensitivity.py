"""What INT4 weights cost a network and save it, layer by layer: one layer has them, all others keep INT8, or the
wider weights that the run's config gives them.

Weights are rounded as a run's conversion rounds them, without training; QAT wins most of the loss back, so what this
table is for is the order of the layers. It knows ops by name only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wm_export.lower import cost
from wm_export.lower.lowered_program import Routine
from wm_export.lower.lowering import lower
from wm_quant.convert import from_checkpoint
from wm_quant.prove import prove
from wm_quant.qnet import QNet
from wm_train.checkpoint import Checkpoint
from wm_train.config import one_network

#: Bits of the weights that the table is about.
NARROW_BITS = 4


@dataclass(frozen=True)
class Figures:
    """Held-out figures: errors in game units, `k10` the mean over rollouts of ten frames; accuracy 0..1, None where no
    action changes."""

    position_mae: float
    action_change_acc: float | None
    k10: float

    @staticmethod
    def of(measured: Mapping[str, Any]) -> "Figures":
        """Out of what evaluate.evaluate returns."""
        k10 = measured["rollout"]["10"]["position_mae_mean"]
        return Figures(measured["position_mae"], measured["action_change_acc"], k10)

    def loss(self, base: "Figures") -> float:
        """How much worse than `base`: the sum of the three figures' relative changes for the worse, 0 or more."""
        parts = (
            self.position_mae / max(base.position_mae, 1e-12) - 1,
            self.k10 / max(base.k10, 1e-12) - 1,
            1 - (self.action_change_acc or 0.0) / base.action_change_acc if base.action_change_acc else 0.0,
        )
        return sum(max(part, 0.0) for part in parts)


@dataclass(frozen=True)
class Sensitivity:
    """One layer. `cu`: compute units inside its kernels; `saved_cu`: how many fewer with INT4, both exact."""

    layer: str
    macs: int
    cu: int
    saved_cu: int
    figures: Figures
    loss: float


Measure = Callable[[QNet], Figures]


def wide_bits(checkpoint: Checkpoint) -> dict[str, int]:
    """Bits of the layers that have more than INT8."""
    return {layer: bits for layer, bits in checkpoint.config.model.bits.items() if bits > 8}


def quantized(checkpoint: Checkpoint, bits: Mapping[str, int]) -> QNet:
    """The checkpoint's QNet, proved, if its layers had weights of these bits."""
    model = replace(one_network(checkpoint.config.model), bits=bits)
    net = from_checkpoint(replace(checkpoint, config=replace(checkpoint.config, model=model)), "")
    prove(net)
    return net


def routines(net: QNet) -> dict[str, Routine]:
    """The routines of a frame by name."""
    return {routine.name: routine for routine in lower(net).routines}


def kernel_cu(net: QNet) -> int:
    """Compute units of a frame inside kernels."""
    return sum(map(cost.kernel_cu, routines(net).values()))


def sensitivities(checkpoint: Checkpoint, base: Figures, measure: Measure) -> Iterator[Sensitivity]:
    """A Sensitivity for each layer in the order of the ops; `base`: the figures without any INT4."""
    bits = wide_bits(checkpoint)
    wide = quantized(checkpoint, bits)
    before = routines(wide)
    for name in wide.model.layers:
        net = quantized(checkpoint, bits | {name: NARROW_BITS})
        figures, saved, layer = measure(net), kernel_cu(wide) - kernel_cu(net), before[name]
        yield Sensitivity(name, layer.macs, cost.kernel_cu(layer), saved, figures, figures.loss(base))
