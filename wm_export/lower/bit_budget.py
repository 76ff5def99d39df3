"""Which layers get INT4 weights so that a frame fits a budget of compute units, at the least loss."""

from collections.abc import Sequence

from wm_export.lower.cost import PRESET_OVERHEADS, memory_cu
from wm_export.lower.lowering import lower
from wm_export.lower.sensitivity import NARROW_BITS, Sensitivity, routines
from wm_export.schema.limits import TREE_LEVELS
from wm_quant.qnet import QNet


def choose(table: Sequence[Sensitivity], frame_cu: int, budget: int) -> dict[str, int]:
    """Bits of the layers that get fewer: the least loss for each unit saved goes first, until the frame fits.

    frame_cu  compute units of a frame without any INT4
    returns   layer -> bits; every layer that saves anything if not even that is enough
    """
    useful = [layer for layer in table if layer.saved_cu > 0]
    bits: dict[str, int] = {}
    for layer in sorted(useful, key=lambda layer: (layer.loss / layer.saved_cu, -layer.saved_cu)):
        if frame_cu <= budget:
            break
        bits[layer.layer] = NARROW_BITS
        frame_cu -= layer.saved_cu
    return bits


def around_cu(net: QNet) -> int:
    """Compute units of a frame around its kernels, as metered for a preset of the same ops; 0 if there is none.

    Compiled code, the digest of what the network keeps, and the most that the session's hash tree can cost. An
    estimate: a build meters the network's own.
    """
    names = set(routines(net))
    for overheads in PRESET_OVERHEADS.values():
        if set(overheads.ops) == names:
            # A leaf that joins m pairs leaves a tree of at most TREE_LEVELS - m peaks.
            tree = TREE_LEVELS * max(overheads.merge, overheads.peak)
            return sum(overheads.ops.values()) + sum(overheads.steps) + tree + memory_cu(lower(net))
    return 0
