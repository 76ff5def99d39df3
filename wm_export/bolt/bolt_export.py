"""Export to BOLT: a composed QNet -> a folder with a workspace of components and systems, and their weights.

EXPORT/manifest.json          what is in it: programs with their addresses, systems with the hashes of their weights
EXPORT/bolt/qnet/             the QNet it was made from: the reference for parity
EXPORT/bolt/weights/KEY.bin   weights of each system
EXPORT/bolt/workspace/        BOLT's own layout (crates.py)
EXPORT/bolt/build/            made by `wmq build`: NAME.so of each program, and build.json
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wm_export.bolt.crates import Workspace
from wm_export.bolt.slices import Sliced
from wm_export.errors import WmExportError
from wm_export.export_place import MANIFEST, check_place, clear
from wm_export.scope import check_flags
from wm_export.solana.workspace import check_files, write_files
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet
from wm_train import json_schema as js
from wm_train.artifact import check_folder
from wm_train.config import RunConfig
from wm_train.files import atomic_write_bytes
from wm_train.reading import Artifact, JsonArtifact, read_json
from wm_train.writer import one_writer

FORMAT = "wmq-bolt-1"
#: The folder of all that is not the manifest.
BOLT = "bolt"
_AGAIN = "next: `wmq export --target bolt` makes it again from the QNet, then `wmq build`"
MANIFEST_JSON = JsonArtifact(
    WmExportError,
    f"not an export of this wmq to BOLT; {_AGAIN}",
    max_bytes=1 << 20,
    format=FORMAT,
    schema=js.record({"format": js.text(), "programs": js.list_of(js.anything, least=1)}, more=True),
)
WEIGHTS = Artifact(WmExportError, _AGAIN, max_bytes=1 << 24)


@dataclass(frozen=True)
class BoltExport:
    """An opened export, or one that is about to be written."""

    folder: Path
    net: QNet

    @cached_property
    def sliced(self) -> Sliced:
        """Its systems."""
        return Sliced(self.net)

    @cached_property
    def network(self) -> str:
        """sha256 of the QNet, in hex: what the addresses of its programs follow from."""
        digest = hashlib.sha256(json.dumps(RunConfig(model=self.net.model).to_json()["model"], sort_keys=True).encode())
        for name, tensor in sorted(self.net.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode() + tensor.tobytes())
        return digest.hexdigest()

    @cached_property
    def workspace(self) -> Workspace:
        """The sources of its programs."""
        return Workspace(self.sliced, self.network)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What manifest.json holds: the same for the same QNet and wmq."""
        return {
            "format": FORMAT,
            "model": RunConfig(model=self.net.model).to_json()["model"],
            "qnet_parent": self.net.parent,
            "network_sha256": self.network,
            "sources_sha256": self.sources,
            "programs": [
                {"crate": package.name, "folder": package.folder, "address": self.workspace.address(package.name)}
                for package in self.workspace.packages
            ],
            "systems": [
                {
                    "system": one.key,
                    "turn": one.turn,
                    "components": [component.name for component in one.components],
                    "weights": {"bytes": len(one.network.weights), "digest": one.network.digest.hex()}
                    if one.network
                    else None,
                    "memory_bytes": one.network.memory_bytes if one.network else 0,
                }
                for one in self.sliced.systems
            ],
        }

    @property
    def manifest_text(self) -> bytes:
        """The bytes of manifest.json."""
        return _text(self.manifest)

    @cached_property
    def sources(self) -> str:
        """sha256 of the workspace, in hex."""
        digest = hashlib.sha256()
        for name, data in sorted(self.workspace.files.items()):
            digest.update(f"{len(data)} {name}\n".encode() + data)
        return digest.hexdigest()

    @property
    def identity(self) -> dict[str, str]:
        """What a build of it is known by (solana/build_record.py)."""
        return {
            "manifest_sha256": hashlib.sha256(self.manifest_text).hexdigest(),
            "sources_sha256": self.sources,
        }

    @property
    def home(self) -> Path:
        """The folder of all that is not the manifest."""
        return self.folder / BOLT

    @property
    def build_folder(self) -> Path:
        """Where `wmq build` puts what it makes."""
        return self.home / "build"

    @property
    def workspace_folder(self) -> Path:
        """Of the sources."""
        return self.home / "workspace"

    def weights(self) -> Iterator[tuple[Path, bytes]]:
        """The file of each system's weights, and its bytes."""
        for one, _, network in self.sliced.learned:
            yield self.home / "weights" / f"{one.key}.bin", network.weights


def _text(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def export_bolt(net: QNet, folder: Path, overwrite: bool = False) -> BoltExport:
    """Write an export; the QNet is proved again.

    Raises WmExportError for a folder that holds anything, or a QNet that BOLT cannot run; with `overwrite` an export in
    it is replaced. WmTrainError if another process writes there.
    """
    with one_writer(folder, "export"):
        check_place(folder, overwrite)
        check_flags(net)
        prove(net)
        export = BoltExport(folder, net)
        manifest = export.manifest_text
        clear(folder, _text({"format": FORMAT, "programs": []}))
        export.home.mkdir()
        save_qnet(export.home / "qnet", net)
        for path, data in export.weights():
            path.parent.mkdir(exist_ok=True)
            atomic_write_bytes(path, data)
        write_files(export.workspace_folder, export.workspace.files)
        atomic_write_bytes(folder / MANIFEST, manifest)
    return export


def is_bolt(folder: Path) -> bool:
    """Whether a folder has an export to BOLT, finished or not."""
    return (folder / BOLT).is_dir()


def open_bolt(folder: Path) -> BoltExport:
    """A checked export: manifest and weights must be what the QNet beside them gives."""
    check_folder(folder, WmExportError, inner=(BOLT, f"{BOLT}/qnet", f"{BOLT}/weights", f"{BOLT}/build"))
    read_json(folder / MANIFEST, MANIFEST_JSON)
    export = BoltExport(folder, load_qnet(folder / BOLT / "qnet"))
    if MANIFEST_JSON.read(folder / MANIFEST) != export.manifest_text:
        raise WmExportError(
            f"{folder / MANIFEST}: not what this wmq writes for the QNet in {folder / BOLT / 'qnet'}; {_AGAIN}"
        )
    for path, data in export.weights():
        if WEIGHTS.read(path) != data:
            raise WmExportError(f"{path}: not the weights of the QNet; {_AGAIN}")
    return export


def checked_workspace(export: BoltExport) -> dict[str, bytes]:
    """The workspace that programs are built from, as this wmq writes it; WmExportError, naming the file, unless the
    export's own sources are the same."""
    for folder in (export.home, export.workspace_folder):
        if folder.is_symlink():
            raise WmExportError(f"{folder}: a link; nothing was built. Export again, into another folder")
    check_files(export.workspace_folder, export.workspace.files)
    return export.workspace.files
