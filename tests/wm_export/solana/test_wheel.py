"""The wheel in an environment of its own, far from the repository: from a QNet to a built program."""

import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.factories import small_model, small_qnet
from wm_cli.packaged import WORLDS
from wm_export.solana.sources import EXPERIMENTS, SCRIPT_NAMES, WORKSPACE
from wm_export.solana.toolchain import Toolchain
from wm_quant.qnet import save_qnet

ROOT = Path(__file__).resolve().parents[3]
#: What no package may carry.
LEFT_OVERS = ("target", "__pycache__", ".venv", "build", ".git")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command, as a user does whose Python knows nothing of the repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, made from a copy of the repository with what cargo and Python leave behind."""
    folder = tmp_path_factory.mktemp("sdist")
    kept = shutil.ignore_patterns(*LEFT_OVERS, "*.egg-info", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder / "copy", ignore=kept, symlinks=True)
    for left in (
        "onchain/target",
        "onchain/program/src/target",
        "onchain/kernels/harness/target",
        "wm_train/__pycache__",
    ):
        (folder / "copy" / left).mkdir(parents=True, exist_ok=True)
        (folder / "copy" / left / "left.pyc").write_text("left over")
    run([sys.executable, "-c", BUILD, folder], folder / "copy")
    (made,) = folder.glob("wmq-*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """The wheel, made from the source distribution alone."""
    folder = sdist.parent / "wheel"
    run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, sdist], sdist.parent)
    (made,) = folder.glob("wmq-*.whl")
    return made


@pytest.fixture(scope="module")
def wmq(wheel: Path) -> Path:
    """The `wmq` of an environment with this wheel, which borrows the packages that wmq depends on but not wmq."""
    home = wheel.parent / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", home], wheel.parent)
    (packages,) = home.glob("lib/python*/site-packages")
    # Folders named in a .pth file are searched, their own .pth files are not read: an editable wmq stays unseen.
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    run([*PIP, "--python", home / "bin" / "python", "install", "--no-deps", "--no-index", wheel], wheel.parent)
    return home / "bin" / "wmq"


@pytest.mark.usefixtures("sbpf")
def test_archives_hold_the_sources_and_nothing_that_was_built(sdist: Path, wheel: Path) -> None:
    with tarfile.open(sdist) as tar, zipfile.ZipFile(wheel) as archive:
        names = [*tar.getnames(), *archive.namelist()]
        packaged = [name for name in archive.namelist() if name.startswith("wm_export/solana/packaged/")]
    assert [name for name in names if not {"target", "__pycache__"}.isdisjoint(name.split("/"))] == []
    wanted = [f"onchain/{name}" for name in WORKSPACE] + [f"scripts/{name}" for name in SCRIPT_NAMES]
    wanted += [f"experiments/{path.name}" for path in EXPERIMENTS.glob("*.yaml")]
    worlds = {path.relative_to(ROOT).as_posix() for path in WORLDS.rglob("*.*")}
    assert len(worlds) > 4 and worlds <= {name for name in names if name.startswith("wm_cli/worlds/")}
    for name in wanted:
        assert any(path.removeprefix("wm_export/solana/packaged/").startswith(name) for path in packaged), name


def test_from_a_qnet_to_a_program(sbpf: Toolchain, wmq: Path, tmp_path: Path) -> None:
    save_qnet(tmp_path / "qnet", small_qnet(small_model("v1", "published", 1)))
    code = "import cli, wm_export.solana.sources as s; print(cli.__file__, s.ONCHAIN, s.INSTALL_TOOLCHAIN)"
    places = run([wmq.with_name("python"), "-c", code], tmp_path)
    assert places.count(str(wmq.parents[1])) == 3 and str(ROOT) not in places
    run([wmq, "export", "--target", "solana"], tmp_path)
    run([wmq, "build"], tmp_path)
    assert (tmp_path / "export" / "programs" / "program" / "build" / "program.so").read_bytes().startswith(b"\x7fELF")
    run([wmq, "report"], tmp_path)
