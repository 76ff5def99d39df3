"""The order of the demo of BOLT's components and systems, its skipping and its exit codes, on stages that only leave
files."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.wm_cli.demo.test_journey import EVALUATION, _leave
from wm_cli import project
from wm_cli.demo import demo_stages as stages
from wm_cli.demo import journey, match_journey
from wm_cli.errors import WmCliError
from wm_cli.experiments import experiments
from wm_cli.verbs import composing, making, matches, measuring, training
from wm_export.errors import WmExportError
from wm_train.files import atomic_write_json

APPLIES = [{"system": name, "cu": 30, "own_cu": 20, "world_cu": 10} for name in ("inputs", "movement")]
COMPARED = {"mismatches": 0, "first_difference": None, "executors": ["interp", "bolt"], "frames": 200,
            "rollout_frames": 300, "outcomes": [{"executor": "bolt", "frames": 200, "mismatches": 0}],
            "transactions": 2, "frame_cu": 60, "applies": APPLIES}  # fmt: skip
PARTS = ("hit_detection", "damage_and_knockback", "movement", "action_transitions", "shield_and_grab")
Log = list[str]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Log:
    """Stages that note their name and leave their output; one replay in `replays`."""
    noted: Log = []

    def stage(name: str, path: Callable[..., Path], kept: str = "", figures: Any = None) -> Callable[..., Any]:
        def ran(*arguments: Any, **more: Any) -> None:
            noted.append(name.format(*arguments, **more))
            _leave(path(*arguments))
            if kept:
                project.keep_figures(kept, figures)

        return ran

    def evaluate(models: list[Path], dataset: Path, limit: int) -> list[None]:
        noted.append(f"evaluate {models[0]}")
        form = {"composed": "qat", "qnet": "qnet"}[str(models[0])]
        project.keep_figures(f"evaluate-{form}", EVALUATION | {"model": {"form": form}})
        return [None]

    def install() -> tuple[str, ...]:
        noted.append("install")
        return ("rustc 1",)

    def ingest(source: Path) -> None:
        noted.append("ingest")
        _leave(stages.META)
        project.keep_figures("ingest", {})

    world = tmp_path / "cache" / "world.so"
    monkeypatch.setattr(stages, "_ingest", ingest)
    monkeypatch.setattr("wm_export.bolt.std_programs.install", install)
    monkeypatch.setattr("wm_export.bolt.std_programs.world_path", lambda: world)
    monkeypatch.setattr("wm_export.bolt.std_programs.world_program", stage("world", lambda: world))
    monkeypatch.setattr(training, "train_run", stage("{1} from {4} of {minutes:.2g}", lambda _, r, *m: r / "run.json"))
    monkeypatch.setattr(composing, "compose_runs", _composing(noted))
    monkeypatch.setattr(measuring, "evaluate_models", evaluate)
    monkeypatch.setattr(making, "quantize_run", _leaving(noted, "quantize", stages.QNET))
    monkeypatch.setattr(matches, "export_matches", _leaving(noted, "export", journey.EXPORT))
    monkeypatch.setattr(match_journey, "_build", _leaving(noted, "build", match_journey.BUILT))
    monkeypatch.setattr(matches, "compare_matches", stage("parity {2}", lambda *_: Path("x"), "bolt", COMPARED))
    (tmp_path / "replays").mkdir()
    (tmp_path / "replays" / "a.slp").write_bytes(b"a")
    monkeypatch.chdir(tmp_path)
    return noted


def _leaving(noted: Log, name: str, path: Path) -> Callable[..., None]:
    def ran(*_: Any, **__: Any) -> None:
        noted.append(name)
        _leave(path)

    return ran


def _composing(noted: Log) -> Callable[..., None]:
    def ran(runs: list[Path], out: Path, overwrite: bool) -> None:
        noted.append(f"compose {len(runs)}")
        _leave(out / "run.json")

    return ran


def run(minutes: float = 4) -> int:
    return match_journey.run_match_demo(Path("replays"), Path("out"), minutes)


TRAINED = [f"parts/{key}{qat} from {start} of {minutes}" for key in PARTS
           for qat, start, minutes in (("", None, "0.8"), ("-qat", f"parts/{key}", "0.4"))]  # fmt: skip
ALL = ["install", "world", "ingest", *TRAINED, "compose 5", "evaluate composed", "quantize", "evaluate qnet", "export",
       "build", "parity 200"]  # fmt: skip


def test_every_stage_once_and_in_order(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0 and log == ALL
    said = " ".join(capsys.readouterr().out.split())
    assert "[20/20] parity" in said and "over 500 frames" in said and "60 compute units in 2 transactions" in said
    log.clear()
    assert run() == 0 and log == []


def test_an_interrupt_leaves_a_demo_that_goes_on(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(composing, "compose_runs", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
    done = len(log)
    assert run() == 0 and log[:done] == ALL[:done] and log[done:] == ALL[done:]


def test_a_machine_that_cannot_build_is_told_first(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> tuple[str, ...]:
        raise WmExportError("bolt.sh install ended with status 3")

    monkeypatch.setattr("wm_export.bolt.std_programs.install", refused)
    with pytest.raises(WmExportError, match="status 3"):
        run()
    assert log == []


def test_a_demo_of_another_target_is_left_alone(log: Log) -> None:
    run()
    with pytest.raises(WmCliError, match="another --target"):
        journey.run_demo(Path("replays"), Path("out"), 4, experiments()["melee-start"])


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("evaluate-qat", {"position_mae": 0.25}, "differ in position_mae"),
        ("bolt", {"mismatches": 1}, "1 frames differ"),
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
