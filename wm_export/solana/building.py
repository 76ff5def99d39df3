"""From an export's QNet to its program: built from sources that were compared, and built once more to be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wm_export.errors import WmExportError
from wm_export.schema.sbpf import Arch
from wm_export.solana.build_record import BUILT
from wm_export.solana.export import Export, checked_sources
from wm_export.solana.toolchain import BuildInfo, build_program
from wm_export.solana.workspace import staged


@dataclass(frozen=True)
class Rebuilt:
    """A program that was built to compare another one with, and what made it."""

    info: BuildInfo
    elf: bytes


def build_from(workspace: Path, export: Export, out: Path, arch: Arch, features: Sequence[str] = ()) -> BuildInfo:
    """Build the program of a staged workspace into `out`; WmExportError unless it is this export's."""
    info = build_program(workspace / "program", out, features, arch)
    _check_identity(export, out)
    return info


def rebuild(export: Export, arch: Arch) -> Rebuilt:
    """The program that this wmq and the compilers of this machine make of an export's QNet, whatever was built before.

    WmExportError if there is no toolchain, or the export's sources are not those that this wmq writes.
    """
    with staged(checked_sources(export)) as workspace:
        out = workspace / "rebuilt.so"
        info = build_from(workspace, export, out, arch)
        return Rebuilt(info, BUILT.read(out))


def _check_identity(export: Export, program: Path) -> None:
    """WmExportError unless the manifest's hash is in the program, in words of 4 bytes wherever they were put."""
    raw, wanted = BUILT.read(program), export.manifest.hash
    if not all(wanted[i : i + 4] in raw for i in range(0, len(wanted), 4)):
        program.unlink()
        raise WmExportError(f"{program}: built from another export; is another build running? `wmq build` again")
