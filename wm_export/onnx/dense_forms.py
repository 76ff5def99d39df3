"""ONNX forms of matrix products: of codes and rows, in groups, and of ids."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from wm_export.errors import WmExportError
from wm_export.onnx.graph_builder import MIDDLE, Byte, Graph
from wm_quant.ops.base import BIAS, Sum
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gather import Gather
from wm_quant.ops.within import Within
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN, Ints
from wm_train.grid.integer_mlp import table_starts

Names = Mapping[str, str]


def _start(graph: Graph, net: QNet, op: Sum, values: Names) -> str:
    """What a sum adds to."""
    if op.init == BIAS:
        return graph.constant(f"{op.name}.bias", net.ints(op, BIAS))
    return values[op.init or op.out]


def _codes(graph: Graph, net: QNet, op: Matvec | Within, values: Names) -> list[Byte]:
    """What a product reads, in as many bytes as it needs. WmExportError where it may not fit two."""
    ends = [other.ends for other in net.ops if other.out == op.source]
    if all(end and end[0] >= CODE_MIN and end[1] <= CODE_MAX for end in ends):
        return [Byte(graph.cast(graph.add("Add", values[op.source], MIDDLE), TensorProto.UINT8))]
    if not all(end and max(-end[0], end[1]) < MIDDLE << 8 for end in ends):
        raise WmExportError(f'onnx: op "{op.name}" multiplies {op.source!r}, which may not fit 16 bits; expected '
                            "codes, or what a norm or a requantize kept inside them")  # fmt: skip
    lifted = graph.add("Add", values[op.source], MIDDLE << 8)
    high, low = (graph.cast(graph.add(kind, lifted, 256), TensorProto.UINT8) for kind in ("Div", "Mod"))
    return [Byte(high, factor=256), Byte(low, zero=0)]


def _rows(graph: Graph, name: str, rows: NDArray[Any], pick: Callable[[str], str] = str) -> list[Byte]:
    """What is picked of rows, which are held under a name of their own: a byte of INT8 or less, two of more."""
    if rows.dtype == np.int8:
        return [Byte(pick(graph.constant(f"{name}.rows", _lifted(rows))))]
    high, low = (rows >> 8).astype(np.int8), (rows & 255).astype(np.uint8)
    upper = Byte(pick(graph.constant(f"{name}.rows.high", _lifted(high))), factor=256)
    return [upper, Byte(pick(graph.constant(f"{name}.rows.low", low)), zero=0)]


def _lifted(rows: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (rows.astype(np.int16) + MIDDLE).astype(np.uint8)


def matvec_form(graph: Graph, net: QNet, op: Matvec, values: Names) -> dict[str, str]:
    """One product for each pair of bytes."""
    products = graph.product(_codes(graph, net, op, values), _rows(graph, op.name, net.tensor(op, "rows").T))
    return {op.out: graph.add("Add", _start(graph, net, op, values), products)}


def within_form(graph: Graph, net: QNet, op: Within, values: Names) -> dict[str, str]:
    """Rows, bias and multipliers of the chosen group, picked before they are multiplied."""
    of_groups = graph.cast(graph.part(values[op.by], op.first, op.groups), TensorProto.INT32)
    group = graph.add("ArgMax", of_groups, axis=1, keepdims=0, select_last_index=0)

    def pick(held: str) -> str:
        return graph.add("Gather", held, group, axis=0)

    columns = net.sizes[op.source]
    codes = [byte.as_value(graph.reshape(byte.value, 1, columns)) for byte in _codes(graph, net, op, values)]
    rows = _rows(graph, op.name, net.tensor(op, "rows").swapaxes(1, 2), pick)
    products = graph.reshape(graph.product(codes, rows), op.size)
    bias, mult = (pick(graph.constant(f"{op.name}.{part}", net.ints(op, part))) for part in ("bias", "mult"))
    return {op.out: graph.requantize(graph.add("Add", bias, products), mult, op.shift)}


def gather_form(graph: Graph, net: QNet, op: Gather, values: Names) -> dict[str, str]:
    """The picked rows, added up."""
    start: Ints = table_starts([f for _, _, f in net.world.encoding.id_fields()])[:-1]
    rows, starts = graph.constant(f"{op.name}.rows", _lifted(net.tensor(op, "rows"))), f"{op.name}.starts"
    picks = graph.add("Add", values[op.source], graph.constant(starts, start))
    picked = graph.add("Gather", rows, picks, axis=0)
    # A row of ones (here 129) sums the picked rows without widening them first: seven times faster than ReduceSum.
    ones = graph.constant(f"{op.name}.ones", np.full((1, len(start)), MIDDLE + 1, np.uint8))
    total = graph.reshape(graph.product([Byte(ones)], [Byte(picked)]), op.size)
    scaled = graph.add("Mul", total, graph.constant(f"{op.name}.k", net.ints(op, "k")))
    return {op.out: graph.add("Add", _start(graph, net, op, values), scaled)}
