"""A QNet as kernel calls: which kernel, on which rows and columns, padded to what the kernel can do.

This is the one place that knows the kernels' geometry. cost.py sums it up, the exporter lays out bytes by it, the
generated Rust makes exactly these calls.
"""

from dataclasses import dataclass

from wm_quant.errors import WmQuantError
from wm_quant.kernels import (
    GATHER_BYTES_PER_WORD,
    GATHER_UNROLL,
    GATHER_WORDS,
    MATVEC_MAX_R,
    MATVEC_TILE,
    REQUANTIZE_UNROLL,
    gather_cu,
    matvec_cu,
    matvec_name,
    requantize_cu,
    requantize_relu_cu,
)
from wm_quant.qnet import Op, QNet
from wm_train.frames import CONTROLS, PLAYERS
from wm_train.grid import WEIGHT_GRIDS, WeightGrid

GATHER_BLOCK = GATHER_WORDS * GATHER_BYTES_PER_WORD
#: Kinds of ops that have a kernel, and a form in ONNX.
KERNEL_KINDS = ("matvec", "gather", "requantize_relu", "requantize")


def need_kernels(net: QNet) -> None:
    """WmQuantError naming the kinds of a network's ops that run in the interpreter only."""
    if missing := dict.fromkeys(op.kind for op in net.ops if op.kind not in KERNEL_KINDS):
        raise WmQuantError(
            f"no kernel yet for {', '.join(missing)}: a {net.model.arch} runs in the interpreter only "
            "(evaluate, rollout, report); export an mlp"
        )
    if late := [op.name for op in net.ops if op.first]:
        raise WmQuantError(f"no kernel reads its source from the middle on, as {', '.join(late)} of this network do")


def padded(size: int, step: int) -> int:
    """`size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


@dataclass(frozen=True)
class Call:
    """One kernel call.

    op            the op it belongs to
    kernel        kernel function
    row, column   first row of `out` and first column of `source` (matvec)
    groups, columns, accumulators   of a matvec
    n             elements of a requantize, rows of a gather
    blocks        of a gather
    """

    op: Op
    kernel: str
    row: int = 0
    column: int = 0
    groups: int = 0
    columns: int = 0
    accumulators: int = 0
    n: int = 0
    blocks: int = 0

    @property
    def rows(self) -> int:
        """Rows that a matvec call covers, padding included."""
        return self.groups * self.accumulators * self.grid.lanes

    @property
    def grid(self) -> WeightGrid:
        """What the op's weights are, and how they lie in a word."""
        return WEIGHT_GRIDS[self.op.bits]

    @property
    def cu(self) -> int:
        """Compute units inside the kernel, exactly."""
        if self.op.kind == "matvec":
            return matvec_cu(self.accumulators, self.groups, self.columns, self.op.bits)
        if self.op.kind == "gather":
            return gather_cu(self.n, self.blocks)
        return (requantize_relu_cu if self.op.kind == "requantize_relu" else requantize_cu)(self.n)


def row_parts(op: Op) -> list[tuple[int, int, int]]:
    """(first row, groups, accumulators) of the parts of a matvec: as many full groups as fit, then one smaller."""
    lanes = WEIGHT_GRIDS[op.bits].lanes
    full = op.size // (lanes * MATVEC_MAX_R)
    done = full * lanes * MATVEC_MAX_R
    rest = -(-(op.size - done) // lanes)
    return [(0, full, MATVEC_MAX_R)] * (full > 0) + [(done, 1, rest)] * (rest > 0)


def column_parts(op: Op, columns: int) -> list[tuple[int, int]]:
    """(first column, columns) of the blocks between lane flushes, padded to whole tiles."""
    total = padded(columns, MATVEC_TILE)
    return [(start, min(op.block, total - start)) for start in range(0, total, op.block)]


def vector_sizes(net: QNet) -> dict[str, int]:
    """Length of every vector in memory: large enough for every kernel that reads or writes it; the rest is zero."""
    encoding = net.world.encoding
    sizes = {"codes": padded(encoding.dense_columns, MATVEC_TILE)}
    if not encoding.conditioned:
        # The network does not read the following inputs; they wait here until their slot is pushed.
        sizes["controls"] = PLAYERS * len(CONTROLS)
    for op in net.ops:
        step = {"matvec": 1, "gather": GATHER_BLOCK}.get(op.kind, MATVEC_TILE)
        size = padded(op.size, step)
        if op.kind == "matvec":
            size = max(first + groups * r * WEIGHT_GRIDS[op.bits].lanes for first, groups, r in row_parts(op))
        sizes[op.out] = max(sizes.get(op.out, 0), size, padded(op.size, REQUANTIZE_UNROLL))
    return sizes


def _columns(net: QNet, op: Op) -> int:
    return int(net.tensor(op, "rows").shape[1])


def op_calls(net: QNet, op: Op) -> list[Call]:
    """The calls of one op, in order; none of a kind that has no kernel yet."""
    if op.kind not in KERNEL_KINDS:
        return []
    if op.kind == "matvec":
        return [
            Call(op, matvec_name(r, op.bits), row=row, column=column, groups=groups, columns=columns, accumulators=r)
            for column, columns in column_parts(op, _columns(net, op))
            for row, groups, r in row_parts(op)
        ]
    if op.kind == "gather":
        ids = len(list(net.world.encoding.id_fields()))
        return [
            Call(op, "gather_add", n=padded(ids, GATHER_UNROLL), blocks=padded(op.size, GATHER_BLOCK) // GATHER_BLOCK)
        ]
    return [Call(op, op.kind, n=padded(op.size, REQUANTIZE_UNROLL))]


def macs(net: QNet, op: Op) -> int:
    """Multiply-accumulates of a matvec, padding left out; 0 for other ops."""
    return op.size * _columns(net, op) if op.kind == "matvec" else 0
