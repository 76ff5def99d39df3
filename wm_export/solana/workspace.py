"""The Cargo workspace that a program is built from, as files: written into an export, compared, built out of sight.

onchain/kernels, program, host    the same for every program of an export
programs/NAME/world               the crate that is generated for a program; `world` of its workspace

What is built are never the files of an export but those that this wmq writes for the export's QNet, once the export's
are known to be the same: in a folder of the user's own, so that nothing in or above the export has a say.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Program
from wm_export.solana.blob import Blob
from wm_export.solana.rust import generate
from wm_export.solana.sources import cache_folder, workspace_files
from wm_quant.qnet import QNet
from wm_train.files import atomic_write_bytes

#: Path inside a workspace or a crate -> bytes.
Files = Mapping[str, bytes]
#: The folder of the generated crate in a workspace.
WORLD = "world"
NOTHING = "nothing was built or run. Export again, into another folder"


def world_files(net: QNet, program: Program, blob: Blob, manifest_hash: bytes) -> dict[str, bytes]:
    """The generated crate."""
    return {name: text.encode() for name, text in generate(net, program, blob, manifest_hash).items()}


def with_world(world: Files) -> dict[str, bytes]:
    """The whole workspace of a program with this crate."""
    return workspace_files() | {f"{WORLD}/{name}": data for name, data in world.items()}


def sources_sha256(net: QNet, program: Program, blob: Blob) -> str:
    """Hash of a program's whole workspace, in hex, with zeros for the manifest's hash: the manifest has this one."""
    digest = hashlib.sha256()
    for name, data in sorted(with_world(world_files(net, program, blob, bytes(32))).items()):
        digest.update(f"{len(data)} {name}\n".encode() + data)
    return digest.hexdigest()


def write_files(folder: Path, files: Files) -> None:
    """Write files into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(folder / name, data)


def check_files(folder: Path, files: Files) -> None:
    """WmExportError that names the first file in which a folder is not these: changed, missing, one more, a link."""
    if folder.is_symlink():
        raise WmExportError(f"{folder}: a link; {NOTHING}")
    found = set(_regular_files(folder))
    for name in sorted(found ^ files.keys()):
        what = "is not of this export" if name in found else "is missing"
        raise WmExportError(f"{folder / name}: {what}; {NOTHING}")
    for name, data in files.items():
        if (folder / name).stat().st_size != len(data) or (folder / name).read_bytes() != data:
            raise WmExportError(f"{folder / name}: differs from what this wmq writes for the QNet; {NOTHING}")


def _regular_files(folder: Path, under: str = "") -> Iterator[str]:
    """Paths of all files inside; WmExportError for what is neither file nor folder."""
    try:
        entries = sorted(os.scandir(folder / under), key=lambda entry: entry.name)
    except OSError as error:
        raise WmExportError(f"{folder / under}: {error.strerror}; export again") from None
    for entry in entries:
        mode, name = entry.stat(follow_symlinks=False).st_mode, f"{under}{entry.name}"
        if stat.S_ISDIR(mode):
            yield from _regular_files(folder, f"{name}/")
        elif stat.S_ISREG(mode):
            yield name
        else:
            raise WmExportError(f"{folder / name}: a link, or no file at all; {NOTHING}")


@contextmanager
def staged(files: Files) -> Iterator[Path]:
    """A folder of the user's own with these files, for as long as it is open."""
    home = cache_folder() / "workspaces"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=home))
    try:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
