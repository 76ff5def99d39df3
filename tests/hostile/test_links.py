"""Links and pipes in the folder of an artifact: every file and every folder of every artifact is tried as one."""

import os
import shutil
from pathlib import Path

import pytest

from tests.hostile.artifacts import LOADERS
from tests.hostile.fuzz import ERRORS

#: Loaders of folders; of the others the user names a file, which may be a link.
FOLDERS = (
    "dataset",
    "encodings",
    "encode",
    "run",
    "QNet",
    "export",
    "export to BOLT",
    "build",
    "session log",
    "ledger",
)


@pytest.fixture(scope="module", params=FOLDERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A loader's name, and its artifact."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WMQ_CACHE", str(folder / "cache"))
        (folder / "case").mkdir()
        LOADERS[request.param].make(folder / "case")
    return request.param, folder / "case"


def _inner(folder: Path) -> list[Path]:
    """Files and folders below the one that the user names, by their paths below the case."""
    return sorted(path.relative_to(folder) for path in (folder / "named").rglob("*"))


def _refused(name: str, case: Path, at: Path) -> None:
    with pytest.raises(ERRORS) as refused:
        LOADERS[name].load(case)
    assert str(refused.value).isprintable(), at
    assert "link" in str(refused.value) or "regular file" in str(refused.value), (at, refused.value)


@pytest.mark.usefixtures("here")
def test_a_link_is_refused_wherever_it_lies(made: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = made
    for number, at in enumerate(_read_by(name, folder)):
        case, outside = tmp_path / str(number), tmp_path / f"outside-{number}"
        shutil.copytree(folder, case)
        (case / at).rename(outside)
        (case / at).symlink_to(outside)
        before = sorted(path.stat().st_mtime_ns for path in (outside, *outside.rglob("*")))
        _refused(name, case, at)
        assert sorted(path.stat().st_mtime_ns for path in (outside, *outside.rglob("*"))) == before


@pytest.mark.usefixtures("here")
def test_a_pipe_is_not_waited_for(made: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = made
    for number, at in enumerate(path for path in _read_by(name, folder) if (folder / path).is_file()):
        case = tmp_path / str(number)
        shutil.copytree(folder, case)
        (case / at).unlink()
        os.mkfifo(case / at)
        with pytest.raises(ERRORS) as refused:
            LOADERS[name].load(case)
        assert str(refused.value).isprintable(), at


@pytest.fixture
def here(made: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What this user has built is noted beside the artifact."""
    monkeypatch.setenv("WMQ_CACHE", str(made[1].parent / "cache"))


def _read_by(name: str, folder: Path) -> list[Path]:
    """What of an artifact its loader reads: interfaces are for others, and a program is built without the second."""
    unread = ("named/programs/second/",) if name == "build" else ()
    return [at for at in _inner(folder) if not at.name.startswith("idl") and not str(at).startswith(unread)]
