"""ONNX: the exported graph gives the interpreter's bits, name by name, and holds integers only."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.factories import small_mamba2, small_parts, small_qnet
from wm_export.errors import WmExportError
from wm_export.onnx.graph import export_onnx, onnx_model
from wm_export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from wm_export.onnx.runtime import OrtRunner
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter, State, Trace
from wm_quant.ops.base import Op
from wm_quant.ops.dense import Matvec
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.within import Within
from wm_quant.prove import prove
from wm_quant.qnet import QNet, validate
from wm_train.checkpoint import Checkpoint
from wm_train.composed import composed
from wm_train.config import MLPConfig, ModelConfig, RunConfig
from wm_train.grid.arithmetic import Ints, requantize
from wm_train.measure.window import Window
from wm_train.melee.field_table import CONTROLS, STATE, STATE_INDEX
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Kind, fixed

torch = pytest.importorskip("torch")

SMALL = (64, 32)
MODELS: dict[str, ModelConfig] = {
    "default": MLPConfig(hidden=SMALL),
    "one slot": MLPConfig(slots=1, hidden=SMALL),
    "v1 published": MLPConfig(encoding="v1", heads="published", slots=3, hidden=SMALL),
    "state age as an id": MLPConfig(slots=3, hidden=SMALL, flags=MeleeFlags(state_age_as_embed=True)),
    "sights": MLPConfig(slots=2, hidden=SMALL, flags=MeleeFlags(geometry=True, reach=True)),
    "lawful with sights": MLPConfig(heads="lawful", slots=1, hidden=SMALL, flags=MeleeFlags(geometry=True, reach=True)),
    "v2.1 integrated": MLPConfig(encoding="v2.1", slots=2, hidden=SMALL),
    "16 bits": MLPConfig(slots=4, hidden=SMALL, bits={"layer1": 16, "heads": 16}),
    "5 and 10 bits": MLPConfig(slots=4, hidden=SMALL, bits={"layer1": 10, "layer2": 5, "heads": 10}),
    "lawful": MLPConfig(encoding="v2.1", heads="lawful", slots=2, hidden=SMALL),
    "two level": MLPConfig(heads="two_level", slots=2, hidden=SMALL),
    "in groups": MLPConfig(heads="lawful_grouped", slots=2, hidden=SMALL, bits={"heads": 16}),
    "v2 gated": MLPConfig(encoding="v2", heads="gated", slots=2, hidden=SMALL),
    "mamba2": small_mamba2(),
    "mamba2 with laws": small_mamba2(
        n_layers=1, heads="lawful", flags=MeleeFlags(geometry=True, reach=True, press_events="next")
    ),
    "mamba2 in turn": small_mamba2(
        heads="lawful_grouped", write_every=2, bits={"layer1": 16, "heads": 16, "blocks.0.in_proj": 4}
    ),
}
#: Vectors in which a dead network would show.
ALIVE = ("acc1", "hidden1", "hidden2", "residual", "blocks.0.y", "heads")
INTEGERS = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT64}


def random_net(model: ModelConfig) -> QNet:
    """A proved QNet of random weights, wild enough that every rule of the world happens."""
    from wm_train.nets.mlp import FrameStackMLP
    from wm_train.nets.network import to_arrays

    if not isinstance(model, MLPConfig):
        return small_qnet(model)
    torch.manual_seed(1)
    network = FrameStackMLP(model)
    with torch.no_grad():
        network.heads.weight.normal_(0, 0.5)
    checkpoint = Checkpoint(
        RunConfig(model=model), "float", to_arrays(network), {}, {}, {"hidden1": 0.05, "hidden2": 0.05}
    )
    net = from_checkpoint(checkpoint, parent="ab" * 32)
    validate(net)
    prove(net)
    return net


def random_frames(rng: np.random.Generator, *shape: int) -> Any:
    """(*shape, 2, len(STATE)) int32 over the whole range of every field."""
    ends = [(fixed(f.lo), fixed(f.hi)) if f.kind is Kind.CONTINUOUS else (0, int(f.hi)) for f in STATE]
    low, high = np.array(ends).T
    return rng.integers(low, high + 1, (*shape, 2, len(STATE))).astype(np.int32)


def random_inputs(rng: np.random.Generator, *shape: int) -> Any:
    """(*shape, 2, len(CONTROLS)) int8."""
    ends = [(round(f.lo * 80), 80) if f.kind is Kind.AXIS else (0, 1) for f in CONTROLS]
    low, high = np.array(ends).T
    return rng.integers(low, high + 1, (*shape, 2, len(CONTROLS))).astype(np.int8)


def random_window(rng: np.random.Generator, encoding: Encoding, batch: int) -> Window:
    """Windows of unrelated frames."""
    frames = random_frames(rng, batch, encoding.slots)
    vocab = np.array([f.vocab for _, f in encoding.session_fields()], np.int64)
    return Window(
        frames=frames,
        inputs=random_inputs(rng, batch, encoding.slots),
        following=random_inputs(rng, batch),
        session=rng.integers(0, vocab, (batch, len(vocab))),
    )


def assert_same(got: tuple[Trace, State], expected: tuple[Trace, State]) -> None:
    """Every tensor of the Trace and of the State, to the bit, with its type."""
    assert list(got[0]) == list(expected[0])
    pairs = [(name, got[0][name], value) for name, value in expected[0].items()]
    states = [dict(vars(state)) for state in (got[1], expected[1])]
    memories = [state.pop("memory") for state in states]
    assert memories[0].keys() == memories[1].keys()
    pairs += [(f"memory of {name}", memories[0][name], kept) for name, kept in memories[1].items()]
    pairs += [(f"next {name}", states[0][name], value) for name, value in states[1].items()]
    for name, have, want in pairs:
        assert (have.dtype, have.shape) == (want.dtype, want.shape), name
        np.testing.assert_array_equal(have, want, err_msg=name)


@pytest.fixture(scope="module", params=list(MODELS))
def net(request: pytest.FixtureRequest) -> QNet:
    return random_net(MODELS[request.param])


@pytest.fixture(scope="module")
def default_net() -> QNet:
    return random_net(MODELS["default"])


def test_64_frames_have_the_interpreters_bits(net: QNet, tmp_path: Path) -> None:
    export_onnx(net, tmp_path / "world.onnx")
    runner, interpreter = OrtRunner(tmp_path / "world.onnx"), Interpreter(net)
    window = random_window(np.random.default_rng(2), net.world.encoding, 64)
    state = interpreter.begin(window)
    expected = interpreter.step(state, window.following)
    assert_same(runner.step(state, window.following), expected)
    # A dead network would agree too.
    assert all(len(np.unique(expected[0][name])) > 8 for name in ALIVE if name in expected[0])


def test_rollout_stays_with_the_interpreter(net: QNet) -> None:
    rng = np.random.default_rng(3)
    runner, interpreter = OrtRunner(onnx_model(net).SerializeToString()), Interpreter(net)
    mine = theirs = interpreter.begin(random_window(rng, net.world.encoding, 3))
    for _ in range(50):
        following = random_inputs(rng, 3)
        got, expected = runner.step(mine, following), interpreter.step(theirs, following)
        assert_same(got, expected)
        mine, theirs = got[1], expected[1]


@pytest.mark.parametrize("recurrent", [False, True])
def test_subsystems_side_by_side_have_the_interpreters_bits(recurrent: bool) -> None:
    whole = from_checkpoint(composed(small_parts(recurrent)), "ab" * 32)
    runner, interpreter = OrtRunner(onnx_model(whole).SerializeToString()), Interpreter(whole)
    window = random_window(np.random.default_rng(2), whole.world.encoding, 8)
    state = interpreter.begin(window)
    assert_same(runner.step(state, window.following), interpreter.step(state, window.following))


def test_extreme_codes_do_not_saturate(default_net: QNet) -> None:
    op = default_net.ops[0]
    rows = np.where(default_net.tensor(op, "rows") < 0, -127, 127).astype(np.int8)
    loud = QNet(default_net.model, default_net.ops, {**default_net.tensors, "layer1.rows": rows})
    window = random_window(np.random.default_rng(4), loud.world.encoding, 4)
    interpreter = Interpreter(loud)
    begun = interpreter.begin(window)
    codes = np.where(rows[:4, : begun.codes.shape[1]] > 0, 127, -128).astype(np.int64)
    state = State(begun.frame, codes, begun.ids, begun.bias, begun.bounds)
    runner = OrtRunner(onnx_model(loud).SerializeToString())
    assert_same(runner.step(state, window.following), interpreter.step(state, window.following))


def test_equal_logits_choose_the_lowest_id(default_net: QNet) -> None:
    silent = {name: np.zeros_like(default_net.tensors[name]) for name in ("heads.rows", "heads.bias")}
    net = QNet(default_net.model, default_net.ops, {**default_net.tensors, **silent})
    interpreter = Interpreter(net)
    window = random_window(np.random.default_rng(7), net.world.encoding, 2)
    state = interpreter.begin(window)
    got = OrtRunner(onnx_model(net).SerializeToString()).step(state, window.following)
    assert (got[1].frame[..., STATE_INDEX["action"]] == 0).all()
    assert_same(got, interpreter.step(state, window.following))


@pytest.mark.parametrize("name", ["one slot", "mamba2", "mamba2 in turn"])
def test_any_runtime_may_run_it(name: str) -> None:
    """The graph keeps to what ONNX itself says, as far as its reference evaluator knows."""
    net = random_net(MODELS[name])
    interpreter = Interpreter(net)
    window = random_window(np.random.default_rng(5), net.world.encoding, 8)
    state = interpreter.step(interpreter.begin(window), window.following)[1]
    trace, _ = interpreter.step(state, window.following)
    feed = {"frame": state.frame.reshape(8, -1), "codes": state.codes.astype(np.int8), "ids": state.ids,
            "session_bias": state.bias, "bounds": state.bounds, "inputs": window.following.reshape(8, -1)}  # fmt: skip
    feed |= {f"{name}.memory": kept for name, kept in state.memory.items()}
    names = [f"trace.{name}" for name in trace]
    for name, value in zip(trace, ReferenceEvaluator(onnx_model(net)).run(names, feed), strict=True):
        np.testing.assert_array_equal(value, trace[name], err_msg=name)


def _types(model: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    """(name, type) of everything in the graph that has one."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    for value in (*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info):
        yield value.name, value.type.tensor_type.elem_type
    for tensor in model.graph.initializer:
        yield tensor.name, tensor.data_type
    for node in model.graph.node:
        for attribute in node.attribute:
            assert onnx.AttributeProto.AttributeType.Name(attribute.type) in ("INT", "INTS", "STRING"), attribute.name
            if attribute.name == "to":
                yield node.output[0], attribute.i


