"""files.py: whole or absent."""

import errno
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wm_train.files import atomic_write_bytes, atomic_write_files, atomic_write_json, write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for data in (b"old", b"new"):
        atomic_write_bytes(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        atomic_write_bytes(tmp_path / "a", "text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Out of range"):
        atomic_write_json(tmp_path / "a", {"x": float("nan")})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_json_keeps_its_order(tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "a", {"b": [1, None], "a": "é"})
    text = (tmp_path / "a").read_text()
    assert json.loads(text) == {"b": [1, None], "a": "é"} and text.index("b") < text.index("a") and text.endswith("}\n")


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Gives a function after which no file of this process can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_without_room_the_old_files_stay_and_the_new_one_is_named(
    tmp_path: Path, little_room: Callable[[int], None]
) -> None:
    first, last = tmp_path / "model.safetensors", tmp_path / "run.json"
    atomic_write_files({first: b"old", last: b"old"})
    little_room(1000)
    with pytest.raises(OSError, match="File too large") as caught:
        atomic_write_files({first: bytes(10), last: bytes(2000)})
    assert caught.value.filename == str(last)
    assert first.read_bytes() == last.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, last.name]


@pytest.mark.parametrize("fails", ["mkstemp", "fsync", "replace"])
def test_every_error_of_the_system_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    atomic_write_bytes(tmp_path / "a", b"old")
    monkeypatch.setattr(f"wm_train.files.{'tempfile' if fails == 'mkstemp' else 'os'}.{fails}", full)
    with pytest.raises(OSError, match=r"No space left on device.*: '.*/a'"):
        atomic_write_bytes(tmp_path / "a", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:3], at))
    with (tmp_path / "a").open("w+b", buffering=0) as file:
        write_whole(file, 0, b"0123456789")
        write_whole(file, 10, b"abcd")
    assert (tmp_path / "a").read_bytes() == b"0123456789abcd"


def test_a_write_that_cannot_end_leaves_no_part(tmp_path: Path, little_room: Callable[[int], None]) -> None:
    with (tmp_path / "a").open("w+b", buffering=0) as file:
        little_room(25)
        for at in (0, 10):
            write_whole(file, at, bytes(10))
        with pytest.raises(OSError, match=r"File too large: '.*/a'"):
            write_whole(file, 20, bytes(10))
        assert (tmp_path / "a").stat().st_size == 20
        little_room(1 << 20)
        write_whole(file, 20, b"0123456789")
    assert (tmp_path / "a").read_bytes() == bytes(20) + b"0123456789"


KILLED = """
import sys
from pathlib import Path
from wm_train.files import atomic_write_bytes
while True:
    for data in (b"a", b"b"):
        atomic_write_bytes(Path(sys.argv[1]), data * 100_000)
"""


def test_killed_anywhere_a_file_is_the_old_one_or_the_new(python: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic_write_bytes(path, b"a" * 100_000)
    for wait in range(6):
        with subprocess.Popen([python, "-c", KILLED, str(path)], cwd=Path(__file__).parents[2]) as writer:
            while not list(tmp_path.glob(".part-*")):
                pass
            for _ in range(wait * 500):
                pass
            writer.kill()
        assert len(set(path.read_bytes())) == 1 and path.stat().st_size == 100_000
        for part in tmp_path.glob(".part-*"):
            part.unlink()
