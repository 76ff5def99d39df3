"""ONNX forms of what is computed value by value: multiplying down, adding, tables, norms, and parts of vectors."""

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from wm_export.onnx.graph_builder import Graph
from wm_quant.ops.base import Slice
from wm_quant.ops.gate import Gate
from wm_quant.ops.norm import LOW, LOW_BITS, RMSNorm
from wm_quant.ops.put import Put
from wm_quant.ops.requantize import Add, Scaling
from wm_quant.ops.table import Lut
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import EXACT_BITS
from wm_train.grid.integer_mamba2 import FINE_CODES, FINE_MAX

Names = Mapping[str, str]


def read(graph: Graph, net: QNet, op: Slice, values: Names) -> str:
    """(B, N) what an op reads of its source."""
    whole = op.size == net.sizes[op.source]
    return values[op.source] if whole else graph.part(values[op.source], op.first, op.size)


def put_form(graph: Graph, net: QNet, op: Put, values: Names) -> dict[str, str]:
    """Its own between what was put before it and what comes behind, which is zero so far."""
    own, (first, end) = graph.part(values[op.source], op.first, op.count), op.stretch
    if op.begins:
        return {op.out: graph.add("Pad", own, graph.constant(f"{op.name}.pads", np.array([0, 0, 0, op.size - end])))}
    before, behind = graph.part(values[op.out], 0, first), graph.part(values[op.out], end, op.size - end)
    return {op.out: graph.concat([before, own, behind] if end < op.size else [before, own], 1)}


def _scaled(graph: Graph, net: QNet, op: Scaling, values: Names) -> str:
    mult = graph.constant(f"{op.name}.mult", net.ints(op, "mult"))
    return graph.requantize(read(graph, net, op, values), mult, op.shift)


def scaling_form(graph: Graph, net: QNet, op: Scaling, values: Names) -> dict[str, str]:
    """Multiplied down, and kept in the op's range."""
    scaled = _scaled(graph, net, op, values)
    return {op.out: scaled if op.clamp is None else graph.clip(scaled, *op.clamp)}


def add_form(graph: Graph, net: QNet, op: Add, values: Names) -> dict[str, str]:
    """The same, added to what was there."""
    return {op.out: graph.clip(graph.add("Add", values[op.out], _scaled(graph, net, op, values)), *op.clamp)}


def gate_form(graph: Graph, net: QNet, op: Gate, values: Names) -> dict[str, str]:
    """Two vectors multiplied."""
    return {op.out: graph.requantize(read(graph, net, op, values), values[op.by], op.shift)}


def lut_form(graph: Graph, net: QNet, op: Lut, values: Names) -> dict[str, str]:
    """All tables end to end, and where each value's own begins."""
    table = graph.constant(f"{op.name}.table", net.ints(op, "table").ravel())
    starts = graph.constant(f"{op.name}.starts", net.ints(op, "group") * len(FINE_CODES) + FINE_MAX + 1)
    return {op.out: graph.add("Gather", table, graph.add("Add", read(graph, net, op, values), starts), axis=0)}


def norm_form(graph: Graph, net: QNet, op: RMSNorm, values: Names) -> dict[str, str]:
    """The sum's exponent is counted: one for each power of 4 that the sum has reached."""
    source = read(graph, net, op, values)
    squares = graph.total(graph.add("Mul", source, source))
    total = graph.add("Add", squares, int(net.tensor(op, "eps")[0]))
    powers = graph.constant("norm.powers", np.array([(1 << bits) - 1 for bits in range(2, EXACT_BITS, 2)]))
    power = graph.total(graph.cast(graph.add("Greater", total, powers), TensorProto.INT64))
    # Below 256 a sum is shifted up; here all are, by as much as that can be, and then down.
    up = LOW_BITS - 1
    mantissa = graph.shift_by(graph.add("Mul", total, 1 << up), graph.add("Mul", power, 2))
    table = graph.constant(f"{op.name}.table", net.ints(op, "table"))
    root = graph.add("Gather", table, graph.add("Sub", mantissa, LOW), axis=0)
    shift = graph.add("Add", power, op.shift - up // 2)
    return {op.out: graph.shift_by(graph.add("Mul", source, root), shift, rounded=True)}
