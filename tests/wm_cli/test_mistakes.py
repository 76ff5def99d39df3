"""Mistakes of first use, replayed: what a verb says of each, and that the command which it names then works."""

import hashlib
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.shell_completion import ShellComplete

import cli
import wm_train.files
from tests.factories import random_checkpoint, small_model, small_qnet, write_dataset
from tests.verbs import run
from wm_cli.artifacts import KINDS, Kind
from wm_cli.verbs.training import _held_out_text
from wm_export.solana.export import export_solana
from wm_quant.convert import quantize
from wm_quant.qnet import save_qnet
from wm_train.checkpoint import digest, load_checkpoint, save_checkpoint

pytestmark = pytest.mark.usefixtures("exact_again")

#: A command that an answer names; it ends the answer.
NEXT = re.compile(r"next: wmq (.*)$", re.MULTILINE)
CONFIG = "model: {hidden: [16, 9], slots: 2}\ntrain: {steps: 3, batch: 8, holdout: 0.4}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with everything from a dataset to an export that is not built."""
    folder = tmp_path_factory.mktemp("made")
    names = write_dataset(folder / "dataset", [40, 30, 35])
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "precious.txt").write_text("mine")
    made = replace(random_checkpoint(small_model()), split={"train": names[:2], "valid": names[2:], "skipped": []})
    for name, form in (("run", "float"), ("run-qat", "qat")):
        (folder / name).mkdir()
        save_checkpoint(folder / name, replace(made, form=form))
    save_qnet(folder / "qnet", quantize(folder / "run-qat"))
    export_solana(small_qnet(), folder / "export")
    return folder


