"""Shapes that fit a budget."""

from dataclasses import replace
from typing import Any

import pytest

from wm_export.errors import WmExportError
from wm_export.lower.cost import cost, preset_cost
from wm_export.lower.design import Limits, frontier, priced, search, shape, variants, widest, widths_of
from wm_export.lower.lowering import lower
from wm_export.lower.unmetered import estimated
from wm_export.scope import check_flags, exportable
from wm_quant.presets import PRESETS, untrained
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig, one_network
from wm_train.melee.melee_flags import MeleeFlags

BASES: dict[str, ModelConfig] = {"mamba2": Mamba2Config(), "mlp": MLPConfig()}
GIVEN: dict[str, dict[str, Any]] = {
    "mamba2": {"n_layers": [1, 2], "d_state": [16], "headdim": [64], "ends": [16, 8], "middle": [8]},
    "mlp": {"slots": [3], "narrow": [2], "ends": [8], "middle": [8, 4]},
}


@pytest.mark.parametrize("arch", BASES)
def test_the_widest_that_fits_is_found(arch: str) -> None:
    base, limits = BASES[arch], Limits(500_000)
    for variant in variants(arch, ["integrated"], GIVEN[arch]):
        found = widest(base, variant, limits)
        assert found and found.cu <= limits.budget and found.model.arch == arch
        widths = widths_of(base, variant)
        model = one_network(found.model)
        own = model.d_model if isinstance(model, Mamba2Config) else model.hidden[0]
        assert not priced(shape(base, variant, widths[widths.index(own) + 1])).fits(limits)


def test_heads_that_are_written_in_turn_are_in_every_width() -> None:
    turning = Mamba2Config(write_every=2)
    (variant, *_) = variants("mamba2", ["integrated"], GIVEN["mamba2"])
    for width in (64, 96, 320):
        model = shape(turning, variant, width)
        assert isinstance(model, Mamba2Config) and model.write_every == model.n_heads
        assert priced(model).cu < priced(replace(model, write_every=0)).cu
    assert widest(turning, variant, Limits(500_000))


def test_what_is_priced_is_what_its_lowering_costs() -> None:
    model = shape(BASES["mamba2"], variants("mamba2", ["two_level"], GIVEN["mamba2"])[0], 96)
    program = lower(untrained(model))
    assert priced(model).cost == cost(program, estimated(program))
    assert priced(PRESETS["mlp"]).cost == preset_cost("mlp") and priced(PRESETS["mlp"]).committed


def test_a_frame_in_several_transactions_fits_with_its_cuts() -> None:
    limits = Limits(300_000, 3)
    (variant, *_) = variants("mamba2", ["integrated"], GIVEN["mamba2"])
    found = widest(BASES["mamba2"], variant, limits)
    assert found and len(found.transactions) == 3 and max(found.transactions) <= limits.budget < found.cu
    program = lower(untrained(found.model), found.cuts)
    assert tuple(cost(program, estimated(program)).worst) == found.transactions


def test_nothing_on_the_frontier_is_beaten() -> None:
    tried = variants("mamba2", ["integrated"], GIVEN["mamba2"])
    found = list(search(BASES["mamba2"], tried, Limits(400_000)))
    best = frontier(found)
    assert best and [one.parameters for one in best] == sorted((one.parameters for one in best), reverse=True)
    worse = replace(best[0], parameters=best[0].parameters - 1)
    assert frontier([*found, worse]) == best


def test_nothing_fits_too_small_a_budget() -> None:
    assert list(search(BASES["mlp"], variants("mlp", ["integrated"], GIVEN["mlp"]), Limits(1000))) == []


def test_flags_that_no_program_computes_are_refused_or_left_out() -> None:
    base = Mamba2Config(flags=MeleeFlags(press_events="all", state_age_as_embed=True))
    with pytest.raises(WmExportError, match="press_events"):
        list(search(base, [], Limits(1_400_000)))
    kept = exportable(base)
    check_flags(untrained(kept))
    assert kept.flags.given == {"state_age_as_embed": True}
