"""Compute units of a frame, exactly: kernels by formula, the compiled Rust around them by constants of the toolchain.

No op branches on data. What runs inside a kernel is counted from its instruction list (kernels.py). Around the kernels
stands compiled Rust: argument set-up, the world rules, account checks, both players' inputs. That part is straight-line
too; its constants depend on compiler and model shape, and are metered once when a program is built (Overheads). For the
presets, built with the Debian pipeline, they are committed here and tested.

One thing depends on the frame's number, and on nothing else: the session's hash tree. Appending leaf `n` joins as many
pairs of nodes as `n` has ones at its end, one a frame on average; its root is over as many peaks as `n + 1` has ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wm_quant.calls import macs, need_kernels, op_calls
from wm_quant.errors import WmQuantError
from wm_quant.kernels import argmax_cu, argmax_within_cu
from wm_quant.presets import preset
from wm_quant.qnet import QNet
from wm_train.frames import PLAYERS
from wm_train.world import Head

#: Most compute units of one transaction.
TRANSACTION_BUDGET = 1_400_000
#: Levels of a session's hash tree: 2^24 leaves are 77 hours at 60 frames a second.
TREE_LEVELS = 24


@dataclass(frozen=True)
class Overheads:
    """Compute units of compiled code: `ops` by op name, beyond the op's kernels; `steps` for each transaction of the
    Plan, entrypoint and account checks; `merge` for each pair of nodes joined in the hash tree, `peak` for each peak
    that its root is over."""

    ops: Mapping[str, int]
    steps: tuple[int, ...]
    merge: int
    peak: int
    toolchain: str = ""


def merges(leaf: int) -> int:
    """Pairs of nodes that are joined when leaf number `leaf` is appended to a hash tree of as many leaves."""
    return (leaf ^ (leaf + 1)).bit_length() - 1


@dataclass(frozen=True)
class OpCost:
    """One row of the cost table; `cu` is kernel_cu + overhead_cu."""

    name: str
    kind: str
    macs: int
    kernel_cu: int
    overhead_cu: int

    @property
    def cu(self) -> int:
        """Compute units of the op."""
        return self.kernel_cu + self.overhead_cu


@dataclass(frozen=True)
class Cost:
    """What a frame costs: its ops in order, and its transactions as (first op, op after the last).

    slots    frames in the window: leaves of the hash tree before frame 0
    """

    ops: tuple[OpCost, ...]
    plan: tuple[tuple[int, int], ...]
    steps: tuple[int, ...]
    merge: int
    peak: int
    slots: int

    def transactions(self, frame: int) -> list[int]:
        """Compute units of each transaction of frame number `frame`."""
        own = [own + sum(op.cu for op in self.ops[a:b]) for (a, b), own in zip(self.plan, self.steps, strict=True)]
        own[-1] += self._tree(frame + self.slots)
        return own

    @property
    def worst(self) -> list[int]:
        """Compute units of each transaction of the dearest frame that a session can have."""
        full = 1 << TREE_LEVELS
        last = max((full - (1 << i) - 1 for i in range(TREE_LEVELS)), key=lambda leaf: self._tree(leaf))
        return self.transactions(last - self.slots)

    @property
    def total_cu(self) -> int:
        """Compute units of a session's first frame."""
        return sum(self.transactions(frame=0))

    def _tree(self, leaf: int) -> int:
        """Compute units of appending leaf number `leaf`, beyond what every frame costs."""
        return self.merge * merges(leaf) + self.peak * (leaf + 1).bit_count()

    @property
    def cu_per_mac(self) -> float:
        """Compute units a multiply-accumulate, over all matvecs, flushes and calls included."""
        dense = [op for op in self.ops if op.macs]
        return sum(op.cu for op in dense) / sum(op.macs for op in dense)


def op_names(net: QNet) -> list[str]:
    """Every op of a frame, in order: the network's between those of the world."""
    return ["begin", *(op.name for op in net.ops), "decode", "push"]


def _choice_cu(head: Head) -> int:
    return argmax_within_cu(head.width) if head.within else argmax_cu(head.width)


def kernel_cost(net: QNet) -> dict[str, tuple[str, int, int]]:
    """Op name -> (kind, MACs, compute units inside kernels); an op that has no kernel yet counts nothing."""
    choices = [_choice_cu(head) for head in net.world.heads if head.kind == "choice"]
    table = {op.name: (op.kind, macs(net, op), sum(call.cu for call in op_calls(net, op))) for op in net.ops}
    decode = PLAYERS * sum(choices)
    world = {"begin": ("encode", 0, 0), "decode": ("decode", 0, decode), "push": ("encode", 0, 0)}
    return {name: (table | world)[name] for name in op_names(net)}


def cost(net: QNet, plan: tuple[tuple[int, int], ...], overheads: Overheads) -> Cost:
    """The Cost of a frame under a Plan; WmQuantError where an op has no kernel."""
    need_kernels(net)
    ops = tuple(
        OpCost(name, kind, count, kernel, overheads.ops[name])
        for name, (kind, count, kernel) in kernel_cost(net).items()
    )
    return Cost(ops, plan, overheads.steps, overheads.merge, overheads.peak, net.world.encoding.slots)


_MLP = Overheads(
    {
        "begin": 0,
        "layer1": 58,
        "gather": 1692,
        "relu1": 7,
        "layer2": 35,
        "relu2": 7,
        "heads": 58,
        "scale": 6,
        "decode": 902,
        "push": 848,
    },
    (1841,),
    164,
    28,
    "debian",
)
#: Metered when the presets were built by scripts/sbpf.sh (rustc 1.96, LLVM 22.1); tests meter them again.
PRESET_OVERHEADS: Mapping[str, Overheads] = {
    "mlp": _MLP,
    "mlp-two-level": replace(_MLP, ops={**_MLP.ops, "heads": 59, "decode": 901}),
    "mlp-int4": replace(_MLP, ops={**_MLP.ops, "layer1": 59, "layer2": 86}),
}


def preset_cost(name: str) -> Cost:
    """The Cost of a preset in one transaction, from formulas and committed constants; nothing is built."""
    net = preset(name)
    if name not in PRESET_OVERHEADS:
        raise WmQuantError(
            f"preset {name}: its compiled code has not been metered; known: {', '.join(PRESET_OVERHEADS)}"
        )
    return cost(net, ((0, len(op_names(net))),), PRESET_OVERHEADS[name])
