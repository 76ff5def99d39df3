"""What scripts/rollup.sh downloads is kept only if it is what was expected. Its tools are stand-ins."""

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from wm_export.solana.sources import SCRIPTS

SCRIPT = SCRIPTS / "rollup.sh"
DELEGATION = "DELeGGvXpWV2fqJUhqcF5ZSYMS4JTLjteaAMARRSaeSh"
NOOP = "noopb9bkMVfRPU8AsbpTUg8AQkHtKwMYZiFUjNRtMmV"
ELF = b"\x7fELF a program\n\0\nof two lines\1"
SHA256 = hashlib.sha256(ELF).hexdigest()
HEADER = bytes(45)


def constant(name: str) -> str:
    found = re.search(rf"^readonly .*\b{name}=(\S+)", SCRIPT.read_text(), re.MULTILINE)
    assert found
    return found[1]


class Machine:
    """A machine with stand-ins for the tools, where all but the delegation program is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tools, self.home = folder, folder / "tools", folder / "cache" / "rollup"
        self.said = {"PATH": f"{self.tools}:{os.environ['PATH']}", "WMQ_CACHE": str(folder / "cache")}
        self.tool("npm", "exit 1")
        self.tool("uname", '[ "$1" = -s ] && echo Linux || echo x86_64')
        self.tool("curl", "exit 1")
        version = constant("VALIDATOR_VERSION")
        self.validator = self._script(self.home / f"validator-{version}" / "ephemeral-validator", f"echo {version}")
        (self.home / "files.so").touch()
        self.noop = self.home / "programs" / f"{NOOP}.so"
        self.noop.parent.mkdir()
        self.noop.write_bytes(ELF)

    def kept(self) -> bytes | None:
        """The delegation program that was installed, if one was."""
        path = self.home / "programs" / f"{DELEGATION}.so"
        return path.read_bytes() if path.exists() else None

    def tool(self, name: str, body: str) -> None:
        self._script(self.tools / name, body)

    def _script(self, path: Path, body: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
        return path

    def devnet(self, code: bytes) -> None:
        """A node that gives this code, with the loader's header in front."""
        data = base64.b64encode(HEADER + code).decode()
        answer = self.folder / "answer.json"
        answer.write_text(json.dumps({"result": {"value": {"data": [data, "base64"]}}}))
        self.tool("curl", f'while [ "$1" != -o ]; do shift; done; cp {answer} "$2"')

    def crate(self, sha256: str) -> Path:
        """Solana's compiler, and a registry with a crate of this hash; the file says what the compiler was told."""
        self.tool(
            "cargo",
            f'crate=vendor/magicblock-delegation-program-{constant("DELEGATION_VERSION")}; mkdir -p "$crate"\n'
            f"""echo '{{"files":{{}},"package":"{sha256}"}}' >"$crate/.cargo-checksum.json"
            touch "$crate/Cargo.toml\"""",
        )
        built, told = self.folder / "built.so", self.folder / "told"
        built.write_bytes(ELF)
        self.tool("cargo-build-sbf", f'echo "$*" >{told}; mkdir -p "$4"; cp {built} "$4/delegation.so"')
        return told

    def install(self, **said: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", str(SCRIPT), "install"], env=self.said | said, capture_output=True, text=True, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_program_of_devnet_is_not_taken_without_its_hash(machine: Machine) -> None:
    machine.devnet(ELF + bytes(100))
    done = machine.install()
    assert done.returncode == 1 and machine.kept() is None
    assert SHA256 in done.stderr and "WMQ_DELEGATION_SHA256=" in done.stderr


def test_a_program_of_devnet_is_taken_by_its_hash_and_no_other(machine: Machine) -> None:
    machine.devnet(ELF + b"\1" + bytes(100))
    done = machine.install(WMQ_DELEGATION_SHA256=SHA256)
    assert done.returncode == 1 and machine.kept() is None
    assert f"expected {SHA256}" in done.stderr
    machine.devnet(ELF + bytes(100))
    assert machine.install(WMQ_DELEGATION_SHA256=SHA256).returncode == 0
    assert machine.kept() == ELF + bytes(100)


def test_a_program_of_a_folder_is_the_users_own_unless_a_hash_is_said(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / f"{DELEGATION}.so").write_bytes(ELF)
    done = machine.install(WMQ_PLATFORM_PROGRAMS=str(tmp_path), WMQ_DELEGATION_SHA256="0" * 64)
    assert done.returncode == 1 and machine.kept() is None
    done = machine.install(WMQ_PLATFORM_PROGRAMS=str(tmp_path))
    assert done.returncode == 0 and machine.kept() == ELF
    assert SHA256 in done.stderr


def test_a_crate_of_another_hash_is_not_built(machine: Machine) -> None:
    told = machine.crate("0" * 64)
    done = machine.install()
    assert done.returncode == 1 and machine.kept() is None and not told.exists()
    assert "not the one that was published" in done.stderr


def test_the_crate_is_built_by_its_own_lock(machine: Machine) -> None:
    told = machine.crate(constant("DELEGATION_CRATE_SHA256"))
    machine.devnet(b"\x7fELF another")
    assert machine.install().returncode == 0 and machine.kept() == ELF
    assert told.read_text().split()[-2:] == ["--", "--locked"]


@pytest.mark.parametrize("lacking", ["validator", "noop"])
def test_a_package_of_npm_of_another_hash_is_not_unpacked(machine: Machine, lacking: str) -> None:
    path: Path = getattr(machine, lacking)
    path.unlink()
    machine.tool("npm", "echo other >package.tgz; echo package.tgz")
    done = machine.install()
    assert done.returncode == 1 and not path.exists()
    assert "not the file that was published" in done.stderr
