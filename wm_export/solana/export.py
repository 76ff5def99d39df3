"""Export to Solana: QNets -> a folder with everything that goes on chain, a program for each.

EXPORT/manifest.json          what the bytes mean, program by program
EXPORT/onchain/               of the Cargo workspace of every program what they share: kernels, program, host
EXPORT/programs/NAME/         of each program:
    qnet/                     the QNet it was made from: the reference for parity
    blob.bin                  weight bytes
    idl.json                  the program's interface, as Anchor up to 0.29 has it
    idl-anchor-0.30.json      the same, as Anchor from 0.30 on has it
    world/                    the generated crate of its workspace
    build/                    made by `wmq build`: program.so, meter.so, overheads.json, and build.json, which says
                              for which version of sBPF and with which tools
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wm_export.errors import WmExportError
from wm_export.export_place import check_place, clear
from wm_export.lower.lowered_program import Program
from wm_export.lower.lowering import lower
from wm_export.manifest import PROGRAM, Manifest, check_blob, check_name, describe, load_manifest, manifest_text
from wm_export.schema.idl import new_idl, old_idl
from wm_export.schema.limits import SHARDS_MAX
from wm_export.scope import check_flags
from wm_export.solana.blob import Blob, pack
from wm_export.solana.layout import SHARD_MAX, Layout, layout
from wm_export.solana.sources import workspace_files
from wm_export.solana.workspace import WORLD, check_files, sources_sha256, with_world, world_files, write_files
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet
from wm_train.artifact import check_folder
from wm_train.files import atomic_write_bytes
from wm_train.reading import Artifact
from wm_train.writer import one_writer

PROGRAMS, ONCHAIN = "programs", "onchain"
BLOB = Artifact(WmExportError, "export again with `wmq export`", max_bytes=SHARDS_MAX * SHARD_MAX)


@dataclass(frozen=True)
class Export:
    """One program of an opened export folder; its blob has been checked against its manifest.

    folder  of the whole export
    """

    folder: Path
    manifest: Manifest
    net: QNet
    lowered: Program
    packed: Blob

    @property
    def shards(self) -> tuple[bytes, ...]:
        """Its weights: the bytes of each model account."""
        return self.packed.shards

    @property
    def blob(self) -> bytes:
        """All shards of its weights, one after the other."""
        return self.packed.data

    @cached_property
    def layout(self) -> Layout:
        """Offsets in its accounts."""
        return layout(self.lowered, self.packed.sizes)

    @property
    def identity(self) -> dict[str, str]:
        """What a build of it is known by (build_record.py)."""
        return {"manifest_sha256": self.manifest.hash.hex(), "sources_sha256": self.manifest.sources}

    @property
    def home(self) -> Path:
        """The folder of what belongs to this program alone."""
        return self.folder / PROGRAMS / self.manifest.name

    @property
    def build_folder(self) -> Path:
        """Where `wmq build` puts what it makes."""
        return self.home / "build"

    @property
    def blob_path(self) -> Path:
        """Its weights."""
        return self.home / "blob.bin"

    @property
    def program(self) -> Path:
        """The built program."""
        return self.build_folder / "program.so"

    @property
    def meter(self) -> Path:
        """The program that also writes down compute units."""
        return self.build_folder / "meter.so"


@dataclass(frozen=True)
class Wanted:
    """A program to export: `cuts` split a frame into transactions (lower/plan.py), `compact` lets vectors share bytes
    (lower/placement.py), and the weights lie in as few model accounts as hold `shard_max` bytes each."""

    net: QNet
    cuts: Sequence[str | int] = ()
    compact: bool = False
    shard_max: int = SHARD_MAX


def export_solana(
    net: QNet,
    folder: Path,
    cuts: Sequence[str | int] = (),
    compact: bool = False,
    shard_max: int = SHARD_MAX,
    overwrite: bool = False,
) -> Manifest:
    """Write an export of one program, as `export_programs`."""
    return export_programs({PROGRAM: Wanted(net, cuts, compact, shard_max)}, folder, overwrite)[PROGRAM]


def export_programs(programs: Mapping[str, Wanted], folder: Path, overwrite: bool = False) -> dict[str, Manifest]:
    """Write an export of these programs, by their names; every QNet is proved again. The manifests, by name.

    Raises WmExportError for a folder that holds anything; with `overwrite` an export in it is replaced. WmTrainError if
    another process writes there.
    """
    with one_writer(folder, "export"):
        check_place(folder, overwrite)
        made = {name: _export(name, wanted, folder) for name, wanted in programs.items()}
        clear(folder, manifest_text([]))
        write_files(folder / ONCHAIN, workspace_files())
        for export in made.values():
            _write(export)
        manifests = {name: export.manifest for name, export in made.items()}
        atomic_write_bytes(folder / "manifest.json", manifest_text(manifests.values()))
    return manifests


def _export(name: str, wanted: Wanted, folder: Path) -> Export:
    check_name(name)
    check_flags(wanted.net)
    program = lower(wanted.net, wanted.cuts, wanted.compact)
    blob = pack(program, wanted.shard_max)
    sources = sources_sha256(wanted.net, program, blob)
    return Export(
        folder, describe(wanted.net, program, blob, prove(wanted.net), sources, name), wanted.net, program, blob
    )


def _write(export: Export) -> None:
    home, sizes = export.home, export.layout.records.sizes
    home.mkdir(parents=True)
    save_qnet(home / "qnet", export.net)
    atomic_write_bytes(export.blob_path, export.blob)
    for name, idl in (("idl.json", old_idl(sizes)), ("idl-anchor-0.30.json", new_idl(sizes))):
        atomic_write_bytes(home / name, (json.dumps(idl, indent=1) + "\n").encode())
    write_files(home / WORLD, _world(export))


def program_folder(folder: Path, name: str) -> Path:
    """The folder of a program of an export."""
    return folder / PROGRAMS / name


def program_names(folder: Path) -> list[str]:
    """The programs of an export, or the one whose folder it is."""
    if folder.parent.name == PROGRAMS:
        return [folder.name]
    return list(load_manifest(folder / "manifest.json"))


def open_export(folder: Path, program: str | None = None) -> Export:
    """A checked Export: its blob must be the manifest's, and both must be what the QNet beside them gives.

    folder   of an export, or of one of its programs
    program  its name; needed where an export has several, and its own folder is not given
    """
    if program is None and folder.parent.name == PROGRAMS:
        folder, program = folder.parent.parent, folder.name
    check_folder(folder, WmExportError, inner=(PROGRAMS,))
    manifest = _chosen(load_manifest(folder / "manifest.json"), folder, program)
    home = program_folder(folder, manifest.name)
    check_folder(home, WmExportError, inner=("build",))
    net = load_qnet(home / "qnet")
    lowered = lower(net, **manifest.lowering)
    export = Export(folder, manifest, net, lowered, pack(lowered, manifest.shard_max))
    _check_blob(export)
    expected = describe(net, lowered, export.packed, prove(net), manifest.sources, manifest.name)
    if expected.hash != manifest.hash:
        raise WmExportError(f"{folder}: manifest.json is not that of the QNet in {home / 'qnet'}; export again")
    return export


def _chosen(programs: Mapping[str, Manifest], folder: Path, name: str | None) -> Manifest:
    names = ", ".join(programs)
    if name is None and len(programs) > 1:
        raise WmExportError(f"{folder}: holds several programs; choose one with --program: {names}")
    found = next(iter(programs.values())) if name is None else programs.get(name)
    if found is None:
        raise WmExportError(f"{folder}: has no program {name}; it has {names}")
    return found


def _check_blob(export: Export) -> None:
    check_blob(export.manifest, BLOB.read(export.blob_path), export.blob_path)


def _world(export: Export) -> dict[str, bytes]:
    return world_files(export.net, export.lowered, export.packed, export.manifest.hash)


def checked_sources(export: Export) -> dict[str, bytes]:
    """The workspace that an export's program is built from, as this wmq writes it for the QNet.

    WmExportError, naming the file, unless the export's own sources are the same.
    """
    if sources_sha256(export.net, export.lowered, export.packed) != export.manifest.sources:
        raise WmExportError(
            f"{export.folder}: its sources are those of another wmq; use that one, or export again with `wmq export`"
        )
    for folder in (export.folder / PROGRAMS, export.home):
        if folder.is_symlink():
            raise WmExportError(f"{folder}: a link; nothing was built or run. Export again, into another folder")
    world = _world(export)
    check_files(export.folder / ONCHAIN, workspace_files())
    check_files(export.home / WORLD, world)
    return with_world(world)
