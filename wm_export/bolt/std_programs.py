"""Programs of std Rust, as Anchor's and BOLT's are: built by scripts/bolt.sh, out of sight, from sources that were
compared; and World's own, once for each user."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wm_export.bolt.bolt_export import BoltExport, checked_workspace
from wm_export.bolt.program_addresses import WORLD
from wm_export.errors import WmExportError
from wm_export.schema.sbpf import Arch
from wm_export.solana.build_record import BUILT, check_built, keep_record
from wm_export.solana.sources import FETCH_BOLT, INSTALL_BOLT, SCRIPTS, cache_folder
from wm_export.solana.toolchain import BuildInfo, run_tool, version_lines
from wm_export.solana.workspace import staged
from wm_train.artifact import check_folder
from wm_train.writer import one_writer

SCRIPT = SCRIPTS / "bolt.sh"


def versions() -> tuple[str, ...] | None:
    """The tools of scripts/bolt.sh, one a line; None where they are not installed."""
    return version_lines(["bash", str(SCRIPT), "versions"])


def install() -> tuple[str, ...]:
    """Run `bolt.sh install`, which says on standard error what it does and is done at once where nothing is missing;
    gives `versions`. WmExportError where this machine cannot have it."""
    done = subprocess.run(["bash", str(SCRIPT), "install"], stdout=subprocess.DEVNULL, check=False)
    tools = versions() if done.returncode == 0 else None
    if tools is None:
        raise WmExportError(
            f"bolt.sh install ended with status {done.returncode}, expected 0, and said why above; "
            f"next: mend that, then `{INSTALL_BOLT}`"
        )
    return tools


def fetch(workspace: Path) -> None:
    """Get the crates that a workspace's Cargo.lock names, where they are not on this machine; builds are offline."""
    run_tool(["bash", str(SCRIPT), "fetch", str(workspace.absolute())], workspace, f"crates of {workspace}")


def compile_crates(workspace: Path, out: Path, crates: Sequence[str]) -> None:
    """Build crates of a workspace, OUT/<crate>.so each; WmExportError where one does not build."""
    # The script runs in the workspace: OUT is where it is from here.
    command = ["bash", str(SCRIPT), "build", str(workspace), str(out.absolute()), *crates]
    run_tool(command, workspace, f"programs of {workspace}", f"{FETCH_BOLT} EXPORT/bolt/workspace")


def build(export: BoltExport) -> BuildInfo:
    """Build every program of an export into its build folder. WmTrainError if another process writes there."""
    with one_writer(export.folder, "build"):
        tools, folder = versions(), export.build_folder
        if tools is None:
            raise WmExportError(f"no toolchain for programs of std Rust; next: {INSTALL_BOLT}")
        files = checked_workspace(export)
        if folder.is_symlink():
            raise WmExportError(f"{folder}: a link; nothing was built. Remove it")
        check_folder(folder, WmExportError)
        folder.mkdir(exist_ok=True)
        with staged(files) as workspace:
            compile_crates(workspace, folder, [package.name for package in export.workspace.packages])
        names = [f"{package.lib}.so" for package in export.workspace.packages]
        made = b"".join(BUILT.read(folder / name) for name in names)
        info = BuildInfo(Arch.V0, "debian", tools, hashlib.sha256(made).hexdigest(), len(made))
        keep_record(export, info, names)
        return info


def programs(export: BoltExport) -> Mapping[str, bytes]:
    """The built programs by crate; WmExportError unless they are what `build` made."""
    found = {package.name: f"{package.lib}.so" for package in export.workspace.packages}
    check_built(export, *found.values())
    return {crate: BUILT.read(export.build_folder / name) for crate, name in found.items()}


def world_path() -> Path:
    """Where this user's build of BOLT's World lies."""
    return cache_folder() / "bolt" / "programs" / f"{WORLD}.so"


def world_program() -> bytes:
    """BOLT's World, built from the crate registry where this user has not done so."""
    path = world_path()
    if not path.exists():
        run_tool(["bash", str(SCRIPT), "world", str(path.parent)], Path("/"), "BOLT's World")
    return BUILT.read(path)
