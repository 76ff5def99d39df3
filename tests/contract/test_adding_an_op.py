"""An op that the project does not have is added, as docs/adding-an-op.md says: nothing else has to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.factories import random_window, small_qnet
from tests.wm_export.conftest import recording
from tests.wm_quant.single import Case
from wm_export.lower.asm.requantize_asm import REQUANTIZE_UNROLL
from wm_export.lower.builder import Builder
from wm_export.lower.cost import kernel_cu
from wm_export.lower.kernels import KERNELS
from wm_export.lower.lowered_program import Call, Read, Routine, padded
from wm_export.lower.lowering import LOWERINGS, lower
from wm_export.onnx.forms import FORMS
from wm_export.onnx.graph import onnx_model
from wm_export.onnx.graph_builder import Graph
from wm_export.onnx.runtime import OrtRunner
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.toolchain import Toolchain
from wm_quant.interp import Interpreter, RefInterpreter, Trace, one_world
from wm_quant.ops.base import Network, Numbers, Op, Slice, Tensor, Values
from wm_quant.ops.intervals import Bounds, Interval, Intervals
from wm_quant.ops.kinds import OPS
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet, validate

# ------------------------------------------------------------------------------ 1. wm_quant/ops/<family>.py


@dataclass(frozen=True, kw_only=True)
class Halve(Slice):
    """out = source / 2, ties toward +inf."""

    kind: ClassVar[str] = "halve"

    def tensors(self, net: Network) -> dict[str, Tensor]:
        """None."""
        return {}

    def run(self, net: Network, values: Values) -> Values:
        """out (B, N)."""
        return {self.out: (self.read(values) + 1) >> 1}

    def ref(self, net: Network, values: Numbers) -> Numbers:
        """Value by value."""
        return {self.out: [(value + 1) // 2 for value in self.read_ref(values)]}

    def bounds(self, net: Network, values: Intervals) -> Bounds:
        """Nothing can overflow."""
        source = self.read_bounds(values)
        return Interval(np.floor((source.low + 1) / 2), np.floor((source.high + 1) / 2)), []


# ----------------------------------------------------------------------------- 3. wm_export/onnx/forms.py


def halve_form(graph: Graph, net: QNet, op: Halve, values: Mapping[str, str]) -> dict[str, str]:
    """One shift."""
    return {op.out: graph.shift_right(values[op.source], 1, plus=1)}


# ------------------------------------------------------------- 4. wm_export/lower/<family>_lowering.py


def lower_halve(op: Halve, builder: Builder) -> Routine:
    """The requantize kernel, with a multiplier of 1 and a shift of 1."""
    count = padded(op.size, REQUANTIZE_UNROLL)
    ones = builder.constant(f"{op.name}.ones", "u32", count, lambda: np.ones(count, np.uint32))
    builder.buffer(op.source, op.first + count)
    out = builder.write(op.out, count)
    call = Call("requantize", (Read(op.source, op.first), ones, out, count, 1))
    return Routine(op.name, op.kind, f"{op.out} = {op.size} values of {op.source}, halved", (call,))


# -------------------------------------------------- 2., 5. wm_quant/ops/kinds.py, wm_export/lower/lowering.py


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries in the registries."""
    op: type[Op] = Halve
    monkeypatch.setitem(OPS, op.kind, op)
    monkeypatch.setitem(FORMS, op, halve_form)
    monkeypatch.setitem(LOWERINGS, op, lower_halve)


# ------------------------------------------------------------------------- 6. tests/wm_quant/single.py


def halve_case(rng: np.random.Generator) -> Case:
    """Values of 40 bits."""
    return Case(Halve("op", "in", "out", 6, first=int(rng.integers(3))), {}, {"in": (9, -(1 << 40), 1 << 40)})


# ------------------------------------------------------------------------------------------------- tests


def network() -> QNet:
    """A small network whose last op halves what was its heads."""
    net = small_qnet(seed=6)
    *before, scale = net.ops
    halve = Halve("halve", "twice", "heads", scale.size)
    return replace(net, ops=(*before, replace(scale, out="twice"), halve))


def stepped(runner: Interpreter | OrtRunner, net: QNet) -> Trace:
    """One frame of three worlds."""
    window = random_window(net.world.encoding, 3)
    return runner.step(Interpreter(net).begin(window), window.following)[0]


@pytest.mark.parametrize("seed", range(20))
def test_run_is_ref_and_lies_in_its_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = halve_case(rng)
    values = case.values(rng)
    out, (interval, _) = case.op.run(case.net, values)["out"], case.op.bounds(case.net, case.intervals)
    assert out.tolist() == [case.op.ref(case.net, one_world(values, i))["out"] for i in range(len(out))]
    assert (interval.low <= out).all() and (out <= interval.high).all()


def test_a_file_holds_it(tmp_path: Path) -> None:
    net = network()
    save_qnet(tmp_path, net)
    assert load_qnet(tmp_path).ops == net.ops


def test_it_is_checked_and_proved() -> None:
    net = network()
    validate(net)
    assert [proof.op for proof in prove(net)][-1] == "scale"


def test_it_runs_in_both_interpreters_and_in_onnx() -> None:
    net = network()
    trace = stepped(Interpreter(net), net)
    assert (trace["heads"] == (trace["twice"] + 1) >> 1).all() and (trace["twice"] % 2 == 1).any()
    for other in (RefInterpreter(net), OrtRunner(onnx_model(net).SerializeToString())):
        got = stepped(other, net)
        assert got.keys() == trace.keys() and all((got[name] == trace[name]).all() for name in trace)


def test_it_has_a_price() -> None:
    routine = next(routine for routine in lower(network()).routines if routine.name == "halve")
    assert kernel_cu(routine) == KERNELS["requantize"].cu(n=padded(network().world.outputs, REQUANTIZE_UNROLL))


def test_a_program_computes_it_at_the_predicted_price(tmp_path: Path, sbpf: Toolchain, cargo: Path) -> None:
    export_solana(network(), tmp_path)
    export = open_export(tmp_path)
    build(export)
    run, program, reference = recording(export.net, 1, 3), runner(export), Interpreter(export.net)
    state = run.state
    for number, following in enumerate(run.inputs):
        trace, after, spent = program.metered_step(state, following, number)
        want, state = reference.step(state, following)
        # Sums that are multiplied down as they leave the lanes are not stored.
        assert {*trace, "codes", "ids"} == want.keys() - {"acc2", "acc3"}
        assert all((trace[name] == want[name]).all() for name in trace)
        assert spent == predicted(export).transactions(number)
        assert (after.frame == state.frame).all()
