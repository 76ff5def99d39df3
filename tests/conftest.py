"""Fixtures of every package's tests: real replays from the shared folder, unpacked once per session; exact products."""

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Replays:
    """Unpacked replays. folder: holds <md5>.slp; facts: what is known of each file, from the list beside them."""

    folder: Path
    facts: list[dict[str, Any]]

    def path(self, fact: dict[str, Any]) -> Path:
        return self.folder / f"{fact['md5']}.slp"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder: WMQ_SHARED, or `shared` beside the repository."""
    path = Path(os.environ.get("WMQ_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not path.is_dir():
        pytest.skip(f"no shared folder at {path}; set WMQ_SHARED")
    return path


def _unpack(shared: Path, name: str, factory: pytest.TempPathFactory) -> Replays:
    archive = shared / "data" / f"replays-{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    folder = factory.mktemp(name)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (facts,) = folder.rglob(f"{name}.json")
    (first, *_) = folder.rglob("*.slp")
    return Replays(first.parent, json.loads(facts.read_text()))


@pytest.fixture(scope="session")
def train_replays(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Replays:
    """118 real games."""
    return _unpack(shared, "train", tmp_path_factory)


@pytest.fixture(scope="session")
def fixture_replays(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Replays:
    """21 edge cases and broken files."""
    return _unpack(shared, "fixtures", tmp_path_factory)


@pytest.fixture
def exact_again() -> Iterator[None]:
    """Training switches fast products on, for the whole process; tests after this one want them exact."""
    from wm_train.matmul import use_exact_matmul

    yield
    use_exact_matmul()