def test_no_float_anywhere(net: QNet) -> None:
    model = onnx_model(net)
    types = dict(_types(model))
    masks = {node.output[0] for node in model.graph.node if node.op_type in ("Greater", "Equal", "And", "Or")}
    masks |= {node.output[0] for node in model.graph.node if node.op_type == "Reshape" and node.input[0] in masks}
    assert {name for node in model.graph.node for name in (*node.input, *node.output)} <= set(types)
    assert {name for name, dtype in types.items() if dtype not in INTEGERS} == masks
    assert {types[name] for name in masks} == {TensorProto.BOOL}


def _products(net: QNet, op: Op) -> int:
    """Pairs of bytes that an op multiplies: one of INT8 or less, two of what has more; a gather sums by one."""
    if not isinstance(op, Matvec | Within):
        return int(op.reads_ids)
    behind_a_norm = any(isinstance(other, RMSNorm) and other.out == op.source for other in net.ops)
    return (1 + behind_a_norm) * (1 + (op.bits > 8))


def test_matrix_products_are_unsigned(net: QNet) -> None:
    """uint8 by int8 saturates on x86 without VNNI; a machine with VNNI would not show it."""
    model = onnx_model(net)
    types = dict(_types(model))
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    assert len(products) == sum(_products(net, op) for op in net.ops)
    assert {types[name] for node in products for name in node.input} == {TensorProto.UINT8}


