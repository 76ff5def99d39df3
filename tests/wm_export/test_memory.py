"""What an op keeps from frame to frame lies in the accounts, and goes through them whole."""

from pathlib import Path

import numpy as np
import pytest

from tests.wm_export.conftest import recording
from tests.wm_export.delay import Delay, delayed_qnet, lower_delay
from wm_export.lower.lowered_program import Lifetime
from wm_export.lower.lowering import LOWERINGS, lower
from wm_export.lower.placement import remaining
from wm_export.parity import Recording, rollouts, teacher_forced
from wm_export.solana.account_codec import AccountCodec, Keys
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.toolchain import Toolchain
from wm_quant.interp import Interpreter
from wm_quant.ops.base import Op
from wm_quant.ops.kinds import OPS

NOBODY = Keys(bytes(32), bytes(32), bytes(32), bytes(32))


@pytest.fixture(autouse=True)
def known_op(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: type[Op] = Delay
    monkeypatch.setitem(OPS, "delay", kind)
    monkeypatch.setitem(LOWERINGS, kind, lower_delay)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    export_solana(delayed_qnet(), tmp_path, compact=True)
    return open_export(tmp_path)


def test_memory_never_shares_its_bytes() -> None:
    program = lower(delayed_qnet(), compact=True)
    assert program.buffers["late.memory"].lifetime is Lifetime.MEMORY and "late.memory" in remaining(program)
    assert program.vectors["late.memory"] == 64


def test_accounts_hold_what_an_op_keeps() -> None:
    net = delayed_qnet()
    run, interpreter = recording(net, 1, 2), Interpreter(net)
    state = interpreter.step(run.state, run.inputs[0])[1]
    assert state.memory["late"].any()
    codec = AccountCodec(net, lower(net), bytes(32))
    session, scratch = codec.session(state, NOBODY), codec.scratch(state, NOBODY)
    again = codec.state(session, scratch, state)
    assert (again.memory["late"] == state.memory["late"]).all()
    assert (codec.trace(session, scratch)["late.memory"] == state.memory["late"]).all()


def test_a_world_with_a_memory_is_the_same_on_the_host(export: Export, cargo: Path) -> None:
    with NativeRunner(export) as native:
        (found,) = rollouts({"native": native}, Interpreter(export.net), recording(export.net, 2, 12))
    assert (found.frames, found.mismatches, found.first) == (24, 0, None)


def test_a_world_with_a_memory_is_the_same_on_chain(export: Export, sbpf: Toolchain) -> None:
    """Frame after frame in its own accounts, and from a State that is written into them."""
    build(export)
    reference, run = Interpreter(export.net), recording(export.net, 3, 12)
    (found,) = rollouts({"svm": runner(export)}, reference, run)
    assert (found.frames, found.mismatches, found.first) == (36, 0, None)
    later = reference.step(run.state, run.inputs[0])[1]
    assert np.count_nonzero(later.memory["late"]) > 0
    (forced,) = teacher_forced({"svm": runner(export)}, reference, [Recording(later, run.inputs[1:])])
    assert (forced.frames, forced.mismatches, forced.first) == (3, 0, None)
    spent = runner(export).metered_step(run.state.at(slice(0, 1)), run.inputs[0, :1])[2]
    assert spent == predicted(export).transactions(0)
