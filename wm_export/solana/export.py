"""Export to Solana: QNet -> a folder with everything that goes on chain, and the workspace that builds the program.

EXPORT/manifest.json      what the bytes mean; its sha256 is in the program and in every account
EXPORT/blob.bin           weight bytes
EXPORT/idl.json           the program's interface, as Anchor up to 0.29 has it
EXPORT/idl-anchor-0.30.json   the same, as Anchor from 0.30 on has it
EXPORT/qnet/              the QNet it was made from: the reference for parity
EXPORT/onchain/           Cargo workspace: kernels, program, native and the generated world
EXPORT/build/             made by `wmq build`: program.so, meter.so, overheads.json
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Program
from wm_export.lower.lowering import lower
from wm_export.manifest import Manifest, check_blob, describe, load_manifest
from wm_export.schema.idl import new_idl, old_idl
from wm_export.schema.records import Records
from wm_export.scope import check_flags
from wm_export.solana.blob import pack
from wm_export.solana.layout import SHARD_MAX, Layout, layout
from wm_export.solana.rust import generate, write_crate
from wm_export.solana.sources import copy_workspace
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet
from wm_train.files import atomic_write_bytes


@dataclass(frozen=True)
class Export:
    """An opened export folder; its blob has been checked against its manifest."""

    folder: Path
    manifest: Manifest
    net: QNet
    lowered: Program
    shards: tuple[bytes, ...]

    @property
    def blob(self) -> bytes:
        """All shards of its weights, one after the other."""
        return b"".join(self.shards)

    @cached_property
    def layout(self) -> Layout:
        """Offsets in its accounts."""
        return layout(self.lowered, tuple(map(len, self.shards)))

    @property
    def program(self) -> Path:
        """The built program."""
        return self.folder / "build" / "program.so"

    @property
    def meter(self) -> Path:
        """The program that also writes down compute units."""
        return self.folder / "build" / "meter.so"


def export_solana(
    net: QNet, folder: Path, cuts: Sequence[str | int] = (), compact: bool = False, shard_max: int = SHARD_MAX
) -> Manifest:
    """Write an export of `net`, proved again; `cuts` split a frame into transactions (lower/plan.py), `compact` lets
    vectors share bytes (lower/placement.py). The weights lie in as few model accounts as hold `shard_max` bytes each.
    """
    check_flags(net)
    program = lower(net, cuts, compact)
    proofs, blob = prove(net), pack(program, shard_max)
    manifest = describe(net, program, blob, proofs)
    sizes = Records(net.world.game).sizes
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "build", ignore_errors=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    save_qnet(folder / "qnet", net)
    atomic_write_bytes(folder / "blob.bin", blob.data)
    for name, idl in (("idl.json", old_idl(sizes)), ("idl-anchor-0.30.json", new_idl(sizes))):
        atomic_write_bytes(folder / name, (json.dumps(idl, indent=1) + "\n").encode())
    copy_workspace(folder / "onchain")
    write_crate(folder / "onchain" / "world", generate(net, program, blob, manifest.hash))
    atomic_write_bytes(folder / "manifest.json", manifest.raw)
    return manifest


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
    program = lower(net, **manifest.lowering)
    packed = pack(program, manifest.shard_max)
    if describe(net, program, packed, prove(net)).raw != manifest.raw:
        raise WmExportError(f"{folder}: manifest.json is not that of the QNet in {folder / 'qnet'}; export again")
    return Export(folder, manifest, net, program, packed.shards)
