"""bolt_export.py, crates.py: what is written, and that nothing else is taken for it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.factories import small_qnet
from wm_export.bolt.bolt_export import BoltExport, checked_workspace, export_bolt, is_bolt, open_bolt
from wm_export.bolt.lockfile import lockfile
from wm_export.errors import WmExportError
from wm_export.solana.export import export_solana
from wm_quant.errors import WmQuantError


def test_the_workspace_is_bolts_own_layout(exported: BoltExport) -> None:
    files = checked_workspace(exported)
    components = {name.split("/")[2] for name in files if name.startswith("programs-ecs/components/")}
    systems = {name.split("/")[2] for name in files if name.startswith("programs-ecs/systems/")}
    assert components == {"position", "motion", "combat", "shield", "action", "input", "match-clock"}
    assert systems == {one.crate for one in exported.sliced.systems}
    assert {"Anchor.toml", "Cargo.toml", "Cargo.lock", "rustfmt.toml"} <= files.keys()
    movement = files["programs-ecs/systems/movement/src/lib.rs"].decode()
    assert "#[system]\npub mod movement {" in movement and "pub position: Position," in movement
    rule = files["programs-ecs/systems/movement/src/rules.rs"].decode()
    assert "components.position.x[player] = clamp(next_x, x_low, x_high) as i32;" in rule
    assert "components.motion.ruled_knockback_x[player]" in rule


def test_every_program_has_one_address(exported: BoltExport) -> None:
    files = exported.workspace.files
    declared = [found[1].decode() for data in files.values() if (found := re.search(rb'declare_id!\("(\w+)"\)', data))]
    assert sorted(declared) == sorted(one["address"] for one in exported.manifest["programs"])
    assert len(set(declared)) == len(declared) == len(exported.workspace.packages)
    assert all(f'"{address}"' in files["Anchor.toml"].decode() for address in declared)


def test_the_lock_names_every_crate_of_the_workspace(exported: BoltExport) -> None:
    lock = exported.workspace.files["Cargo.lock"].decode()
    names = re.findall(r'^name = "(.+)"$', lock, re.MULTILINE)
    assert names == sorted(names)
    own = {package.name: package for package in exported.workspace.packages}
    assert own.keys() <= set(names) and names.count("movement") == 1
    assert lockfile({}).count("[[package]]") == len(names) - len(own) - 1


def test_what_was_changed_is_not_taken(exported: BoltExport, tmp_path: Path) -> None:
    def changed(name: str, folder: str) -> Path:
        shutil.copytree(exported.folder, tmp_path / folder)
        path = tmp_path / folder / name
        path.write_bytes(path.read_bytes()[:-1] + b" ")
        return tmp_path / folder

    with pytest.raises(WmExportError, match=r"movement\.bin: not the weights"):
        open_bolt(changed("bolt/weights/movement.bin", "weights"))
    with pytest.raises(WmExportError, match=r"manifest\.json"):
        open_bolt(changed("manifest.json", "manifest"))
    with pytest.raises(WmQuantError):
        open_bolt(changed("bolt/qnet/qnet.safetensors", "qnet"))
    source = "bolt/workspace/programs-ecs/systems/movement/src/rules.rs"
    with pytest.raises(WmExportError, match=r"rules\.rs: differs"):
        checked_workspace(open_bolt(changed(source, "source")))


def test_one_export_replaces_another_only_when_told_to(exported: BoltExport, tmp_path: Path) -> None:
    export_solana(small_qnet(), tmp_path)
    with pytest.raises(WmExportError, match="holds an export"):
        export_bolt(exported.net, tmp_path)
    export_bolt(exported.net, tmp_path, overwrite=True)
    assert is_bolt(tmp_path) and not (tmp_path / "programs").exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["network_sha256"] == exported.network
    export_solana(small_qnet(), tmp_path, overwrite=True)
    assert not is_bolt(tmp_path)


def test_a_world_of_one_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WmQuantError, match="expected one of subsystems"):
        export_bolt(small_qnet(), tmp_path)


def test_idls_say_what_the_programs_have(exported: BoltExport) -> None:
    files = exported.workspace.files
    idls = {one.lib: json.loads(files[f"target/idl/{one.lib}.json"]) for one in exported.workspace.packages}
    assert [idl["address"] for idl in idls.values()] == [one["address"] for one in exported.manifest["programs"]]
    for name, idl in idls.items():
        assert idl["metadata"]["name"] == name and len(idl["instructions"]) >= 3
    (struct, metadata) = idls["motion"]["types"]
    members = {one["name"]: one["type"] for one in struct["type"]["fields"]}
    source = files["programs-ecs/components/motion/src/lib.rs"].decode()
    declared = re.findall(r"pub (\w+): \[(\w+); (\d)\],", source)
    assert [(name, {"array": [kind, int(n)]}) for name, kind, n in declared] == list(members.items())[:-1]
    assert metadata["name"] == "BoltMetadata" and [*members][-1] == "bolt_metadata"
    calls = {one["name"]: one for one in idls["inputs"]["instructions"]}
    inputs = files["programs-ecs/systems/inputs/src/lib.rs"].decode()
    functions = re.findall(r"    pub fn (\w+)\(\s*ctx", inputs)
    assert set(functions) | {"bolt_execute", "init_extra_accounts"} == calls.keys()
