"""Nothing that was made is lost unasked: by a second process, a link, another's file, Ctrl-C, or a full disk."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import pytest

import wm_train.files
from tests.factories import random_checkpoint, small_model, small_qnet, write_dataset
from tests.verbs import run
from wm_cli import project
from wm_cli.demo.journey import run_demo
from wm_cli.documents.guide_tables import leaves
from wm_cli.errors import INTERRUPTED, WmCliError
from wm_cli.experiments import experiments
from wm_cli.options import Verb
from wm_export.solana.export import export_solana
from wm_quant.qnet import save_qnet
from wm_train.checkpoint import save_checkpoint
from wm_train.fit import sweep as sweeping
from wm_train.fit.sweep import Trial, ranked
from wm_train.fit.train import _Run
from wm_train.games.dataset import open_dataset
from wm_train.writer import one_writer, one_writer_of_file

pytestmark = pytest.mark.usefixtures("exact_again")


@dataclass(frozen=True)
class Writes:
    """A verb that writes.

    place    what it writes
    file     whether that is one file
    vouches  of a folder, the file that is written last
    """

    command: str
    place: str
    file: bool = False
    vouches: str = ""

    def run(self, *more: str) -> Any:
        return run(*self.command.split(), *more)


WRITERS = {
    "train": Writes("train --config c.yaml --out out", "out", vouches="run.json"),
    "train --qat": Writes("train --qat --config c.yaml --out out", "out", vouches="run.json"),
    "quantize": Writes("quantize source --out out", "out", vouches="qnet.json"),
    "export": Writes("export made --target solana --out out", "out", vouches="manifest.json"),
    "onnx": Writes("export made --target onnx --out out.onnx", "out.onnx", file=True),
    "sweep": Writes("sweep sweep.yaml --out out.yaml", "out.yaml", file=True),
    "bits": Writes("bits source --limit 9 --budget 9000000 --out out.yaml", "out.yaml", file=True),
    "report": Writes("report --out out.html", "out.html", file=True),
}
FILES = {name: writer for name, writer in WRITERS.items() if writer.file}
FOLDERS = {name: writer for name, writer in WRITERS.items() if not writer.file}
CONFIG = "model: {hidden: [16, 9], slots: 2}\ntrain: {steps: 3, batch: 8, holdout: 0.4}\n"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every writer begins from; nothing is changed here."""
    made = tmp_path_factory.mktemp("begun")
    names = write_dataset(made / "dataset", [40, 30, 35])
    (made / "c.yaml").write_text(CONFIG)
    (made / "sweep.yaml").write_text("{base: {}, space: {train.batch: {choice: [64]}}, steps: 1}")
    (made / "source").mkdir()
    split = {"train": names[:2], "valid": names[2:], "skipped": []}
    save_checkpoint(made / "source", replace(random_checkpoint(small_model()), split=split))
    save_qnet(made / "made", small_qnet())
    return made


