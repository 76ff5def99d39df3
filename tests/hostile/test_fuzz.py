"""A few hundred hostile artifacts of every loader; `python -m tests.hostile.fuzz 10000` tries as many as one wants."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.hostile import artifacts
from tests.hostile.artifacts import LOADERS, Loader
from tests.hostile.fuzz import Fuzz, shares
from wm_train.errors import WmTrainError

CASES = 240


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Fuzz:
    """A folder for cases."""
    return Fuzz(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", LOADERS)
def test_a_hostile_artifact_is_loaded_or_refused_in_one_line(fuzz: Fuzz, name: str, exact_again: None) -> None:
    tally = fuzz.run(name, shares(CASES)[name])
    assert tally.faults == []
    assert tally.loaded + tally.refused >= shares(CASES)[name]


def _write_outside(case: Path) -> None:
    (case.parent / "outside" / "new").write_text("x")


def _start(case: Path) -> None:
    with pytest.raises(OSError):
        subprocess.Popen(["/nowhere/tool"])


def _read_outside(case: Path) -> None:
    (case.parent / "outside" / "precious.json").read_bytes()


def _two_lines(case: Path) -> None:
    raise WmTrainError("a\nb")


def _unlink_outside(case: Path) -> None:
    os.unlink(case.parent / "outside" / "precious.json")


FAULTS = {
    "opens .*outside/new for writing; .*changes what lies outside": _write_outside,
    "starts a process: subprocess.Popen '/nowhere/tool'": _start,
    "opens .*/outside/precious.json": _read_outside,
    "no line: 'a.nb'": _two_lines,
    "os.remove .*/outside/precious.json": _unlink_outside,
    "ZeroDivisionError": lambda case: 1 / 0,
}


@pytest.mark.parametrize("wrong", FAULTS)
def test_what_a_loader_must_not_do_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """Only once the artifact has been changed: as it was made, it is loaded."""
    times: list[Path] = []

    def load(case: Path) -> None:
        times.append(case)
        if len(times) > 1:
            FAULTS[wrong](case)

    monkeypatch.setitem(artifacts.LOADERS, "bad", Loader(lambda case: (case / "a.json").write_text("{}"), load))
    (fault,) = Fuzz(tmp_path).run("bad", 1).faults
    assert re.search(wrong, fault), fault
