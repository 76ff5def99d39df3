"""Sources and programs of an export that somebody has changed: named, and nothing of them is built or run."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests import builds
from tests.factories import small_model, small_qnet
from wm_export.errors import WmExportError
from wm_export.manifest import Manifest
from wm_export.schema.sbpf import DEFAULT_ARCH
from wm_export.solana import build_record, toolchain
from wm_export.solana.build_record import check_built, keep_record
from wm_export.solana.export import Export, checked_sources, export_solana, open_export
from wm_export.solana.metering import build, load_overheads, meter_runner, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.toolchain import BuildInfo, Toolchain
from wm_export.solana.workspace import staged

INFO = BuildInfo(DEFAULT_ARCH, "none", (), "", 0)
#: A build script, or anything else that leaves a mark where it runs.
MARK = 'fn main() {{ std::fs::write("{}", "ran").unwrap(); }}'


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The smallest world that there is."""
    folder = tmp_path_factory.mktemp("pristine")
    export_solana(small_qnet(small_model("v1", "published", 1)), folder)
    return open_export(folder)


@pytest.fixture
def export(pristine: Export, tmp_path: Path) -> Export:
    """A copy of it."""
    return replace(pristine, folder=shutil.copytree(pristine.folder, tmp_path / "export"))


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started is an error."""

    def start(*_: object, **__: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr("subprocess.Popen", start)


def _edit(name: str) -> Callable[[Export], Path]:
    def change(export: Export) -> Path:
        path = export.folder / name
        path.write_bytes(path.read_bytes() + b"\n")
        return path

    return change


def _add(name: str) -> Callable[[Export], Path]:
    def change(export: Export) -> Path:
        path = export.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(MARK.format(export.folder / "ran"))
        return path

    return change


def _remove(name: str) -> Callable[[Export], Path]:
    def change(export: Export) -> Path:
        (export.folder / name).unlink()
        return export.folder / name

    return change


def _link(name: str) -> Callable[[Export], Path]:
    def change(export: Export) -> Path:
        path, real = export.folder / name, export.folder.parent / "elsewhere"
        path.rename(real)
        path.symlink_to(real)
        return path

    return change


def _pipe(export: Export) -> Path:
    os.mkfifo(export.folder / "onchain" / "pipe")
    return export.folder / "onchain" / "pipe"


WORLD = "programs/program/world"


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("change", [
    _edit("onchain/program/src/lib.rs"), _edit("onchain/Cargo.toml"), _edit("onchain/Cargo.lock"),
    _edit(f"{WORLD}/src/rules.rs"), _edit(f"{WORLD}/Cargo.toml"), _edit(f"{WORLD}/asm/argmax.s"),
    _add("onchain/program/build.rs"), _add("onchain/kernels/build.rs"), _add(f"{WORLD}/build.rs"),
    _add("onchain/.cargo/config.toml"), _add("onchain/rust-toolchain.toml"), _add("onchain/target/x"),
    _add(f"{WORLD}/.cargo/config.toml"), _add("onchain/world/build.rs"),
    _remove("onchain/Cargo.lock"), _remove(f"{WORLD}/src/step.rs"),
    _link("onchain/program/src/tree.rs"), _link("onchain/kernels"), _link("onchain"), _link(WORLD), _link("programs"),
    _link("programs/program"), _pipe,
])  # fmt: skip
def test_changed_sources_are_named_and_not_used(export: Export, change: Callable[[Export], Path]) -> None:
    path = change(export)
    for use in (build, NativeRunner):
        with pytest.raises(WmExportError) as refused:
            use(export)
        assert str(refused.value).startswith(f"{path}: ") and "nothing was built or run" in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("nothing_starts")
def test_sources_of_another_wmq_are_refused(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wm_export.solana.workspace.workspace_files", lambda: {"Cargo.toml": b"other"})
    with pytest.raises(WmExportError, match="its sources are those of another wmq"):
        build(export)


@pytest.fixture
def made(export: Export) -> Export:
    """What a build leaves, without a build."""
    export.program.parent.mkdir()
    for name in build_record.FILES:
        (export.program.parent / name).write_bytes(b"made " + name.encode())
    keep_record(export, INFO)
    return export


@pytest.mark.parametrize("name", build_record.FILES)
def test_a_changed_program_is_refused(made: Export, name: str) -> None:
    check_built(made, *build_record.FILES)
    (made.program.parent / name).write_bytes(b"other")
    for use, of in ((runner, "program.so"), (meter_runner, "meter.so"), (load_overheads, "overheads.json")):
        if of == name:
            with pytest.raises(WmExportError, match=rf"{name}: not what `wmq build` made; next: wmq build"):
                use(made)
    check_built(made, *(other for other in build_record.FILES if other != name))


def test_a_record_that_was_not_written_here_is_refused(made: Export) -> None:
    path = made.program.parent / build_record.RECORD
    data = json.loads(path.read_bytes())
    made.program.write_bytes(b"other")
    data["files"]["program.so"] = "9d1e0e2d9459d06523ad13e28a4093c2316baafe7aec5b25f30eba2e113599c4"
    path.write_text(json.dumps(data))
    with pytest.raises(WmExportError, match="not of a build by this user on this machine"):
        runner(made)


def test_a_build_of_another_export_is_refused(made: Export) -> None:
    other = replace(made, manifest=Manifest({**made.manifest.data} | {"qnet_parent": "other"}))
    with pytest.raises(WmExportError, match="of another export: manifest_sha256"):
        runner(other)


def test_a_missing_build_names_the_next_step(export: Export) -> None:
    with pytest.raises(WmExportError, match=r"build\.json: .* run `wmq build`"):
        runner(export)


HOSTILE = {
    "build.rs": MARK,
    ".cargo/config.toml": '[build]\nrustc-wrapper = "{}"\n',
    "rust-toolchain.toml": '[toolchain]\npath = "{}"\n',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_above_the_folder_is_run(
    cargo: Path, export: Export, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every folder above the export, and in the one that wmq is called from."""
    monkeypatch.setattr("wm_export.solana.native.build_host", toolchain.build_host)  # not from the cache of other tests
    evil = _evil(tmp_path)
    for folder in (tmp_path, export.folder, export.home):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(HOSTILE[name].format(tmp_path / "ran" if name == "build.rs" else evil))
    monkeypatch.chdir(export.folder)
    assert toolchain.host_cargo() is not None and toolchain.version_lines(["cargo", "--version"])
    with NativeRunner(export):
        pass
    assert not (tmp_path / "ran").exists()


