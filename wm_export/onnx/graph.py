"""QNet -> one integer-only ONNX graph of the whole world step, batch first, no float anywhere.

    input          frame         int32 (B, 2 * len(game.state))
                   codes         int8  (B, slots * slot_columns)    the window's dense columns
                   ids           int64 (B, slots * slot_ids)
                   session_bias  int64 (B, N)
                   bounds        int64 (B, place_size)
                   inputs        int8  (B, 2 * len(game.controls))       the following inputs
                   <op>.memory   int64 (B, length)    of each op that keeps something from frame to frame
    output         trace.<name>  every tensor of the interpreter's Trace: codes int8, frame int32, the others int64
                   next_codes    int8, next_ids int64: with trace.frame and trace.<op>.memory, the next state;
                   session_bias and bounds stay

The world's rules are not written here: wm_train.world.step's encode and decode are recorded, once for both players, on
values of shape (B, 2, 1).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from wm_export.onnx.forms import need_forms, network
from wm_export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from wm_export.recorder import Sym, SymOps
from wm_export.scope import check_flags
from wm_quant.ops.base import CODES, IDS, KEPT, SESSION_BIAS
from wm_quant.qnet import HEADS, QNet, vector_of
from wm_train.files import atomic_write_bytes
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS
from wm_train.world.sight import seen
from wm_train.world.step import World, decode, encode, identify, place_facts, pressed
from wm_train.world.subsystem import Head

FORMAT = "wmq-onnx-2"
TRACE = "trace."


def _input_codes(graph: Graph, encoding: Encoding) -> list[str]:
    """Codes of what is read of the following inputs: of each of `encoding.controls`, (B, 2, 1) int64."""
    game, ops = encoding.game, SymOps(graph)
    players = graph.reshape(graph.cast("inputs", TensorProto.INT64), PLAYERS, len(game.controls))
    raw = [Sym(graph, name) for name in graph.split(players, [1] * len(game.controls))]
    if len(encoding.controls) > len(raw):
        before = _newest_controls(graph, encoding)
        raw += [pressed(ops, raw[i], Sym(graph, before[i])) for i in game.button_places]
    return [encode(ops, f, value).text for f, value in zip(encoding.controls, raw, strict=True)]


def _newest_controls(graph: Graph, encoding: Encoding) -> list[str]:
    """Codes of each control in the newest slot, (B, 2, 1) int64."""
    width, first = encoding.slot_columns, encoding.controls_at
    newest = graph.part("codes", width * (encoding.slots - 1), width)
    players = graph.reshape(graph.cast(newest, TensorProto.INT64), PLAYERS, len(encoding.columns))
    return graph.split(players, [1] * len(encoding.columns))[first : first + len(encoding.game.controls)]


def _labelled(graph: Graph, logits: str, head: Head, label: str) -> str:
    """Logits (B, 2, ids) int32 where an id has the label (B, 2, 1); the least number elsewhere."""
    labels = graph.constant(f"labels.{head.within}", np.array(head.labels, np.int64))
    least = graph.constant("int32.least", np.array(np.iinfo(np.int32).min, np.int32))
    return graph.add("Where", graph.add("Equal", labels, label), logits, least)


def _arg_max(graph: Graph, logits: str) -> str:
    return graph.add("ArgMax", logits, axis=2, keepdims=1, select_last_index=0)


def _in_group(graph: Graph, head: Head, group: str, written: Mapping[str, str]) -> str:
    """The id that a choice in groups chooses, (B, 2, 1), given its group."""
    both = graph.concat([written[vector_of(player, head)] for player in range(PLAYERS)], 1)
    logits = graph.reshape(graph.cast(both, TensorProto.INT32), PLAYERS, head.members)
    return graph.add("Add", graph.add("Mul", group, head.members), _arg_max(graph, logits))


def _heads(graph: Graph, net: QNet, written: Mapping[str, str]) -> dict[str, Sym]:
    """Each head of both players, (B, 2, 1); of a choice the arg max."""
    world = net.world
    # ArgMax of int64 is missing in ONNX Runtime; heads are proved to fit int32.
    narrow = graph.reshape(graph.cast(written[HEADS], TensorProto.INT32), PLAYERS, world.player_outputs)
    values: dict[str, Sym] = {}
    for head, part in zip(world.heads, graph.split(narrow, [head.rows for head in world.heads]), strict=True):
        if head.kind == "choice":
            logits = _labelled(graph, part, head, values[head.within].text) if head.within else part
            name = _arg_max(graph, logits)
            name = _in_group(graph, head, name, written) if head.groups else name
        else:
            name = graph.cast(part, TensorProto.INT64)
        values[head.name] = Sym(graph, name)
    return values


def _next_frame(graph: Graph, net: QNet, written: Mapping[str, str]) -> dict[str, Sym]:
    """Each field of the next Frame for both players, (B, 2, 1) int64."""
    game = net.world.game
    players = graph.reshape(graph.cast("frame", TensorProto.INT64), PLAYERS, len(game.state))
    parts = graph.split(players, [1] * len(game.state))
    now = {field.name: Sym(graph, part) for field, part in zip(game.state, parts, strict=True)}
    read = _heads(graph, net, written)
    return now | decode(SymOps(graph), net.world, now.__getitem__, read.__getitem__, _place(graph, net.world))


def _place(graph: Graph, world: World) -> list[Sym]:
    """Numbers of the session's place, (B, seats, 1) each; none where the game bounds nothing and has no laws."""
    count = world.place_numbers
    if not count:
        return []
    seats = graph.reshape("bounds", world.place_seats, count)
    return [Sym(graph, name) for name in graph.split(seats, [1] * count)]


