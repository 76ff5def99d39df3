"""The ops of a QNet as ONNX nodes on (B, N) int64 values: one form for each class of op."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from wm_export.errors import WmExportError
from wm_export.onnx.graph_builder import MIDDLE, Graph
from wm_quant.ops.base import BIAS, Op, Slice, Sum
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gather import Gather
from wm_quant.ops.kinds import Add, Conv, Gate, Lut, RMSNorm
from wm_quant.ops.requantize import (
    Requantize,
    RequantizeCode,
    RequantizeFine,
    RequantizeRelu,
    RequantizeWide,
    Scaling,
)
from wm_quant.ops.ssm import SSM
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN, Ints
from wm_train.grid.integer_mlp import table_starts

#: Vectors by name -> their values in the graph.
Names = Mapping[str, str]
#: (graph, net, op, values) -> the value of the op's `out`: adds the nodes of one op of its class.
Form = Callable[..., str]

#: The form of each class. A subclass has none of its own accord: it may compute something else.
FORMS: dict[type[Op], Form] = {}
#: Ops that have no form yet.
NOT_YET: tuple[type[Op], ...] = (Add, RMSNorm, Conv, Lut, SSM, Gate)


def form(*classes: type[Op]) -> Callable[[Form], Form]:
    """Decorates the form of these classes."""

    def register(function: Form) -> Form:
        FORMS.update(dict.fromkeys(classes, function))
        return function

    return register


def need_forms(net: QNet) -> None:
    """WmExportError naming the kinds of a network's ops that have no form."""
    if missing := dict.fromkeys(op.kind for op in net.ops if type(op) not in FORMS):
        raise WmExportError(
            f"onnx: no form yet for {', '.join(missing)}: a {net.model.arch} runs in the interpreter only "
            "(evaluate, rollout, report); export an mlp"
        )


def network(graph: Graph, net: QNet, given: Names) -> dict[str, str]:
    """Every vector that an op writes, by its name in the Trace. `given`: the values of codes, ids and session_bias."""
    written: dict[str, str] = {}
    for op in net.ops:
        written[op.out] = FORMS[type(op)](graph, net, op, {**given, **written})
    return written


def _start(graph: Graph, net: QNet, op: Sum, values: Names) -> str:
    """What a sum adds to."""
    if op.init == BIAS:
        return graph.constant(f"{op.name}.bias", net.ints(op, BIAS))
    return values[op.init or op.out]


def _slice(graph: Graph, net: QNet, op: Slice, values: Names) -> str:
    """(B, N) what it reads of its source."""
    if op.size == net.sizes[op.source]:
        return values[op.source]
    ends = (graph.constant(f"int64.[{end}]", np.array([end])) for end in (op.first, op.first + op.size))
    return graph.add("Slice", values[op.source], *ends, graph.constant("axis.1", np.array([1])))


def _unsigned(rows: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (rows.astype(np.int16) + MIDDLE).astype(np.uint8)


def _need_bytes(net: QNet, op: Matvec) -> None:
    """WmExportError where what a product reads may not fit INT8: MatMulInteger takes nothing wider."""
    clamps = [other.clamp for other in net.ops if other.out == op.source]
    if not all(clamp and clamp[0] >= CODE_MIN and clamp[1] <= CODE_MAX for clamp in clamps):
        raise WmExportError(f'onnx: op "{op.name}" multiplies {op.source!r}, which may not fit INT8; expected '
                            "codes or what a requantize kept inside -128..127")  # fmt: skip


@form(Matvec)
def _matvec(graph: Graph, net: QNet, op: Matvec, values: Names) -> str:
    _need_bytes(net, op)
    start, rows = _start(graph, net, op, values), net.tensor(op, "rows").T
    codes = graph.cast(graph.add("Add", values[op.source], MIDDLE), TensorProto.UINT8)
    if rows.dtype == np.int8:
        return graph.add("Add", start, graph.product(codes, graph.constant(f"{op.name}.rows", _unsigned(rows))))
    # In two bytes: 256 * high + low, high with a zero point of its own.
    high, low = (rows >> 8).astype(np.int8), (rows & 255).astype(np.uint8)
    upper = graph.product(codes, graph.constant(f"{op.name}.rows.high", _unsigned(high)))
    lower = graph.product(codes, graph.constant(f"{op.name}.rows.low", low), zero=0)
    return graph.add("Add", start, graph.add("Add", graph.add("Mul", upper, 256), lower))


@form(Gather)
def _gather(graph: Graph, net: QNet, op: Gather, values: Names) -> str:
    start: Ints = table_starts([f for _, _, f in net.world.encoding.id_fields()])[:-1]
    rows, starts = graph.constant(f"{op.name}.rows", _unsigned(net.tensor(op, "rows"))), f"{op.name}.starts"
    picks = graph.add("Add", values[op.source], graph.constant(starts, start))
    picked = graph.add("Gather", rows, picks, axis=0)
    # A row of ones (here 129) sums the picked rows without widening them first: seven times faster than ReduceSum.
    ones = graph.constant(f"{op.name}.ones", np.full((1, len(start)), MIDDLE + 1, np.uint8))
    total = graph.reshape(graph.product(ones, picked), op.size)
    scaled = graph.add("Mul", total, graph.constant(f"{op.name}.k", net.ints(op, "k")))
    return graph.add("Add", _start(graph, net, op, values), scaled)


@form(Requantize, RequantizeRelu, RequantizeCode, RequantizeFine, RequantizeWide)
def _scaling(graph: Graph, net: QNet, op: Scaling, values: Names) -> str:
    mult = graph.constant(f"{op.name}.mult", net.ints(op, "mult"))
    scaled = graph.requantize(_slice(graph, net, op, values), mult, op.shift)
    return scaled if op.clamp is None else graph.clip(scaled, *op.clamp)
