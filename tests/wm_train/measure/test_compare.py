"""compare.py: every difference is found, and nothing else."""

import pytest

from wm_train.config import Mamba2Config, MLPConfig, RunConfig, TrainConfig
from wm_train.measure.compare import config_differences, game_differences, metric_differences

FIRST = {"train": ("a", "b"), "valid": ("c",), "skipped": ()}
SECOND = {"train": ("b", "d"), "valid": ("c",), "skipped": ("e",)}


def test_configs() -> None:
    plain = RunConfig(train=TrainConfig(seed=3))
    assert config_differences(plain, plain) == []
    other = RunConfig(MLPConfig(slots=5), TrainConfig(seed=4))
    assert config_differences(plain, other) == [
        {"key": "model.slots", "first": 10, "second": 5},
        {"key": "train.seed", "first": 3, "second": 4},
    ]
    shapes = {row["key"]: row for row in config_differences(plain, RunConfig(Mamba2Config(), TrainConfig(seed=3)))}
    assert shapes["model.d_model"] == {"key": "model.d_model", "first": None, "second": 192}
    assert shapes["model.arch"]["second"] == "mamba2" and shapes["model.slots"]["second"] is None


def test_games() -> None:
    found = game_differences(FIRST, SECOND)
    assert found == {"train": {"first": ["a"], "second": ["d"]}, "valid": {"first": [], "second": []}}


def test_metrics() -> None:
    first = {"frames": 5, "position_mae": 2.0, "rollout": {"5": {"position_mae": [1.0], "action_acc_last": 0.0}}}
    second = {"frames": 6, "position_mae": 2.5, "rollout": {"5": {"position_mae": [9.0], "action_acc_last": 0.0}}}
    rows = metric_differences(first, second, 0.2)
    assert [(row["metric"], row["ok"]) for row in rows] == [("position_mae", True), ("rollout.5.action_acc_last", True)]
    assert rows[0]["difference"] == pytest.approx(0.2)
    assert not metric_differences(first, second, 0.19)[0]["ok"]
