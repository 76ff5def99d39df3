"""Small worlds in three transactions a frame, their programs, and the same with checks that can be switched off."""

from pathlib import Path

import pytest

from tests.builds import build_program, built
from tests.factories import small_mamba2, small_qnet
from tests.security.kit import Kit
from tests.security.weakened import FEATURE, weaken
from wm_export.lower.lowering import lower
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch
from wm_export.solana.export import checked_sources, export_solana, open_export
from wm_export.solana.toolchain import Toolchain
from wm_export.solana.workspace import write_files
from wm_quant.qnet import QNet


@pytest.fixture(scope="session")
def arch(request: pytest.FixtureRequest) -> Arch:
    """The version of sBPF that programs are in: tests may ask for others than the one of `wmq build`."""
    return getattr(request, "param", DEFAULT_ARCH)


@pytest.fixture(scope="session")
def kit(sbpf: Toolchain, arch: Arch, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Of a network that keeps nothing. Built once a session, for each version."""
    return _built(small_qnet(), (2, 4), arch, tmp_path_factory.mktemp("security"))


@pytest.fixture(scope="session")
def memory_kit(sbpf: Toolchain, arch: Arch, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Of a Mamba-2 of two layers, whose heads are written in turn: each transaction of a frame changes some of what it
    keeps, and no frame all of it."""
    net = small_qnet(small_mamba2(d_state=4, write_every=2))
    names = lower(net).names
    cuts = (names.index("blocks.0.ssm"), names.index("blocks.1.ssm"))
    return _built(net, cuts, arch, tmp_path_factory.mktemp("memory"))


def _built(net: QNet, cuts: tuple[int, int], arch: Arch, folder: Path) -> Kit:
    export_solana(net, folder / "export", cuts)
    export = built(open_export(folder / "export"), arch)
    write_files(folder / "weak", checked_sources(export))
    weaken(folder / "weak" / "program")
    build_program(folder / "weak" / "program", folder / "weak.so", [FEATURE], arch)
    return Kit(export, export.program.read_bytes(), (folder / "weak.so").read_bytes())
