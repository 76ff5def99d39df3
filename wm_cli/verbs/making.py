"""`wmq quantize`, `export`, `build`: a run becomes an integer network, and that a program."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.opening import file_figures
from wm_cli.options import folder_argument, json_option, path_option, verb

if TYPE_CHECKING:
    from wm_export.solana.export import Export


@verb(
    "wmq quantize\nwmq quantize run --out qnet-ptq",
    prints="qnet parameters form proofs",
)
@folder_argument("run", None)
@path_option("--out", project.QNET, "QNet folder.")
@json_option
def quantize(run: Path | None, out: Path, as_json: bool) -> None:
    """Turn a run into an integer network, proved free of overflow.

    RUN is a QAT run (run-qat by default), whose integers are taken as they are, or a float run, which is rounded to the
    grid with activation ranges calibrated on its training games.
    """
    figures = quantize_run(run or (project.RUN_QAT if project.RUN_QAT.exists() else project.RUN), out)
    output.say(as_json, figures, f"{out}: {figures['parameters']:,} integers, {figures['proofs']} ranges proved")


def quantize_run(run: Path, out: Path) -> dict[str, Any]:
    """Convert a run, prove the QNet free of overflow, and save it to `out`."""
    from wm_quant.convert import quantize as convert
    from wm_quant.prove import prove
    from wm_quant.qnet import save_qnet

    net = convert(run)
    save_qnet(out, net)
    form = net.provenance["form"]
    return {"qnet": str(out), "parameters": net.parameters, "form": form, "proofs": len(prove(net))}


@verb(
    "wmq export --target solana\nwmq export qnet --target onnx --out world.onnx",
    prints="target out manifest_sha256 plan accounts model session scratch dispute bytes sha256",
)
@folder_argument("qnet", project.QNET)
@click.option("--target", type=click.Choice(["solana", "onnx"]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="[default: export, or world.onnx]")
@click.option(
    "--cut",
    "cuts",
    multiple=True,
    metavar="OP[.GROUP]",
    help="Split a frame into transactions before this op, or inside it before one of its row groups; repeatable.",
)
@click.option("--compact", is_flag=True, help="Let vectors that no op needs at the same time share bytes on chain.")
@json_option
def export(qnet: Path, target: str, out: Path | None, cuts: tuple[str, ...], compact: bool, as_json: bool) -> None:
    """Write a QNet's weight blob, manifest, IDL and Rust workspace, or an integer-only ONNX graph."""
    out = out or (project.EXPORT if target == "solana" else project.ONNX)
    figures = export_qnet(qnet, target, out, cuts, compact)
    output.say(as_json, figures, f"{out}: {figures['bytes']:,} bytes, sha256 {figures['sha256']}")


def export_qnet(qnet: Path, target: str, out: Path, cuts: Sequence[str], compact: bool = False) -> dict[str, Any]:
    """Write the QNet's export for a target, solana or onnx, to `out`."""
    from wm_quant.qnet import load_qnet

    net = load_qnet(qnet)
    if target == "onnx":
        from wm_export.onnx.graph import export_onnx

        export_onnx(net, out)
        return {"target": target, "out": str(out), **file_figures(out)}
    from wm_export.solana.export import export_solana

    manifest = export_solana(net, out, cuts, compact)
    return {
        "target": target,
        "out": str(out),
        "manifest_sha256": manifest.hash.hex(),
        "plan": [list(step) for step in manifest.plan],
        "accounts": manifest.data["accounts"],
        **file_figures(out / "blob.bin"),
    }


@verb(
    "wmq build\nwmq build export --json",
    prints="manifest_sha256 program size sha256 toolchain versions overheads.*",
)
@folder_argument("export", project.EXPORT)
@json_option
def build(export: Path, as_json: bool) -> None:
    """Build an export's Solana program, and meter what its compiled code costs."""
    figures = build_export(export)
    output.say(
        as_json,
        figures,
        f"{figures['program']}: {figures['size']:,} bytes, sha256 {figures['sha256']} ({figures['toolchain']})",
    )


def build_export(folder: Path) -> dict[str, Any]:
    """Build an export's program and meter what its compiled code costs; the figures are kept for the report."""
    from wm_export.solana.export import open_export
    from wm_export.solana.metering import build as run

    export = open_export(folder)
    with output.err.status("build") as status:
        info, overheads = run(export, lambda text: status.update(f"build: {text}"))
    figures = {
        "manifest_sha256": export.manifest.hash.hex(),
        "program": str(export.program),
        "size": info.size,
        "sha256": info.sha256,
        "toolchain": info.toolchain,
        "versions": list(info.versions),
        "overheads": dict(overheads.ops),
    }
    project.keep_figures("build", figures)
    return figures


def built_export(folder: Path) -> "Export":
    """The export, built first if it is not yet."""
    from wm_export.solana.export import open_export
    from wm_export.solana.metering import built

    if not built(folder):
        build_export(folder)
    return open_export(folder)