@pytest.fixture
def folder(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with all of that; a sweep's trials are made up."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(sweeping, "run", lambda sweep, *_: ranked(sweep, [Trial({"train.batch": 64}, 1.0)]))
    return tmp_path


def held(folder: Path) -> dict[str, bytes]:
    """Every file, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(result: Any, *words: str) -> str:
    """The one line of an error."""
    assert result.exit_code == 1, result.output
    said = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1 and "Traceback" not in result.output, result.output
    assert all(word in said[0] for word in words), said[0]
    return said[0]


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_what_was_made_is_replaced_only_if_that_is_asked_for(folder: Path, writer: Writes) -> None:
    assert writer.run().exit_code == 0
    before = held(folder)
    if writer.command.startswith("report"):  # made of what is kept, it can always be made again
        assert writer.run().exit_code == 0
        return
    refused(writer.run(), writer.place, "--overwrite")
    assert held(folder) == before
    assert writer.run("--overwrite").exit_code == 0
    assert held(folder).keys() == before.keys()


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_what_another_has_made_stays(folder: Path, writer: Writes) -> None:
    place = folder / writer.place
    if writer.file:
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    before = held(folder)
    refused(writer.run(), writer.place, "another" if not writer.file else "--overwrite")
    assert held(folder) == before
    if not writer.file:
        assert writer.run("--overwrite").exit_code == 0
        assert (place / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_nothing_is_written_through_a_link(folder: Path, writer: Writes) -> None:
    outside = folder / "outside"
    outside.write_text("mine")
    link = folder / writer.place / writer.vouches if writer.vouches else folder / writer.place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    before = held(folder)
    for more in ((), ("--overwrite",)):
        refused(writer.run(*more), str(link.relative_to(folder)), "is a link")
        assert link.is_symlink() and held(folder) == before


@pytest.mark.parametrize("inner", ["best", "float", "best/model.safetensors", "float/resume.pt", "curves.tfevents"])
def test_no_link_inside_a_run_is_followed(folder: Path, inner: str) -> None:
    (folder / "outside").mkdir()
    path = folder / "out" / inner
    path.parent.mkdir(parents=True)
    path.symlink_to(folder / "outside")
    refused(WRITERS["train --qat"].run("--overwrite"), inner, "is a link")
    assert not held(folder / "outside")


@pytest.mark.parametrize("part", ["onchain", "programs"])
def test_no_link_inside_an_export_is_followed(folder: Path, part: str) -> None:
    assert WRITERS["export"].run().exit_code == 0
    (folder / "out" / part).rename(folder / "outside")
    (folder / "out" / part).symlink_to(folder / "outside")
    before = held(folder)
    refused(WRITERS["export"].run("--overwrite"), part, "is a link")
    assert held(folder) == before


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_the_second_of_two_is_told_and_the_first_keeps_all(folder: Path, writer: Writes) -> None:
    assert writer.run().exit_code == 0
    before = held(folder)
    lock: Callable[[Path, str], Any] = one_writer_of_file if writer.file else one_writer
    with lock(Path(writer.place), "sweep"):
        refused(
            writer.run("--overwrite"), f"{writer.place}: `wmq sweep` (process {os.getpid()}, since ", "writing here"
        )
    assert held(folder) == before


@pytest.mark.parametrize("command", ["study character --character {}", "study qat --config c.yaml", "build out"])
def test_so_is_the_second_of_other_verbs(folder: Path, command: str) -> None:
    export_solana(small_qnet(), folder / "out")
    meta, place = open_dataset(folder / "dataset"), "out" if command.startswith("build") else "study"
    before = held(folder)
    with one_writer(Path(place), "train"):
        refused(run(*command.format(meta.cast(meta.games[0])[0]).split()), f"{place}: `wmq train` (process")
    assert held(folder) == before


@pytest.mark.parametrize("name", ["program.so", "build.json"])
def test_no_link_inside_a_build_is_followed(folder: Path, name: str) -> None:
    export_solana(small_qnet(), folder / "out")
    path = folder / "out" / "programs" / "program" / "build" / name
    path.parent.mkdir()
    path.symlink_to(folder / "c.yaml")
    refused(run("build", "out"), name, "is a link")
    assert (folder / "c.yaml").read_text() == CONFIG


def test_a_demo_is_made_in_a_folder_of_its_own(folder: Path) -> None:
    before = held(folder)
    with pytest.raises(WmCliError, match=r"holds c\.yaml, and was not made by a demo"):
        run_demo(folder / "c.yaml", folder, 1, experiments()["melee-mlp"])
    assert held(folder) == before


# ------------------------------------------------------------------------------------------------------------- Ctrl-C


@pytest.fixture
def interrupted_writing() -> Iterator[Callable[[int], pytest.MonkeyPatch]]:
    """Ctrl-C at the n-th file that is written; gives what undoes it."""
    with pytest.MonkeyPatch.context() as patch:
        write, count = wm_train.files._write_part, 0

        def begin(at: int) -> pytest.MonkeyPatch:
            def part(*arguments: Any) -> None:
                nonlocal count
                count += 1
                if count == at:
                    raise KeyboardInterrupt
                write(*arguments)

            patch.setattr(wm_train.files, "_write_part", part)
            return patch

        yield begin


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_ctrl_c_while_it_writes_keeps_what_was_there(
    folder: Path, writer: Writes, interrupted_writing: Callable[[int], pytest.MonkeyPatch]
) -> None:
    assert writer.run().exit_code == 0
    before = held(folder)
    patch = interrupted_writing(1)
    result = writer.run("--overwrite")
    assert result.exit_code == INTERRUPTED and result.stderr.splitlines()[-1].startswith("interrupted; ")
    assert held(folder) == before
    patch.undo()
    assert writer.run("--overwrite").exit_code == 0


def test_an_export_that_was_interrupted_is_taken_by_no_verb_and_made_whole(
    folder: Path, interrupted_writing: Callable[[int], pytest.MonkeyPatch]
) -> None:
    patch = interrupted_writing(6)
    assert WRITERS["export"].run().exit_code == INTERRUPTED
    patch.undo()
    refused(run("build", "out"), "out")
    assert WRITERS["export"].run().exit_code == 0
    assert not [path for path in held(folder) if "/.part-" in path]


def test_an_interrupted_run_goes_on_and_is_not_begun_anew_unasked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = WRITERS["train"]
    assert run("train", "--config", "c.yaml", "--out", "whole").exit_code == 0
    step = _Run._step

    def pressed(self: _Run, interrupted: bool) -> Any:
        if self.state.step == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, interrupted)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(_Run, "_step", pressed)
            result = train.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == INTERRUPTED
    assert (
        result.stderr.splitlines()[-1]
        == "interrupted; out keeps the run as it is; the same command with --resume goes on"
    )
    kept = held(folder)
    refused(train.run(), "out: holds an interrupted run; go on with --resume, or begin anew with --overwrite")
    assert held(folder) == kept
    assert train.run("--resume", "--overwrite").exit_code == 2
    assert train.run("--resume").exit_code == 0
    assert held(folder)["out/run.json"] == held(folder)["whole/run.json"]
    refused(train.run("--resume"), "is finished")


def test_a_job_that_is_started_again_and_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cluster does it: one command line, whatever there is already."""
    train, step = WRITERS["train"], _Run._step

    def taken_back(self: _Run, asked: bool) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return step(self, asked)

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(_Run, "_step", taken_back)
            first = train.run("--resume", "auto")
    finally:
        signal.signal(signal.SIGTERM, before)
    said = "stopped by SIGTERM; out keeps the run as it is; the same command goes on"
    assert (first.exit_code, first.stderr.splitlines()[-1]) == (143, said)
    assert train.run("--resume", "auto").exit_code == 0
    whole = held(folder)
    last = train.run("--resume", "auto", "--json")
    assert last.exit_code == 0 and "out: has come to its end; nothing is left to do" in last.stderr
    assert json.loads(last.stdout)["steps"] == 3 and held(folder) == whole
    assert train.run("--resume", "auto", "--overwrite").exit_code == 2
    refused(
        train.run("--resume", "auto", "--steps", "5"), "run.json: is of another run: config.train.steps was 3, now 5"
    )


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=[name for name, _ in leaves()])
def test_every_verb_ends_with_130_and_says_what_there_is(
    name: str, command: click.Command, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(**_: Any) -> None:
        raise KeyboardInterrupt

    assert isinstance(command, Verb)
    monkeypatch.setattr(command, "callback", pressed)
    context = click.Context(command)
    defaults = {str(param.name): param.get_default(context) for param in command.params}
    context.params = {name: value if isinstance(value, Path) else None for name, value in defaults.items()}
    with pytest.raises(click.exceptions.Exit) as ended:
        command.invoke(context)
    assert ended.value.exit_code == INTERRUPTED
    (said,) = capsys.readouterr().err.splitlines()
    assert (said.startswith("interrupted; ") and "command" in said + "run the same") or "`wmq" in said


def test_ctrl_c_before_a_verb_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(name: str) -> click.Command:
        raise KeyboardInterrupt

    monkeypatch.setattr("wm_cli.verb_table.load_verb", pressed)
    result = run("evaluate")
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "interrupted\n")


