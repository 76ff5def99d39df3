"""A lowered program computes what its QNet means, inside its buffers and constants, for what the formulas say."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import random_inputs, random_window, small_mamba2, small_model, small_parts, small_qnet
from tests.wm_export.lower.machine import LANES, Machine
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, MATVEC_TILE_MAX
from wm_export.lower.cost import call_cu, kernel_cu
from wm_export.lower.dense_lowering import cheapest_to_scale, column_blocks, row_tiles, ways_to_scale
from wm_export.lower.fusion import fusions
from wm_export.lower.kernels import kernel_named
from wm_export.lower.lowered_program import Program, padded
from wm_export.lower.lowering import LOWERINGS, NOT_YET, lower
from wm_export.lower.placement import remaining
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_quant.ops.kinds import OPS
from wm_quant.presets import preset
from wm_quant.qnet import QNet
from wm_train.composed import composed
from wm_train.grid.arithmetic import TILE_COLUMNS, WEIGHT_GRIDS

NETS: dict[str, Callable[[], QNet]] = {
    "small": small_qnet,
    "v1": lambda: small_qnet(small_model("v1", "published", slots=2)),
    "mixed": lambda: small_qnet(small_model(bits={"layer2": 4})),
    "int4": lambda: small_qnet(small_model(bits={"layer1": 4, "layer2": 4, "heads": 4})),
    "int16": lambda: small_qnet(small_model(bits={"layer1": 16, "heads": 16})),
    "lawful": lambda: small_qnet(small_model("v2.1", "lawful")),
    "mamba2": lambda: small_qnet(small_mamba2()),
    "composed": lambda: from_checkpoint(composed(small_parts()), "ab" * 32),
    "composed-mamba2": lambda: from_checkpoint(composed(small_parts(recurrent=True, n_layers=1)), "ab" * 32),
    "two-level": lambda: small_qnet(small_model("v2.1", "two_level")),
    "in groups": lambda: small_qnet(small_model("v2.1", "lawful_grouped", bits={"heads": 16})),
    "in groups of two blocks": lambda: small_qnet(
        small_mamba2(d_model=72, headdim=36, n_layers=1, heads="lawful_grouped", bits={"heads": 4})
    ),
    "mamba2 of sums in blocks": lambda: small_qnet(
        small_mamba2(d_model=72, headdim=36, n_layers=1, bits={"blocks.0.in_proj": 4, "blocks.0.out_proj": 4})
    ),
    "mamba2-mixed": lambda: small_qnet(
        small_mamba2(bits={"layer1": 16, "heads": 16, "blocks.0.in_proj": 4, "blocks.1.out_proj": 4})
    ),
}
#: Compute units inside the kernels of the default world, op by op.
DEFAULT_CU = {
    "begin": 0, "layer1": 337_302, "gather": 44_541, "relu1": 4_871, "layer2": 143_131, "heads": 295_723,
    "decode": 4_524, "push": 0,
}  # fmt: skip


def test_padded_rounds_up() -> None:
    assert [padded(n, 8) for n in (0, 1, 7, 8, 9)] == [0, 8, 8, 8, 16]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 600), st.sampled_from([64, 512]), st.sampled_from(list(WEIGHT_GRIDS)))
def test_every_way_to_scale_covers_the_rows_in_order(rows: int, columns: int, block: int, bits: int) -> None:
    for tiles in ways_to_scale(rows, columns, block, WEIGHT_GRIDS[bits]):
        ends = [tile.row + tile.rows for tile in tiles]
        assert [tile.row for tile in tiles] == [0, *ends[:-1]] and rows <= ends[-1] < rows + LANES[bits]
        for tile in tiles:
            assert tile.column == 0 and columns <= tile.columns <= padded(columns, TILE_COLUMNS)
            assert kernel_named(tile.kernel("fine")).twin.split("::")[2].startswith(f"<{bits}, {tile.accumulators}, ")
            assert all(count <= block for count in tile.straight.blocks) if tile.block else tile.columns <= block


@pytest.mark.parametrize(
    ("rows", "columns", "block", "bits", "kernels"),
    [
        (1088, 256, 512, 8, ["matvec_7x8_256of256_fine", "matvec_6x8_64_fine"]),  # seven words, and a loop for the rest
        (256, 512, 512, 8, ["matvec_6x8_64_fine", "matvec_2x8_64_fine"]),  # too wide for the frame
        (21, 256, 512, 8, ["matvec_6x8_64_fine", "matvec_1x8_64_fine"]),  # too few groups for a copy of x
        (384, 768, 512, 8, ["matvec_6x8_512of768_fine", "matvec_2x8_512of768_fine"]),
        (1664, 384, 64, 4, ["matvec_7x4_64of384_fine", "matvec_3x4_64of384_fine"]),
        (384, 768, 64, 4, ["matvec_6x4_64of768_fine"]),
    ],
)
def test_the_cheapest_kernels_are_taken(rows: int, columns: int, block: int, bits: int, kernels: list[str]) -> None:
    tiles = cheapest_to_scale(rows, columns, block, WEIGHT_GRIDS[bits])
    assert [tile.kernel("fine") for tile in tiles] == kernels


def test_lanes_that_are_not_added_up_are_not_scaled() -> None:
    assert not any(ways_to_scale(64, 4096, 2048, WEIGHT_GRIDS[16]))


@given(st.integers(1, 5000), st.sampled_from(list(WEIGHT_GRIDS)))
def test_row_tiles_cover_the_rows_in_order(rows: int, bits: int) -> None:
    at = 0
    for tile in row_tiles(rows, WEIGHT_GRIDS[bits]):
        assert tile.row == at and tile.groups >= 1 and 1 <= tile.accumulators <= MATVEC_MAX_R
        at += tile.groups * LANES[bits] * tile.accumulators
    assert rows <= at < rows + LANES[bits]


@given(st.integers(1, 5000), st.integers(1, 20))
def test_column_blocks_cover_the_columns_in_order(columns: int, tiles: int) -> None:
    at, block = 0, tiles * TILE_COLUMNS
    for first, count, step in column_blocks(columns, block):
        assert first == at and 0 < count <= block and count % step == 0 and 1 <= step <= MATVEC_TILE_MAX
        at += count
    assert columns <= at < columns + TILE_COLUMNS


def ran(net: QNet, program: Program) -> tuple[Machine, dict[str, Any]]:
    """The program run on one random world, and the interpreter's Trace of the same."""
    window = random_window(net.world.encoding, 1, seed=3)
    interpreter = Interpreter(net)
    state = interpreter.begin(window)
    inputs = random_inputs(np.random.default_rng(4), 1, fields=net.world.encoding.controls)
    trace = interpreter.step(state, inputs)[0]
    machine = Machine(program)
    machine.run({"codes": trace["codes"][0], "ids": trace["ids"][0], "bias": state.bias[0]})
    return machine, trace