def _sights(graph: Graph, world: World, frame: dict[str, Sym]) -> dict[str, Sym]:
    """What both players see of the next Frame, (B, 2, 1) each."""
    if not world.encoding.sights:
        return {}
    exchanged = graph.constant("exchanged", np.arange(PLAYERS)[::-1])

    @cache
    def other(name: str) -> Sym:
        return Sym(graph, graph.add("Gather", frame[name].text, exchanged, axis=1))

    facts = place_facts(world, _place(graph, world))
    return seen(SymOps(graph), world.encoding.sights, frame.__getitem__, other, facts.__getitem__)


def _push(graph: Graph, encoding: Encoding, frame: dict[str, Sym], tail: str) -> None:
    """The window moved on by one slot: next_codes and next_ids."""
    state = [encode(SymOps(graph), f, frame[f.name]).text for f in encoding.state if f.is_dense]
    slot = graph.reshape(graph.concat([*state, tail], 2), encoding.slot_columns)
    names = [identify(SymOps(graph), f, frame[f.name]).text for f in encoding.ids]
    ids = graph.reshape(graph.concat(names, 2), encoding.slot_ids)
    pushed = {"codes": (encoding.slot_columns, graph.cast(slot, TensorProto.INT8)), "ids": (encoding.slot_ids, ids)}
    for name, (width, new) in pushed.items():
        kept = graph.part(name, width, width * (encoding.slots - 1))
        graph.concat([kept, new], 1, f"next_{name}")


def _record(graph: Graph, net: QNet) -> dict[str, tuple[int, int]]:
    """Fill the graph; gives (dtype, width) of every output in the order of a Trace."""
    encoding, game = net.world.encoding, net.world.game
    read = _input_codes(graph, encoding)
    tail = graph.concat(read[: len(encoding.slot_controls)], 2)
    ahead = tail if len(read) == len(encoding.slot_controls) else graph.concat(read, 2)
    flat = graph.cast(graph.reshape(ahead, PLAYERS * len(read)), TensorProto.INT8)
    whole = graph.concat(["codes", flat] if encoding.conditioned else ["codes"], 1, f"{TRACE}codes")
    graph.add("Identity", "ids", name=f"{TRACE}ids")
    kept = _kept(net)
    given = {CODES: graph.cast(whole, TensorProto.INT64), IDS: IDS, SESSION_BIAS: SESSION_BIAS}
    written = network(graph, net, given | {name: name for name in kept})
    for name, value in written.items():
        graph.add("Identity", value, name=f"{TRACE}{name}")
    frame = _next_frame(graph, net, written)
    fields = graph.reshape(graph.concat([frame[f.name].text for f in game.state], 2), PLAYERS * len(game.state))
    graph.cast(fields, TensorProto.INT32, f"{TRACE}frame")
    _push(graph, encoding, frame | _sights(graph, net.world, frame), tail)
    int64 = TensorProto.INT64
    return {
        f"{TRACE}codes": (TensorProto.INT8, encoding.dense_columns),
        f"{TRACE}ids": (int64, encoding.slots * encoding.slot_ids),
        **{f"{TRACE}{name}": (int64, kept.get(name) or net.sizes[name]) for name in written},
        f"{TRACE}frame": (TensorProto.INT32, PLAYERS * len(game.state)),
        "next_codes": (TensorProto.INT8, encoding.slots * encoding.slot_columns),
        "next_ids": (int64, encoding.slots * encoding.slot_ids),
    }


def _inputs(net: QNet) -> dict[str, tuple[int, int]]:
    encoding, game = net.world.encoding, net.world.game
    (start,) = net.session_ops
    return {
        "frame": (TensorProto.INT32, PLAYERS * len(game.state)),
        "codes": (TensorProto.INT8, encoding.slots * encoding.slot_columns),
        "ids": (TensorProto.INT64, encoding.slots * encoding.slot_ids),
        SESSION_BIAS: (TensorProto.INT64, start.size),
        "bounds": (TensorProto.INT64, net.world.place_size),
        "inputs": (TensorProto.INT8, PLAYERS * len(game.controls)),
        **{name: (TensorProto.INT64, length) for name, length in _kept(net).items()},
    }


def _kept(net: QNet) -> dict[str, int]:
    """Length of what each op keeps, by the name of its vector."""
    return {name + KEPT: length for name, length in net.memories.items()}


def _infos(values: dict[str, tuple[int, int]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, dtype, ["B", width]) for name, (dtype, width) in values.items()]


def onnx_model(net: QNet) -> onnx.ModelProto:
    """The graph of a proved QNet; the same net gives the same bytes. WmExportError where an op has no integer form."""
    check_flags(net)
    need_forms(net)
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
