"""One small world in three transactions a frame, its program, and the same with checks that can be switched off."""

import pytest

from tests.builds import build_program, built
from tests.factories import small_qnet
from tests.security.kit import Kit
from tests.security.weakened import FEATURE, weaken
from wm_export.solana.export import checked_sources, export_solana, open_export
from wm_export.solana.toolchain import Toolchain
from wm_export.solana.workspace import write_files


@pytest.fixture(scope="session")
def kit(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Built once a session."""
    folder = tmp_path_factory.mktemp("security")
    export_solana(small_qnet(), folder / "export", (2, 4))
    export = built(open_export(folder / "export"))
    write_files(folder / "weak", checked_sources(export))
    weaken(folder / "weak" / "program")
    build_program(folder / "weak" / "program", folder / "weak.so", features=[FEATURE])
    return Kit(export, export.program.read_bytes(), (folder / "weak.so").read_bytes())
