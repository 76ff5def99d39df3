"""The demo's order, its skipping and its exit codes, on stages that only leave files."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wm_cli import project
from wm_cli.demo import demo_stages as stages
from wm_cli.demo import journey as demo
from wm_cli.errors import WmCliError
from wm_cli.experiments import experiments
from wm_cli.verbs import compute_units, executors, making, measuring, training
from wm_train.files import atomic_write_json

METRICS = {
    "frames": 10,
    **{k: 0.5 for k in ("action_acc", "action_change_acc", "action_change_acc_p0", "position_mae", "position_p50",
                        "position_p95", "velocity_mae", "damage_mae")},
    "rollout": {"10": {"position_mae_mean": 1.0, "position_mae_last": 12.3456, "position_mae": [1.0] * 10,
                      "action_acc_last": 0.5, "percent_mae_last": 0.1}},
}  # fmt: skip
NAMES = ("persistence", "constant_velocity", "constant_velocity_freeze")
EVALUATION = METRICS | {"games": 1, "baselines": {name: METRICS for name in NAMES}}
PARITY = {"mismatches": 0, "first_difference": None, "executors": ["interp", "ort"],
          "outcomes": [{"executor": "ort", "frames": 10, "mismatches": 0}]}  # fmt: skip
DIFFERENCE = {"executor": "ort", "frame": 3, "tensor": "heads", "index": 5, "got": 1, "expected": 2}
CU = {"total_cu": 90, "budget": 100, "cu_per_mac": 1.5, "frames_metered": 2, "frames_different": 0,
      "ops": [{"name": "layer1", "kind": "matvec", "macs": 60, "cu": 90, "cu_metered": 90}],
      "transactions": [{"step": 0, "cu_predicted": 90, "cu_metered": 90}], "equal": True}  # fmt: skip
CURVES = {"position_p50": [1.0], "position_p90": [2.0], "apart_after": 3.0}
LAWS = {"lawful": 0.875, "broken": {"ground": 0.25}, "first_broken": None, "unbroken": 0.5}
ALONE = {"model": {"form": "qnet"}, "games": 1, "starts": 20, "frames_ahead": [1], **CURVES,
         "baselines": {"persistence": CURVES, "another_start": CURVES},
         **{part: {"predicted": {"still": 0.5}, "real": {"still": 0.5}} for part in ("usual", "habits")},
         "laws": {"predicted": LAWS, "real": LAWS}, "recorded": {"games": 1}}  # fmt: skip

Log = list[str]


def _leave(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Log:
    """Stages that note their name and leave their output; a machine that has everything; one replay in `replays`."""
    noted: Log = []

    def stage(name: str, path: Callable[..., Path], kept: str = "", figures: Any = None) -> Callable[..., None]:
        def ran(*arguments: Any, **more: Any) -> None:
            noted.append(name.format(*arguments))
            _leave(path(*arguments))
            if kept:
                project.keep_figures(kept, figures)

        return ran

    def evaluate(models: list[Path], dataset: Path, limit: int) -> list[None]:
        (model,) = models
        noted.append(f"evaluate {model}")
        form = {"run": "float", "run-qat": "qat", "qnet": "qnet", "qnet-ptq": "ptq"}[str(model)]
        project.keep_figures(f"evaluate-{form}", EVALUATION | {"model": {"form": form}})
        return [None]

    def alone(model: Path, dataset: Path, frames: int, starts: int, seed: int, advance: Any) -> None:
        noted.append(f"alone {frames}")
        project.keep_figures("rollout-qnet", ALONE)

    def ingest(source: Path) -> None:
        noted.append("ingest")
        _leave(demo.META)
        project.keep_figures("ingest", {})

    monkeypatch.setattr(stages, "_ingest", ingest)
    monkeypatch.setattr(demo, "_report", stage("report", lambda: project.REPORT))
    monkeypatch.setattr(training, "train_run", stage("train {1} {4} {5}", lambda _, run, *more: run / "run.json"))
    monkeypatch.setattr(measuring, "evaluate_models", evaluate)
    monkeypatch.setattr(measuring, "longest_game", lambda model, dataset: 1000)
    monkeypatch.setattr(measuring, "free_runs", alone)
    monkeypatch.setattr(making, "quantize_run", stage("quantize {0}", lambda run, out: out / "qnet.json"))
    monkeypatch.setattr(making, "export_qnets", stage("export solana", lambda qnets, out: demo.EXPORT))
    monkeypatch.setattr(making, "export_onnx", stage("export onnx", lambda qnet, out: project.ONNX))
    monkeypatch.setattr(making, "build_export", stage("build", lambda export: demo.BUILT))
    monkeypatch.setattr(compute_units, "meter_export", stage("cu", lambda *_: Path("cu"), "cu", CU))
    monkeypatch.setattr(
        executors, "compare_executors", stage("parity {5}", lambda *_: Path("parity"), "parity", PARITY)
    )
    monkeypatch.setattr("wm_export.solana.toolchain.find_toolchain", lambda: "some")
    monkeypatch.setattr("wm_export.solana.toolchain.host_cargo", lambda: "some")
    (tmp_path / "replays").mkdir()
    (tmp_path / "replays" / "a.slp").write_bytes(b"a")
    monkeypatch.chdir(tmp_path)
    return noted


def run(minutes: float = 4, config: str = "melee-start") -> int:
    return demo.run_demo(Path("replays"), Path("out"), minutes, experiments()[config])


ALL = ["ingest", "train run melee-start None", "train run-qat run None", "evaluate run", "evaluate run-qat",
       "quantize run-qat", "evaluate qnet", "alone 500", "quantize run", "evaluate qnet-ptq", "export solana",
       "export onnx", "build", "cu", "parity ['ort', 'native', 'svm']", "report"]  # fmt: skip


def test_every_stage_once_and_in_order(log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0 and log == ALL
    out = capsys.readouterr().out
    assert "[16/16] report" in out and "out/report.html" in out and "90 of 100" in out and "lawful frames" in out
    assert Path.cwd() == tmp_path


def test_the_closing_table_fits_a_terminal(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert (
        "12.3456" in out
        and "…" not in out
        and all(word in out for word in ("tence", "velocity", "freeze", "K10 position_mae_mean"))
    )


def test_a_second_run_does_nothing(log: Log) -> None:
    run()
    log.clear()
    assert run() == 0 and log == []


def test_a_missing_output_and_what_follows_from_it(log: Log) -> None:
    run()
    log.clear()
    (Path("out") / demo.QNET).unlink()
    run()
    assert log == ["quantize run-qat", "evaluate qnet", "alone 500", "export solana", "export onnx", "build", "cu",
                   "parity ['ort', 'native', 'svm']", "report"]  # fmt: skip


def test_other_minutes_train_again(log: Log) -> None:
    run()
    log.clear()
    run(minutes=5)
    assert log == ALL


def test_another_config_makes_everything_anew(log: Log) -> None:
    run()
    log.clear()
    run(config="melee-mlp")
    assert log == ["ingest", "train run melee-mlp None", *ALL[2:]]


def test_what_does_not_come_with_wmq_is_trained_from_nothing(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    run(config="tick")
    assert "train run None None" in log and "train tick in float, 4 min" in capsys.readouterr().out


def test_a_config_that_is_none_is_refused(log: Log) -> None:
    with pytest.raises(WmCliError, match="no file and no experiment"):
        demo.run_demo(Path("replays"), Path("out"), 4, Path("melee-nothing"))


def test_another_replay_in_the_folder_makes_everything_anew(log: Log) -> None:
    run()
    log.clear()
    Path("replays/b.slp").write_bytes(b"b")
    run()
    assert log == ALL


def test_other_replays_need_another_folder(log: Log) -> None:
    run()
    with pytest.raises(WmCliError, match="--out"):
        demo.run_demo(Path("replays/a.slp"), Path("out"), 4, experiments()["melee-start"])


def test_a_config_may_be_named_from_where_the_demo_is_called(log: Log) -> None:
    """The stages run in the project's folder, where a relative path leads nowhere."""
    own = Path("experiments") / "melee-start.yaml"
    own.parent.mkdir()
    own.write_text(experiments()["melee-start"].read_text())
    assert demo.run_demo(Path("replays"), Path("out"), 4, own) == 0


