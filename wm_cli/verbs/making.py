"""`wmq quantize`, `export`, `build`: a run becomes an integer network, and that a program."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wm_cli import output, project
from wm_cli.artifacts import BOLT_EXPORT, need_export, newest_run
from wm_cli.errors import WmCliError
from wm_cli.number_types import Whole
from wm_cli.opening import file_figures, open_export, open_qnet, open_run
from wm_cli.options import export_argument, folder_argument, json_option, overwrite_option, path_option, verb
from wm_cli.packaged import example, need_qnet, packaged
from wm_cli.verbs.matches import BOLT_EXPORT_KEYS, build_matches, export_matches, exported_text
from wm_cli.writing import place_of
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch
from wm_train.artifact import need_free_folder
from wm_train.writer import one_writer

if TYPE_CHECKING:
    from wm_export.solana.export import Export
    from wm_quant.qnet import QNet

T = TypeVar("T")


@verb(
    "wmq quantize\nwmq quantize run --out qnet-ptq",
    prints="qnet parameters form proofs",
    stopped=lambda given: f"{given['out']} keeps what it had; the same command begins again",
)
@folder_argument("run", None)
@path_option("--out", project.QNET, "QNet folder.")
@overwrite_option
@json_option
def quantize(run: Path | None, out: Path, overwrite: bool, as_json: bool) -> None:
    """Turn a run into an integer network, proved free of overflow.

    RUN is a QAT run (run-qat by default), whose integers are taken as they are, or a float run, which is rounded to the
    grid with activation ranges calibrated on its training games.
    """
    figures = quantize_run(run or newest_run(), out, overwrite)
    count = figures["proofs"]  # each of them held, or there was an error
    text = f"{out}: {figures['parameters']:,} integers, no overflow possible ({count} of {count} checks)"
    output.say(as_json, figures, text)


def quantize_run(run: Path, out: Path, overwrite: bool = False) -> dict[str, Any]:
    """Convert a run, prove the QNet free of overflow, and save it to `out`."""
    from wm_quant.convert import quantize as convert
    from wm_quant.prove import prove
    from wm_quant.qnet import save_qnet

    open_run(run)
    with one_writer(out, "quantize"):
        need_free_folder(out, overwrite, WmCliError)
        net = convert(run)
        save_qnet(out, net)
    form = net.provenance["form"]
    return {"qnet": str(out), "parameters": net.parameters, "form": form, "proofs": len(prove(net))}


@verb(
    "wmq export --target solana\nwmq export qnet --target onnx --out world.onnx\n"
    f"wmq export {example()} --target solana\n"
    "wmq compose && wmq quantize composed && wmq export --target bolt\n"
    "wmq export fox=qnet-fox marth=qnet-marth --target solana --out both",
    prints="target out manifest_sha256 plan accounts model session scratch dispute bytes sha256 programs.* "
    f"{BOLT_EXPORT_KEYS}",
    stopped="an export that was begun is not finished, and no verb takes it; the same command makes it whole",
)
@click.argument("qnets", metavar="[[NAME=]QNET]...", nargs=-1)
@click.option("--target", type=click.Choice(["solana", "bolt", "onnx"]), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="[default: export, or world.onnx]")
@click.option(
    "--cut",
    "cuts",
    multiple=True,
    metavar="[NAME=]OP[.GROUP]",
    help="Split a frame into transactions before this op, or inside it before one of its row groups; repeatable.",
)
@click.option(
    "--transactions",
    type=Whole(1, 64),
    help="Cut a frame into so many transactions of about the same cost, instead of by --cut.",
)
@click.option("--compact", is_flag=True, help="Let vectors that no op needs at the same time share bytes on chain.")
@overwrite_option
@json_option
def export(
    qnets: tuple[str, ...],
    target: str,
    out: Path | None,
    cuts: tuple[str, ...],
    transactions: int | None,
    compact: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a QNet's weight blob, manifest, IDL and Rust workspace, BOLT's components and systems, or an ONNX graph.

    A world that comes with wmq is exported by its name. Several QNets, each with a name, make an export that holds a
    program for each; their --cut has the name too. --target bolt takes the QNet of a world of `wmq compose`.
    """
    out = out or (project.ONNX if target == "onnx" else project.EXPORT)
    if target != "solana" and (cuts or transactions or compact):
        raise click.UsageError(f"--cut, --transactions, --compact: only with --target solana, got --target {target}")
    if target == "bolt":
        figures = export_matches(_only(qnets, target), out, overwrite)
        output.say(as_json, figures, exported_text(figures))
        return
    if target == "onnx":
        figures = export_onnx(_only(qnets, target), out, overwrite)
    else:
        named = [_named(word) for word in qnets or (str(project.QNET),)]
        if len(dict(named)) < len(named):
            raise click.UsageError(f"expected each QNET with a name of its own, NAME=QNET; got {' '.join(qnets)}")
        if cuts and transactions:
            raise click.UsageError("--cut and --transactions: expected one of the two")
        figures = export_qnets(named, out, cuts, compact, overwrite, transactions)
    lines = [
        f"{name}: {one['bytes']:,} bytes, sha256 {one['sha256']}"
        for name, one in figures.get("programs", {str(out): figures}).items()
    ]
    output.say(as_json, figures, "\n".join(lines))


def _only(qnets: Sequence[str], target: str) -> Path:
    if len(qnets) > 1:
        raise click.UsageError(f"--target {target}: expected one QNET, got {len(qnets)}")
    return _folder(qnets[0]) if qnets else project.QNET


