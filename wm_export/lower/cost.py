"""Compute units of a frame, exactly: kernels by formula, the compiled Rust around them by constants of the toolchain.

The cost of no op depends on data. What runs inside a kernel is counted from its instruction list (kernels.py). Around
the kernels stands compiled Rust: argument set-up, the world rules, account checks, both players' inputs. That part is
straight-line; its constants depend on compiler and model shape, and are metered once when a program is built
(Overheads). For the presets, built with the Debian pipeline, they are committed here and tested.

What a network keeps from frame to frame is hashed once a frame: a system call, whose price the runtime states.

One thing depends on the frame's number, and on nothing else: the session's hash tree. Appending leaf `n` joins as many
pairs of nodes as `n` has ones at its end, one a frame on average; its root is over as many peaks as `n + 1` has ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wm_export.lower.kernels import kernel_named
from wm_export.lower.lowered_program import Call, Plan, Program, Routine
from wm_export.lower.lowering import lower
from wm_export.lower.memory import memory
from wm_export.schema.limits import TREE_LEVELS
from wm_quant.errors import WmQuantError
from wm_quant.presets import preset

#: The runtime's price of a sha256, and the least of each part that it is taken of, which costs half a unit a byte.
SHA256_CU, SHA256_PART_CU = 85, 10


@dataclass(frozen=True)
class Overheads:
    """Compute units of compiled code: `ops` by name, beyond the op's kernels; `steps` for each transaction of the Plan,
    entrypoint and account checks; `merge` for each pair of nodes joined in the hash tree, `peak` for each peak
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
    memory   of the digest of what the network keeps; in the last transaction
    """

    ops: tuple[OpCost, ...]
    plan: Plan
    steps: tuple[int, ...]
    merge: int
    peak: int
    slots: int
    memory: int = 0

    def transactions(self, frame: int) -> list[int]:
        """Compute units of each transaction of frame number `frame`."""
        own = [own + sum(op.cu for op in self.ops[a:b]) for (a, b), own in zip(self.plan, self.steps, strict=True)]
        own[-1] += self._tree(frame + self.slots) + self.memory
        return own

    @property
    def worst(self) -> list[int]:
        """Compute units of each transaction of the most expensive frame that a session can have."""
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


def memory_cu(program: Program) -> int:
    """Compute units of the digest of what a network keeps: of the runtime, for each sha256 of so many bytes."""
    return sum(SHA256_CU + sum(max(SHA256_PART_CU, part // 2) for part in parts) for parts in memory(program).hashed)


def call_cu(call: Call) -> int:
    """Compute units inside a kernel call, exactly."""
    kernel = kernel_named(call.function)
    # The numbers among the operands begin with the kernel's sizes.
    return kernel.cu(**dict(zip(kernel.sizes, call.sizes, strict=False)))


def kernel_cu(routine: Routine) -> int:
    """Compute units of a routine inside kernels."""
    return sum(call_cu(call) for call in routine.kernel_calls)


def cost(program: Program, overheads: Overheads) -> Cost:
    """The Cost of a frame of a program whose compiled code has these Overheads."""
    ops = tuple(OpCost(it.name, it.kind, it.macs, kernel_cu(it), overheads.ops[it.name]) for it in program.routines)
    tree = overheads.merge, overheads.peak
    return Cost(ops, program.plan, overheads.steps, *tree, program.slots, memory_cu(program))


_MLP = Overheads(
    {
        "begin": 0,
        "layer1": 60,
        "gather": 1692,
        "relu1": 8,
        "layer2": 16,
        "heads": 15,
        "decode": 841,
        "push": 699,
    },
    (1842,),
    166,
    28,
    "debian",
)
_MAMBA2_BLOCK = {
    "norm": 7,
    "in_proj": 24,
    "conv": 29,
    "ssm": 17,
    "y_scale": 7,
    "out_proj": 16,
}
_MAMBA2 = Overheads(
    {
        "begin": 0,
        "layer1": 783,
        "gather": 134,
        "enter": 8,
        **{f"blocks.0.{name}": cu for name, cu in _MAMBA2_BLOCK.items()},
        **{f"blocks.1.{name}": cu for name, cu in _MAMBA2_BLOCK.items()},
        "blocks.1.in_proj": 25,
        "blocks.1.conv": 30,
        "blocks.1.ssm": 16,
        "blocks.1.y_scale": 8,
        "blocks.1.out_proj": 13,
        "norm": 7,
        "heads": 6,
        "decode": 924,
        "push": 764,
    },
    (1972,),
    164,
    28,
    "debian",
)
#: Metered when the presets were built by scripts/sbpf.sh for DEFAULT_ARCH (rustc 1.96, LLVM 22.1): tests meter again.
PRESET_OVERHEADS: Mapping[str, Overheads] = {
    "mlp": _MLP,
    "mlp-two-level": replace(_MLP, ops={**_MLP.ops, "decode": 846}),
    "mlp-int4": replace(_MLP, ops={**_MLP.ops, "heads": 7}),
    "mamba2-small": _MAMBA2,
}


def preset_cost(name: str) -> Cost:
    """The Cost of a preset in one transaction, from formulas and committed constants; nothing is built."""
    net = preset(name)
    if name not in PRESET_OVERHEADS:
        raise WmQuantError(
            f"preset {name}: its compiled code has not been metered; known: {', '.join(PRESET_OVERHEADS)}"
        )
    return cost(lower(net), PRESET_OVERHEADS[name])
