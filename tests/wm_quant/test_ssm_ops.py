"""ssm_ops.py: what a Mamba-2 computes over many worlds at once is what its references compute, op by op and whole."""

from typing import Any

import numpy as np
import pytest

from tests.factories import random_inputs, random_window, small_mamba2, small_qnet
from wm_quant import ssm_ops
from wm_quant.interp import Interpreter, State, Trace
from wm_quant.ops_ref import RefInterpreter, conv_ref, gate_ref, lut_ref, rmsnorm_ref, ssm_ref
from wm_quant.qnet import CLAMPS, KINDS, Op, QNet
from wm_train.config import Mamba2Config
from wm_train.grid import CODE_MAX
from wm_train.integer_mamba2 import FINE_MAX, STATE_MAX, WIDE_MAX

WORLDS = 4
MODELS = {
    "small": small_mamba2(),
    "odd sizes": small_mamba2(d_model=15, d_state=3, headdim=9, expand=3, n_layers=1),
    "4 bits, v2": small_mamba2(encoding="v2", bits={"blocks.1.in_proj": 4, "heads": 4}),
    "16 bits": small_mamba2(bits={"layer1": 16, "blocks.0.in_proj": 16, "blocks.1.out_proj": 16, "heads": 16}),
}


def op_of(net: QNet, kind: str) -> Op:
    return next(op for op in net.ops if op.kind == kind)


def integers(rng: np.random.Generator, most: int, *shape: int) -> Any:
    """Over the whole range, with both ends in it."""
    values = rng.integers(-most, most + 1, shape)
    values.flat[:2] = most, -most
    return values


@pytest.mark.parametrize("most", [0, 1, 3, 700, WIDE_MAX])
def test_rmsnorm(most: int) -> None:
    net = small_qnet(MODELS["small"])
    op, values = op_of(net, "rmsnorm"), integers(np.random.default_rng(most), most, WORLDS, 24)
    table, eps = net.tensor(op, "table"), int(net.tensor(op, "eps")[0])
    want = [rmsnorm_ref(row, table, eps, op.shift) for row in values]
    assert (ssm_ops.rmsnorm(net, op, values) == want).all()


@pytest.mark.parametrize("eps", [1, 2, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 2**40 + 1])
def test_rmsnorm_at_the_borders_of_its_mantissa(eps: int) -> None:
    """A sum of squares of 1, 2, ... up to 2^40: every exponent, both ends of it."""
    net = small_qnet(MODELS["small"])
    op = op_of(net, "rmsnorm")
    net = QNet(net.model, net.ops, {**net.tensors, f"{op.name}.eps": np.array([eps], np.int64)})
    values = np.zeros((3, 24), np.int64)
    values[1, 3], values[2, 5] = 1, -3
    want = [rmsnorm_ref(row, net.tensor(op, "table"), eps, op.shift) for row in values]
    assert (ssm_ops.rmsnorm(net, op, values) == want).all()


def test_conv() -> None:
    net, rng = small_qnet(MODELS["small"]), np.random.default_rng(1)
    op = op_of(net, "conv")
    codes, before = integers(rng, FINE_MAX, WORLDS, op.size), integers(rng, FINE_MAX, WORLDS, 3 * op.size)
    acc, after = ssm_ops.conv(net, op, codes, before)
    for i in range(WORLDS):
        rows, bias = net.tensor(op, "rows"), net.tensor(op, "bias")
        want, kept = conv_ref(rows, bias, codes[i], before[i].reshape(3, -1))
        assert (acc[i] == want).all() and (after[i].reshape(3, -1) == kept).all()


def test_lut() -> None:
    net = small_qnet(MODELS["small"])
    op = op_of(net, "lut")
    codes = integers(np.random.default_rng(2), FINE_MAX, WORLDS, op.size)
    want = [lut_ref(net.tensor(op, "table"), net.tensor(op, "group"), row) for row in codes]
    assert (ssm_ops.lut(net, op, codes) == want).all()
    assert set(net.tensor(op, "group").tolist()) == {0, 1, 2}


