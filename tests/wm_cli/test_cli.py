"""The verbs as a user types them: chained in an empty folder, and with mistakes."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from tests.factories import random_checkpoint, small_model, small_qnet, write_dataset
from tests.verbs import figures, run
from tests.wm_live.chains import write_keypair
from wm_cli.cost_figures import compared
from wm_cli.demo.journey import differences
from wm_cli.verb_table import VERBS
from wm_export.lower.cost import PRESET_OVERHEADS, preset_cost
from wm_export.solana.build_record import built
from wm_export.solana.export import open_export
from wm_export.solana.toolchain import Toolchain
from wm_quant.qnet import save_qnet
from wm_train.checkpoint import save_checkpoint
from wm_train.config import load_config
from wm_train.fit import sweep as sweeping
from wm_train.fit.sweep import Trial, ranked

pytestmark = pytest.mark.usefixtures("exact_again")

CONFIG = "model: {hidden: [64, 32], slots: 3}\ntrain: {steps: 10, batch: 32, holdout: 0.4}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with a dataset of made-up games."""
    made = tmp_path_factory.mktemp("project")
    (made / "dataset").mkdir()
    write_dataset(made / "dataset", [90, 80, 70, 60])
    (made / "small.yaml").write_text(CONFIG)
    return made


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> tuple[Path, Any, Any]:
    """The same folder after every verb from `train` to `export`, and the figures of the QAT run and of its QNet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert figures("train", "--config", "small.yaml", "--out", "run")["form"] == "float"
        assert (
            figures("train", "--config", "small.yaml", "--out", "run-qat", "--start", "run", "--qat")["form"] == "qat"
        )
        assert figures("quantize")["proofs"] > 0
        qat, qnet = figures("evaluate", "run-qat"), figures("evaluate")
        assert figures("export", "--target", "onnx")["bytes"] > 0
        assert figures("export", "--target", "solana")["plan"] == [[0, 8]]
    return folder, qat, qnet


def test_the_pipeline_chains_without_arguments(
    pipeline: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, qat, qnet = pipeline
    monkeypatch.chdir(folder)
    assert qnet["model"]["form"] == "qnet" and qat["model"]["form"] == "qat"
    assert {k: v for k, v in qat.items() if k != "model"} == {k: v for k, v in qnet.items() if k != "model"}
    assert set(qnet["baselines"]) == {"persistence", "constant_velocity", "constant_velocity_freeze"}
    assert len(figures("rollout", "--frames", "12")["position_error"]) == 12
    assert (
        figures("parity", "--frames", "5", "--rollouts", "1", "--rollout-frames", "5", "--target", "ort")["mismatches"]
        == 0
    )
    report = run("report")
    assert report.exit_code == 0, report.output
    assert "<html" in (folder / "report.html").read_text()


def test_the_program_of_the_pipeline(
    sbpf: Toolchain, pipeline: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, qat, qnet = pipeline
    monkeypatch.chdir(folder)
    cost = figures("cu", "--frames", "5")
    assert (cost["frames_metered"], cost["frames_different"], cost["equal"]) == (5, 0, True)
    assert differences(qat, qnet, {"mismatches": 0}, cost) == []
    assert sum(op["cu_metered"] is None for op in cost["ops"]) == 1  # the first cannot be told from the entrypoint
    assert cost["transactions"][0]["cu_predicted"] == cost["transactions"][0]["cu_metered"] == cost["total_cu"]
    assert (
        figures("parity", "--frames", "5", "--rollouts", "1", "--rollout-frames", "5", "--target", "svm")["mismatches"]
        == 0
    )
    assert run("cu", "--frames", "1", "--budget", "1000").exit_code == 1


def test_cost_and_parity_need_no_dataset(
    pipeline: tuple[Path, Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        figures("parity", str(pipeline[0] / "export"), "--frames", "4", "--rollouts", "0", "--target", "ort")["frames"]
        == 4
    )


def test_a_dataset_without_a_game_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.slp").write_bytes(b"no replay")
    result = run("ingest", "bad.slp")
    assert result.exit_code == 1 and "0 games" in result.stdout and "not_slp" in result.stdout


@pytest.mark.parametrize("command", [["play"], ["session", "open"], ["live"], ["bench", "rollup"], ["cu"], ["parity"]])
def test_a_dataset_that_was_named_must_be_there(
    sbpf: Toolchain, pipeline: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    folder = pipeline[0]
    monkeypatch.chdir(folder)
    write_keypair(folder / "payer.json", Keypair.from_seed(bytes(32)))
    if not built(open_export(Path("export"))):
        figures("build")
    result = run(*command, "--dataset", "nowhere")
    assert result.exit_code == 1 and "nowhere: is not there, expected a dataset" in result.output


def test_one_op_or_frame_that_differs_is_not_equal() -> None:
    cost = preset_cost("mlp")
    frame, ops = cost.transactions(0), {op.name: op.cu for op in cost.ops}
    assert compared(cost, 1_400_000, ops, [frame])["ok"]
    assert not compared(cost, 1_400_000, ops | {"heads": ops["heads"] + 1}, [frame])["equal"]
    assert not compared(cost, 1_400_000, ops, [frame, [frame[0] + 1]])["equal"]


def test_datasets_are_encoded_and_runs_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = write_dataset(tmp_path / "dataset", [30, 20, 25])
    encoded = figures("encode", "--workers", "1")
    assert (encoded["games"], encoded["encoded"], figures("encode", "--workers", "1")["known"]) == (3, 3, 3)
    assert "3 games encoded (0 now, 3 known)" in run("encode").stdout
    for name, train, valid in (("run", names[:2], names[2:]), ("other", names[2:], names[:1])):
        (tmp_path / name).mkdir()
        save_checkpoint(
            tmp_path / name, replace(random_checkpoint(small_model()), split={"train": train, "valid": valid})
        )
    same = figures("overlap", "run", "dataset")
    assert same["ok"] and [(p["a"], p["b"], len(p["games"])) for p in same["pairs"]] == [
        ("train", "listed", 2),
        ("valid", "listed", 1),
    ]
    leak = run("overlap", "run", "other", "--json")
    assert leak.exit_code == 1 and json.loads(leak.stdout)["pairs"] == [
        {"a": "train", "b": "valid", "leak": True, "games": names[:1]},
        {"a": "valid", "b": "train", "leak": True, "games": names[2:]},
    ]
    net = replace(small_qnet(), provenance={"split": {"train": names[:1], "valid": names[:1]}, "holdout": 0.1})
    save_qnet(tmp_path / "qnet", net)
    text = run("overlap", "qnet", "run")
    assert text.exit_code == 1 and "cut/train: 1  trained on here, held out there" in text.stdout
    assert run("overlap", "qnet", "qnet").exit_code == 0


def test_cost_of_a_preset() -> None:
    cost = figures("cu", "--preset", "mlp")
    fixed = sum(op["cu"] for op in cost["ops"]) + sum(PRESET_OVERHEADS["mlp"].steps)
    assert fixed < cost["total_cu"] < cost["worst_cu"] < fixed + 10_000  # the hash tree's part
    assert cost["total_cu"] <= 900_000 and cost["cu_per_mac"] <= 1.12


@pytest.mark.usefixtures("several_runs")
def test_an_experiment_names_its_run_and_runs_are_compared(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("train", "--config", str(folder / "small.yaml"), "--dataset", str(folder / "dataset"), "--steps", "3")
    trained = figures(*small)
    assert trained["run"] == "runs/small" and trained["held_out"] > 0 and trained["seconds"] >= 0
    qat = figures(*small, "--qat")
    assert (qat["run"], qat["form"]) == ("runs/small-qat", "qat")
    start = hashlib.sha256(Path("runs/small/run.json").read_bytes()).hexdigest()
    assert json.loads(Path("runs/small-qat/run.json").read_text())["parent"] == start
    figures(*small, "--out", "again")
    against = ("compare", "runs/small", "--dataset", str(folder / "dataset"), "--tolerance", "0")
    assert figures(*against, "again")["ok"] and "the runs agree" in run(*against, "again").stdout
    figures(*small, "--out", "longer", "--steps", "4")
    other = run(*against, "longer", "--json")
    found = json.loads(other.stdout)
    assert other.exit_code == 1 and not found["ok"] and not found["same_config"] and found["same_form"]
    assert found["config"] == [{"key": "train.steps", "first": 3, "second": 4}] and found["same_games"]
    assert {row["ok"] for row in found["metrics"]} == {True, False}
    assert "config train.steps" in run(*against, "longer").stdout
    figures(*small, "--out", "other", "--seed", "1")
    found = json.loads(run(*against, "other", "--json").stdout)
    assert not found["same_games"] and found["games"]["train"]["first"] and found["metrics"] == []
    assert run(*against, "runs/small-qat").exit_code == 1


def test_a_sweep_is_shown_and_its_best_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", [30])
    Path("sweep.yaml").write_text("{base: {}, space: {train.batch: {choice: [64, 128]}}, trials: 2, minutes: 1}")
    tried = [Trial({"train.batch": 128}, 2.0), Trial({"train.batch": 64}, None, "it broke")]
    monkeypatch.setattr(sweeping, "run", lambda sweep, *rest: ranked(sweep, tried))
    found = figures("sweep", "sweep.yaml")
    assert found["best"] == "experiments/best.yaml" and [trial["value"] for trial in found["trials"]] == [2.0, None]
    assert load_config(Path(found["best"])).train.batch == 128
    assert "2.0000" in (shown := run("sweep", "sweep.yaml", "--overwrite").stdout) and "it broke" in shown
    monkeypatch.setattr(sweeping, "run", lambda sweep, *rest: ranked(sweep, tried[1:]))
    assert run("sweep", "sweep.yaml", "--overwrite").exit_code == 1


def test_only_the_first_of_several_processes_speaks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    small = ("train", "--config", str(folder / "small.yaml"), "--dataset", str(folder / "dataset"), "--steps", "1")
    assert run(*small, "--out", str(tmp_path / "run")).output == ""


@pytest.mark.usefixtures("several_runs")
def test_bits_are_chosen_and_trained_with(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run_at, config = tmp_path / "run", tmp_path / "mixed.yaml"
    figures("train", "--config", "small.yaml", "--out", str(run_at))
    table = figures("bits", str(run_at), "--limit", "20")
    assert [layer["layer"] for layer in table["layers"]] == ["layer1", "layer2", "heads"] and "bits" not in table
    every = table["kernel_cu"] + table["around_cu"]
    least = str(every - max(layer["saved_cu"] for layer in table["layers"]))
    chosen = figures("bits", str(run_at), "--limit", "20", "--budget", least, "--out", str(config))
    assert chosen["ok"] and chosen["choice"]["bits"] and chosen["choice"]["frame_cu"] <= int(least)
    trained = ("--start", str(run_at), "--config", str(config), "--steps", "2", "--out", str(tmp_path / "qat"))
    figures("train", "--qat", *trained)
    figures("quantize", str(tmp_path / "qat"), "--out", str(tmp_path / "qnet"))
    ops = json.loads((tmp_path / "qnet" / "qnet.json").read_text())["ops"]
    assert {op["name"]: 4 for op in ops if op.get("bits") == 4} == chosen["choice"]["bits"]
    assert run("bits", str(run_at), "--limit", "20", "--budget", "1").exit_code == 1
    assert run("bits", str(run_at), "--out", str(config)).exit_code == 2


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_examples(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0 and "Examples:" in result.output and f"wmq {verb}" in result.output


@pytest.mark.parametrize(("arguments", "code", "text"), [
    (["train", "--dataset", "nowhere"], 1, "nowhere"),
    (["evaluate", "nowhere"], 1, "wmq train"),
    (["quantize", "nowhere"], 1, "wmq train"),
    (["export", "nowhere", "--target", "solana"], 1, "wmq quantize"),
    (["build", "nowhere"], 1, "expected an export; next: wmq ingest"),
    (["cu", "--preset", "big"], 1, "mlp"),
    (["encode", "--dataset", "nowhere"], 1, "nowhere"),
    (["overlap", "nowhere", "."], 1, "expected a QNet, a run or a dataset"),
    (["ingest", "nowhere"], 2, "does not exist"),
    (["ingest"], 2, "Missing argument"),
    (["train", "--steps", "0"], 2, "Invalid value"),
    (["parity", "--target", "moon"], 2, "Invalid value"),
    (["sing"], 2, "No such command"),
])  # fmt: skip
def test_mistakes_end_in_one_line(
    arguments: list[str], code: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == code and text in result.output and "Traceback" not in result.output
