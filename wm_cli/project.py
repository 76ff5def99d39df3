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
KEYPAIR = Path("payer.json")
ONNX = Path("world.onnx")
REPORT = Path("report.html")
FIGURES = Path("figures")
STUDY = Path("study")


def run_of(config: Path | None, qat: bool) -> Path:
    """Where a run is kept if its place is not named: a config file's name is its run's."""
    if config is None:
        return RUN_QAT if qat else RUN
    return RUNS / (f"{config.stem}-qat" if qat else config.stem)


def newest_model() -> Path:
    """What to evaluate when nothing is named: the furthest stage that is there."""
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
