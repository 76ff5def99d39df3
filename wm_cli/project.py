"""Default places in a project folder, so that the verbs chain without arguments; and the figures they leave there."""

import json
from pathlib import Path
from typing import Any

from wm_train.files import atomic_write_json

DATASET = Path("dataset")
RUN = Path("run")
RUN_QAT = Path("run-qat")
RUNS = Path("runs")
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


def run_of(config: Path | None, qat: bool) -> Path:
    """Default folder of a run: named after its config file where there is one."""
    if config is None:
        return RUN_QAT if qat else RUN
    return RUNS / (f"{config.stem}-qat" if qat else config.stem)


def newest_model() -> Path:
    """The default model: the QNet, the QAT run or the float run, the first of them that exists."""
    return next((path for path in (QNET, RUN_QAT, RUN) if path.exists()), RUN)


def keep_figures(name: str, figures: dict[str, Any]) -> None:
    """Keep a verb's figures for the report."""
    FIGURES.mkdir(exist_ok=True)
    atomic_write_json(FIGURES / f"{name}.json", figures)


def kept_figures(name: str) -> dict[str, Any] | None:
    """Figures that a verb has kept, or None."""
    try:
        data = json.loads((FIGURES / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
