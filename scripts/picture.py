"""The README's picture: `wmq rollout qnet --frames 120 --json | python scripts/picture.py docs/demo.svg`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

FPS = 60
COLORS = ("#0b62d6", "#d1480f")


def draw(rollout: dict[str, Any]) -> Figure:
    """x and y of both players over time, real and predicted, and the error between them."""
    real, predicted = np.array(rollout["real"]), np.array(rollout["predicted"])
    seconds = np.arange(1, len(real) + 1) / FPS
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    x, y, error = figure.subplots(1, 3)
    for axis, plot, name in ((0, x, "x"), (1, y, "y")):
        for player, color in enumerate(COLORS):
            plot.plot(seconds, real[:, player, axis], color=color, label=f"player {player + 1}, real")
            plot.plot(seconds, predicted[:, player, axis], color=color, ls=":", label=f"player {player + 1}, predicted")
        plot.set_title(f"{name}, game units")
    error.plot(seconds, rollout["position_error"], color="#555555")
    error.set_title("mean error, game units")
    for plot in (x, y, error):
        plot.set_xlabel("seconds on its own")
        plot.spines[["top", "right"]].set_visible(False)
    x.legend(fontsize=6, frameon=False)
    return figure


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "wmq"
    draw(json.load(sys.stdin)).savefig(Path(sys.argv[1]), metadata={"Date": None})
