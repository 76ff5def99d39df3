"""sweep.py: what a sweep file may say, and a sweep through Ray that finds the better config."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.factories import write_dataset
from wm_train.config import RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.fit.sweep import Sweep, Trial, load_sweep, measure, ranked, run
from wm_train.ranges import ENDLESS

BASE = {
    "model": {"hidden": [64, 32], "slots": 3},
    "train": {"batch": 32, "holdout": 0.4, "learning_rate": 0.01, "warmup": 0.0},
}
ASKED: dict[str, Any] = {"base": BASE, "space": {"train.learning_rate": {"grid": [1e-7, 0.003]}}, "steps": 12}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(ASKED | changes))
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    write_dataset(folder, [60, 50, 55, 45])
    return folder


def test_a_config_is_the_base_with_values(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))
    sweep = load_sweep(written(tmp_path, base="base.yaml", steps=0, minutes=2))
    config = sweep.config({"train.learning_rate": 0.5, "model.hidden": (32, 16)})
    assert (config.train.learning_rate, config.train.minutes, config.train.steps) == (0.5, 2.0, ENDLESS)
    assert config.model == RunConfig.from_json(BASE | {"model": {"hidden": [32, 16], "slots": 3}}).model
    assert sweep.mode == "min" and load_sweep(written(tmp_path, metric="action_change_acc")).mode == "max"
    assert load_sweep(written(tmp_path, metric="rollout.10.action_acc_last")).mode == "max"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"space": {}}, "expected a space"),
        ({"steps": 0}, "minutes or steps above 0"),
        ({"trials": 0}, "trials = 0, expected 1 to 100,000"),
        ({"trials": "many"}, "trials = 'many', expected int"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"base": 3}, "config: got int"),
        ({"base": "none.yaml"}, "none.yaml: cannot be read"),
        ({"space": {"train.speed": {"grid": [1]}}}, "unknown key 'train.speed'"),
        ({"space": {"train": {"grid": [1]}}}, "unknown key 'train'"),
        ({"space": {"train.batch": {"grid": ["x"]}}}, "train.batch = 'x', expected int"),
        ({"space": {"train.batch": {"some": [1]}}}, "expected one of grid, choice, loguniform"),
        ({"space": {"train.batch": {"grid": []}}}, "expected one of grid, choice, loguniform"),
        ({"space": {"train.batch": 5}}, "expected one of grid, choice, loguniform"),
        ({"space": {"train.learning_rate": {"loguniform": [0.1, 0.01]}}}, "0 < least < most"),
        ({"space": {"train.learning_rate": {"loguniform": ["a", 0.01]}}}, "0 < least < most"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(WmTrainError, match=re.escape(text)):
        load_sweep(written(tmp_path, **changes))


@pytest.mark.parametrize("text", ["model: [", "5", "space: {}"])
def test_a_file_that_is_no_sweep(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(WmTrainError, match=r"sweep\.yaml"):
        load_sweep(tmp_path / "sweep.yaml")


def test_metrics(dataset: Path) -> None:
    pytest.importorskip("torch")
    from wm_train.nets.matmul import use_exact_matmul

    def of(metric: str) -> float:
        sweep = Sweep(RunConfig.from_json(BASE), {"train.seed": {"choice": [0]}}, metric, steps=2)
        return measure(sweep, dataset, {"train.seed": 0})

    assert of("held_out") > 0 and 0 <= of("action_change_acc") <= 1 and of("rollout.10.position_mae_mean") > 0
    with pytest.raises(WmTrainError, match=r"metric rollout\.7 is None"):
        of("rollout.7")
    use_exact_matmul()


def test_without_ray_it_says_what_to_install(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(WmTrainError, match=r'pip install "wmq\[ray\]"'):
        run(Sweep(RunConfig(train=TrainConfig()), {"train.seed": {"choice": [0]}}, steps=1), dataset, "local")


@pytest.mark.parametrize(("metric", "best"), [("held_out", 0.001), ("action_acc", 0.003)])
def test_the_best_comes_first_and_what_failed_last(tmp_path: Path, metric: str, best: float) -> None:
    sweep = load_sweep(written(tmp_path, metric=metric))
    values = {0.002: 2.0, 0.0: None, 0.003: 3.0, 0.001: 1.0}
    swept = ranked(sweep, [Trial({"train.learning_rate": rate}, value) for rate, value in values.items()])
    assert [trial.value for trial in swept.trials] in ([1.0, 2.0, 3.0, None], [3.0, 2.0, 1.0, None])
    assert swept.best is not None and swept.best.train.learning_rate == best
    assert ranked(sweep, [Trial({}, None, "why")]).best is None


def test_ray_tries_every_config(dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One trains; the other cannot, as no game is so long, and says so."""
    pytest.importorskip("torch")
    pytest.importorskip("ray.tune")
    done: list[int] = []
    lock = threading.RLock()  # as a progress bar has one

    def told(count: int) -> None:
        with lock:
            done.append(count)

    asked = load_sweep(written(tmp_path, space={"model.slots": {"grid": [3, 64]}}))
    swept = run(asked, dataset, "local", told)
    assert done == [1, 2] and [trial.values for trial in swept.trials] == [{"model.slots": 3}, {"model.slots": 64}]
    assert swept.trials[0].value == measure(asked, dataset, {"model.slots": 3})
    assert "no game has 65 frames in a row" in swept.trials[1].error
    assert capfd.readouterr().out == "", "standard output is the verb's"
    from wm_train.nets.matmul import use_exact_matmul

    use_exact_matmul()
