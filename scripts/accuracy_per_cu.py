"""A picture of what models are worth for what a frame of theirs costs, and its table.

    wmq evaluate run-qat --json > a0.json     # of each model, and of each seed of it
    python scripts/accuracy_per_cu.py docs/accuracy_per_cu.svg "0.34M"=a0.json,a1.json "1.20M"=b0.json,b1.json

Names are those of shapes; the files of one are its seeds. A point is a seed, the line goes through the means.
"""

import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

#: What is drawn: title, and where an evaluation has it.
PANELS = {
    "action right, where it changes, %": lambda one: 100 * one["action_change_acc"],
    "mean position error, 10 frames ahead": lambda one: one["rollout"]["10"]["position_mae_mean"],
    "the same, 20 frames ahead": lambda one: one["rollout"]["20"]["position_mae_mean"],
}
Shapes = dict[str, list[dict[str, Any]]]


def read(arguments: list[str]) -> Shapes:
    """Evaluations of each shape, by its name, the cheapest first."""
    pairs = (argument.partition("=")[::2] for argument in arguments)
    found = {name: [_evaluation(Path(file)) for file in files.split(",")] for name, files in pairs}
    return dict(sorted(found.items(), key=lambda item: units(item[1])))


def _evaluation(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        found["model"]["compute_units"], *(value(found) for value in PANELS.values())
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{str(file)!r}: expected NAME=FILE,FILE of what `wmq evaluate MODEL --json` prints: {error!r}")
    return found


def units(seeds: list[dict[str, Any]]) -> float:
    """Compute units of a frame."""
    return fmean(one["model"]["compute_units"] for one in seeds)


def draw(shapes: Shapes) -> Figure:
    """A panel for each figure, over millions of compute units a frame."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    at = [units(seeds) / 1e6 for seeds in shapes.values()]
    for plot, (title, value) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        means = [fmean(map(value, seeds)) for seeds in shapes.values()]
        plot.plot(at, means, color="#0b62d6", lw=1)
        for x, mean, (name, seeds) in zip(at, means, shapes.items(), strict=True):
            plot.plot([x] * len(seeds), list(map(value, seeds)), "o", color="#0b62d6", ms=3, alpha=0.5)
            plot.annotate(name, (x, mean), xytext=(4, 4), textcoords="offset points", fontsize=6)
        plot.set_title(title, fontsize=8)
        plot.set_xlabel("million compute units a frame", fontsize=7)
        plot.tick_params(labelsize=7)
        plot.spines[["top", "right"]].set_visible(False)
    return figure


def table(shapes: Shapes) -> str:
    """Means over the seeds, in Markdown."""
    lines = [f"| shape | seeds | units | {' | '.join(PANELS)} |", "|---" * (3 + len(PANELS)) + "|"]
    for name, seeds in shapes.items():
        means = " | ".join(f"{fmean(map(value, seeds)):.3f}" for value in PANELS.values())
        lines.append(f"| {name} | {len(seeds)} | {units(seeds):,.0f} | {means} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    mpl.rcParams["svg.hashsalt"] = "wmq"
    shapes = read(sys.argv[2:])
    draw(shapes).savefig(Path(sys.argv[1]), metadata={"Date": None})
    print(table(shapes))
