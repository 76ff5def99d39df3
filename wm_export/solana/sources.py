"""What wmq needs at run time and is no Python: the Rust workspace of the programs and the scripts that install tools.

In the repository both lie beside the packages. A wheel carries them inside this package, where setup.py puts them.
Imports the standard library only: setup.py loads it before anything is installed.
"""

import os
import shlex
import shutil
from pathlib import Path

#: Folder of a wheel that holds `onchain`, `scripts` and `experiments`; the repository has none.
PACKAGED = Path(__file__).resolve().parent / "packaged"
HOME = PACKAGED if PACKAGED.is_dir() else Path(__file__).resolve().parents[2]
ONCHAIN, SCRIPTS, EXPERIMENTS = HOME / "onchain", HOME / "scripts", HOME / "experiments"

#: What of the workspace goes into an export as it is, files and folders of Rust; `wmq export` writes the rest.
WORKSPACE = (
    "Cargo.toml",
    "Cargo.lock",
    "rustfmt.toml",
    "kernels/Cargo.toml",
    "kernels/src",
    "kernels/compute_units.md",
    "program/Cargo.toml",
    "program/src",
    "host/Cargo.toml",
    "host/src",
)
WORLD_MANIFEST = "world/Cargo.toml"
#: Folder of what bolt.sh is made of; the scripts that packages call.
BOLT_TOOLS = "bolt"
SCRIPT_NAMES = ("sbpf.sh", "bolt.sh", "rollup.sh")

#: The commands that install tools: a wheel has no Makefile.
_IN_REPOSITORY = HOME != PACKAGED


def _make(target: str) -> str:
    """The command that makes a target of the repository, from wherever it is typed."""
    return f"make {target}" if Path.cwd() == HOME else f"make -C {shlex.quote(str(HOME))} {target}"


def _script(name: str, task: str) -> str:
    return f"bash {shlex.quote(str(SCRIPTS / name))} {task}"


SETUP = _make("setup") if _IN_REPOSITORY else "pip install --force-reinstall wmq"
INSTALL_TOOLCHAIN = _make("toolchain") if _IN_REPOSITORY else _script("sbpf.sh", "install")
FETCH_CRATES = _script("sbpf.sh", "fetch")
FETCH_BOLT = _script("bolt.sh", "fetch")
INSTALL_BOLT = _script("bolt.sh", "install")
INSTALL_ROLLUP = _make("rollup") if _IN_REPOSITORY else _script("rollup.sh", "install")


def cache_folder() -> Path:
    """What wmq keeps for this user, beside projects: ${WMQ_CACHE:-~/.cache/wmq}."""
    return Path(os.environ.get("WMQ_CACHE") or Path.home() / ".cache" / "wmq").absolute()


def workspace_files() -> dict[str, bytes]:
    """Path inside the workspace -> bytes, of every file of WORKSPACE."""
    files = [path for name in WORKSPACE for path in _files(ONCHAIN / name)]
    return {path.relative_to(ONCHAIN).as_posix(): path.read_bytes() for path in files}


def _files(path: Path) -> list[Path]:
    """The file, or every Rust file of a folder: what cargo or an editor has left there is no source."""
    return sorted(path.rglob("*.rs")) if path.is_dir() else [path]


def copy_all(to: Path) -> None:
    """Copy all that a wheel needs into the folder `to`."""
    # The crate of a world is generated; its Cargo.toml alone makes the workspace one that crates can be fetched for.
    for name, data in (workspace_files() | {WORLD_MANIFEST: (ONCHAIN / WORLD_MANIFEST).read_bytes()}).items():
        target = to / "onchain" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (to / "scripts").mkdir(parents=True, exist_ok=True)
    for name in SCRIPT_NAMES:
        shutil.copyfile(SCRIPTS / name, to / "scripts" / name)
    shutil.copytree(SCRIPTS / BOLT_TOOLS, to / "scripts" / BOLT_TOOLS, dirs_exist_ok=True)
    shutil.copytree(EXPERIMENTS, to / "experiments", dirs_exist_ok=True)
