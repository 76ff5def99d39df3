"""Doctor: the shape of its JSON, and that each lack is told with a command that mends it."""

import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from wm_export import doctor
from wm_export.doctor import Check

NAMES = [
    "python",
    "torch",
    "devices",
    "onnxruntime",
    "solders",
    "peppi_py",
    "cargo",
    "sbpf-toolchain",
    "sbpf-linker",
    "rollup",
    "git",
    "disk",
]
GOOD = Check("thing", True, "1.0", "1.0", "make setup")


@pytest.fixture(scope="module")
def bare_machine(tmp_path_factory: pytest.TempPathFactory, python: str) -> dict[str, Check]:
    """All checks, by name, with an empty PATH and an empty cache."""
    empty = str(tmp_path_factory.mktemp("empty"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", empty)
        patch.setenv("WMQ_CACHE", empty)
        return {check.name: check for check in doctor.checks()}


def test_every_thing_is_looked_for_once(bare_machine: dict[str, Check]) -> None:
    assert list(bare_machine) == NAMES


def test_json_has_the_agreed_keys(bare_machine: dict[str, Check]) -> None:
    report = json.loads(json.dumps(doctor.report(list(bare_machine.values()))))
    assert set(report) == {"ok", "checks"}
    for check in report["checks"]:
        assert set(check) == {"name", "ok", "found", "need", "fix", "optional"}
        assert all(isinstance(check[key], str) for key in ("name", "found", "need", "fix"))
        assert all(isinstance(check[key], bool) for key in ("ok", "optional"))


@pytest.mark.parametrize("name", ["cargo", "sbpf-toolchain", "sbpf-linker", "git"])
def test_missing_tool_is_not_ok_and_has_a_fix(bare_machine: dict[str, Check], name: str) -> None:
    check = bare_machine[name]
    assert (check.ok, check.found) == (False, "missing")
    assert check.fix in ("make toolchain", "apt-get install git")


def test_missing_compiler_fails_the_report(bare_machine: dict[str, Check]) -> None:
    assert doctor.report(list(bare_machine.values()))["ok"] is False


@pytest.mark.parametrize("name", ["python", "onnxruntime", "solders", "peppi_py"])
def test_packages_of_this_environment_load(bare_machine: dict[str, Check], name: str) -> None:
    assert bare_machine[name].ok, bare_machine[name].found


def test_package_that_is_absent_or_crashes_is_a_finding(python: str) -> None:
    absent = doctor._package("no_such_package", "it")
    crashed = doctor._package("os", "it", probe="os.abort()")
    assert (absent.ok, absent.fix) == (False, "make setup") and "no_such_package" in absent.found
    assert not crashed.ok and crashed.found


def test_optional_lack_leaves_the_report_ok() -> None:
    lack = replace(GOOD, ok=False)
    assert doctor.report([GOOD, replace(lack, optional=True)])["ok"] is True
    assert doctor.report([GOOD, lack])["ok"] is False


def test_linker_is_optional_beside_solanas_tools() -> None:
    assert doctor._sbpf_linker(doctor.Toolchain("solana", ("tools 2.2",))).optional
    assert not doctor._sbpf_linker(None).optional
    assert doctor._sbpf_linker(doctor.Toolchain("debian", ("rustc 1", "sbpf-linker 0.2.6"))).ok


def test_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, 2**30))
    check = doctor._disk(tmp_path)
    assert (check.ok, check.found, check.need) == (False, "1.0 GiB free", "5 GiB")
