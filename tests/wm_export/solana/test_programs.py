"""An export that holds several programs: each is built, equal to its QNet, and costs what was predicted."""

import hashlib
from pathlib import Path

import pytest

from tests.factories import small_model, small_qnet
from tests.wm_export.conftest import recording
from wm_export.errors import WmExportError
from wm_export.manifest import PROGRAM, load_manifest
from wm_export.parity import rollouts
from wm_export.solana.export import (
    Export,
    Wanted,
    export_programs,
    export_solana,
    open_export,
    program_folder,
    program_names,
)
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.toolchain import Toolchain
from wm_quant.interp import Interpreter

NAMES = ("second", "first_1")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks, of other encodings and sizes, one of them in two transactions."""
    folder = tmp_path_factory.mktemp("several")
    nets = small_qnet(), small_qnet(small_model("v1", "published", 1))
    export_programs({NAMES[0]: Wanted(nets[0], ("2",)), NAMES[1]: Wanted(nets[1])}, folder)
    return folder


def test_each_is_what_it_is_alone(several: Path, tmp_path: Path) -> None:
    assert program_names(several) == list(NAMES) == list(load_manifest(several / "manifest.json"))
    first, second = (open_export(several, name) for name in NAMES)
    assert first.manifest.hash != second.manifest.hash and first.blob != second.blob
    alone = export_programs({NAMES[1]: Wanted(second.net)}, tmp_path)[NAMES[1]]
    assert alone.hash == second.manifest.hash == hashlib.sha256((tmp_path / "manifest.json").read_bytes()).digest()
    again = open_export(program_folder(several, NAMES[0]))
    assert (again.folder, again.manifest.hash, again.lowered.cuts) == (several, first.manifest.hash, ("2",))


def test_one_of_several_must_be_named(several: Path) -> None:
    with pytest.raises(WmExportError, match="several programs; choose one with --program: second, first_1"):
        open_export(several)
    with pytest.raises(WmExportError, match="has no program third; it has second, first_1"):
        open_export(several, "third")


@pytest.mark.parametrize("name", ["", "A", "1a", "a" * 22, "a-b", "../a", "a/b", "a\n"])
def test_a_name_that_no_program_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(WmExportError, match="expected a name of a to z"):
        export_programs({name: Wanted(small_qnet())}, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_what_was_exported_before_is_gone(tmp_path: Path) -> None:
    net = small_qnet()
    export_programs({"a": Wanted(net), "b": Wanted(net)}, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WmExportError, match="holds an export; give another folder with --out, or replace it"):
        export_solana(net, tmp_path)
    assert program_names(tmp_path) == ["a", "b"]
    export_solana(net, tmp_path, overwrite=True)
    assert program_names(tmp_path) == [PROGRAM] == [path.name for path in (tmp_path / "programs").iterdir()]
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("part", ["onchain", "programs"])
def test_a_folder_that_is_no_export_is_left_alone(tmp_path: Path, part: str) -> None:
    (tmp_path / part).mkdir()
    (tmp_path / part / "mine.rs").write_text("mine")
    with pytest.raises(WmExportError, match=f"{part}: is not of an export; give another folder"):
        export_solana(small_qnet(), tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == [part, "mine.rs"]


def test_each_is_built_equal_and_predicted(sbpf: Toolchain, cargo: Path, several: Path) -> None:
    exports = [open_export(several, name) for name in NAMES]
    for export in exports:
        build(export)
    programs = [export.program.read_bytes() for export in exports]
    assert programs[0] != programs[1]
    for export in exports:
        _equal(export)


def _equal(export: Export) -> None:
    run, reference, cost = recording(export.net, 2, 6), Interpreter(export.net), predicted(export)
    with NativeRunner(export) as native:
        for executor in (native, runner(export)):
            (found,) = rollouts({"one": executor}, reference, run)
            assert (found.frames, found.mismatches) == (12, 0)
    program = runner(export)
    for i in range(2):
        spent = program.metered_step(run.state.at(slice(i, i + 1)), run.inputs[0, i : i + 1], number=i)[2]
        assert spent == cost.transactions(i) and len(spent) == len(export.manifest.plan)
