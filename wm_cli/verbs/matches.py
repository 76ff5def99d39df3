"""`wmq export --target bolt`, and build and parity of such an export: a composed world as components and systems."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from wm_cli import output, project
from wm_cli.opening import executor_windows, file_figures, open_bolt, open_qnet
from wm_cli.tables.plain import compact

if TYPE_CHECKING:
    from wm_export.bolt.bolt_export import BoltExport
    from wm_export.bolt.component_parity import Applied
    from wm_export.bolt.svm_match import Units

#: Keys of figures about exports to BOLT.
BOLT_EXPORT_KEYS = "network_sha256 systems system turn components weights digest memory_bytes"
BOLT_PARITY_KEYS = "transactions frame_cu applies system cu own_cu world_cu"


def export_matches(qnet: Path, out: Path, overwrite: bool = False) -> dict[str, Any]:
    """Write an export of a composed QNet to BOLT."""
    from wm_export.bolt.bolt_export import export_bolt

    export = export_bolt(open_qnet(qnet), out, overwrite)
    told = {key: export.manifest[key] for key in ("network_sha256", "systems")}
    return {"target": "bolt", "out": str(out), **told, **file_figures(out / "manifest.json")}


def exported_text(figures: dict[str, Any]) -> str:
    """What a person is told of it."""
    listed = ", ".join(one["system"] for one in figures["systems"])
    return f"{figures['out']}: systems {listed}; next: wmq build {figures['out']}"


def build_matches(folder: Path) -> dict[str, Any]:
    """Build every program of an export; the figures of all together."""
    from wm_export.bolt.std_programs import build

    export = open_bolt(folder)
    with output.err.status(f"build: {len(export.workspace.packages)} programs"):
        info = build(export)
    return {
        "manifest_sha256": export.identity["manifest_sha256"],
        "program": str(export.build_folder),
        "arch": info.arch,
        "size": info.size,
        "sha256": info.sha256,
        "toolchain": info.toolchain,
        "versions": list(info.versions),
    }


def compare_matches(folder: Path, dataset: Path, frames: int, rollouts: int, length: int) -> dict[str, Any]:
    """`wmq parity` of an export to BOLT: every system applied through World in LiteSVM, every component's bytes against
    the interpreter. The figures are kept."""
    from wm_export.bolt.component_parity import compare
    from wm_export.bolt.std_programs import programs, world_program
    from wm_export.bolt.svm_match import SvmMatch
    from wm_quant.interp import Interpreter

    export = built_bolt(folder)
    match = SvmMatch(export.sliced, export.network, programs(export), world_program())
    asked = [(starts, steps) for starts, steps in ((frames, 1), (rollouts, length)) if starts]
    with output.progress_bar("parity", frames + rollouts * length) as (bar, task):
        found = [
            compare(
                match,
                Interpreter(export.net),
                *executor_windows(export.net, dataset, starts, steps),
                lambda: bar.advance(task),
            )
            for starts, steps in asked
        ]
    figures = {"manifest_sha256": export.identity["manifest_sha256"], "transactions": match.transactions}
    figures |= _compared(found)
    project.keep_figures("bolt", figures)
    return figures


def built_bolt(folder: Path) -> "BoltExport":
    """An export to BOLT, built first if it is not yet."""
    from wm_export.solana.build_record import built

    export = open_bolt(folder)
    if not built(export):
        build_matches(folder)
    return export


def _compared(found: "Sequence[Applied]") -> dict[str, Any]:
    """Figures of frames each from a true one, and of worlds that ran by themselves."""
    outcomes = [one.outcome for one in found]
    first = next((one.first for one in outcomes if one.first), None)
    applies = _applies([frame for one in found for frame in one.units])
    return {
        "frames": outcomes[0].frames,
        "rollout_frames": sum(one.frames for one in outcomes[1:]),
        "executors": ["interp", "bolt"],
        "mismatches": sum(one.mismatches for one in outcomes),
        "first_difference": first.to_json() if first else None,
        "outcomes": [one.to_json() for one in outcomes],
        "frame_cu": sum(row["cu"] for row in applies),
        "applies": applies,
    }


def _applies(frames: "Sequence[Sequence[Units]]") -> list[dict[str, Any]]:
    """Most compute units of each apply over all frames, and how they are shared."""
    return [
        {"system": most.system, "cu": most.total, "own_cu": most.own, "world_cu": most.overhead}
        for most in (max(column, key=lambda units: units.total) for column in zip(*frames, strict=True))
    ]


def applies_table(figures: Mapping[str, Any]) -> Table:
    """What a frame costs."""
    table = compact(f"A frame: {figures['frame_cu']:,} compute units in {figures['transactions']} transactions")
    table.add_column("apply of", no_wrap=True)
    for name in ("compute units", "its own", "World and components"):
        table.add_column(name, justify="right")
    for row in figures["applies"]:
        table.add_row(row["system"], *(f"{row[key]:,}" for key in ("cu", "own_cu", "world_cu")))
    return table


def print_applies(figures: Mapping[str, Any]) -> None:
    """Tell a person what a frame costs."""
    output.print_tables([applies_table(figures)])
