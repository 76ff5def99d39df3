"""Default places in a project folder, so that the verbs chain without arguments; and the figures they leave there."""

from pathlib import Path
from typing import Any

from wm_cli.errors import WmCliError
from wm_train import json_schema as js
from wm_train.artifact import check_folder, need_free_file
from wm_train.files import atomic_write_json
from wm_train.reading import Artifact, JsonArtifact, read_json

DATASET = Path("dataset")
RUN = Path("run")
RUN_QAT = Path("run-qat")
RUNS = Path("runs")
PARTS = Path("parts")
COMPOSED = Path("composed")
QNET = Path("qnet")
QNET_PTQ = Path("qnet-ptq")
EXPORT = Path("export")
#: Of an export of one program: its own folder.
PROGRAM = EXPORT / "programs" / "program"
KEYPAIR = Path("payer.json")
ONNX = Path("world.onnx")
REPORT = Path("report.html")
FIGURES = Path("figures")
STUDY = Path("study")
#: A file that is hashed, whatever is in it.
FILE = Artifact(WmCliError, "make it again", max_bytes=1 << 32, linked=True)
_OBJECT = js.mapping(js.anything)


def run_of(config: Path | None, qat: bool) -> Path:
    """Default folder of a run: named after its config file where there is one."""
    if config is None:
        return RUN_QAT if qat else RUN
    return RUNS / (f"{config.stem}-qat" if qat else config.stem)


def part_of(subsystem: str, qat: bool) -> Path:
    """Default folder of a run of one subsystem."""
    return PARTS / (f"{subsystem}-qat" if qat else subsystem)


def keep_figures(name: str, figures: dict[str, Any]) -> None:
    """Keep a verb's figures for the report; see `keep`."""
    keep(FIGURES / f"{name}.json", figures)


def keep(path: Path, data: dict[str, Any]) -> None:
    """Keep what can be measured again, as far as that can be done: what was measured is printed all the same."""
    from wm_cli.output import note  # which loads what --help has no use for

    try:
        check_folder(path.parent, WmCliError)
        path.parent.mkdir(exist_ok=True)
        need_free_file(path, True, WmCliError)
        atomic_write_json(path, data)
    except (OSError, ValueError, WmCliError) as error:
        note(f"warning: {path} was not kept: {error}")


def kept_figures(name: str) -> dict[str, Any] | None:
    """Figures that a verb has kept, or None where there are none that fit their schema."""
    from wm_cli.kept_schemas import figures_schema

    return kept(FIGURES / f"{name}.json", figures_schema(name))


def kept(path: Path, schema: js.Schema = _OBJECT) -> dict[str, Any] | None:
    """The object in a file of the project that is made again where it is not there or not what wmq writes, or None."""
    try:
        about = JsonArtifact(WmCliError, "measure it again", max_bytes=1 << 26, schema=schema)
        data: dict[str, Any] = read_json(path, about)
    except WmCliError:
        return None
    return data
