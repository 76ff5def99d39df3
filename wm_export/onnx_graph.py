"""QNet -> one integer-only ONNX graph of the whole world step, batch first, no float anywhere.

    input          frame         int32 (B, 2 * len(STATE))
                   codes         int8  (B, slots * slot_columns)    the window's dense columns
                   ids           int64 (B, slots * slot_ids)
                   session_bias  int64 (B, N)
                   bounds        int64 (B, 4)
                   inputs        int8  (B, 2 * len(CONTROLS))       the following inputs
    output         trace.<name>  every tensor of the interpreter's Trace: codes int8, frame int32, the others int64
                   next_codes    int8, next_ids int64: with trace.frame, the next state; session_bias and
                   bounds stay

The world's rules are not written here: wm_train.world's encode and decode are recorded, once for both players, on
values of shape (B, 2, 1). ONNX has no signed shift, so a value is lifted by 2^62 and shifted as uint64.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wm_export.errors import WmExportError
from wm_export.scope import check_flags
from wm_export.trace_ops import Sym, SymOps
from wm_quant.calls import need_kernels
from wm_quant.qnet import SESSION_BIAS, Op, QNet
from wm_train.bounds import BOUNDS
from wm_train.encoding import Encoding
from wm_train.files import atomic_write_bytes
from wm_train.frames import CONTROLS, PLAYERS, STATE, STATE_INDEX
from wm_train.grid import CODE_MAX, Ints
from wm_train.integer import table_starts
from wm_train.world import LABELS, decode, encode, identify, ranges

FORMAT = "wmq-onnx-2"
TRACE = "trace."
#: Old enough for every ONNX Runtime since 1.12.
OPSET, IR_VERSION = 17, 8
#: Lifts what is shifted above zero. -2^62 <= value < 2^62 goes in; proofs keep products below 2^53.
LIFT = 1 << 62
#: Zero point of a matrix product's operands, which are uint8.
MIDDLE = 128


class Graph:
    """Nodes and constants in the order they were made; every name follows from that order.

    It is also a trace_ops.Target. A value is a name, an int stands for an int64 constant.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, *inputs: str | int, name: str = "", **attributes: Any) -> str:
        """A node with one output; gives the output's name."""
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.value(i) for i in inputs], [name], **attributes))
        return name

    def split(self, source: str, widths: Sequence[int]) -> list[str]:
        """`source` cut along its last axis (2) into parts of these widths."""
        names = [f"v{len(self.nodes)}.{i}" for i in range(len(widths))]
        sizes = self.constant(f"split{len(self.nodes)}", np.array(widths, np.int64))
        self.nodes.append(helper.make_node("Split", [source, sizes], names, axis=2))
        return names

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """A named tensor."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def value(self, value: str | int) -> str:
        """The name of a value."""
        return value if isinstance(value, str) else self.constant(f"int64.{value}", np.array(value, np.int64))

    def cast(self, value: str, dtype: int, name: str = "") -> str:
        """`value` as another integer type."""
        return self.add("Cast", value, to=dtype, name=name)

    def concat(self, values: Sequence[str], axis: int, name: str = "") -> str:
        """Values end to end."""
        return self.add("Concat", *values, axis=axis, name=name)

    def reshape(self, value: str, *shape: int) -> str:
        """`value` as (B, *shape)."""
        return self.add("Reshape", value, self.constant("shape." + "x".join(map(str, shape)), np.array([0, *shape])))

    def shift_right(self, value: str | int, shift: int, plus: int = 0) -> str:
        """(value + plus) >> shift, rounding down; shift 1..62, -2^62 <= value + plus < 2^62."""
        lifted = self.cast(self.add("Add", value, LIFT + plus), TensorProto.UINT64)
        by = self.constant(f"uint64.{shift}", np.array(shift, np.uint64))
        shifted = self.add("BitShift", lifted, by, direction="RIGHT")
        return self.add("Sub", self.cast(shifted, TensorProto.INT64), LIFT >> shift)

    def product(self, a: str, b: str, zero: int = MIDDLE) -> str:
        """a @ b in int64, of uint8 with zero points 128 and `zero`: exact on every processor.

        ONNX Runtime's kernels for uint8 by int8 saturate pairs of products at 16 bits on x86 without VNNI, and those
        for int8 by int8 are not vectorized there.
        """
        middle, other = (self.constant(f"uint8.{point}", np.array(point, np.uint8)) for point in (MIDDLE, zero))
        return self.cast(self.add("MatMulInteger", a, b, middle, other), TensorProto.INT64)

    def binary(self, op: str, a: str | int, b: str | int) -> str:
        """See Target."""
        if op == ">>":
            return self.shift_right(a, int(b))
        if op == "<<":
            return self.add("Mul", a, 1 << int(b))
        return self.add({"+": "Add", "-": "Sub", ">": "Greater"}[op], a, b)

    def where(self, mask: str | int, a: str | int, b: str | int) -> str:
        """See Target."""
        return self.add("Where", mask, a, b)

    def clip(self, value: str | int, low: str | int, high: str | int) -> str:
        """See Target."""
        if isinstance(low, int) and isinstance(high, int):
            return self.add("Clip", value, low, high)
        # The ends of a Clip are scalars; these differ from world to world.
        return self.add("Min", self.add("Max", value, low), high)

    def requantize(self, value: str | int, mult: str | int, shift: int) -> str:
        """See Target; `mult` may be a vector. value * mult + 2^(shift-1) < 2^62."""
        return self.shift_right(self.add("Mul", value, mult), shift, plus=1 << (shift - 1))


def _unsigned(rows: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (rows.astype(np.int16) + MIDDLE).astype(np.uint8)


def _matvec(graph: Graph, net: QNet, op: Op, source: str) -> str:
    rows = net.tensor(op, "rows").T
    codes = graph.cast(graph.add("Add", source, MIDDLE), TensorProto.UINT8)
    if rows.dtype == np.int8:
        return graph.product(codes, graph.constant(f"{op.name}.rows", _unsigned(rows)))
    # In two bytes: 256 * high + low, high with a zero point of its own.
    high, low = (rows >> 8).astype(np.int8), (rows & 255).astype(np.uint8)
    upper = graph.product(codes, graph.constant(f"{op.name}.rows.high", _unsigned(high)))
    lower = graph.product(codes, graph.constant(f"{op.name}.rows.low", low), zero=0)
    return graph.add("Add", graph.add("Mul", upper, 256), lower)


def _gather(graph: Graph, net: QNet, op: Op, source: str) -> str:
    starts: Ints = table_starts([f for _, _, f in net.world.encoding.id_fields()])[:-1]
    rows = graph.constant(f"{op.name}.rows", _unsigned(net.tensor(op, "rows")))
    k = graph.constant(f"{op.name}.k", net.tensor(op, "k").astype(np.int64))
    picked = graph.add("Gather", rows, graph.add("Add", source, graph.constant(f"{op.name}.starts", starts)), axis=0)
    # A row of ones (here 129) sums the picked rows without widening them first: seven times faster than ReduceSum.
    ones = graph.constant(f"{op.name}.ones", np.full((1, len(starts)), MIDDLE + 1, np.uint8))
    return graph.add("Mul", graph.reshape(graph.product(ones, picked), op.size), k)


def _run(graph: Graph, net: QNet, op: Op, source: str, out: str) -> str:
    """One op on (B, .) int64 values; `out` is what it adds to, if it does."""
    if op.kind == "matvec":
        return graph.add("Add", out, _matvec(graph, net, op, source))
    if op.kind == "gather":
        return graph.add("Add", out, _gather(graph, net, op, source))
    mult = graph.constant(f"{op.name}.mult", net.tensor(op, "mult").astype(np.int64))
    scaled = graph.requantize(source, mult, op.shift)
    return graph.clip(scaled, 0, CODE_MAX) if op.kind == "requantize_relu" else scaled


def _network(graph: Graph, net: QNet, codes: str) -> dict[str, str]:
    """Every vector that an op writes, by its name in the Trace."""
    written: dict[str, str] = {}
    narrow = {"codes"} | {op.out for op in net.ops if op.kind == "requantize_relu"}
    for op in net.ops:
        if op.kind == "matvec" and op.source not in narrow:
            raise WmExportError(f'onnx: op "{op.name}" multiplies {op.source!r}, which may not fit INT8; expected '
                                "codes or what a requantize_relu wrote")  # fmt: skip
        if op.init:
            bias = SESSION_BIAS if op.init == SESSION_BIAS else f"{op.name}.bias"
            if op.init != SESSION_BIAS:
                graph.constant(bias, net.tensor(op, "bias").astype(np.int64))
            written[op.out] = bias
        source = ({"codes": codes, "ids": "ids"} | written)[op.source]
        written[op.out] = _run(graph, net, op, source, written.get(op.out, ""))
    return written


def _input_codes(graph: Graph) -> str:
    """Codes of the following inputs, (B, 2, len(CONTROLS)) int64."""
    players = graph.reshape(graph.cast("inputs", TensorProto.INT64), PLAYERS, len(CONTROLS))
    columns = graph.split(players, [1] * len(CONTROLS))
    syms = [encode(SymOps(graph), f, Sym(graph, name)) for f, name in zip(CONTROLS, columns, strict=True)]
    return graph.concat([sym.name for sym in syms], 2)


def _labelled(graph: Graph, logits: str, within: str, label: str) -> str:
    """Logits (B, 2, ids) int32 where an id has the label (B, 2, 1); the least number elsewhere."""
    labels = graph.constant(f"labels.{within}", LABELS[within])
    least = graph.constant("int32.least", np.array(np.iinfo(np.int32).min, np.int32))
    return graph.add("Where", graph.add("Equal", labels, label), logits, least)


def _heads(graph: Graph, net: QNet, heads: str) -> dict[str, Sym]:
    """Each head of both players, (B, 2, 1); of a choice the arg max."""
    world = net.world
    # ArgMax of int64 is missing in ONNX Runtime; heads are proved to fit int32.
    narrow = graph.reshape(graph.cast(heads, TensorProto.INT32), PLAYERS, world.player_outputs)
    values: dict[str, Sym] = {}
    for head, part in zip(world.heads, graph.split(narrow, [head.width for head in world.heads]), strict=True):
        if head.kind == "choice":
            logits = _labelled(graph, part, head.within, values[head.within].name) if head.within else part
            name = graph.add("ArgMax", logits, axis=2, keepdims=1, select_last_index=0)
        else:
            name = graph.cast(part, TensorProto.INT64)
        values[head.name] = Sym(graph, name)
    return values


def _next_frame(graph: Graph, net: QNet, heads: str) -> dict[str, Sym]:
    """Each field of the next Frame for both players, (B, 2, 1) int64."""
    players = graph.reshape(graph.cast("frame", TensorProto.INT64), PLAYERS, len(STATE))
    now = [Sym(graph, name) for name in graph.split(players, [1] * len(STATE))]
    read = _heads(graph, net, heads)
    bounds = [Sym(graph, name) for name in graph.split(graph.reshape("bounds", 1, BOUNDS), [1] * BOUNDS)]
    return decode(
        SymOps(graph), net.world.heads_name, lambda name: now[STATE_INDEX[name]], read.__getitem__, ranges(bounds)
    )


def _push(graph: Graph, encoding: Encoding, frame: dict[str, Sym], tail: str) -> None:
    """The window moved on by one slot: next_codes and next_ids."""
    state = [encode(SymOps(graph), f, frame[f.name]).name for f in encoding.state if f.is_dense]
    slot = graph.reshape(graph.concat([*state, tail], 2), encoding.slot_columns)
    names = [identify(SymOps(graph), f, frame[f.name]).name for f in encoding.ids]
    ids = graph.reshape(graph.concat(names, 2), encoding.slot_ids)
    pushed = {"codes": (encoding.slot_columns, graph.cast(slot, TensorProto.INT8)), "ids": (encoding.slot_ids, ids)}
    for name, (width, new) in pushed.items():
        first = graph.constant(f"first.{name}", np.array([width]))
        last = graph.constant(f"last.{name}", np.array([width * encoding.slots]))
        kept = graph.add("Slice", name, first, last, graph.constant("axis.1", np.array([1])))
        graph.concat([kept, new], 1, f"next_{name}")


def _record(graph: Graph, net: QNet) -> dict[str, tuple[int, int]]:
    """Fill the graph; gives (dtype, width) of every output in the order of a Trace."""
    encoding = net.world.encoding
    tail = _input_codes(graph)
    flat = graph.cast(graph.reshape(tail, PLAYERS * len(CONTROLS)), TensorProto.INT8)
    whole = graph.concat(["codes", flat] if encoding.conditioned else ["codes"], 1, f"{TRACE}codes")
    graph.add("Identity", "ids", name=f"{TRACE}ids")
    written = _network(graph, net, graph.cast(whole, TensorProto.INT64))
    for name, value in written.items():
        graph.add("Identity", value, name=f"{TRACE}{name}")
    frame = _next_frame(graph, net, written["heads"])
    fields = graph.reshape(graph.concat([frame[f.name].name for f in STATE], 2), PLAYERS * len(STATE))
    graph.cast(fields, TensorProto.INT32, f"{TRACE}frame")
    _push(graph, encoding, frame, tail)
    int64 = TensorProto.INT64
    return {
        f"{TRACE}codes": (TensorProto.INT8, encoding.dense_columns),
        f"{TRACE}ids": (int64, encoding.slots * encoding.slot_ids),
        **{f"{TRACE}{op.out}": (int64, op.size) for op in net.ops},
        f"{TRACE}frame": (TensorProto.INT32, PLAYERS * len(STATE)),
        "next_codes": (TensorProto.INT8, encoding.slots * encoding.slot_columns),
        "next_ids": (int64, encoding.slots * encoding.slot_ids),
    }


def _inputs(net: QNet) -> dict[str, tuple[int, int]]:
    encoding = net.world.encoding
    size = next((op.size for op in net.ops if op.init == SESSION_BIAS), 0)
    return {
        "frame": (TensorProto.INT32, PLAYERS * len(STATE)),
        "codes": (TensorProto.INT8, encoding.slots * encoding.slot_columns),
        "ids": (TensorProto.INT64, encoding.slots * encoding.slot_ids),
        SESSION_BIAS: (TensorProto.INT64, size),
        "bounds": (TensorProto.INT64, BOUNDS),
        "inputs": (TensorProto.INT8, PLAYERS * len(CONTROLS)),
    }


def _infos(values: dict[str, tuple[int, int]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, dtype, ["B", width]) for name, (dtype, width) in values.items()]


def onnx_model(net: QNet) -> onnx.ModelProto:
    """The graph of a proved QNet; the same net gives the same bytes. WmExportError where an op has no integer form."""
    check_flags(net)
    need_kernels(net)
    graph = Graph()
    outputs = _record(graph, net)
    constants = list(graph.constants.values())
    body = helper.make_graph(graph.nodes, "world_step", _infos(_inputs(net)), _infos(outputs), constants)
    model = helper.make_model(body, producer_name="wmq", producer_version="1", ir_version=IR_VERSION,
                              opset_imports=[helper.make_opsetid("", OPSET)])  # fmt: skip
    helper.set_model_props(model, {"format": FORMAT, "parent": net.parent})
    return model


def export_onnx(net: QNet, path: Path) -> None:
    """Write the world step of a proved QNet to `path`."""
    atomic_write_bytes(path, onnx_model(net).SerializeToString(deterministic=True))
