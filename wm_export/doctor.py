"""What this machine has of what wmq needs, and the one command that mends each lack."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_export.solana.sources import INSTALL_ROLLUP, INSTALL_TOOLCHAIN, SCRIPTS, SETUP
from wm_export.solana.toolchain import Toolchain, find_toolchain, host_cargo, version_lines

NEED_DISK_GIB = 5  # a dataset of some hundred replays, runs, and cargo's build folders
# LiteSVM is constructed, not only imported: a wheel for another processor loads and then fails here.
PRODUCTS = "from wm_export.onnx.exactness import need_exact_products; need_exact_products()"
DEVICES = "from wm_train.nets.device import present; print(*present())"
LITESVM = "from solders.litesvm import LiteSVM; LiteSVM()"


@dataclass(frozen=True)
class Check:
    """One thing looked for: what was found, what is needed, and one command as the fix ("" when there is none).

    An `optional` thing that is missing takes one ability away and leaves the rest whole.
    """

    name: str
    ok: bool
    found: str
    need: str
    fix: str
    optional: bool = False


def checks() -> list[Check]:
    """Look at this machine; takes some seconds, since each package is really loaded in a process of its own."""
    toolchain = find_toolchain()
    return [
        _python(),
        _package("torch", "for training only (extra train)", optional=True),
        _devices(),
        _package("onnxruntime", "one that multiplies INT8 exactly on this processor", probe=PRODUCTS),
        _package("solders", "a LiteSVM that starts", probe=LITESVM),
        _package("peppi_py", "a loadable peppi-py 0.8.6", distribution="peppi-py"),
        _cargo(),
        _sbpf_toolchain(toolchain),
        _sbpf_linker(toolchain),
        _rollup(),
        _git(),
        _disk(Path.cwd()),
    ]


def report(found: Sequence[Check]) -> dict[str, Any]:
    """The object that `wmq doctor --json` prints; `ok` needs every check that is not optional."""
    ok = all(check.ok or check.optional for check in found)
    return {"ok": ok, "checks": [asdict(check) for check in found]}


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 11), found, "3.11 or newer", SETUP)


def _package(name: str, need: str, probe: str = "", distribution: str = "", optional: bool = False) -> Check:
    """Load a package in a fresh process, so that one that crashes is a finding and not the end of the doctor."""
    version = f"import importlib.metadata as m; print(m.version({(distribution or name)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}\n{probe}\n{version}"], capture_output=True, text=True, check=False
    )
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    found = lines[-1] if lines else f"ended with status {done.returncode}"
    return Check(name, done.returncode == 0, found, need, SETUP, optional)


def _devices() -> Check:
    """Where a network can be trained; also in a process of its own."""
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True, check=False)
    found = done.stdout.strip() if done.returncode == 0 else "none: torch does not load"
    return Check("devices", done.returncode == 0, found, "cpu; train.device also takes cuda and mps", SETUP, True)


def _tool(name: str, command: Sequence[str], need: str, fix: str, optional: bool = False) -> Check:
    versions = version_lines(command)
    return Check(name, bool(versions), versions[0] if versions else "missing", need, fix, optional)


def _cargo() -> Check:
    cargo = host_cargo()
    return _tool("cargo", [str(cargo or "cargo"), "--version"], "to run the kernels on this machine", INSTALL_TOOLCHAIN)


def _sbpf_toolchain(toolchain: Toolchain | None) -> Check:
    found = f"{toolchain.name}: {'; '.join(toolchain.versions)}" if toolchain else "missing"
    return Check(
        "sbpf-toolchain", toolchain is not None, found, "cargo build-sbf, or scripts/sbpf.sh", INSTALL_TOOLCHAIN
    )


def _sbpf_linker(toolchain: Toolchain | None) -> Check:
    """Part of the toolchain of scripts/sbpf.sh; Solana's own tools link by themselves."""
    versions = toolchain.versions if toolchain else ()
    found = next((line for line in versions if line.startswith("sbpf-linker ")), "missing")
    optional = toolchain is not None and toolchain.name == "solana"
    return Check(
        "sbpf-linker", found != "missing", found, "sbpf-linker, unless Solana's tools", INSTALL_TOOLCHAIN, optional
    )


def _rollup() -> Check:
    versions = version_lines(["bash", str(SCRIPTS / "rollup.sh"), "versions"])
    found = "; ".join(versions) if versions else "missing"
    return Check("rollup", bool(versions), found, "the MagicBlock validator, for wmq localnet", INSTALL_ROLLUP, True)


def _git() -> Check:
    return _tool("git", ["git", "--version"], "to note the commit in artifacts", "apt-get install git", optional=True)


def _disk(folder: Path) -> Check:
    free_gib = shutil.disk_usage(folder).free / 2**30
    return Check("disk", free_gib >= NEED_DISK_GIB, f"{free_gib:.1f} GiB free", f"{NEED_DISK_GIB} GiB", "make clean")
