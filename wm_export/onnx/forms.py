"""The ops of a QNet as ONNX nodes on (B, N) int64 values: one form for each class of op."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from wm_export.errors import WmExportError
from wm_export.onnx.graph_builder import MIDDLE, Graph
from wm_quant.ops.base import BIAS, Op, Slice, Sum
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gather import Gather
from wm_quant.ops.kinds import Add, Conv, Gate, Lut, RMSNorm
from wm_quant.ops.put import Put
from wm_quant.ops.requantize import (
    Requantize,
    RequantizeCode,
    RequantizeFine,
    RequantizeRelu,
    RequantizeWide,
    Scaling,
)
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.ops.within import Within
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
NOT_YET: tuple[type[Op], ...] = (Add, RMSNorm, Conv, Lut, SSM, ChunkedSSM, Gate)


def form(*classes: type[Op]) -> Callable[[Form], Form]:
    """Decorates the form of these classes."""

    def register(function: Form) -> Form:
        FORMS.update(dict.fromkeys(classes, function))
        return function

    return register


def formless(net: QNet) -> list[str]:
    """The kinds of a network's ops that have no form, each once."""
    return list(dict.fromkeys(op.kind for op in net.ops if type(op) not in FORMS))


def need_forms(net: QNet) -> None:
    """WmExportError naming the kinds of a network's ops that have no form."""
    if missing := formless(net):
        raise WmExportError(
            f"onnx: no form yet for {', '.join(missing)}: no graph holds a {net.model.arch}; next: wmq export --target "
            "solana, or export an mlp"
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
    return _part(graph, values[op.source], op.first, op.size)


@form(Put)
def _put(graph: Graph, net: QNet, op: Put, values: Names) -> str:
    """Its own between what was put before it and what comes behind, which is zero so far."""
    own, (first, end) = _part(graph, values[op.source], op.first, op.count), op.stretch
    if op.begins:
        return graph.add("Pad", own, graph.constant(f"{op.name}.pads", np.array([0, 0, 0, op.size - end])))
    before, behind = _part(graph, values[op.out], 0, first), _part(graph, values[op.out], end, op.size - end)
    return graph.concat([before, own, behind] if end < op.size else [before, own], 1)


def _part(graph: Graph, value: str, first: int, size: int) -> str:
    """(B, size) of (B, N), from `first` on."""
    ends = (graph.constant(f"int64.[{end}]", np.array([end])) for end in (first, first + size))
    return graph.add("Slice", value, *ends, graph.constant("axis.1", np.array([1])))


def _unsigned(rows: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (rows.astype(np.int16) + MIDDLE).astype(np.uint8)


def _need_bytes(net: QNet, op: Matvec | Within) -> None:
    """WmExportError where what a product reads may not fit INT8: MatMulInteger takes nothing wider."""
    clamps = [other.clamp for other in net.ops if other.out == op.source]
    if not all(clamp and clamp[0] >= CODE_MIN and clamp[1] <= CODE_MAX for clamp in clamps):
        raise WmExportError(f'onnx: op "{op.name}" multiplies {op.source!r}, which may not fit INT8; expected '
                            "codes or what a requantize kept inside -128..127")  # fmt: skip


@form(Matvec)
def _matvec(graph: Graph, net: QNet, op: Matvec, values: Names) -> str:
    _need_bytes(net, op)
    start = _start(graph, net, op, values)
    codes = graph.cast(graph.add("Add", values[op.source], MIDDLE), TensorProto.UINT8)
    return graph.add("Add", start, _product(graph, op.name, codes, net.tensor(op, "rows").T, lambda rows: rows))


def _product(graph: Graph, name: str, codes: str, rows: NDArray[Any], pick: Callable[[str], str]) -> str:
    """codes @ what is picked of rows (..., K, N), which are held under a name of their own."""
    if rows.dtype == np.int8:
        return graph.product(codes, pick(graph.constant(f"{name}.rows", _unsigned(rows))))
    # In two bytes: 256 * high + low, high with a zero point of its own.
    high, low = (rows >> 8).astype(np.int8), (rows & 255).astype(np.uint8)
    upper = graph.product(codes, pick(graph.constant(f"{name}.rows.high", _unsigned(high))))
    lower = graph.product(codes, pick(graph.constant(f"{name}.rows.low", low)), zero=0)
    return graph.add("Add", graph.add("Mul", upper, 256), lower)


@form(Within)
def _within(graph: Graph, net: QNet, op: Within, values: Names) -> str:
    _need_bytes(net, op)
    of_groups = graph.cast(_part(graph, values[op.by], op.first, op.groups), TensorProto.INT32)
    group = graph.add("ArgMax", of_groups, axis=1, keepdims=0, select_last_index=0)

    def pick(held: str) -> str:
        return graph.add("Gather", held, group, axis=0)

    columns = net.sizes[op.source]
    codes = graph.cast(graph.add("Add", values[op.source], MIDDLE), TensorProto.UINT8)
    rows = net.tensor(op, "rows").swapaxes(1, 2)
    products = graph.reshape(_product(graph, op.name, graph.reshape(codes, 1, columns), rows, pick), op.size)
    bias, mult = (pick(graph.constant(f"{op.name}.{part}", net.ints(op, part))) for part in ("bias", "mult"))
    return graph.requantize(graph.add("Add", bias, products), mult, op.shift)


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
