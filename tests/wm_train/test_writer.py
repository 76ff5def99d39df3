"""writer.py: a folder has one writer, which a second one is told of."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wm_train.errors import WmTrainError
from wm_train.files import LOCK_NAME
from wm_train.writer import one_writer

REPOSITORY = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from wm_train.writer import one_writer
with one_writer(Path(sys.argv[1]), "train"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(python: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that writes into the folder until it is killed."""
    command = [python, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_is_told_who_writes(python: str, tmp_path: Path) -> None:
    with another(python, tmp_path) as process:
        said = rf"`wmq train` \(process {process.pid}, since 2.*Z\) is writing here; wait until it has ended, or name"
        with pytest.raises(WmTrainError, match=said), one_writer(tmp_path, "quantize"):
            pass


def test_one_that_was_killed_writes_no_more(python: str, tmp_path: Path) -> None:
    with another(python, tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / LOCK_NAME).exists()
        (tmp_path / ".part-x").write_bytes(b"half")
        with one_writer(tmp_path, "train"):
            assert not (tmp_path / ".part-x").exists()
    assert not list(tmp_path.iterdir())


def test_it_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), one_writer(tmp_path, "train"):
            raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_made_for_nothing_goes(tmp_path: Path) -> None:
    with one_writer(tmp_path / "run", "train"):
        pass
    assert not (tmp_path / "run").exists()
    with one_writer(tmp_path / "run", "train"):
        (tmp_path / "run" / "run.json").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_lock_is_refused_and_not_followed(tmp_path: Path, kind: str) -> None:
    lock, other = tmp_path / "run" / LOCK_NAME, tmp_path / "other"
    lock.parent.mkdir()
    other.write_text("mine")
    {"link": lambda: lock.symlink_to(other), "folder": lock.mkdir, "pipe": lambda: os.mkfifo(lock)}[kind]()
    with pytest.raises(WmTrainError, match="expected a lock file of wmq"), one_writer(lock.parent, "train"):
        pass
    assert other.read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[" * 600, '{"pid": 1e400}', '{"pid": 1, "verb": "\\u001b[31m", "since": "x"}'])
def test_a_strangers_lock_is_not_quoted(tmp_path: Path, text: str) -> None:
    with one_writer(tmp_path, "train"):
        (tmp_path / LOCK_NAME).write_text(text)
        with pytest.raises(WmTrainError, match="another process is writing here"), one_writer(tmp_path, "train"):
            pass


def test_an_error_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught, one_writer(tmp_path / "file" / "run", "train"):
        pass
    assert caught.value.filename == str(tmp_path / "file" / "run")
