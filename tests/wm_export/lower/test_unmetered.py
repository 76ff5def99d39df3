"""What is said of a frame's cost before anything is built: estimates, and shares of bytes."""

from dataclasses import replace

import pytest

from tests.factories import random_checkpoint, small_model
from wm_export.lower.cost import PRESET_OVERHEADS, cost, preset_cost
from wm_export.lower.handled import WORLD, handled
from wm_export.lower.lowering import lower
from wm_export.lower.unmetered import RULE_OPERATION_CU, estimated, known_overheads
from wm_export.solana.layout import layout
from wm_quant.convert import from_checkpoint
from wm_quant.presets import preset, untrained
from wm_quant.qnet import QNet, validate
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig
from wm_train.melee.melee_flags import MeleeFlags

MAMBA2 = Mamba2Config(d_model=64, d_state=16, n_layers=2, headdim=32)
NETS = {"mlp": preset("mlp"), "mamba2": untrained(MAMBA2)}


@pytest.mark.parametrize("name", PRESET_OVERHEADS)
def test_an_estimate_comes_near_what_was_metered(name: str) -> None:
    program = lower(preset(name))
    near, exact = cost(program, estimated(program)), preset_cost(name)
    assert [op.kernel_cu for op in near.ops] == [op.kernel_cu for op in exact.ops]
    assert abs(near.total_cu - exact.total_cu) <= exact.total_cu // 500


def test_laws_and_sights_are_estimated_by_their_operations() -> None:
    """Presets have the rules of `integrated`; a world with laws and sights runs more of them, and no other kernel."""
    sights = MeleeFlags(geometry=True, reach=True)
    plain, seen, lawful = (
        lower(untrained(replace(MAMBA2, **more)))
        for more in ({}, {"flags": sights}, {"flags": sights, "heads": "lawful"})
    )
    operations = [[call.operations for call in program.routines[-1].calls] for program in (plain, seen, lawful)]
    assert operations[0] < operations[1] == operations[2]
    decode, push = plain.names[-2:]
    first, second, third = (estimated(program).ops for program in (plain, seen, lawful))
    assert first[push] < second[push] == third[push] and second[decode] == first[decode] < third[decode]
    extra = lawful.routines[-2].calls[0].operations - plain.routines[-2].calls[0].operations
    assert third[decode] - first[decode] == pytest.approx(RULE_OPERATION_CU * extra, abs=1)


def test_only_a_metered_shape_in_one_transaction_is_known() -> None:
    net = preset("mlp")
    assert isinstance(net.model, MLPConfig)
    assert known_overheads(net.model, lower(net)) == (PRESET_OVERHEADS["mlp"], True)
    assert not known_overheads(net.model, lower(net, ["4"]))[1]
    assert not known_overheads(replace(net.model, slots=9), lower(net))[1]


@pytest.mark.parametrize(
    "model", [small_model(), MAMBA2, replace(MAMBA2, d_state=17, bits={"blocks.0.in_proj": 4, "heads": 16})]
)
def test_a_trained_network_costs_what_its_shape_does(model: ModelConfig) -> None:
    net = from_checkpoint(random_checkpoint(model), "")
    shape = untrained(net.model)
    validate(shape)
    own, zero = lower(net), lower(shape)
    assert cost(own, estimated(own)) == cost(zero, estimated(zero))
    assert handled(net, own) == handled(shape, zero)


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
@pytest.mark.parametrize("cuts", [(), ("1.2", "2")])
def test_every_byte_is_of_one_op(net: QNet, cuts: tuple[str, ...]) -> None:
    program = lower(net, cuts)
    rows = handled(net, program)
    assert sum(row.weights for row in rows) == sum(one.width * one.count for one in program.constants.values())
    assert sum(row.memory + row.work for row in rows) == layout(program).work_bytes
    assert (sum(row.memory for row in rows) > 0) == bool(net.memories)
    assert {row.layer for row in rows} - {WORLD} == {name.rpartition(".")[0] or name for name in net.model.layers}


def test_cells_are_those_of_the_recurrence() -> None:
    net = NETS["mamba2"]
    rows = handled(net, lower(net))
    assert sum(row.cells for row in rows) == MAMBA2.n_layers * MAMBA2.d_inner * MAMBA2.d_state
