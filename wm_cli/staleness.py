"""What is older than what it was made from: run -> QAT run -> QNet -> export, and the figures of all of them.

Every artifact keeps the digest of its source. It is stale where this project has sources of its kind, and none of them
is the one that it was made from: that one was trained, quantized or exported anew since. The functions that open
artifacts (opening.py) tell it on standard error, once a command, with the command that makes it again.
"""

import hashlib
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.artifacts import EXPORT, QNET, RUN, parts_here, train_command
from wm_cli.errors import WmCliError
from wm_cli.packaged import WORLDS

if TYPE_CHECKING:
    from wm_export.solana.export import Export

#: Key in a context's `meta`: what was told already.
_TOLD = "wm_cli.staleness.told"
#: Verb whose kept figures are of the export -> its command; those of models are kept by their form.
_OF_EXPORT = {"cu": "wmq cu", "parity": "wmq parity", "build": "wmq build"}
_OF_MODEL = {
    "float": project.RUN / RUN.file,
    "qat": project.RUN_QAT / RUN.file,
    "qnet": project.QNET / QNET.file,
    "ptq": project.QNET_PTQ / QNET.file,
}


def tell_of_run(path: Path, parent: str | None) -> None:
    """A QAT run whose float run, known by its digest, is not here any more."""
    sources = _runs("float")
    if parent and _is_stale(path, parent, sources):
        tell(f"{path}: its float run was trained anew since; next: {train_command(path)} --overwrite")


def tell_of_qnet(path: Path, parent: str, form: str) -> None:
    """A QNet whose run, known by its digest and its form, is not here any more."""
    sources = _runs(form)
    if _is_stale(path, parent, sources):
        newest = _newest(sources, RUN.file)
        words = f"wmq quantize {shlex.quote(str(newest))}{_out(path, QNET)} --overwrite"
        tell(f"{path}: is not of {newest} as it is now, and older; next: {words}")


def tell_of_export(export: "Export") -> None:
    """An export whose QNet is not here any more, or is itself older than its run."""
    sources = {path: _digest(path / QNET.file) for path in QNET.here()}
    wanted = _digest(export.home / "qnet" / QNET.file)
    if _is_stale(export.folder, wanted, sources):
        newest = _newest(sources, QNET.file)
        tell(f"{export.folder}: is not of {newest} as it is now, and older; next: {_export_again(export, newest)}")
    for path in [path for path, digest in sources.items() if digest == wanted][:1]:
        tell_of_qnet(path, export.net.parent, str(export.net.provenance.get("form")))


def tell_of_figures() -> None:
    """Kept figures that are of another artifact than the one that is here now."""
    for name, command in _OF_EXPORT.items():
        _tell_of_kept(name, project.kept_figures(name), "manifest_sha256", project.EXPORT / EXPORT.file, command)
    for form, artifact in _OF_MODEL.items():
        for verb in ("evaluate", "rollout", "speculate"):
            kept = (project.kept_figures(f"{verb}-{form}") or {}).get("model")
            _tell_of_kept(f"{verb}-{form}", kept, "sha256", artifact, f"wmq {verb} {artifact.parent}")


def _tell_of_kept(name: str, kept: dict[str, Any] | None, key: str, artifact: Path, command: str) -> None:
    if kept and key in kept and artifact.is_file() and kept[key] != _digest(artifact):
        tell(f"{project.FIGURES / name}.json: is of another {artifact.parent} than is here now; next: {command}")


def _runs(form: str) -> dict[Path, str]:
    """Runs of that form in this project, those inside other runs too, and their digests."""
    from wm_train.checkpoint import RUN_JSON
    from wm_train.errors import WmTrainError
    from wm_train.reading import read_json

    found = {}
    for path in _with_inner([*RUN.here(), *parts_here()]):
        with suppress(WmTrainError):
            if read_json(path / RUN.file, RUN_JSON)["form"] == form:
                found[path] = _digest(path / RUN.file)
    return found


def _with_inner(runs: list[Path]) -> Iterator[Path]:
    for path in runs:
        yield from (inner for inner in (path, path / "best", path / "float") if RUN.lies_at(inner))


def _is_stale(path: Path, source: str, here: dict[Path, str]) -> bool:
    """Whether an artifact of this project, not one that comes with wmq, was made from none of the sources here."""
    inside = path.resolve().is_relative_to(Path().resolve()) and not path.resolve().is_relative_to(WORLDS)
    return inside and bool(here) and source not in here.values()


def _newest(sources: dict[Path, str], file: str) -> Path:
    """The source that was written last, not one inside another run if there is another."""
    outer = [path for path in sources if path.name not in ("best", "float")] or list(sources)
    return max(outer, key=lambda path: (path / file).stat().st_mtime_ns)


def _out(path: Path, kind: Any) -> str:
    """The option that says where it lies, unless the verb would write it there anyhow."""
    return "" if path == kind.places[0] else f" --out {shlex.quote(str(path))}"


def _export_again(export: "Export", source: Path) -> str:
    how = export.manifest.lowering
    words = ["wmq", "export", str(source), "--target", "solana"]
    words += [word for cut in how["cuts"] for word in ("--cut", str(cut))] + ["--compact"] * how["compact"]
    words += ["--out", str(export.folder)] * (export.folder != project.EXPORT)
    return shlex.join([*words, "--overwrite"])


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(project.FILE.read(path)).hexdigest()
    except WmCliError:  # the verb that reads it says what is wrong with it
        return ""


def tell(text: str) -> None:
    """A warning, once a command."""
    context = click.get_current_context(silent=True)
    told: set[str] = context.meta.setdefault(_TOLD, set()) if context else set()
    if text not in told:
        told.add(text)
        output.note(f"warning: {text}")
