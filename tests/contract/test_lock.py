"""requirements.lock pins all that `make setup` installs, by version and hash, and names no index."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: The extras that scripts/setup.sh installs.
EXTRAS = ("train", "dev")
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")
UPDATE = "next: the command at the top of requirements.lock"


def wanted() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [Requirement(text) for text in (*PROJECT["dependencies"], *(one for name in EXTRAS for one in extras[name]))]


def pins() -> list[tuple[Requirement, str]]:
    """Each pin of the lock, and the lines that follow it."""
    parts = re.split(r"^(?=[^\s#])", LOCK, flags=re.MULTILINE)[1:]
    return [(Requirement(part.splitlines()[0].rstrip("\\ ")), part.partition("\n")[2]) for part in parts]


def pinned() -> dict[str, list[str]]:
    """Canonical name -> the versions that the lock has of it, several where Pythons differ."""
    out: dict[str, list[str]] = {}
    for pin, _ in pins():
        out.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    return out


def needed_here(first: list[Requirement]) -> Iterator[Requirement]:
    """What these need on this machine, and what that needs, and so on: as the installed packages say."""
    seen: set[str] = set()
    todo = [(one, extra) for one in first for extra in ("", *one.extras)]
    while todo:
        one, chosen = todo.pop()
        if f"{one}, {chosen}" in seen:
            continue
        seen.add(f"{one}, {chosen}")
        yield one
        try:
            further = [Requirement(text) for text in requires(one.name) or ()]
        except PackageNotFoundError:
            continue
        here = [next_one for next_one in further if not next_one.marker or next_one.marker.evaluate({"extra": chosen})]
        todo += [(next_one, extra) for next_one in here for extra in ("", *next_one.extras)]


def lacking(requirements: list[Requirement], versions: dict[str, list[str]]) -> list[str]:
    """Those that no pinned version satisfies."""
    return [
        str(one)
        for one in requirements
        if not any(one.specifier.contains(version) for version in versions.get(canonicalize_name(one.name), ()))
    ]


def test_every_dependency_of_the_project_is_pinned() -> None:
    assert lacking(wanted(), pinned()) == [], UPDATE


def test_what_dependencies_need_on_this_machine_is_pinned() -> None:
    found = list(needed_here(wanted()))
    assert len({canonicalize_name(one.name) for one in found}) > len(wanted())
    assert lacking(found, pinned()) == [], UPDATE


def test_a_dependency_that_is_not_pinned_is_seen() -> None:
    versions = pinned()
    name = canonicalize_name(wanted()[0].name)
    assert lacking(wanted(), versions | {name: ["0.0.1"]}) == lacking(wanted(), {**versions, name: []}) != []


def test_every_pin_is_one_version_with_hashes() -> None:
    for pin, rest in pins():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)) and not pin.url, pin
        assert SHA256.search(rest), pin


def test_the_lock_names_no_index() -> None:
    assert "://" not in LOCK
    options = [line for line in LOCK.splitlines() if line.lstrip().startswith("-")]
    assert [line for line in options if not SHA256.match(line.strip())] == []


STAND_IN = """#!/usr/bin/env bash
# Python's part in set-up: says what it was called with, and what the files of requirements hold.
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; exit; fi
if [ "$1" = --version ]; then echo "Python 3.11.7"; fi
if [ "$1 $2 $3" = "-m pip check" ] && [ -s "$MISFITS" ]; then head -1 "$MISFITS"; exit 1; fi
if [ "$1 $2 $3" = "-m pip uninstall" ]; then sed -i 1d "$MISFITS"; fi
case "$1 $2 $3" in "-m pip install" | "-m pip uninstall") ;; *) exit 0 ;; esac
printf 'CALL %s\n' "$*" >>"$CALLS"
for word; do
    if [ "$last" = --requirement ]; then cat "$word" >>"$CALLS"; fi
    last=$word
done
"""


class SetUp:
    """A copy of what scripts/setup.sh reads, and stand-ins for the programs that it starts."""

    def __init__(self, folder: Path) -> None:
        self.root, self.calls, self.tools = folder / "wmq", folder / "calls", folder / "tools"
        #: What `pip check` says, a line at a time, until the package that it begins with is removed.
        self.misfits = folder / "misfits"
        (self.root / "scripts").mkdir(parents=True)
        for name in ("pyproject.toml", "requirements.lock", "scripts/setup.sh"):
            shutil.copy(ROOT / name, self.root / name)
        self.tools.mkdir()
        self._stand_in(self.tools / "python3", STAND_IN)
        self._stand_in(self.tools / "cargo-build-sbf", "#!/bin/sh\n")
        self._stand_in(self.root / "scripts" / "sbpf.sh", "#!/bin/sh\n")

    def _stand_in(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self) -> list[str]:
        """What pip was asked for: one text for each call."""
        self.calls.write_text("")
        environment = {"PATH": f"{self.tools}:{os.environ['PATH']}", "CALLS": str(self.calls)}
        environment["MISFITS"] = str(self.misfits)
        subprocess.run(["bash", "scripts/setup.sh"], cwd=self.root, env=environment, check=True, capture_output=True)
        return self.calls.read_text().split("CALL ")[1:]


def test_setup_installs_what_the_lock_names_by_hash(tmp_path: Path) -> None:
    tool, packages, own = SetUp(tmp_path).run()
    for call in (tool, packages, own):
        assert {"--no-deps", "--no-build-isolation"} <= set(call.splitlines()[0].split())
    for call in (tool, packages):
        assert "--require-hashes" in call.splitlines()[0].split()
    assert [line.split("==")[0] for line in tool.splitlines()[1:] if line[0] not in " #"] == ["setuptools"]
    assert SHA256.search(tool)
    assert packages.partition("\n")[2] == LOCK
    assert own.split()[-3:] == ["--no-index", "--editable", "."]


def test_setup_installs_again_when_the_lock_is_another(tmp_path: Path) -> None:
    setup = SetUp(tmp_path)
    assert len(setup.run()) == 3
    assert setup.run() == []
    with (setup.root / "requirements.lock").open("a") as lock:
        lock.write("# another\n")
    assert len(setup.run()) == 3


def test_setup_removes_what_an_older_lock_left_and_no_longer_fits(tmp_path: Path) -> None:
    """One after the other, as what needed a package does not fit without it; what the lock names stays."""
    setup = SetUp(tmp_path)
    setup.misfits.write_text(
        "oldclient 1.0 has requirement solders<0.27, but you have solders 0.29.0.\n"
        "olderclient 0.3 requires oldclient, which is not installed.\n"
        "solders 0.29.0 requires nothing, which is not installed.\n"
    )
    removed = [call.split()[-1] for call in setup.run() if "uninstall" in call]
    assert removed == ["oldclient", "olderclient"]
