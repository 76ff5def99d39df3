"""A network with a memory through the interpreter: it is its slow twin, and remembers what it should."""

import numpy as np
import pytest

from tests.factories import random_inputs, random_window, small_mamba2, small_qnet
from wm_quant.interp import Interpreter, RefInterpreter, State, Trace
from wm_quant.ops.kinds import OPS
from wm_quant.ops.requantize import RequantizeRelu
from wm_train.config import Mamba2Config
from wm_train.grid.arithmetic import CODE_MAX

MODELS = {
    "small": small_mamba2(heads="lawful_grouped"),
    "odd sizes": small_mamba2(d_model=15, d_state=3, headdim=9, expand=3, n_layers=1),
    "4 bits, v2": small_mamba2(encoding="v2", bits={"blocks.1.in_proj": 4, "heads": 4}),
    "4 bits in two blocks": small_mamba2(d_model=72, headdim=36, n_layers=1, heads="lawful_grouped", bits={"heads": 4}),
    "5 and 10 bits": small_mamba2(bits={"layer1": 10, "blocks.0.in_proj": 5, "blocks.1.out_proj": 5, "heads": 10}),
    "16 bits": small_mamba2(bits={"layer1": 16, "blocks.0.in_proj": 16, "blocks.1.out_proj": 16, "heads": 16}),
}


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
    others = {RequantizeRelu.kind, "ssm_chunked", "put"}  # of MLPs, heads in turn, and worlds of several networks
    assert {op.kind for op in net.ops} == set(OPS) - others
    trace, state = stepped(Interpreter(net), 30)[-1]
    for op in net.ops:
        assert len(np.unique(trace[op.out])) > min(10, op.size // 2), op.name
        if op.clamp:
            assert np.abs(trace[op.out]).max() > op.clamp[1] / 8, op.name
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
