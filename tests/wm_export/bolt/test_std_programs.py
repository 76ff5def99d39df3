"""std_programs.py: programs are put where the user asked for them, wherever a compiler runs."""

from pathlib import Path

import pytest

from tests.wm_export.bolt.conftest import composed_net
from wm_export.bolt import std_programs
from wm_export.bolt.bolt_export import BoltExport, checked_workspace, export_bolt
from wm_export.bolt.std_programs import compile_crates, fetch
from wm_export.errors import WmExportError


def test_a_folder_is_that_of_the_user_not_of_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(std_programs, "run_tool", lambda command, *more: started.append(command))
    monkeypatch.chdir(tmp_path)
    compile_crates(Path("/workspace"), Path("export/bolt/build"), ["movement", "inputs"])
    assert started[0][2:] == ["build", "/workspace", str(tmp_path / "export" / "bolt" / "build"), "movement", "inputs"]


def test_without_tools_it_says_how_to_get_them(exported: BoltExport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(std_programs, "versions", lambda: None)
    with pytest.raises(WmExportError, match=r"next: .*bolt\.sh install"):
        std_programs.build(exported)


def test_fetching_crates_leaves_the_workspace_as_it_is(bolt: Path, tmp_path: Path) -> None:
    """What is built must be what was exported, to the file."""
    export = export_bolt(composed_net(), tmp_path)
    fetch(export.workspace_folder)
    assert checked_workspace(export).keys() >= {"Cargo.lock", "Cargo.toml"}