# ------------------------------------------------------------------------------------------------------------ figures


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _no_folder(folder: Path) -> None:
    (folder / "figures").write_text("mine")


def _link(folder: Path) -> None:
    (folder / "figures").mkdir()
    (folder / "outside").write_text("mine")
    (folder / "figures" / "evaluate-ptq.json").symlink_to(folder / "outside")
    (folder / "figures" / "evaluate-qnet.json").symlink_to(folder / "outside")
    (folder / "figures" / "speculate-qnet.json").symlink_to(folder / "outside")
    (folder / "figures" / "speculate-ptq.json").symlink_to(folder / "outside")


@pytest.mark.parametrize("fault", [_no_folder, _link])
@pytest.mark.parametrize("command", ["evaluate made --limit 9", "speculate made --windows 5"])
def test_figures_that_cannot_be_kept_are_printed(folder: Path, command: str, fault: Callable[[Path], None]) -> None:
    fault(folder)
    before = held(folder)
    result = run(*command.split(), "--json")
    assert result.exit_code == 0 and '"sha256"' in result.stdout
    assert [line.partition(":")[0] for line in result.stderr.splitlines() if "figures" in line] == ["warning"]
    assert held(folder) == before


@pytest.mark.parametrize("data", [{"loss": float("nan")}, {"loss": 1.0}])
def test_whatever_hinders_the_keeper_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: dict[str, Any]
) -> None:
    project.keep_figures("evaluate-float", {"loss": 0.5})
    before = held(folder)
    monkeypatch.setattr(wm_train.files, "_write_part", _full)
    project.keep_figures("evaluate-float", data)
    assert capsys.readouterr().err.startswith("warning: figures/evaluate-float.json was not kept: ")
    assert held(folder) == before and "figures/evaluate-float.json" in before