def _folder(qnet: str) -> Path:
    """Where a QNet lies that is given by its path, or by the name of a world that comes with wmq."""
    if not (found := packaged(Path(qnet))) and Path(qnet) != project.QNET:
        need_qnet(Path(qnet))
    return found or Path(qnet)


def _named(word: str) -> tuple[str, str]:
    """(name, rest) of NAME=REST; a word without a name is of the one program that an export has otherwise."""
    from wm_export.manifest import PROGRAM, PROGRAM_NAME

    name, mark, rest = word.partition("=")
    return (name, rest) if mark and PROGRAM_NAME.fullmatch(name) else (PROGRAM, word)


def export_onnx(qnet: Path, out: Path, overwrite: bool = False) -> dict[str, Any]:
    """Write the QNet's ONNX graph to `out`."""
    from wm_export.onnx.graph import export_onnx as write

    net = open_qnet(qnet)
    with place_of(out, "export", overwrite):
        write(net, out)
    return {"target": "onnx", "out": str(out), **file_figures(out)}


def export_qnets(
    qnets: Sequence[tuple[str, str]],
    out: Path,
    cuts: Sequence[str] = (),
    compact: bool = False,
    overwrite: bool = False,
    transactions: int | None = None,
) -> dict[str, Any]:
    """Write an export of (name, QNet), a program for each, to `out`; a frame of each cut into so many
    `transactions`, or where `cuts` say."""
    from wm_export.solana.export import Wanted, export_programs, program_folder

    named = [_named(word) for word in cuts]
    if unknown := dict(named).keys() - dict(qnets).keys():
        raise click.UsageError(f"--cut: no program {', '.join(sorted(unknown))} is exported; expected --cut NAME=OP")
    nets = {name: open_qnet(_folder(folder)) for name, folder in qnets}
    wanted = {
        name: Wanted(net, _cuts(net, transactions) or [op for of, op in named if of == name], compact)
        for name, net in nets.items()
    }
    figures = {
        name: {
            "manifest_sha256": manifest.hash.hex(),
            "plan": [list(step) for step in manifest.plan],
            "accounts": manifest.data["accounts"],
            **file_figures(program_folder(out, name) / "blob.bin"),
        }
        for name, manifest in export_programs(wanted, out, overwrite).items()
    }
    return {"target": "solana", "out": str(out), **as_one(figures)}


def _cuts(net: "QNet", transactions: int | None) -> list[str]:
    """Where a network's frame is cut into so many transactions; nowhere where none were asked for."""
    from wm_export.lower.balance import balanced_cuts
    from wm_export.lower.lowering import lower

    return balanced_cuts(lower(net), transactions) if transactions else []


@verb(
    "wmq build\nwmq build --arch v0\nwmq build export --json",
    prints="manifest_sha256 program arch size sha256 toolchain versions overheads.* programs.*",
    stopped="programs that were built before are kept; the same command builds what is missing",
)
@export_argument
@click.option(
    "--arch",
    type=click.Choice([arch.value for arch in Arch]),
    default=DEFAULT_ARCH.value,
    show_default=True,
    help="Version of sBPF; wmq doctor --cluster says which ones a cluster takes.",
)
@json_option
def build(export: Path, arch: str, as_json: bool) -> None:
    """Build an export's programs; of one to Solana, meter what their compiled code costs.

    Its sources are compared with those that this wmq writes for its QNets; others are not built. Programs for BOLT
    are in sBPF v0, whatever --arch says.
    """
    if BOLT_EXPORT.lies_at(export):
        found = {"bolt": build_matches(export)}
    else:
        found = each_program(export, lambda folder: build_export(folder, Arch(arch)))
    lines = [
        f"{one['program']}: sBPF {one['arch']}, {one['size']:,} bytes, sha256 {one['sha256']} ({one['toolchain']})"
        for one in found.values()
    ]
    output.say(as_json, as_one(found), "\n".join(lines))


def build_export(folder: Path, arch: Arch = DEFAULT_ARCH) -> dict[str, Any]:
    """Build an export's program and meter what its compiled code costs; the figures are kept for the report."""
    from wm_export.solana.metering import build as run

    export = open_export(folder)
    with output.err.status("build") as status:
        info, overheads = run(export, arch, lambda text: status.update(f"build: {text}"))
    figures = {
        "manifest_sha256": export.manifest.hash.hex(),
        "program": str(export.program),
        "arch": info.arch,
        "size": info.size,
        "sha256": info.sha256,
        "toolchain": info.toolchain,
        "versions": list(info.versions),
        "overheads": dict(overheads.ops),
    }
    project.keep_figures(kept_name("build", export), figures)
    return figures


def built_export(folder: Path) -> "Export":
    """The export of a program, built first if it is not yet."""
    from wm_export.solana.build_record import built

    export = open_export(folder)
    if not built(export):
        build_export(folder)
    return export


def each_program(folder: Path, run: Callable[[Path], T]) -> dict[str, T]:
    """What a verb gives for each program of an export, or for the one whose folder it is, by name."""
    from wm_export.solana.export import program_folder, program_names

    need_export(folder)
    names = program_names(folder)
    return {name: run(folder if len(names) == 1 else program_folder(folder, name)) for name in names}


def as_one(figures: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Figures of the one program; of several an object with those of each."""
    (first, *others) = figures.values()
    return {"programs": dict(figures)} if others else first


def kept_name(verb: str, export: "Export") -> str:
    """What a verb's figures of a program are kept as."""
    from wm_export.manifest import PROGRAM

    return verb if export.manifest.name == PROGRAM else f"{verb}-{export.manifest.name}"
