"""Every executor gives the interpreter's bits, and a single wrong number is found and named."""

import struct
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builds import build_program
from tests.wm_export.conftest import Built, recording
from wm_export.onnx.graph import onnx_model
from wm_export.onnx.runtime import OrtRunner
from wm_export.parity import Executor, Recording, rollouts, teacher_forced
from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_export.solana.export import checked_sources
from wm_export.solana.metering import predicted, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.svm import SvmRunner
from wm_export.solana.workspace import staged
from wm_quant.interp import Interpreter, RefInterpreter, State, Trace
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.zones import BOUNDED
from wm_train.world.fields import fixed

POSITION = [STATE_INDEX[name] for name in BOUNDED]


def executor(name: str, built: Built, stack: ExitStack) -> Executor:
    if name == "ref":
        return RefInterpreter(built.export.net)
    if name == "ort":
        return OrtRunner(onnx_model(built.export.net).SerializeToString())
    if name == "native":
        return stack.enter_context(NativeRunner(built.export))
    return runner(built.export)


def compare(name: str, built: Built, worlds: int, running: int, frames: int) -> None:
    with ExitStack() as stack:
        other = executor(name, built, stack)
        (forced,) = teacher_forced({name: other}, built.reference, [recording(built.export.net, worlds, 1)])
        assert (forced.frames, forced.mismatches, forced.first) == (worlds, 0, None)
        (free,) = rollouts({name: other}, built.reference, recording(built.export.net, running, frames))
        assert (free.frames, free.mismatches, free.first) == (running * frames, 0, None)


@pytest.mark.parametrize("name", ["ref", "ort", "native", "svm"])
def test_small_world_is_the_same_everywhere(name: str, small: Built) -> None:
    compare(name, small, worlds=40, running=2, frames=30)


@pytest.mark.parametrize("name", ["ort", "native", "svm"])
def test_world_of_the_default_size_is_the_same_everywhere(name: str, default_size: Built) -> None:
    compare(name, default_size, worlds=60, running=2, frames=30)


def test_a_program_in_the_other_version_is_the_same(other_version: Built) -> None:
    compare("svm", other_version, worlds=60, running=2, frames=30)


@pytest.mark.parametrize(("out", "first"), [((299, 299), 1), ((-299, -199), 0)])
@pytest.mark.parametrize("name", ["ort", "native", "svm"])
def test_worlds_at_the_end_of_their_stage_are_the_same_everywhere(
    name: str, small: Built, out: tuple[float, float], first: int
) -> None:
    """Positions far out, which every stage cuts off where it ends: at its upper bounds, at its lower ones."""
    run = recording(small.export.net, 33, 1)
    bounds = small.export.net.world.places
    frame = run.state.frame.copy()
    frame[..., POSITION] = [fixed(end) for end in out]
    far = Recording(replace(run.state, frame=frame, bounds=bounds), run.inputs)
    after = small.reference.step(far.state, far.inputs[0])[1].frame[..., POSITION]
    assert (after == bounds[:, None, first::2]).any((0, 1)).all()
    with ExitStack() as stack:
        (found,) = teacher_forced({name: executor(name, small, stack)}, small.reference, [far])
    assert (found.frames, found.mismatches, found.first) == (33, 0, None)


@pytest.mark.parametrize("name", ["ort", "native", "svm"])
def test_worlds_of_other_encodings_are_the_same_everywhere(name: str, other_kind: Built) -> None:
    compare(name, other_kind, worlds=20, running=2, frames=20)


@pytest.mark.parametrize("name", ["ref", "ort", "native", "svm"])
def test_worlds_of_other_weights_are_the_same_everywhere(name: str, other_bits: Built) -> None:
    compare(name, other_bits, worlds=20, running=2, frames=20)


def test_portable_kernels_compute_the_same_within_one_transaction(default_size: Built, tmp_path: Path) -> None:
    export, run = default_size.export, recording(default_size.export.net, 5, 1)
    program = tmp_path / "portable.so"
    with staged(checked_sources(export)) as workspace:
        build_program(workspace / "program", program, features=["portable"])
    portable = SvmRunner(export.net, export.lowered, program, export.shards, export.manifest.hash)
    (found,) = teacher_forced({"portable": portable}, default_size.reference, [run])
    assert (found.frames, found.first) == (5, None)
    spent = portable.metered_step(run.state.at(slice(0, 1)), run.inputs[0, :1])[2]
    assert predicted(export).total_cu < spent[0] < TRANSACTION_BUDGET


class Wrong:
    """The interpreter, with one number of one tensor off by one."""

    def __init__(self, reference: Interpreter, tensor: str, index: int) -> None:
        self.reference, self.tensor, self.index = reference, tensor, index

    def step(self, state: State, following: Any) -> tuple[Trace, State]:
        trace, after = self.reference.step(state, following)
        values = trace[self.tensor].copy()
        values[0, self.index] += 1
        return trace | {self.tensor: values}, after


@pytest.mark.parametrize(("tensor", "index"), [("acc1", 0), ("hidden2", 5), ("heads", 17)])
def test_one_wrong_number_is_named(small: Built, tensor: str, index: int) -> None:
    (found,) = teacher_forced(
        {"wrong": Wrong(small.reference, tensor, index)}, small.reference, [recording(small.export.net, 3, 1)]
    )
    assert found.mismatches == 3 and found.first is not None
    assert (found.first.frame, found.first.tensor, found.first.index) == (0, tensor, index)
    assert found.first.got == found.first.expected + 1


class Forgetful(Interpreter):
    """An interpreter whose window does not move on."""

    def step(self, state: State, following: Any) -> tuple[Trace, State]:
        trace, after = super().step(state, following)
        return trace, State(after.frame, state.codes, after.ids, after.bias, after.bounds)


def test_a_wrong_state_is_found_in_the_frame_that_made_it(small: Built) -> None:
    (found,) = rollouts({"forgetful": Forgetful(small.export.net)}, small.reference, recording(small.export.net, 1, 5))
    assert found.first is not None and (found.first.frame, found.first.tensor) == (0, "next codes")


def test_program_goes_on_from_its_own_accounts(small: Built) -> None:
    program, run = runner(small.export), recording(small.export.net, 1, 4)
    state = run.state
    for number, following in enumerate(run.inputs):
        before = program.data(program.session) if number else b""
        _, state = program.step(state, following)
        assert program.data(program.session) != before
    assert program.codec.frame(program.data(program.session)).tolist() == state.frame[0].tolist()
    assert struct.unpack_from("<Q", program.data(program.session), SESSION.offsets["frame_number"]) == (4,)
