"""sensitivity, bit_budget: what a layer saves is what the network with it costs less, and the cheapest loss goes."""

from dataclasses import replace
from typing import Any

import pytest

from tests.factories import random_checkpoint, small_model
from wm_export.lower.bit_budget import around_cu, choose
from wm_export.lower.cost import preset_cost
from wm_export.lower.sensitivity import Figures, Sensitivity, kernel_cu, quantized, sensitivities
from wm_quant.ops.dense import Matvec
from wm_quant.presets import preset
from wm_quant.qnet import QNet
from wm_train.config import one_network

CHECKPOINT = random_checkpoint(small_model())
BASE = Figures(0.2, 0.5, 1.0)


def narrow(net: QNet) -> list[str]:
    return [op.name for op in net.ops if isinstance(op, Matvec) and op.bits == 4]


def table() -> list[Sensitivity]:
    """Worse by a tenth in `layer1`, by a fifth in `layer2`; `heads` costs nothing."""
    worse = {"layer1": 1.1, "layer2": 1.2, "heads": 1.0}

    def measure(net: QNet) -> Figures:
        (layer,) = narrow(net)
        return replace(BASE, k10=BASE.k10 * worse[layer])

    return list(sensitivities(CHECKPOINT, BASE, measure))


def test_each_layer_is_measured_alone() -> None:
    rows = table()
    assert [row.layer for row in rows] == ["layer1", "layer2", "heads"]
    assert [row.loss for row in rows] == pytest.approx([0.1, 0.2, 0.0])


def test_savings_are_exact_and_add_up() -> None:
    rows, wide = table(), quantized(CHECKPOINT, {})
    assert sum(row.cu for row in rows) < kernel_cu(wide)
    for row in rows:
        assert kernel_cu(quantized(CHECKPOINT, {row.layer: 4})) == kernel_cu(wide) - row.saved_cu
    every = quantized(CHECKPOINT, {row.layer: 4 for row in rows})
    assert kernel_cu(every) == kernel_cu(wide) - sum(row.saved_cu for row in rows)


def test_bits_of_the_run_are_not_those_that_are_tried() -> None:
    model = replace(one_network(CHECKPOINT.config.model), bits={"heads": 4})
    already = replace(CHECKPOINT, config=replace(CHECKPOINT.config, model=model))
    seen: list[list[str]] = []
    list(sensitivities(already, BASE, lambda net: seen.append(narrow(net)) or BASE))  # type: ignore[func-returns-value]
    assert seen == [["layer1"], ["layer2"], ["heads"]]


def test_sixteen_bits_stay_where_the_run_has_them() -> None:
    model = replace(one_network(CHECKPOINT.config.model), bits={"layer1": 16, "heads": 4})
    run = replace(CHECKPOINT, config=replace(CHECKPOINT.config, model=model))
    seen: list[list[int]] = []

    def measure(net: QNet) -> Figures:
        seen.append([op.bits for op in net.ops if isinstance(op, Matvec)])
        return BASE

    rows = list(sensitivities(run, BASE, measure))
    assert seen == [[4, 8, 8], [16, 4, 8], [16, 8, 4]]
    assert rows[0].saved_cu > rows[0].cu / 3 and rows[0].cu > table()[0].cu * 1.3


@pytest.mark.parametrize(
    ("figures", "loss"),
    [
        (BASE, 0.0),
        (Figures(0.1, 0.9, 0.5), 0.0),
        (Figures(0.3, 0.5, 1.0), 0.5),
        (Figures(0.2, 0.25, 1.0), 0.5),
        (Figures(0.4, 0.25, 3.0), 3.5),
    ],
)
def test_loss_counts_what_is_worse(figures: Figures, loss: float) -> None:
    assert figures.loss(BASE) == pytest.approx(loss)


def test_figures_are_out_of_an_evaluation() -> None:
    measured: Any = {"position_mae": 1.5, "action_change_acc": 0.25, "rollout": {"10": {"position_mae_mean": 4.0}}}
    assert Figures.of(measured) == Figures(1.5, 0.25, 4.0)


def rows(**layers: tuple[float, int]) -> list[Sensitivity]:
    return [Sensitivity(name, 0, 0, saved, BASE, loss) for name, (loss, saved) in layers.items()]


LAYERS = rows(big=(1.0, 100), small=(0.1, 20), free=(0.0, 5), useless=(0.0, -3))


@pytest.mark.parametrize(
    ("budget", "chosen"),
    [(1000, []), (999, ["free"]), (995, ["free"]), (994, ["free", "small"]), (975, ["free", "small"]),
     (974, ["free", "small", "big"]), (1, ["free", "small", "big"])],
)  # fmt: skip
def test_the_least_loss_for_what_is_saved_goes_first(budget: int, chosen: list[str]) -> None:
    assert choose(LAYERS, 1000, budget) == dict.fromkeys(chosen, 4)


def test_what_is_around_the_kernels_is_the_presets() -> None:
    cost = preset_cost("mlp")
    around = around_cu(preset("mlp"))
    assert around == around_cu(quantized(CHECKPOINT, {}))
    assert 0 <= kernel_cu(preset("mlp")) + around - sum(cost.worst) <= cost.merge
    other = replace(preset("mlp"), ops=preset("mlp").ops[:-2])
    assert around_cu(other) == 0