def test_an_interrupt_leaves_a_demo_that_goes_on(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "quantize_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
    done = len(log)
    assert run() == 0 and log[:done] == ALL[:done] and log[done:] == ALL[done:]


def test_an_interrupted_ingest_is_not_taken_for_a_whole_one(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(source: Path) -> None:
        _leave(demo.META)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "_ingest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
    run()
    assert log == ALL


def test_training_resumes_only_what_was_begun_on_the_same_data(log: Log) -> None:
    resume = Path("out/run/resume.pt")
    run()
    (Path("out") / demo.RUN).unlink()
    _leave(resume)
    log.clear()
    run()
    assert log[0] == "train run melee-start yes"
    os.utime(resume, (1, 1))
    (Path("out") / demo.RUN).unlink()
    log.clear()
    run()
    assert log[0] == "train run melee-start None"


def test_without_a_toolchain_the_rest_is_done(
    log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("wm_export.solana.toolchain.find_toolchain", lambda: None)
        patch.setattr("wm_export.solana.toolchain.host_cargo", lambda: None)
        assert run() == 0
    assert log == [*ALL[:12], "parity ['ort']", "report"]
    assert "make toolchain" in " ".join(capsys.readouterr().out.split())
    log.clear()
    assert run() == 0
    assert log == ["build", "cu", "parity ['ort', 'native', 'svm']", "report"]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("evaluate-qat", {"position_mae": 0.25}, "differ in position_mae"),
        ("parity", {"mismatches": 1, "first_difference": DIFFERENCE}, "heads"),
        ("cu", {"equal": False}, "predicted and metered"),
    ],
)
def test_a_difference_is_an_exit_code(
    log: Log, name: str, change: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    path = Path("out/figures") / f"{name}.json"
    made = path.stat().st_mtime_ns
    atomic_write_json(path, json.loads(path.read_text()) | change)
    os.utime(path, ns=(made, made))
    capsys.readouterr()
    assert run() == 1
    assert words in capsys.readouterr().out


def test_a_stage_without_its_output_stops_the_demo(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "build_export", lambda export: None)
    with pytest.raises(WmCliError, match="build the Solana program"):
        run()


def test_without_own_replays_the_demo_fetches_its_own(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "fetch_demo_replay", lambda folder: Path("replays/a.slp"))
    assert demo.run_demo(None, Path("out"), 4, experiments()["melee-start"]) == 0
    assert json.loads((Path("out") / stages.SETTINGS).read_text())["replays"].endswith("replays/a.slp")
