"""The compilers of this machine: Rust to sBPF (a Solana program) and Rust to the host.

Two toolchains make the same program: `scripts/sbpf.sh` with the tools that `make toolchain` puts into the cache, else
Solana's own `cargo build-sbf`, whose program computes the same integers but without the assembly kernels.

A compiler sees nothing but the sources it is given: it runs in their folder with few variables of the environment,
takes its crates as Cargo.lock has them, and needs no network (`sbpf.sh fetch` gets them once, at set-up).
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wm_export.errors import WmExportError
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch, version_of
from wm_export.solana.sources import FETCH_CRATES, INSTALL_TOOLCHAIN, SCRIPTS, cache_folder
from wm_train.files import atomic_write_bytes

SBPF_SCRIPT = SCRIPTS / "sbpf.sh"
ERROR_LINES = 20
#: What a compiler may know of the environment: where tools, their caches and temporary files are. Not in it are flags,
#: wrappers and configuration (RUSTFLAGS, CARGO_*, RUSTC_WRAPPER, RUSTUP_TOOLCHAIN), which change what is built.
VARIABLES = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "CARGO_HOME", "RUSTUP_HOME")
LOCKED = ("--locked", "--offline")


@dataclass(frozen=True)
class Toolchain:
    """A way from Rust to sBPF that this machine has.

    name      "solana" (cargo build-sbf) or "debian" (scripts/sbpf.sh)
    versions  one line per tool, as the tools print them
    """

    name: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class BuildInfo:
    """What made a program file, and which bytes came out: sha256 in hex, size in bytes."""

    arch: Arch
    toolchain: str
    versions: tuple[str, ...]
    sha256: str
    size: int


def find_toolchain() -> Toolchain | None:
    """The toolchain that `build_program` will use, the cached one first; None when there is none."""
    # The kernels are written in the assembly that LLVM's BPF knows. Solana's compiler has a dialect of its own and
    # takes their portable twins: the same integers for more compute units.
    ways = {"debian": ["bash", str(SBPF_SCRIPT), "versions"], "solana": ["cargo-build-sbf", "--version"]}
    for name, command in ways.items():
        versions = version_lines(command)
        if versions:
            return Toolchain(name, versions)
    return None


def host_cargo() -> Path | None:
    """The cargo on PATH, which builds for this machine; None when there is none."""
    found = shutil.which("cargo")
    return Path(found).absolute() if found else None


def build_program(crate_dir: Path, out_so: Path, features: Sequence[str] = (), arch: Arch = DEFAULT_ARCH) -> BuildInfo:
    """Build the `cdylib` crate in `crate_dir` into `out_so`, an ELF file in sBPF `arch`; else the old one stays.

    Raises WmExportError when there is no toolchain, no crate, the compiler refuses (its last lines are in the text), or
    makes a program in another version.
    """
    crate_dir = _crate(crate_dir)
    toolchain = find_toolchain()
    if toolchain is None:
        raise WmExportError(
            f"program {crate_dir}: no Rust to sBPF toolchain; expected cargo build-sbf on PATH or the tools of "
            f"scripts/sbpf.sh in the cache, got neither; next: {INSTALL_TOOLCHAIN}"
        )
    with tempfile.TemporaryDirectory(prefix="wmq-sbpf-") as temp:
        command = _program_command(toolchain, arch, crate_dir, Path(temp), features)
        run_tool(command, crate_dir, f"program {crate_dir}")
        program = _only_program(Path(temp), crate_dir)
    if (made := version_of(program)) != arch:
        got = f"{toolchain.name}'s compiler made sBPF {made}, asked for was {arch}"
        raise WmExportError(f"program {crate_dir}: {got}; next: wmq doctor")
    out_so.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(out_so, program)
    return BuildInfo(arch, toolchain.name, toolchain.versions, hashlib.sha256(program).hexdigest(), len(program))


def build_host(crate_dir: Path, bin_name: str) -> Path:
    """Build the binary `bin_name` of the crate in `crate_dir` with optimisation, for this machine; returns its path.

    Raises WmExportError when cargo or the binary is missing, or the compiler refuses.
    """
    crate_dir = _crate(crate_dir)
    cargo = host_cargo()
    if cargo is None:
        raise WmExportError(f"binary {bin_name}: expected cargo on PATH, got none; next: {INSTALL_TOOLCHAIN}")
    command = [str(cargo), "build", "--quiet", "--release", *LOCKED, "--bin", bin_name]
    command += ["--target-dir", str(crate_dir / "target"), "--message-format=json-render-diagnostics"]
    for line in reversed(run_tool(command, crate_dir, f"binary {bin_name}").splitlines()):
        executable = json.loads(line).get("executable")
        if executable:
            return Path(executable)
    raise WmExportError(f"binary {bin_name}: cargo built {crate_dir} but named no executable; is it a [[bin]] there?")


def version_lines(command: Sequence[str]) -> tuple[str, ...] | None:
    """What a tool prints of its version, line by line; None when it is missing or fails.

    It runs in the root folder: rustup's tools let a file in or above the current one choose what they run.
    """
    try:
        done = _started(command, Path("/"))
    except OSError:
        return None
    return tuple(done.stdout.strip().splitlines()) if done.returncode == 0 else None


def _program_command(
    toolchain: Toolchain, arch: Arch, crate_dir: Path, out_dir: Path, features: Sequence[str]
) -> list[str]:
    if toolchain.name == "solana":
        command = ["cargo-build-sbf", "--manifest-path", str(crate_dir / "Cargo.toml")]
        command += ["--sbf-out-dir", str(out_dir), "--arch", arch]
        chosen = ["--features", ",".join(features)] if features else []
        return [*command, *chosen, "--", *LOCKED]
    command = ["bash", str(SBPF_SCRIPT), "build", arch, str(crate_dir), str(out_dir / "program.so")]
    return [*command, "--features", ",".join(features)] if features else command


def run_tool(command: Sequence[str], folder: Path, what: str, fetch: str = FETCH_CRATES) -> str:
    """Standard output of a compiler that runs in a folder; its last error lines become the WmExportError. `fetch` gets
    the crates that may be missing."""
    try:
        done = _started(command, folder)
    except OSError as error:
        raise WmExportError(f"{what}: {command[0]} does not start: {error}; next: wmq doctor") from error
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-ERROR_LINES:])
        lacks = "--offline" in done.stderr
        step = f"crates are not on this machine; {fetch}" if lacks else "if a tool itself is at fault, wmq doctor"
        raise WmExportError(
            f"{what}: {command[0]} ended with status {done.returncode}, expected 0:\n{tail}\nnext: {step}"
        )
    return done.stdout


def _started(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    known = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    environment = known | {"WMQ_CACHE": str(cache_folder())}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _only_program(folder: Path, crate_dir: Path) -> bytes:
    made = sorted(folder.glob("*.so"))
    if len(made) != 1:
        names = ", ".join(path.name for path in made) or "none"
        raise WmExportError(f'program {crate_dir}: expected one .so, got {names}; next: crate-type = ["cdylib"] there')
    return made[0].read_bytes()


def _crate(folder: Path) -> Path:
    """A crate's folder from the root on; WmExportError if it is none."""
    if not (folder / "Cargo.toml").is_file():
        raise WmExportError(f"crate {folder}: expected a Cargo.toml there, got none; next: name a crate's folder")
    return folder.absolute()
