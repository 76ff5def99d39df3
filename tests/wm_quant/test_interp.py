"""interp.py: the fast interpreter is the slow definitions, and a world is the same alone and among others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.factories import random_inputs, random_window, small_model, small_qnet
from wm_quant import interp as module
from wm_quant.interp import Interpreter, RefInterpreter, State
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import CODE_MAX
from wm_train.measure.recurrent import Recurrent
from wm_train.measure.window import Window
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.zones import BLAST_ZONES
from wm_train.world.fields import fixed
from wm_train.world.step import next_frames, window_codes, window_ids

MODELS = {
    "v2.2 integrated": small_model(),
    "v2.2 published": small_model(heads="published"),
    "v2.2 gated": small_model(heads="gated"),
    "v2.1 one slot": small_model("v2.1", slots=1),
    "v1 published": small_model("v1", "published"),
    "v2.2 two level": small_model(heads="two_level"),
    "v2.1 lawful": small_model("v2.1", "lawful"),
    "v2.1 in groups": small_model("v2.1", "lawful_grouped"),
    "5 and 10 bits": small_model(bits={"layer1": 10, "layer2": 5, "heads": 10}),
    "16 bits": small_model(bits={"layer1": 16, "heads": 16}),
}


def begun(net: QNet, batch: int, seed: int = 0) -> tuple[Interpreter, Window, State]:
    interpreter, window = Interpreter(net), random_window(net.world.encoding, batch, seed)
    return interpreter, window, interpreter.begin(window)


def session_start(net: QNet, session: Any) -> Any:
    """Layer bias plus a row of each session table, by loops."""
    (op,) = net.session_ops
    start, first = net.tensor(op, "bias").astype(np.int64), 0
    for (_, field), sid in zip(net.world.encoding.session_fields(), session, strict=True):
        start = start + net.tensor(op, "session")[first + sid]
        first += field.vocab
    return start


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_the_window_the_network_and_the_rules(name: str) -> None:
    """The network's inputs are the window's codes and ids; its heads go through the rules."""
    net = small_qnet(MODELS[name], seed=3)
    interpreter, window, state = begun(net, 3)
    trace, _ = interpreter.step(state, window.following)
    encoding = net.world.encoding
    assert (trace["codes"] == window_codes(encoding, window.frames, window.inputs, window.following)).all()
    assert (trace["ids"] == window_ids(encoding, window.frames)).all()
    assert list(trace) == ["codes", "ids", *dict.fromkeys(op.out for op in net.ops), "frame"]
    assert all(values.dtype == np.int64 and len(values) == 3 for values in trace.values())
    assert (trace["frame"] == next_frames(net.world, window.now, net.heads(trace), state.bounds).reshape(3, -1)).all()


@pytest.mark.parametrize("name", MODELS)
def test_the_reference_interpreter_is_its_twin(name: str) -> None:
    net = small_qnet(MODELS[name], seed=4)
    fast, window, state = begun(net, 2)
    slow_state, rng = state, np.random.default_rng(2)
    slow, following = RefInterpreter(net), window.following
    for _ in range(2):
        expected, state = fast.step(state, following)
        trace, slow_state = slow.step(slow_state, following)
        assert list(trace) == list(expected)
        assert all((trace[vector] == expected[vector]).all() for vector in expected)
        following = random_inputs(rng, 2)


def test_the_random_network_uses_its_range() -> None:
    """Else the equality above would say little."""
    interpreter, window, state = begun(small_qnet(), 64)
    trace, _ = interpreter.step(state, window.following)
    for name in ("hidden1", "hidden2"):
        assert 0.05 < (trace[name] == 0).mean() < 0.95 and ((trace[name] > 0) & (trace[name] < CODE_MAX)).mean() > 0
    assert len(np.unique(trace["heads"])) > 1000


@pytest.mark.parametrize("name", MODELS)
def test_a_state_is_the_window_pushed_on(name: str) -> None:
    """Stepping a State gives what beginning anew from the moved Window gives, frame after frame."""
    net = small_qnet(MODELS[name])
    interpreter, window, state = begun(net, 4)
    rng = np.random.default_rng(1)
    for _ in range(5):
        trace, state = interpreter.step(state, window.following)
        window = window.advanced(state.frame, random_inputs(rng, 4))
        again = interpreter.begin(window)
        assert (trace["frame"].reshape(state.frame.shape) == state.frame).all()
        for part in ("frame", "codes", "ids", "bias", "bounds"):
            assert (getattr(state, part) == getattr(again, part)).all(), part


def test_worlds_do_not_touch_each_other() -> None:
    interpreter, window, state = begun(small_qnet(), 9)
    together, after = interpreter.step(state, window.following)
    for i in range(9):
        one = slice(i, i + 1)
        alone, after_alone = interpreter.step(state.at(one), window.following[one])
        for name, values in alone.items():
            assert (together[name][one] == values).all(), name
        assert (after.codes[one] == after_alone.codes).all() and (after.frame[one] == after_alone.frame).all()


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter, window, state = begun(small_qnet(), 23)
    whole, _ = interpreter.step(state, window.following)
    for size in (1, 5, 23, 1000):
        monkeypatch.setattr(module, "CHUNK", size)
        parts, _ = interpreter.step(state, window.following)
        assert parts.keys() == whole.keys()
        assert all((parts[name] == whole[name]).all() for name in whole)


def test_a_step_leaves_its_state_as_it_was() -> None:
    interpreter, window, state = begun(small_qnet(), 4)
    before = {part: getattr(state, part).copy() for part in ("frame", "codes", "ids", "bias", "bounds")}
    first, _ = interpreter.step(state, window.following)
    second, _ = interpreter.step(state, window.following)
    assert all((getattr(state, part) == values).all() for part, values in before.items())
    assert all((first[name] == second[name]).all() for name in first)


def test_following_inputs_reach_the_network_of_v22_only() -> None:
    for name, reaches in (("v2.2 integrated", True), ("v2.1 one slot", False)):
        interpreter, window, state = begun(small_qnet(MODELS[name]), 2)
        other = -window.following
        a, b = interpreter.step(state, window.following)[0], interpreter.step(state, other)[0]
        assert (a["acc1"] != b["acc1"]).any() == reaches


def test_a_session_keeps_to_its_stage() -> None:
    """Every world is driven off its stage; known stages end it sooner than the field does."""
    net = small_qnet()
    interpreter, window, _ = begun(net, 33)
    session = window.session.copy()
    session[:, -1] = np.arange(33)
    far = window.frames.copy()
    far[..., [STATE_INDEX["x"], STATE_INDEX["y"]]] = fixed(299)
    state = interpreter.begin(replace(window, frames=far, session=session))
    after = interpreter.step(state, window.following)[1].frame
    x, y = (after[..., STATE_INDEX[name]] for name in ("x", "y"))
    bounds = net.world.places
    assert (x <= bounds[:, [1]]).all() and (y <= bounds[:, [3]]).all()
    known = list(BLAST_ZONES)
    assert (x[known] == bounds[known][:, [1]]).any() and (np.delete(x, known, 0) > bounds[known, 1].max()).any()


def test_the_session_bias_is_added_once() -> None:
    net = small_qnet()
    interpreter, window, state = begun(net, 3)
    expected = np.stack([session_start(net, session) for session in window.session])
    assert (state.bias == expected).all() and (interpreter.session_bias(window.session) == expected).all()
    assert len(np.unique(expected, axis=0)) == 3


def test_the_predictor_is_the_step() -> None:
    net = small_qnet()
    interpreter, window, state = begun(net, 5)
    model = interpreter.model()
    assert not isinstance(model, Recurrent)
    assert (model(window) == interpreter.step(state, window.following)[1].frame).all()