def _evil(folder: Path) -> Path:
    """A toolchain's folder and a compiler at once, which leave a mark."""
    (folder / "evil" / "bin").mkdir(parents=True)
    for tool in ("cargo", "rustc", "wrapper"):
        path = folder / "evil" / "bin" / tool
        path.write_text(f"#!/bin/sh\ntouch {folder / 'ran'}\nexit 1\n")
        path.chmod(0o755)
    return folder / "evil"


VARIABLES = ["RUSTFLAGS", "CARGO_BUILD_RUSTC_WRAPPER", "RUSTC_WRAPPER", "RUSTC", "CARGO_ENCODED_RUSTFLAGS",
             "CARGO_BUILD_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN"]  # fmt: skip


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_environment_does_not_change_what_is_built(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}
    monkeypatch.setenv(variable, "/nowhere/evil")

    def run(command: object, **options: object) -> None:
        assert isinstance(options["env"], dict)
        seen.update(options["env"])
        raise OSError("not started")

    monkeypatch.setattr("subprocess.run", run)
    assert toolchain.version_lines(["cargo", "--version"]) is None
    assert "PATH" in seen and variable not in seen


def test_a_real_program_is_the_same_under_hostile_variables(
    sbpf: Toolchain, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builds.built(export).program.read_bytes()
    monkeypatch.setenv("RUSTFLAGS", "-C opt-level=0")
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
    with staged(checked_sources(export)) as workspace:
        toolchain.build_program(workspace / "program", tmp_path / "again.so")
    assert (tmp_path / "again.so").read_bytes() == plain
