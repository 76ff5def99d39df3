"""Export to Solana: QNet -> a folder with everything that goes on chain, and the workspace that builds the program.

EXPORT/manifest.json      what the bytes mean; its sha256 is in the program and in every account
EXPORT/blob.bin           weight bytes
EXPORT/idl.json           the program's interface
EXPORT/qnet/              the QNet it was made from: the reference for parity
EXPORT/onchain/           Cargo workspace: kernels, program, native and the generated world
EXPORT/build/             made by `wmq build`: program.so, meter.so, overheads.json
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wm_export.blob import Blob, pack
from wm_export.errors import WmExportError
from wm_export.idl import idl
from wm_export.manifest import Manifest, check_blob, describe, load_manifest
from wm_export.rustgen import generate, plan_of, write_crate
from wm_export.scope import check_flags
from wm_quant.calls import need_kernels
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet
from wm_train.files import atomic_write_bytes

ONCHAIN = Path(__file__).resolve().parent.parent / "onchain"
#: What of the workspace goes into an export as it is.
SOURCES = (
    "Cargo.toml",
    "Cargo.lock",
    "rustfmt.toml",
    "kernels/Cargo.toml",
    "kernels/src",
    "kernels/asm",
    "program/Cargo.toml",
    "program/src",
    "native/Cargo.toml",
    "native/src",
)


@dataclass(frozen=True)
class Export:
    """An opened export folder; its blob has been checked against its manifest."""

    folder: Path
    manifest: Manifest
    net: QNet
    blob: bytes

    @property
    def program(self) -> Path:
        """The built program."""
        return self.folder / "build" / "program.so"

    @property
    def meter(self) -> Path:
        """The program that also writes down compute units."""
        return self.folder / "build" / "meter.so"


def export_solana(net: QNet, folder: Path, cuts: Sequence[int] = ()) -> Manifest:
    """Write an export of `net`, proved again; `cuts` split a frame into transactions (rustgen.plan_of)."""
    check_flags(net)
    need_kernels(net)
    proofs, blob, plan = prove(net), pack(net), plan_of(net, cuts)
    manifest = describe(net, blob, proofs, plan)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "build", ignore_errors=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    save_qnet(folder / "qnet", net)
    atomic_write_bytes(folder / "blob.bin", blob.data)
    atomic_write_bytes(folder / "idl.json", (json.dumps(idl(), indent=1) + "\n").encode())
    _copy_sources(folder / "onchain")
    write_crate(folder / "onchain" / "generated", generate(net, blob, manifest.hash, plan))
    atomic_write_bytes(folder / "manifest.json", manifest.raw)
    return manifest


def _copy_sources(onchain: Path) -> None:
    for name in SOURCES:
        source, target = ONCHAIN / name, onchain / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)


def open_export(folder: Path) -> Export:
    """A checked Export: the blob must be the manifest's, and both must be what the QNet beside them gives."""
    manifest = load_manifest(folder / "manifest.json")
    path = folder / "blob.bin"
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise WmExportError(f"{path}: {error.strerror}; export again with `wmq export`") from None
    check_blob(manifest, blob, path)
    net = load_qnet(folder / "qnet")
    packed: Blob = pack(net)
    if describe(net, packed, prove(net), manifest.plan).raw != manifest.raw:
        raise WmExportError(f"{folder}: manifest.json is not that of the QNet in {folder / 'qnet'}; export again")
    return Export(folder, manifest, net, blob)
