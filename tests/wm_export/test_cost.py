"""Predicted compute units are the metered ones, exactly."""

import pytest

from tests.factories import small_qnet
from tests.wm_export.conftest import Built, recording
from wm_export.metering import build, meter_runner, metered_ops, predicted, runner
from wm_export.solana import export_solana, open_export
from wm_export.toolchain import find_toolchain
from wm_quant.cost import PRESET_OVERHEADS, TRANSACTION_BUDGET, preset_cost
from wm_quant.presets import preset

FRAMES = 1000


def test_every_frame_of_the_default_size_costs_what_was_predicted(default_size: Built) -> None:
    cost, program = predicted(default_size.export), runner(default_size.export)
    run = recording(default_size.export.net, FRAMES, 1)
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


def test_every_op_costs_what_was_predicted(default_size: Built) -> None:
    cost, meter = predicted(default_size.export), meter_runner(default_size.export)
    run = recording(default_size.export.net, 1, 1, seed=5)
    meter.step(run.state, run.inputs[0])
    assert metered_ops(meter, default_size.export) == {op.name: op.cu for op in cost.ops if op.name != "begin"}


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
def test_preset_costs_what_is_committed(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    toolchain = find_toolchain()
    if toolchain is None or toolchain.name != PRESET_OVERHEADS[name].toolchain:
        pytest.skip("the committed constants are those of scripts/sbpf.sh: make toolchain")
    folder = tmp_path_factory.mktemp("preset")
    export_solana(preset(name), folder)
    export = open_export(folder)
    _, overheads = build(export)
    assert overheads == PRESET_OVERHEADS[name]
    assert predicted(export).total_cu == preset_cost(name).total_cu


def test_a_frame_in_three_transactions(tmp_path_factory: pytest.TempPathFactory, small: Built) -> None:
    folder = tmp_path_factory.mktemp("split")
    export_solana(small.export.net, folder, cuts=(4, 6))
    export = open_export(folder)
    build(export)
    cost, program, run = predicted(export), runner(export), recording(export.net, 8, 1)
    expected = small.reference.step(run.state, run.inputs[0])[0]
    for i in range(8):
        trace, _, spent = program.metered_step(run.state.at(slice(i, i + 1)), run.inputs[0, i : i + 1], number=i)
        assert spent == cost.transactions(i) and len(spent) == 3
        assert trace["frame"].tolist() == expected["frame"][i : i + 1].tolist()


def test_an_older_export_is_not_built_as_another(tmp_path_factory: pytest.TempPathFactory) -> None:
    toolchain = find_toolchain()
    if toolchain is None:
        pytest.skip("no sBPF toolchain: make toolchain")
    folders = [tmp_path_factory.mktemp(name) for name in ("older", "newer")]
    for seed, folder in enumerate(folders):
        export_solana(small_qnet(seed=seed + 1), folder)
    for folder in reversed(folders):
        build(open_export(folder))  # refuses a program without the manifest's hash, and meters a frame
    older, newer = ((folder / "build" / "program.so").read_bytes() for folder in folders)
    assert older != newer