@pytest.mark.parametrize("most", [0, 5, STATE_MAX])
@pytest.mark.parametrize("name", MODELS)
def test_ssm(name: str, most: int) -> None:
    """From states anywhere in their range, the ends included."""
    net, rng = small_qnet(MODELS[name]), np.random.default_rng(most)
    op = op_of(net, "ssm")
    cells, heads = net.cells(op), net.sizes[op.by]
    xBC, dt = integers(rng, FINE_MAX, WORLDS, op.size + 2 * cells), integers(rng, CODE_MAX, WORLDS, heads)
    h = integers(rng, most, WORLDS, op.size * cells)
    given = h.copy()
    y, after = ssm_ops.ssm(net, op, xBC, dt, h)
    decay, gain, skip = (net.tensor(op, part) for part in ("decay", "gain", "skip"))
    for i in range(WORLDS):
        x, B_, C = np.split(xBC[i], [op.size, op.size + cells])
        want, kept = ssm_ref(decay, gain, skip, x, dt[i], B_, C, h[i].reshape(op.size, cells))
        assert (y[i] == want).all() and (after[i].reshape(op.size, cells) == kept).all()
    assert (h == given).all() and (not most or (after != h).any())


def test_gate() -> None:
    net, rng = small_qnet(MODELS["small"]), np.random.default_rng(3)
    op = op_of(net, "gate")
    values, by = integers(rng, WIDE_MAX, WORLDS, op.size), integers(rng, FINE_MAX, WORLDS, op.size)
    assert (ssm_ops.gate(op, values, by) == [gate_ref(v, b, op.shift) for v, b in zip(values, by, strict=True)]).all()


def stepped(interpreter: Interpreter, frames: int) -> list[tuple[Trace, State]]:
    window, rng, out = random_window(interpreter.net.world.encoding, 2, 7), np.random.default_rng(8), []
    state, following = interpreter.begin(window), window.following
    for _ in range(frames):
        trace, state = interpreter.step(state, following)
        out.append((trace, state))
        following = random_inputs(rng, 2)
    return out


@pytest.mark.parametrize("name", MODELS)
def test_the_reference_interpreter_is_its_twin(name: str) -> None:
    """Every vector and every memory, over frames that follow from each other; and no op goes untested."""
    net = small_qnet(MODELS[name], seed=5)
    for (trace, state), (want, after) in zip(
        stepped(Interpreter(net), 5), stepped(RefInterpreter(net), 5), strict=True
    ):
        assert list(trace) == list(want) and state.memory.keys() == after.memory.keys() == net.memories.keys()
        assert all((trace[vector] == want[vector]).all() and want[vector].dtype == np.int64 for vector in want)
        assert all((state.memory[kept] == after.memory[kept]).all() for kept in after.memory)


def test_random_networks_use_every_kind_and_their_range() -> None:
    """Else the equality above would say little."""
    net = small_qnet(MODELS["small"], seed=5)
    assert {op.kind for op in net.ops} == set(KINDS) - {"requantize_relu"}
    trace, state = stepped(Interpreter(net), 30)[-1]
    for op in net.ops:
        assert len(np.unique(trace[op.out])) > min(10, op.size // 2), op.name
        if op.kind in CLAMPS:
            assert np.abs(trace[op.out]).max() > CLAMPS[op.kind][1] / 8, op.name
    assert all(np.abs(kept).max() > CODE_MAX / 2 for kept in state.memory.values())


def test_memory_comes_from_the_frames_before_and_begins_with_nothing() -> None:
    net = small_qnet(MODELS["small"])
    interpreter = Interpreter(net)
    (_, one), (_, two) = stepped(interpreter, 2)
    sizes = {name: kept.shape[1] for name, kept in one.memory.items()}
    assert sizes == net.memories == {
        **{f"blocks.{i}.conv": 3 * (48 + 10) for i in range(2)}, **{f"blocks.{i}.ssm": 48 * 5 for i in range(2)}
    }  # fmt: skip
    assert not any(kept.any() for kept in interpreter.empty_memory(3).values())
    assert all((one.memory[name] != two.memory[name]).any() for name in net.memories)


def test_a_whole_step_of_the_default_size_stays_in_its_proofs() -> None:
    net = small_qnet(Mamba2Config(n_layers=1))
    assert net.parameters > 500_000 and stepped(Interpreter(net), 1)[0][0]["heads"].shape == (2, net.world.outputs)
