"""Predicted compute units are the metered ones, exactly."""

from pathlib import Path

import pytest

from tests.factories import small_qnet
from tests.wm_export.conftest import Built, recording
from wm_export.lower.cost import PRESET_OVERHEADS, preset_cost
from wm_export.lower.unmetered import program_bytes
from wm_export.parity import rollouts
from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_export.solana import building, toolchain
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.metering import build, meter_runner, metered_ops, predicted, runner
from wm_export.solana.toolchain import Toolchain
from wm_quant.presets import preset

FRAMES = 1000


@pytest.fixture(params=["default", "other"])
def in_each(request: pytest.FixtureRequest, default_size: Built, other_version: Built) -> Built:
    """A world of the default size, in each version of sBPF."""
    return {"default": default_size, "other": other_version}[request.param]


def test_every_frame_of_the_default_size_costs_what_was_predicted(in_each: Built) -> None:
    cost, program = predicted(in_each.export), runner(in_each.export)
    run = recording(in_each.export.net, FRAMES, 1)
    for i in range(FRAMES):
        one = slice(i, i + 1)
        assert program.metered_step(run.state.at(one), run.inputs[0, one], number=i)[2] == cost.transactions(i)
    assert len(cost.worst) == 1 and cost.total_cu <= sum(cost.worst) <= 1_000_000 <= TRANSACTION_BUDGET
    assert cost.cu_per_mac <= 1.12


@pytest.mark.parametrize("leaf", [2**20 - 1, 2**23 - 1, 2**23, 2**24 - 2])
def test_the_hash_tree_costs_what_was_predicted(small: Built, leaf: int) -> None:
    number = leaf - small.export.net.world.encoding.slots
    cost, program, run = predicted(small.export), runner(small.export), recording(small.export.net, 1, 1)
    assert program.metered_step(run.state, run.inputs[0], number)[2] == cost.transactions(number)
    assert sum(cost.transactions(number)) <= sum(cost.worst)


def test_every_op_costs_what_was_predicted(in_each: Built) -> None:
    cost, meter = predicted(in_each.export), meter_runner(in_each.export)
    run = recording(in_each.export.net, 1, 1, seed=5)
    meter.step(run.state, run.inputs[0])
    assert metered_ops(meter, in_each.export) == {op.name: op.cu for op in cost.ops if op.name != "begin"}


def test_other_weights_cost_what_was_predicted(other_bits: Built) -> None:
    export = other_bits.export
    cost, meter = predicted(export), meter_runner(export)
    run = recording(export.net, 1, 1)
    meter.step(run.state, run.inputs[0])
    assert metered_ops(meter, export) == {op.name: op.cu for op in cost.ops if op.name != "begin"}
    assert runner(export).metered_step(run.state, run.inputs[0], number=0)[2] == cost.transactions(0)


def test_frames_of_other_kinds_cost_what_was_predicted(other_kind: Built) -> None:
    cost, program = predicted(other_kind.export), runner(other_kind.export)
    run = recording(other_kind.export.net, 40, 1)
    for i in range(40):
        one = slice(i, i + 1)
        assert program.metered_step(run.state.at(one), run.inputs[0, one], number=i)[2] == cost.transactions(i)


@pytest.mark.parametrize("name", PRESET_OVERHEADS)
def test_preset_costs_what_is_committed(sbpf: Toolchain, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    if sbpf.name != PRESET_OVERHEADS[name].toolchain:
        pytest.skip("the committed constants are those of scripts/sbpf.sh: make toolchain")
    folder = tmp_path_factory.mktemp("preset")
    export_solana(preset(name), folder)
    export = open_export(folder)
    _, overheads = build(export)
    assert overheads == PRESET_OVERHEADS[name]
    assert predicted(export).total_cu == preset_cost(name).total_cu
    # What a program weighs is an estimate before it is built: near what it is then.
    assert abs(program_bytes(export.lowered) - export.program.stat().st_size) <= export.program.stat().st_size // 50


@pytest.mark.parametrize(("cuts", "compact"), [(("1.2", "4", "5.30"), False), (("6",), True)])
def test_a_frame_in_several_transactions(tmp_path: Path, small: Built, cuts: tuple[str, ...], compact: bool) -> None:
    """Cut between ops and inside them, at row groups; with vectors that share bytes. Each costs what was predicted."""
    export_solana(small.export.net, tmp_path, cuts, compact)
    export = open_export(tmp_path)
    build(export)
    cost, program, run = predicted(export), runner(export), recording(export.net, 8, 1)
    for i in range(8):
        spent = program.metered_step(run.state.at(slice(i, i + 1)), run.inputs[0, i : i + 1], number=i)[2]
        assert spent == cost.transactions(i) and len(spent) == len(cuts) + 1
    meter = meter_runner(export)
    meter.step(run.state.at(slice(0, 1)), run.inputs[0, :1])
    firsts = {export.lowered.names[first] for first, _ in export.lowered.plan}
    assert metered_ops(meter, export) == {op.name: op.cu for op in cost.ops if op.name not in firsts}
    (found,) = rollouts({"svm": runner(export)}, small.reference, recording(export.net, 2, 10))
    assert (found.frames, found.mismatches, found.first) == (20, 0, None)


def test_an_older_export_is_not_built_as_another(
    sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "build_program", toolchain.build_program)  # not from the cache of other tests
    folders = [tmp_path_factory.mktemp(name) for name in ("older", "newer")]
    for seed, folder in enumerate(folders):
        export_solana(small_qnet(seed=seed + 1), folder)
    for folder in reversed(folders):
        build(open_export(folder))  # refuses a program without the manifest's hash, and meters a frame
    older, newer = (open_export(folder).program.read_bytes() for folder in folders)
    assert older != newer
