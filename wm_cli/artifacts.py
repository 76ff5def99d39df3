"""What lies at a path, what a verb wants there, and the next command that works from this folder.

Every verb that reads an artifact asks `need` first. Its answer names the thing that is there, the things that are
wanted, and a command: the one that was typed with an artifact of this project in place of the wrong one, or, where the
project has none, the verbs that make it.
"""

import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import click

from wm_cli import project
from wm_cli.errors import WORDS, WmCliError
from wm_export.errors import WmExportError
from wm_live.errors import OtherExportError

#: Stands for the folder of recordings, which only the user knows.
RECORDINGS = "REPLAYS"
#: And for that of an export that is not here.
EXPORT_FOLDER = "EXPORT"


@dataclass(frozen=True)
class Kind:
    """A kind of artifact.

    name    as it is said: a run
    file    of its folder, the one that vouches for the rest
    places  where a project has it, the furthest stage first
    made    the verb that makes it: `{}` stands for what it is made of, where that is not the verb's default
    of      the kind that it is made of, if that is one
    beside  a file or folder that lies beside `file`, where other kinds have a file of that name too
    """

    name: str
    file: str
    places: tuple[Path, ...]
    made: str
    of: "Kind | None" = None
    beside: str = ""

    def lies_at(self, path: Path) -> bool:
        """Whether a folder holds one that was finished."""
        return (path / self.file).is_file() and (path / self.beside).exists()

    def here(self) -> list[Path]:
        """Those of this project: at their places, then in other folders."""
        others = sorted(path for folder in (Path(), project.RUNS) for path in folder.glob("*"))
        return [path for path in dict.fromkeys([*self.places, *others]) if self.lies_at(path)]

    def maker(self) -> str:
        """The commands that make one from what this project has."""
        if self.of is None:
            return self.made
        sources = self.of.here()
        if not sources:
            return f"{self.of.maker()}, then {self.made.format('').strip()}"
        default = sources[0] in self.of.places
        return self.made.format("" if default else f" {shlex.quote(str(sources[0]))}")


DATASET = Kind("a dataset", "meta.json", (project.DATASET,), f"wmq ingest {RECORDINGS}")
RUN = Kind("a run", "run.json", (project.RUN_QAT, project.RUN), "wmq train", DATASET)
FLOAT_RUN = replace(RUN, name="a float run", places=(project.RUN,))
QNET = Kind("a QNet", "qnet.json", (project.QNET, project.QNET_PTQ), "wmq quantize{}", RUN)
EXPORT = Kind("an export", "manifest.json", (project.EXPORT,), "wmq export{} --target solana", QNET, "programs")
BOLT_EXPORT = Kind("an export to BOLT", "manifest.json", (project.EXPORT,), "wmq export{} --target bolt", QNET, "bolt")
LOG = Kind("the log of a session", "log.json", (), "wmq play --id 1", EXPORT)
KINDS = (DATASET, RUN, QNET, EXPORT, BOLT_EXPORT, LOG)


def parts_here() -> list[Path]:
    """Runs of single subsystems in this project."""
    return sorted(path for path in project.PARTS.glob("*") if RUN.lies_at(path))


def newest_model() -> Path:
    """The default model: the QNet, the QAT run or the float run, the first of them that is there."""
    return project.QNET if QNET.lies_at(project.QNET) else newest_run()


def newest_run() -> Path:
    """The default run to quantize: the QAT run, or the float run."""
    return project.RUN_QAT if RUN.lies_at(project.RUN_QAT) else project.RUN


def need(path: Path, *wanted: Kind, option: str = "") -> None:
    """WmCliError unless one of the wanted kinds, the furthest stage first, lies at `path`.

    option  of the verb, that names such a path; without it the path is an argument
    """
    if not any(kind.lies_at(path) for kind in wanted):
        *first, last = (kind.name for kind in wanted)
        names = f"{', '.join(first)} or {last}" if first else last
        raise WmCliError(f"{path}: {what_lies_at(path)}, expected {names}; {_next(path, wanted, option)}")


def need_export(folder: Path) -> None:
    """The same of an export, or of the folder of one of its programs."""
    need(folder.parent.parent if folder.parent.name == "programs" else folder, EXPORT)


def what_lies_at(path: Path) -> str:
    """A path's content, in words."""
    if not path.exists():
        return "is not there"
    if not path.is_dir():
        return "is a file"
    if kind := next((kind for kind in KINDS if kind.lies_at(path)), None):
        return f"is {kind.name}"
    if _begun(path):
        return "holds a run that was interrupted"
    return "is none of wmq's folders" if any(path.iterdir()) else "is an empty folder"


def _begun(path: Path) -> bool:
    return any((path / part / "resume.pt").exists() for part in ("", "float")) and not RUN.lies_at(path)


def _next(path: Path, wanted: tuple[Kind, ...], option: str) -> str:
    if RUN in wanted and _begun(path):
        return f"next: {train_command(path)} --resume"
    here = list(dict.fromkeys(found for kind in wanted for found in kind.here()))
    if not here:
        return f"next: {wanted[-1].maker()}"
    listed = f"here: {', '.join(map(str, here))}; " if len(here) > 1 else ""
    return f"{listed}next: wmq {shlex.join(_typed_with(path, here[0], option))}"


def _typed_with(wrong: Path, right: Path, option: str) -> list[str]:
    """The words that were typed, with another path in place of the wrong one, or after them if that was a default."""
    context = click.get_current_context(silent=True)
    words = list(context.meta.get(WORDS, ())) if context else []
    params = context.command.params if context else []
    valued = {flag for one in params if isinstance(one, click.Option) and not one.is_flag for flag in one.opts}
    for i, word in enumerate(words[1:], 1):
        belongs = words[i - 1] == option if option else words[i - 1] not in valued
        if belongs and Path(word) == wrong:
            return [*words[:i], str(right), *words[i + 1 :]]
    return [*words, *([option] if option else []), str(right)]


def with_right_export(error: OtherExportError) -> str:
    """The next step after an error that another export is meant: the command with that one, if it lies here."""
    from wm_export.manifest import load_manifest
    from wm_export.solana.export import program_folder

    for path in EXPORT.here():
        with suppress(WmExportError):
            programs = load_manifest(path / EXPORT.file)
            for name in (name for name, one in programs.items() if one.hash.hex() == error.manifest):
                right = program_folder(path, name) if len(programs) > 1 else path
                return f"next: wmq {shlex.join(_typed_with(error.export, right, ''))}"
    words = shlex.join(_typed_with(error.export, Path(EXPORT_FOLDER), ""))
    return f"none here is of that manifest; next: wmq {words}, with the folder of the one that is"


def train_command(run: Path) -> str:
    """The `wmq train` that makes this run, as far as its place says."""
    words, qat = ["wmq", "train"], run.name.endswith("-qat")
    if run.parent == project.RUNS:
        words += ["--config", run.name.removesuffix("-qat")]
    elif run.parent == project.PARTS:
        words += ["--subsystem", run.name.removesuffix("-qat")]
    elif run not in (project.RUN, project.RUN_QAT):
        words += ["--out", str(run)]
    return shlex.join([*words, *["--qat"] * qat])