@pytest.fixture
def exported(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the verbs are typed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(exported: Path) -> Path:
    """The same without an export."""
    shutil.rmtree(exported / "export")
    return exported


def answer(command: str, code: int = 1) -> str:
    """What a verb says of a mistake, without line breaks: one error, no traceback, no number of an error, no bar."""
    result = run(*shlex.split(command))
    assert result.exit_code == code and isinstance(result.exception, SystemExit | None), result.output
    assert not any(word in result.output for word in ("Traceback", "Errno", " 0% ")), result.output
    said = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1, result.output
    return said[0].removeprefix("Error: ")


def next_of(said: str) -> str:
    """The command that an answer names."""
    (command,) = NEXT.findall(said)
    return str(command)


@pytest.mark.parametrize(("command", "says", "then"), [
    ("evaluate export --limit 9", "export: is an export, expected a QNet or a run", "evaluate qnet --limit 9"),
    ("evaluate dataset --limit 9", "dataset: is a dataset, expected", "evaluate qnet --limit 9"),
    ("evaluate precious.txt --limit 9", "precious.txt: is a file, expected", "evaluate qnet --limit 9"),
    ("evaluate nowhere --limit 9", "nowhere: is not there, expected", "evaluate qnet --limit 9"),
    ("evaluate run --dataset run --limit 9", "run: is a run, expected a dataset",
     "evaluate run --dataset dataset --limit 9"),
    ("diagnose export --limit 9", "export: is an export, expected", "diagnose qnet --limit 9"),
    ("rollout export --frames 9", "export: is an export, expected", "rollout qnet --frames 9"),
    ("speculate export --windows 5", "export: is an export, expected", "speculate qnet --windows 5"),
    ("overlap run export", "export: is an export, expected a QNet, a run or a dataset", "overlap run qnet"),
    ("compare run qnet --limit 9", "qnet: is a QNet, expected a run", None),
    ("bits qnet --limit 9", "qnet: is a QNet, expected a run", "bits run-qat --limit 9"),
    ("quantize qnet --out q", "qnet: is a QNet, expected a run", "quantize run-qat --out q"),
    ("quantize export --out q", "export: is an export, expected a run", "quantize run-qat --out q"),
    ("train --qat --start qnet --out new --config c.yaml", "qnet: is a QNet, expected a float run",
     "train --qat --start run --out new --config c.yaml"),
    ("export run --target solana --out new", "run: is a run, expected a QNet", "export qnet --target solana --out new"),
    ("export run --target onnx --out new.onnx", "run: is a run, expected a QNet",
     "export qnet --target onnx --out new.onnx"),
    ("encode --dataset run --workers 1", "run: is a run, expected a dataset", "encode --dataset dataset --workers 1"),
    ("parity qnet --target ort --frames 3 --rollouts 0", "qnet: is a QNet, expected an export",
     "parity export --target ort --frames 3 --rollouts 0"),
    ("build qnet", "qnet: is a QNet, expected an export", "build export"),
    ("deploy qnet --dry-run", "qnet: is a QNet, expected an export", "deploy export --dry-run"),
    ("session show qnet", "qnet: is a QNet, expected an export", "session show export"),
    ("play", "export: not built yet", "build export"),
    ("session show", "export: not built yet", "build export"),
    ("deploy --dry-run", "export: not built yet", "build export"),
])  # fmt: skip
def test_another_thing_than_the_verb_wants(exported: Path, command: str, says: str, then: str | None) -> None:
    said = answer(command)
    assert says in said
    if then is not None:
        assert next_of(said) == then
    if then is None or then.split()[0] in ("cu", "build", "deploy", "session"):
        return  # needs a compiler or a node: tests of those verbs
    again = run(*shlex.split(then))
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("command", [
    "train", "encode", "evaluate", "diagnose", "rollout", "speculate", "quantize", "bits", "build", "cu", "parity",
    "export --target solana", "export --target onnx", "session show", "session open", "play", "deploy", "live",
    "bench rollup", "watch", "study character --character 9",
])  # fmt: skip
def test_an_empty_folder(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = answer(command)
    assert "is not there, expected a" in said and next_of(said).startswith("ingest REPLAYS")


@pytest.mark.parametrize(("missing", "command"), [
    (("qnet",), "export --target solana --out new"),
    (("run-qat", "run", "qnet"), "quantize --out new"),
    (("run-qat", "run", "qnet"), "evaluate --limit 9"),
    (("qnet", "export"), "parity --target ort --frames 3 --rollouts 0"),
])  # fmt: skip
def test_the_verbs_that_make_what_is_missing_work_in_their_order(
    folder: Path, missing: tuple[str, ...], command: str
) -> None:
    for name in missing:
        for path in (folder / name).glob("*"):
            path.unlink()
    for step in next_of(answer(command)).split(", then wmq "):
        small = " --config c.yaml --out run" if step == "train" else ""
        assert run(*shlex.split(step + small)).exit_code == 0, step
    assert run(*shlex.split(command)).exit_code == 0


def test_runs_that_lie_elsewhere_are_listed(folder: Path) -> None:
    (folder / "runs").mkdir()
    for name in ("run", "run-qat"):
        (folder / name).rename(folder / "runs" / f"my {name}")
    (folder / "qnet").rename(folder / "mine")
    said = answer("quantize --out q")
    assert "here: runs/my run, runs/my run-qat" in said and next_of(said) == "quantize --out q 'runs/my run'"
    assert run(*shlex.split(next_of(answer("export --target onnx")))).exit_code == 0


@pytest.mark.parametrize(("place", "then"), [
    ("run", "train --resume"),
    ("run-qat", "train --qat --resume"),
    ("runs/mlp-v22-qat", "train --config mlp-v22 --qat --resume"),
])  # fmt: skip
def test_a_run_that_was_interrupted_is_gone_on_with(folder: Path, place: str, then: str) -> None:
    path = folder / place
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").unlink(missing_ok=True)
    (path / "resume.pt").write_bytes(b"")
    said = answer(f"evaluate {place}")
    assert f"{place}: holds a run that was interrupted, expected a QNet or a run" in said and next_of(said) == then


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_kind_is_told_from_every_other(exported: Path, kind: Kind) -> None:
    (exported / "session-1").mkdir()
    (exported / "session-1" / "log.json").write_text("{}")
    (exported / "match" / "bolt").mkdir(parents=True)
    for place in ("run", "match"):
        (exported / place / "manifest.json").write_text("{}")
    at = {"a dataset": "dataset", "a run": "run", "a QNet": "qnet", "an export": "export",
          "an export to BOLT": "match", "the log of a session": "session-1"}  # fmt: skip
    assert [other.name for other in KINDS if other.lies_at(Path(at[kind.name]))] == [kind.name]


# ------------------------------------------------------------------------------------------------ what is another's


@pytest.mark.parametrize("command", [
    "export --target solana --out precious.txt", "export --target onnx --out precious.txt", "report --out precious.txt",
    "train --config c.yaml --out dataset", "train --config c.yaml --out qnet", "quantize --out run",
    "ingest dataset/../c.yaml --out run", "ingest c.yaml --out qnet", "ingest c.yaml --out .",
    "export --target solana --out run",
])  # fmt: skip
def test_a_verb_writes_over_nothing_of_another(folder: Path, command: str) -> None:
    def held() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = held()
    said = answer(command)
    assert any(words in said for words in ("name another", "give another folder with --out", "--overwrite")), said
    assert held() == before


def test_a_full_disk_names_the_file_and_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wm_train.files, "_write_part", full)
    said = answer("quantize --out q")
    assert re.fullmatch(r"q/qnet\.safetensors: No space left on device for its [\d,]+ bytes; .*", said)


def test_an_error_of_the_system_without_a_path_names_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("wm_quant.qnet.save_qnet", refused)
    assert answer("quantize --out q") == "wmq quantize --out q: Too many open files"


# --------------------------------------------------------------------------------------------- nobody at the terminal


@pytest.mark.parametrize("stdin", [None, "closed"])
def test_no_terminal_is_one_line(stdin: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from wm_cli.asking import somebody_there
    from wm_live.errors import WmLiveError
    from wm_live.session.inputs import keyboard
    from wm_train.world.registry import find_game

    closed = SimpleNamespace(closed=True)
    monkeypatch.setattr(sys, "stdin", None if stdin is None else closed)
    assert not somebody_there()
    with pytest.raises(WmLiveError, match="standard input is no terminal"), keyboard(find_game(), lambda frame: None):  # type: ignore[arg-type, return-value]
        pass


# ------------------------------------------------------------------------------------------------------ other answers


@pytest.mark.parametrize(("command", "code", "says"), [
    ("cu --preset mlp --budget 400000", 1, "439,111 over the budget of 400,000"),
    ("cu --preset mlp", 0, "units a frame"),
])  # fmt: skip
def test_a_budget_that_is_not_kept_says_by_how_much(command: str, code: int, says: str) -> None:
    result = run(*command.split())
    assert result.exit_code == code and says in result.stdout
    assert ("over the budget" in result.stdout) == bool(code)


@pytest.mark.parametrize("columns", ["20", "80"])
def test_no_terminal_is_too_narrow_for_a_figure(columns: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for command in ("cu --preset mlp", "evaluate run run-qat qnet --limit 9", "compare run run --limit 9"):
        shown = run(*command.split()).stdout
        assert "…" not in shown and re.search(r"\d", shown)
    assert "337,362" in run("cu", "--preset", "mlp").stdout


@pytest.mark.parametrize(("command", "says"), [
    ("deploy verfy", "Did you mean 'verify'?"),
    ("deploy aborrt", "Did you mean 'abort'?"),
    ("sessio", "Did you mean 'session'?"),
    ("session opne", "Did you mean 'open'?"),
])  # fmt: skip
def test_a_verb_that_was_mistyped(folder: Path, command: str, says: str) -> None:
    assert says in answer(command, code=2)


@pytest.mark.parametrize(("typed", "begun", "offered"), [
    ("deploy", "", {"run", "rent", "verify", "abort"}),
    ("deploy", "v", {"verify"}),
    ("deploy", "--dry", {"--dry-run"}),
    ("deploy verify", "--mo", {"--model"}),
    ("session", "", {"open", "join", "show", "commit", "close"}),
    ("cu --preset", "mlp-t", {"mlp-two-level"}),
])  # fmt: skip
def test_completion(typed: str, begun: str, offered: set[str]) -> None:
    found = ShellComplete(cli.main, {}, "wmq", "_WMQ_COMPLETE").get_completions(typed.split(), begun)
    assert {item.value for item in found} >= offered


def test_a_keypair_that_is_not_there(exported: Path) -> None:
    said = answer("deploy abort")
    assert "payer.json: is not there" in said and next_of(said) == "fund --keypair payer.json --sol 60"


@pytest.fixture
def nobody_listens() -> Iterator[str]:
    """The address of a port on this machine that nothing listens on."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_local_network_that_does_not_run(folder: Path, nobody_listens: str) -> None:
    said = answer(f"fund --cluster {nobody_listens} --sol 1")
    assert said.startswith(nobody_listens) and "next: wmq localnet" in said


# --------------------------------------------------------------------------------------------------- figures in words


@pytest.mark.parametrize(("figures", "says", "then"), [
    ((24.2, 24.2, 900), "held-out loss 24.2000, the least of the run: longer training may help", "evaluate run"),
    ((24.3, 24.2, 500), "held-out loss 24.3000; the least was 24.2000, at step 500, kept in run/best", "evaluate run"),
    ((28.4, 24.2, 500), "it has risen since: more games, or fewer steps, would help", "evaluate run run/best"),
    ((None, None, None), "no held-out loss", "evaluate run"),
])  # fmt: skip
def test_training_ends_with_a_verdict(figures: tuple[float | None, ...], says: str, then: str) -> None:
    keys = ("held_out", "best_held_out", "best_step")
    said = _held_out_text(Path("run"), {"steps": 900, **dict(zip(keys, figures, strict=True))}, None)
    assert says in said and next_of(said) == then


def test_the_command_after_training_works_and_evaluation_says_what_it_is_worth(folder: Path) -> None:
    said = run("train", "--config", "c.yaml", "--out", "new").stdout
    assert "held-out loss" in said
    worth = run(*shlex.split(next_of(said)), "--limit", "9")
    assert worth.exit_code == 0 and re.search(r"^float: (No better than a baseline in|Better than)", worth.stdout, re.M)


def test_weights_are_of_a_run_that_is_named(folder: Path) -> None:
    """The answer names it, and how the file is written; then training begins with it."""
    torch = pytest.importorskip("torch")
    from wm_train.nets.predict import trained_network

    assert "give that run, as --start RUN" in answer("train --weights w.pt --out new", code=2)
    wanted = "train --qat --start run --weights w.pt --out new"
    assert answer(wanted).endswith("torch.save(net.state_dict(), FILE)")
    torch.save(trained_network(load_checkpoint(Path("run"))).state_dict(), "w.pt")
    done = run(*shlex.split(wanted), "--steps", "1")
    assert done.exit_code == 0, done.output
    kept = load_checkpoint(Path("new"))
    assert (kept.parent, kept.weights) == (digest(Path("run")), hashlib.sha256(Path("w.pt").read_bytes()).hexdigest())


def test_experiments_are_found_by_name(folder: Path) -> None:
    assert "there are full, mamba2-0.4m" in answer("train --config mamba2-9m")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "mine.yaml").write_text(CONFIG)
    assert run("train", "--config", "mine").exit_code == 0 and (folder / "runs" / "mine" / "run.json").exists()
    assert "mine" in answer("encode --config nowhere")
    found = ShellComplete(cli.main, {}, "wmq", "_WMQ_COMPLETE").get_completions(["train", "--config"], "mam")
    assert {item.value for item in found} >= {"mamba2-0.4m", "mamba2-1.2m"}
