"""Programs that tests run, compiled once for each distinct source: by any test, any worker and any run before.

What was compiled lies in ${WMQ_CACHE:-~/.cache/wmq}/tests, by the SHA-256 of sources, features and tools.
"""

import fcntl
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from wm_export.bolt.std_programs import compile_crates as std_compile
from wm_export.bolt.std_programs import fetch
from wm_export.bolt.std_programs import versions as std_versions
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch
from wm_export.solana import toolchain
from wm_export.solana.build_record import keep_record
from wm_export.solana.export import Export, checked_sources
from wm_export.solana.sources import ONCHAIN, cache_folder
from wm_export.solana.toolchain import SBPF_SCRIPT, BuildInfo, find_toolchain, host_cargo, version_lines
from wm_export.solana.workspace import staged
from wm_train.files import atomic_write_bytes

CACHE = cache_folder() / "tests"
KEEP_S = 14 * 24 * 3600
#: The profile of worlds: crates that share it share what is compiled of Rust's own library.
RELEASE = "".join((ONCHAIN / "Cargo.toml").read_text().partition("[profile.release]\n")[1:])
MANIFEST = """[package]
name = "{name}"
version = "0.1.0"
edition = "2021"
[workspace]
[lib]
crate-type = ["cdylib"]
"""
LOCK = 'version = 4\n[[package]]\nname = "{name}"\nversion = "0.1.0"\n'


def forget_old() -> None:
    """Remove what no test has asked for in two weeks."""
    for path in CACHE.glob("*"):
        if time.time() - path.stat().st_mtime > KEEP_S:
            path.unlink(missing_ok=True)


def build_program(crate: Path, out: Path, features: Sequence[str] = (), arch: Arch = DEFAULT_ARCH) -> BuildInfo:
    """toolchain.build_program."""
    tools = find_toolchain()
    if tools is None:
        return toolchain.build_program(crate, out, features, arch)  # which says what is missing
    words = [tools.name, *tools.versions, SBPF_SCRIPT.read_text(), arch, *features]
    kept = _kept("program", _digest(crate, words), lambda made: toolchain.build_program(crate, made, features, arch))
    out.parent.mkdir(parents=True, exist_ok=True)
    program = kept.read_bytes()
    atomic_write_bytes(out, program)
    return BuildInfo(arch, tools.name, tools.versions, hashlib.sha256(program).hexdigest(), len(program))


def compile_crates(workspace: Path, out: Path, crates: Sequence[str]) -> None:
    """std_programs.compile_crates, with the crates that this machine has not."""
    words = [*(std_versions() or ()), *((workspace / name).read_text() for name in ("Cargo.toml", "Cargo.lock"))]
    keys = {crate: _digest(_folder_of(workspace, crate), words) for crate in crates}
    missing = [crate for crate, key in keys.items() if not (CACHE / f"{key}.std").exists()]
    if missing:
        fetch(workspace)
        std_compile(workspace, out, missing)
    for crate, key in keys.items():
        path = out / f"{crate.replace('-', '_')}.so"
        kept = _kept("std", key, partial(shutil.copyfile, path))
        if crate not in missing:
            atomic_write_bytes(path, kept.read_bytes())


def _folder_of(workspace: Path, crate: str) -> Path:
    """Where a workspace has a crate."""
    return next(path.parent for path in workspace.rglob("Cargo.toml") if path.parent.name == crate)


def one_file(folder: Path, name: str, source: str, arch: Arch = DEFAULT_ARCH) -> bytes:
    """A program of one source file."""
    (folder / "src").mkdir()
    (folder / "src" / "lib.rs").write_text(source)
    (folder / "Cargo.toml").write_text(MANIFEST.format(name=name) + RELEASE)
    (folder / "Cargo.lock").write_text(LOCK.format(name=name))
    build_program(folder, folder / "program.so", arch=arch)
    return (folder / "program.so").read_bytes()


def built(export: Export, arch: Arch = DEFAULT_ARCH) -> Export:
    """The export with its program, without what meters it: all that sessions and disputes need of `wmq build`."""
    with staged(checked_sources(export)) as workspace:
        info = build_program(workspace / "program", export.program, arch=arch)
    keep_record(export, info, ["program.so"])
    return export


def build_host(crate: Path, bin_name: str) -> Path:
    """toolchain.build_host."""

    def build(made: Path) -> None:
        shutil.copyfile(toolchain.build_host(crate, bin_name), made)
        made.chmod(0o755)

    versions = version_lines([str(host_cargo() or "cargo"), "--version"])
    return _kept(bin_name, _digest(crate, versions or ()), build)


def _digest(crate: Path, words: Iterable[str]) -> str:
    """SHA-256 of these words and of every source file that a crate is made from."""
    digest = hashlib.sha256(repr([crate.name, *words]).encode())
    for folder in _folders(crate.resolve()):
        for path in _sources(folder):
            digest.update(repr((str(path.relative_to(folder)), path.stat().st_size)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _folders(crate: Path) -> list[Path]:
    """Where a crate's sources are: the workspace that it is part of, if it is, and what that names by path."""
    found = [crate.parent if (crate.parent / "Cargo.toml").exists() else crate]
    for folder in found:
        for manifest in (path for path in _sources(folder) if path.name == "Cargo.toml"):
            named = [(manifest.parent / path).resolve() for path in re.findall(r'path = "(.+?)"', manifest.read_text())]
            found += [path for path in named if path.is_dir() and not any(path.is_relative_to(f) for f in found)]
    return found


def _sources(folder: Path) -> list[Path]:
    """Every file but what cargo has made."""
    names = sorted(folder.iterdir())
    files = [path for path in names if path.is_file()]
    folders = [path for path in names if path.is_dir() and path.name != "target"]
    return files + [path for inner in folders for path in _sources(inner)]


def _kept(kind: str, key: str, make: Callable[[Path], object]) -> Path:
    """The file of this key, made if there is none."""
    path = CACHE / f"{key}.{kind}"
    with _locked(CACHE / f"{key}.lock"):
        if not path.exists():
            partial = path.with_suffix(".partial")
            make(partial)
            partial.rename(path)
        path.touch()
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; ends with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
