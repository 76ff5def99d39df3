"""Toolchain: what is said when a tool is missing or fails, and one real program through the real compiler."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.builds import RELEASE
from wm_export.errors import WmExportError
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch, version_of
from wm_export.solana import toolchain

MANIFEST = '[package]\nname = "sample"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
LOCK = 'version = 4\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'
CDYLIB = f'[lib]\ncrate-type = ["cdylib"]\n{RELEASE}'
PROGRAM = """#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[no_mangle]
pub extern "C" fn entrypoint(_input: *const u8) -> u64 { if cfg!(feature = "refuse") { 1 } else { 0 } }
"""


def crate(folder: Path, source: str, name: str = "lib.rs", extra: str = "") -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / name).write_text(source)
    (folder / "Cargo.toml").write_text(MANIFEST + extra)
    (folder / "Cargo.lock").write_text(LOCK)
    return folder


def tool(folder: Path, name: str, script: str) -> None:
    """A stand-in for a tool; bash by full path, so that PATH can be this folder alone."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no tool at all but those a test puts into the returned folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("WMQ_CACHE", str(tmp_path / "cache"))
    return folder


def test_bare_machine_has_nothing(bare: Path) -> None:
    assert toolchain.find_toolchain() is None
    assert toolchain.host_cargo() is None


def test_empty_cache_is_no_toolchain(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    assert toolchain.find_toolchain() is None


def test_missing_toolchain_names_the_next_step(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match="next: make toolchain"):
        toolchain.build_program(crate(tmp_path / "crate", PROGRAM), tmp_path / "out.so")
    assert not (tmp_path / "out.so").exists()


def test_missing_cargo_names_the_next_step(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match="expected cargo on PATH, got none; next: make toolchain"):
        toolchain.build_host(crate(tmp_path / "crate", "fn main() {}", "main.rs"), "sample")


def test_folder_without_crate_is_named(tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match=r"expected a Cargo\.toml there, got none"):
        toolchain.build_program(tmp_path, tmp_path / "out.so")
    with pytest.raises(WmExportError, match=r"expected a Cargo\.toml there, got none"):
        toolchain.build_host(tmp_path, "sample")


def solana_tools(bare: Path, version: int) -> None:
    """Stand-ins that make programs in one version of sBPF, with what they were told behind it."""
    tool(
        bare,
        "cargo-build-sbf",
        'if [ "$1" = --version ]; then echo "tools 9.9"; exit; fi\n'
        "while [ $# -gt 0 ]; do\n"
        'case $1 in --sbf-out-dir) out=$2;; --arch|--features) said+="$1=$2 ";; esac; shift; done\n'
        rf"""printf '\x7fELF\x02\x01%42s\x0{version}\0\0\0%s' '' "$said" >"$out"/sample.so""",
    )


@pytest.mark.parametrize("arch", Arch)
def test_solana_tools_come_first_and_get_arch_and_features(bare: Path, tmp_path: Path, arch: Arch) -> None:
    solana_tools(bare, int(arch[1:]))
    out = tmp_path / "deep" / "out.so"
    info = toolchain.build_program(crate(tmp_path / "crate", PROGRAM), out, ["a", "b"], arch)
    assert out.read_bytes()[52:] == f"--arch={arch} --features=a,b ".encode()
    assert (info.arch, info.toolchain, info.versions, info.size) == (arch, "solana", ("tools 9.9",), 77)
    assert info.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()


@pytest.mark.parametrize("made", [1, 2])
def test_a_program_in_another_version_than_asked_for_is_refused(bare: Path, tmp_path: Path, made: int) -> None:
    solana_tools(bare, made)
    with pytest.raises(WmExportError, match=f"compiler made sBPF v{made}, asked for was {DEFAULT_ARCH}"):
        toolchain.build_program(crate(tmp_path / "crate", PROGRAM), tmp_path / "out.so")
    assert not (tmp_path / "out.so").exists()


def test_failed_build_tells_the_last_lines_and_keeps_the_old_file(bare: Path, tmp_path: Path) -> None:
    lines = "for ((i = 0; i < 99; i++)); do echo line$i >&2; done; exit 7"
    tool(bare, "cargo-build-sbf", f'if [ "$1" = --version ]; then echo 1; exit; fi; {lines}')
    out = tmp_path / "out.so"
    out.write_bytes(b"old")
    with pytest.raises(WmExportError, match="status 7") as raised:
        toolchain.build_program(crate(tmp_path / "crate", PROGRAM), out)
    assert "line98" in str(raised.value) and "line78\n" not in str(raised.value)
    assert out.read_bytes() == b"old"


def test_toolchain_that_makes_no_program_is_refused(bare: Path, tmp_path: Path) -> None:
    tool(bare, "cargo-build-sbf", "echo 1")
    with pytest.raises(WmExportError, match=r"expected one \.so, got none"):
        toolchain.build_program(crate(tmp_path / "crate", PROGRAM), tmp_path / "out.so")


@pytest.mark.usefixtures("sbpf")
def test_real_program_builds_the_same_twice_and_features_reach_it(tmp_path: Path) -> None:
    extra = CDYLIB + "[features]\nrefuse = []\n"
    first, second = (crate(tmp_path / name, PROGRAM, extra=extra) for name in ("first", "second"))
    built = toolchain.build_program(first, tmp_path / "first.so")
    again = toolchain.build_program(second, tmp_path / "second.so")
    other = toolchain.build_program(second, tmp_path / "third.so", features=["refuse"])
    assert built == again
    for arch in Arch:
        found = toolchain.build_program(second, tmp_path / "version.so", arch=arch)
        assert version_of((tmp_path / "version.so").read_bytes()) == arch
        assert (found == built) == (arch == DEFAULT_ARCH)
    assert built.sha256 != other.sha256
    assert {path.name for path in first.iterdir()} <= {"src", "Cargo.toml", "Cargo.lock", "target"}


@pytest.mark.usefixtures("sbpf")
def test_real_compiler_error_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match="no_such_name"):
        toolchain.build_program(crate(tmp_path, PROGRAM + "fn f() { no_such_name }", extra=CDYLIB), tmp_path / "out.so")
    assert not (tmp_path / "out.so").exists()


@pytest.mark.usefixtures("cargo")
def test_host_binary_is_built_where_cargo_says(tmp_path: Path) -> None:
    made = toolchain.build_host(crate(tmp_path, "fn main() {}", "main.rs"), "sample")
    assert os.access(made, os.X_OK)


@pytest.mark.usefixtures("cargo")
def test_unknown_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match="no bin target named"):
        toolchain.build_host(crate(tmp_path, "fn main() {}", "main.rs"), "other")