def same(machine: Machine, trace: dict[str, Any]) -> list[str]:
    """The vectors that a program left behind, which must be those of the Trace."""
    left = [name for name in machine.program.vectors if name in remaining(machine.program)]
    for name in left:
        assert (machine.values(name, machine.program.vectors[name]) == trace[name][0]).all(), name
    return left


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_a_program_computes_what_its_network_means(name: str, compact: bool) -> None:
    net = NETS[name]()
    left = same(*ran(net, lower(net, compact=compact)))
    assert ("heads" in left) and (compact or left == list(lower(net).vectors))


@pytest.mark.parametrize("name", NETS)
def test_a_program_whose_ops_are_all_routines_of_their_own_computes_the_same(name: str) -> None:
    """It stores more, and takes longer."""
    net = NETS[name]()
    whole, fused = lower(net, fused=False), lower(net)
    assert [it.name for it in whole.routines[1:-2]] == [op.name for op in net.ops]
    left = same(*ran(net, whole))
    assert left == list(whole.vectors) and set(fused.vectors) <= set(left)
    between = set().union(*(fusion.between for fusion in fusions(net)))
    assert whole.vectors.keys() - fused.vectors.keys() == whole.buffers.keys() - fused.buffers.keys() == between
    cost = [sum(map(kernel_cu, program.routines)) for program in (whole, fused)]
    assert cost[0] > cost[1] if between else cost[0] == cost[1]


@pytest.mark.parametrize("cuts", [("1.1",), ("1.2", "1.3", "4.1"), ("3", "4.1", "5.2", "5.30")])
def test_cuts_inside_ops_compute_the_same(cuts: tuple[str, ...]) -> None:
    net = small_qnet()
    program = lower(net, cuts)
    assert len(program.plan) == len(cuts) + 1
    same(*ran(net, program))


@pytest.mark.parametrize("name", [*NETS, "mlp"])
def test_kernels_take_what_they_are_called_with(name: str) -> None:
    """Every call is of a kernel, with sizes that it takes, and costs what the formula in the documents says."""
    program = lower(preset("mlp") if name == "mlp" else NETS[name]())
    for routine in program.routines:
        for call in routine.kernel_calls:
            kernel = kernel_named(call.function)
            sizes = dict(zip(kernel.sizes, call.sizes, strict=False))
            assert call_cu(call) == eval(kernel.formula.replace("/", "//"), {}, sizes)


def test_compute_units_of_the_default_world() -> None:
    program = lower(preset("mlp"))
    assert {routine.name: kernel_cu(routine) for routine in program.routines} == DEFAULT_CU
    assert program.kernels() == [
        "matvec_6x8_64", "matvec_3x8_64", "matvec_6x8_26", "matvec_3x8_26", "gather_add", "requantize_relu",
        "matvec_6x8_64_relu", "matvec_2x8_64_relu", "matvec_7x8_256of256_scale", "matvec_5x8_64_scale", "argmax",
    ]  # fmt: skip


def test_macs_leave_padding_out() -> None:
    program = lower(preset("mlp"))
    macs = {routine.name: routine.macs for routine in program.routines if routine.macs}
    assert macs == {"layer1": 512 * 606, "layer2": 256 * 512, "heads": 1064 * 256}


def test_every_op_has_a_lowering_or_is_listed_as_not_yet() -> None:
    assert LOWERINGS.keys() | set(NOT_YET) == set(OPS.values()) and not LOWERINGS.keys() & set(NOT_YET)