def test_checker_and_versions(net: QNet) -> None:
    model = onnx_model(net)
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (IR_VERSION, [("", OPSET)])


def test_same_net_same_bytes(net: QNet, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_onnx(random_net(net.model), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _requantizer(mult: int, shift: int) -> bytes:
    graph = Graph()
    graph.add("Identity", graph.requantize("x", mult, shift), name="y")
    x, y = (helper.make_tensor_value_info(name, TensorProto.INT64, ["B"]) for name in "xy")
    body = helper.make_graph(graph.nodes, "requantize", [x], [y], list(graph.constants.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    data: bytes = model.SerializeToString()
    return data


def _requantized(values: Ints, mult: int, shift: int) -> Ints:
    session = onnxruntime.InferenceSession(_requantizer(mult, shift), providers=["CPUExecutionProvider"])
    out: Ints = session.run(None, {"x": values})[0]
    return out


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31 - 1), st.integers(1, 62), st.lists(st.integers(-(2**22), 2**22), min_size=1, max_size=32))
def test_requantize_node_is_the_tie_rule(mult: int, shift: int, values: list[int]) -> None:
    ties = [sign * (2 * n + 1) << (shift - 1) for n in range(3) for sign in (-1, 1) if shift < 58]
    acc = np.array(values, np.int64)
    np.testing.assert_array_equal(_requantized(acc, mult, shift), requantize(acc, mult, shift))
    exact = np.array(ties, np.int64)
    np.testing.assert_array_equal(_requantized(exact, 1, shift), requantize(exact, 1, shift))


def test_negative_ties_go_up() -> None:
    np.testing.assert_array_equal(_requantized(np.array([-3, -1, 1, 3]), 1, 1), [-1, 0, 1, 2])


def test_what_is_not_such_a_graph_is_refused(default_net: QNet, tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match=r"absent\.onnx: cannot be read"):
        OrtRunner(tmp_path / "absent.onnx")
    with pytest.raises(WmExportError, match="ONNX Runtime cannot load it"):
        OrtRunner(b"not a graph")
    with pytest.raises(WmExportError, match="format is None, expected 'wmq-onnx-2'"):
        OrtRunner(_requantizer(1, 1))
    whole = onnx_model(default_net).SerializeToString()
    with pytest.raises(WmExportError, match="ONNX Runtime cannot load it"):
        OrtRunner(whole[: len(whole) // 2])


def test_state_of_another_net_is_refused(default_net: QNet) -> None:
    other = random_net(MODELS["v2.1 integrated"])
    window = random_window(np.random.default_rng(6), other.world.encoding, 2)
    runner = OrtRunner(onnx_model(default_net).SerializeToString())
    with pytest.raises(WmExportError, match="begun with another QNet"):
        runner.step(Interpreter(other).begin(window), window.following)


def test_wide_values_are_not_multiplied(default_net: QNet) -> None:
    ops = [replace(op, source="acc1") if op.name == "layer2" else op for op in default_net.ops]
    with pytest.raises(WmExportError, match="op \"layer2\" multiplies 'acc1', which may not fit 16 bits"):
        onnx_model(QNet(default_net.model, tuple(ops), default_net.tensors))
