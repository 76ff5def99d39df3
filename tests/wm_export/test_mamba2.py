"""A Mamba-2 whose frame is several transactions, its memory updated in place: all frames are the interpreter's."""

from pathlib import Path

import numpy as np
import pytest

from tests.factories import small_mamba2, small_qnet
from tests.wm_export.conftest import recording
from wm_export.lower.lowering import lower
from wm_export.parity import Recording, rollouts, teacher_forced
from wm_export.schema.program_errors import ERRORS, FIRST_ERROR
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.toolchain import Toolchain
from wm_quant.interp import Interpreter

WRONG_STEP = FIRST_ERROR + list(ERRORS).index("WrongStep")
NET = small_qnet(small_mamba2())


def cuts() -> list[str]:
    """Before a convolution, and between the heads of two recurrences."""
    names = lower(NET).names
    first, second, conv = (names.index(name) for name in ("blocks.0.ssm", "blocks.1.ssm", "blocks.1.conv"))
    return [f"{first}.1", str(conv), f"{second}.3"]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder = tmp_path_factory.mktemp("mamba2")
    export_solana(NET, folder, cuts(), compact=True)
    return open_export(folder)


@pytest.fixture(scope="module")
def built(sbpf: Toolchain, export: Export) -> Export:
    build(export)
    return export


def test_frames_are_the_interpreters_and_cost_what_was_predicted(built: Export) -> None:
    """Frame after frame in accounts of its own, through every memory that a frame leaves behind."""
    cost, program, reference, run = predicted(built), runner(built), Interpreter(NET), recording(NET, 2, 60)
    (found,) = rollouts({"svm": program}, reference, run)
    assert (found.frames, found.mismatches, found.first) == (120, 0, None)
    state = run.state.at(slice(0, 1))
    for number, following in enumerate(run.inputs[:10, :1]):
        _, state, spent = program.metered_step(state, following, number)
        assert spent == cost.transactions(number) and len(spent) == 4
    assert state.memory["blocks.1.ssm"].any() and state.memory["blocks.1.conv"].any()


def test_heads_in_turn(sbpf: Toolchain, cargo: Path, tmp_path: Path) -> None:
    """A recurrence whose heads are written every few frames: on chain, on the host, and what each frame costs."""
    net = small_qnet(small_mamba2(d_state=6, write_every=2))
    export_solana(net, tmp_path)
    export = open_export(tmp_path)
    build(export)
    cost, program, reference, run = predicted(export), runner(export), Interpreter(net), recording(net, 2, 12)
    (found,) = rollouts({"svm": program}, reference, run)
    assert (found.frames, found.mismatches, found.first) == (24, 0, None)
    with NativeRunner(export) as native:
        (found,) = rollouts({"native": native}, reference, run)
    assert (found.frames, found.mismatches, found.first) == (24, 0, None)
    state = run.state.at(slice(0, 1))
    for number, following in enumerate(run.inputs[:5, :1]):
        _, state, spent = program.metered_step(state, following, number)
        assert spent == cost.transactions(number)
    assert state.memory["blocks.1.ssm"].any()


def test_a_frame_goes_on_from_any_memory(built: Export) -> None:
    reference, run = Interpreter(NET), recording(NET, 8, 5)
    state = run.state
    for following in run.inputs[:4]:
        state = reference.step(state, following)[1]
    (found,) = teacher_forced({"svm": runner(built)}, reference, [Recording(state, run.inputs[4:])])
    assert (found.frames, found.mismatches, found.first) == (8, 0, None)


def test_the_host_computes_the_same(export: Export, cargo: Path) -> None:
    with NativeRunner(export) as native:
        (found,) = rollouts({"native": native}, Interpreter(NET), recording(NET, 2, 30))
    assert (found.frames, found.mismatches, found.first) == (60, 0, None)


def test_a_step_that_is_repeated_or_skipped_leaves_the_memory_as_it_is(built: Export) -> None:
    """States decay and are written where they lie: a step that ran twice would be another world."""
    program, reference, run = runner(built), Interpreter(NET), recording(NET, 1, 3)
    state = reference.step(run.state, run.inputs[0])[1]
    program.load(state, 7)
    inputs = program.input_instructions(7, program.codec.records.input_bytes(run.inputs[1, 0]))
    for step in range(4):
        before = program.data(program.scratch)
        for wrong in {0, 1, 2, 3} - {step}:
            refused = program.send(*(inputs if step == 0 else []), program.instruction(7, wrong))
            assert f"Custom({WRONG_STEP})" in refused.error
            assert program.data(program.scratch) == before
        assert not program.send(*(inputs if step == 0 else []), program.instruction(7, step)).error
        assert program.data(program.scratch) != before
    _, after = reference.step(state, run.inputs[1])
    left = program.codec.state(program.data(program.session), program.data(program.scratch), state)
    assert (left.frame == after.frame).all()
    assert all(np.array_equal(left.memory[name], kept) for name, kept in after.memory.items())
