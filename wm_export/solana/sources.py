"""What wmq needs at run time and is no Python: the Rust workspace of the programs and the scripts that install tools.

In the repository both lie beside the packages. A wheel carries them inside this package, where setup.py puts them.
Imports the standard library only: setup.py loads it before anything is installed.
"""

import shutil
from pathlib import Path

#: Folder of a wheel that holds `onchain` and `scripts`; the repository has none.
PACKAGED = Path(__file__).resolve().parent / "packaged"
HOME = PACKAGED if PACKAGED.is_dir() else Path(__file__).resolve().parents[2]
ONCHAIN, SCRIPTS = HOME / "onchain", HOME / "scripts"

#: What of the workspace goes into an export as it is; `wmq export` writes the rest.
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
#: The scripts that packages call.
SCRIPT_NAMES = ("sbpf.sh", "rollup.sh")

#: The commands that install tools: a wheel has no Makefile.
_IN_REPOSITORY = HOME != PACKAGED
INSTALL_TOOLCHAIN = "make toolchain" if _IN_REPOSITORY else f"bash {SCRIPTS / 'sbpf.sh'} install"
INSTALL_ROLLUP = "make rollup" if _IN_REPOSITORY else f"bash {SCRIPTS / 'rollup.sh'} install"


def copy_workspace(to: Path) -> None:
    """Copy WORKSPACE into the folder `to`; other files there stay."""
    for name in WORKSPACE:
        source, target = ONCHAIN / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)


def copy_all(to: Path) -> None:
    """Copy all that a wheel needs into the folder `to`."""
    copy_workspace(to / "onchain")
    (to / "scripts").mkdir(parents=True, exist_ok=True)
    for name in SCRIPT_NAMES:
        shutil.copyfile(SCRIPTS / name, to / "scripts" / name)
