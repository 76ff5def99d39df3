"""Compute units of a frame, exactly: kernels by formula, the compiled Rust around them by constants of the toolchain.

No op branches on data, so every frame of a model costs the same. What runs inside a kernel is counted from its
instruction list (kernels.py). Around the kernels stands compiled Rust: argument set-up, the world rules, account
checks. That part is straight-line too; its constants depend on compiler and model shape, and are metered once when a
program is built (Overheads). For the presets, built with the Debian pipeline, they are committed here and tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wm_quant.calls import macs, op_calls
from wm_quant.errors import WmQuantError
from wm_quant.kernels import argmax_cu
from wm_quant.presets import preset
from wm_quant.qnet import QNet
from wm_train.frames import PLAYERS

#: Most compute units of one transaction.
TRANSACTION_BUDGET = 1_400_000


@dataclass(frozen=True)
class Overheads:
    """Compute units of compiled code: `ops` by op name, beyond the op's kernels; `steps` for each transaction of the
    Plan, entrypoint and account checks."""

    ops: Mapping[str, int]
    steps: tuple[int, ...]
    toolchain: str = ""


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
    """What a frame costs: its ops in order, and its transactions as (first op, op after the last)."""

    ops: tuple[OpCost, ...]
    plan: tuple[tuple[int, int], ...]
    steps: tuple[int, ...] = field(default=())

    @property
    def transactions(self) -> list[int]:
        """Compute units of each transaction."""
        return [own + sum(op.cu for op in self.ops[a:b]) for (a, b), own in zip(self.plan, self.steps, strict=True)]

    @property
    def total_cu(self) -> int:
        """Compute units of the frame."""
        return sum(self.transactions)

    @property
    def cu_per_mac(self) -> float:
        """Compute units a multiply-accumulate, over all matvecs, flushes and calls included."""
        dense = [op for op in self.ops if op.macs]
        return sum(op.cu for op in dense) / sum(op.macs for op in dense)


def op_names(net: QNet) -> list[str]:
    """Every op of a frame, in order: the network's between those of the world."""
    return ["begin", *(op.name for op in net.ops), "decode", "push"]


def kernel_cost(net: QNet) -> dict[str, tuple[str, int, int]]:
    """Op name -> (kind, MACs, compute units inside kernels)."""
    choices = [head.width for head in net.world.heads if head.kind == "choice"]
    table = {op.name: (op.kind, macs(net, op), sum(call.cu for call in op_calls(net, op))) for op in net.ops}
    decode = PLAYERS * sum(argmax_cu(width) for width in choices)
    world = {"begin": ("encode", 0, 0), "decode": ("decode", 0, decode), "push": ("encode", 0, 0)}
    return {name: (table | world)[name] for name in op_names(net)}


def cost(net: QNet, plan: tuple[tuple[int, int], ...], overheads: Overheads) -> Cost:
    """The Cost of one frame under a Plan."""
    ops = tuple(
        OpCost(name, kind, count, kernel, overheads.ops[name])
        for name, (kind, count, kernel) in kernel_cost(net).items()
    )
    return Cost(ops, plan, overheads.steps)


#: Metered when the presets were built by scripts/sbpf.sh (rustc 1.96, LLVM 22.1); tests meter them again.
PRESET_OVERHEADS: Mapping[str, Overheads] = {
    "mlp": Overheads(
        {
            "begin": 0,
            "layer1": 66,
            "gather": 1823,
            "relu1": 9,
            "layer2": 36,
            "relu2": 9,
            "heads": 61,
            "scale": 8,
            "decode": 867,
            "push": 779,
        },
        (513,),
        "debian",
    ),
}


def preset_cost(name: str) -> Cost:
    """The Cost of a preset in one transaction, from formulas and committed constants; nothing is built."""
    net = preset(name)
    if name not in PRESET_OVERHEADS:
        raise WmQuantError(
            f"preset {name}: its compiled code has not been metered; known: {', '.join(PRESET_OVERHEADS)}"
        )
    return cost(net, ((0, len(op_names(net))),), PRESET_OVERHEADS[name])
