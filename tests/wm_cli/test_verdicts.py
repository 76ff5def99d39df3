"""Verdicts on canned evaluations: which metrics they compare, and which way."""

from typing import Any

import pytest

from wm_cli.verdicts import ADVICE, compared, verdict

OWN = {"action_acc": 0.65, "position_mae": 0.17, "damage_mae": 0.07}
NOTHING = {"action_acc": 0.91, "position_mae": 0.72, "damage_mae": 0.07}
VELOCITY = {"action_acc": 0.90, "position_mae": 0.21, "damage_mae": 0.08}


def evaluation(**other: float) -> dict[str, Any]:
    rollout = {"10": {"position_mae_mean": 1.5}}
    baselines = {"persistence": NOTHING, "constant_velocity": VELOCITY}
    return {
        **OWN,
        **other,
        "rollout": rollout,
        "baselines": {
            name: row | {"rollout": {"10": {"position_mae_mean": 2.5 + i}}}
            for i, (name, row) in enumerate(baselines.items())
        },
    }


def test_each_metric_stands_beside_its_best_baseline() -> None:
    found = {one.label: (one.baseline, one.best, one.better) for one in compared(evaluation())}
    assert found == {
        "action right, of all": ("nothing changes", 0.91, False),
        "position error, mean": ("constant velocity", 0.21, True),
        "percent error, mean": ("nothing changes", 0.07, False),
        "position error, mean of 10 frames": ("nothing changes", 2.5, True),
    }


def test_what_is_no_better_is_named_with_what_would_help() -> None:
    said = verdict(evaluation())
    assert said.startswith("No better than a baseline in 2 of 4 figures: action right, of all 0.6500 (nothing changes:")
    assert "percent error, mean 0.0700 (nothing changes: 0.0700)" in said and said.endswith(ADVICE)


def test_a_long_list_is_cut() -> None:
    worse = {f"position_{key}": 9.0 for key in ("p50", "p95")} | {"position_mae": 9.0}
    figures = evaluation(**worse)
    for row in figures["baselines"].values():
        row.update(position_p50=1.0, position_p95=1.0)
    assert "; and 2 more. " in verdict(figures) and verdict(figures).count("(") == 3


def test_what_is_better_in_all_is_said() -> None:
    assert verdict(evaluation(action_acc=0.95, damage_mae=0.06)) == "Better than every baseline in all 4 figures."


@pytest.mark.parametrize("missing", ["action_acc", "position_mae"])
def test_what_was_not_measured_is_not_judged(missing: str) -> None:
    figures = evaluation()
    figures[missing] = None
    assert len(compared(figures)) == 3
