"""One small world in three transactions a frame, its program, and the same with checks that can be switched off."""

import shutil

import pytest

from tests.builds import build_program
from tests.factories import small_qnet
from tests.security.kit import Kit
from tests.security.weakened import FEATURE, weaken
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.toolchain import Toolchain


@pytest.fixture(scope="session")
def kit(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Built once a session."""
    folder = tmp_path_factory.mktemp("security")
    export_solana(small_qnet(), folder / "export", (2, 4))
    export = open_export(folder / "export")
    shutil.copytree(export.folder / "onchain", folder / "weak")
    weaken(folder / "weak" / "program")
    build_program(export.folder / "onchain" / "program", folder / "program.so")
    build_program(folder / "weak" / "program", folder / "weak.so", features=[FEATURE])
    return Kit(export, (folder / "program.so").read_bytes(), (folder / "weak.so").read_bytes())
