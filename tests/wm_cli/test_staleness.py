"""Every verb that reads what is older than its source says so, with the command that makes it again."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import random_checkpoint, small_model, write_dataset
from tests.verbs import run
from wm_export.solana.export import export_solana
from wm_quant.convert import quantize
from wm_quant.qnet import save_qnet
from wm_train.checkpoint import Checkpoint, digest, save_checkpoint

pytestmark = pytest.mark.usefixtures("exact_again")

WARNING = re.compile(r"^warning: (\S+?): (.*); next: wmq (.*)$", re.MULTILINE)


def _checkpoint(folder: Path, form: str, seed: int) -> Checkpoint:
    made = replace(random_checkpoint(small_model(), seed), form=form, split={"train": [], "valid": []})
    return replace(made, parent=digest(folder / "run") if form == "qat" else None)


def _train(folder: Path, name: str, seed: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    save_checkpoint(folder / name, _checkpoint(folder, "qat" if name.endswith("-qat") else "float", seed))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which everything is of its source."""
    folder = tmp_path_factory.mktemp("made")
    write_dataset(folder / "dataset", [40, 30, 35])
    _train(folder, "run", 0)
    _train(folder, "run-qat", 1)
    save_qnet(folder / "qnet", net := quantize(folder / "run-qat"))
    export_solana(net, folder / "export", cuts=["4"], compact=True)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the verbs are typed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def warnings(command: str) -> list[tuple[str, str]]:
    """What a verb says is stale, and the command that it names."""
    result = run(*shlex.split(command))
    assert "Traceback" not in result.output
    return [(place, then) for place, _, then in WARNING.findall(result.stderr)]


EVALUATE, PARITY = "evaluate --limit 9", "parity --target ort --frames 2 --rollouts 0"
#: Verbs that read a QNet, and those that read an export.
OF_QNET = (EVALUATE, "rollout --frames 3", "diagnose --limit 9", "speculate --windows 5", "overlap qnet dataset",
           "report", "export --target onnx --out w.onnx")  # fmt: skip
OF_EXPORT = (PARITY, "deploy --dry-run", "deploy verify --model x", "deploy abort", "session show", "play")


@pytest.mark.parametrize("command", [*OF_QNET, *OF_EXPORT, "quantize --out new", "evaluate run-qat --limit 9"])
def test_nothing_is_said_of_what_is_of_its_source(folder: Path, command: str) -> None:
    assert warnings(command) == []


@pytest.mark.parametrize("command", OF_QNET)
def test_a_qnet_of_a_run_that_was_trained_anew(folder: Path, command: str) -> None:
    _train(folder, "run-qat", 2)
    assert warnings(command) == [("qnet", "quantize run-qat --overwrite")]


@pytest.mark.parametrize("command", OF_EXPORT)
def test_an_export_of_a_run_that_was_trained_anew(folder: Path, command: str) -> None:
    _train(folder, "run-qat", 2)
    assert warnings(command) == [("qnet", "quantize run-qat --overwrite")]


@pytest.mark.parametrize("command", ["quantize --out new", "evaluate run-qat --limit 9", "compare run-qat run-qat"])
def test_a_qat_run_of_a_float_run_that_was_trained_anew(folder: Path, command: str) -> None:
    _train(folder, "run", 3)
    assert warnings(command) == [("run-qat", "train --qat --overwrite")]


def test_the_commands_that_are_named_make_all_of_its_source_again(folder: Path) -> None:
    assert run(*shlex.split(EVALUATE)).exit_code == run(*shlex.split(PARITY)).exit_code == 0
    _train(folder, "run-qat", 2)
    ((_, then),) = warnings(PARITY)
    assert run(*shlex.split(then)).exit_code == 0 and warnings(EVALUATE) == []
    ((place, then),) = warnings(PARITY)
    assert (place, then) == ("export", "export qnet --target solana --cut 4 --compact --overwrite")
    assert run(*shlex.split(then)).exit_code == 0
    assert warnings("report") == [("figures/parity.json", "parity")]
    assert warnings(PARITY) == [] and warnings("report") == []


def test_figures_of_another_qnet(folder: Path) -> None:
    assert run(*shlex.split(EVALUATE)).exit_code == 0
    _train(folder, "run-qat", 2)
    assert run("quantize", "--overwrite").exit_code == 0
    assert warnings("report") == [("figures/evaluate-qnet.json", "evaluate qnet")]


def test_runs_of_the_best_moment_and_of_elsewhere_are_sources_too(folder: Path) -> None:
    (folder / "run-qat" / "best").mkdir()
    save_checkpoint(folder / "run-qat" / "best", _checkpoint(folder, "qat", 5))
    assert run("quantize", "run-qat/best", "--overwrite").exit_code == 0 and warnings(EVALUATE) == []
    (folder / "runs").mkdir()
    (folder / "run-qat").rename(folder / "runs" / "mine-qat")
    assert warnings(EVALUATE) == []
    shutil.rmtree(folder / "runs")
    shutil.rmtree(folder / "run")
    assert warnings(EVALUATE) == []  # nothing here says what it was made from
