"""What the verbs that measure do: open models and the games that they were not trained on, hand back figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_cli import project
from wm_cli.stages import held_out_games, opened
from wm_train.errors import WmTrainError

if TYPE_CHECKING:
    from wm_train.evaluate import Model
    from wm_train.windows import Corpus
    from wm_train.world import World

#: What a model may lose against the one that it was made from: points of a percent, percent, percent.
BARS = {"action_change_points": -0.3, "k10_percent": 2.0, "k20_percent": 2.0}


@dataclass(frozen=True)
class Opened:
    """A model that can be measured: what it steps, which games it was trained on, and what is said about it."""

    path: Path
    world: "World"
    model: "Model"
    origin: Mapping[str, Any]
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """Form, as figures are kept by: a float run's QNet is `ptq`."""
        return "ptq" if self.about.get("trained_as") == "float" else str(self.about["form"])


def _open(path: Path) -> Opened:
    return Opened(path, *opened(path))


# --------------------------------------------------------------------------------------------------------- evaluate


def evaluate(
    models: Sequence[Path],
    dataset: Path,
    limit: int = 0,
    further: Sequence[int] = (),
    advance: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Metrics of each model, and the baselines', on the same frames: of games that none of them was trained on."""
    from wm_train.evaluate import BASELINES
    from wm_train.evaluate import evaluate as measure

    found = [_open(path) for path in models]
    origin = _common([one.origin for one in found])
    past = max(one.world.encoding.span for one in found) if len(found) > 1 else 0
    metrics = partial(measure, limit=limit, further=further, past=past)
    worlds = {one.world.encoding: one.world for one in found}
    corpora = {encoding: held_out_games(world, origin, dataset) for encoding, world in worlds.items()}
    _same_games(list(corpora.values()))
    baselines = {
        encoding: {name: metrics(base, corpus, encoding) for name, base in BASELINES.items()}
        for encoding, corpus in corpora.items()
    }
    measured = []
    for one in found:
        encoding = one.world.encoding
        figures = metrics(one.model, corpora[encoding], encoding)
        about = {"model": one.about, "games": len(corpora[encoding].names), "baselines": baselines[encoding]}
        measured.append(figures | about)
        # A float run's QNet stands beside the QAT run's in the report: that is what QAT is for.
        project.keep_figures(f"evaluate-{one.name}", measured[-1])
        advance()
    return measured


def _common(origins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An origin whose held-out games are those of all `origins`."""
    lists = [origin["split"] for origin in origins]
    trained = set().union(*(split.get("train", ()) for split in lists))
    valid = set(lists[0].get("valid", ())).intersection(*(split.get("valid", ()) for split in lists))
    split = {"train": sorted(trained), "valid": sorted(valid)}
    return {"split": split, "holdout": min(origin["holdout"] for origin in origins)}


def _same_games(corpora: Sequence["Corpus"]) -> None:
    if len({corpus.names for corpus in corpora}) > 1:
        counts = " and ".join(str(len(corpus.names)) for corpus in corpora)
        raise WmTrainError(
            f"evaluate: the models' encodings can read {counts} of the held-out games, expected the same ones; "
            "evaluate them one by one"
        )


def differences(paths: Sequence[Path], measured: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each model lost or won against the first: points of a percent for accuracies, percent for errors."""
    first = measured[0]

    def percent(figures: Mapping[str, Any], *keys: str) -> float:
        a: Any = first
        b: Any = figures
        for key in keys:
            a, b = a[key], b[key]
        return float(100 * (b / a - 1)) if a else 0.0

    rows = []
    for path, figures in zip(paths[1:], measured[1:], strict=True):
        row = {
            "action_points": 100 * (figures["action_acc"] - first["action_acc"]),
            "action_change_points": 100 * (figures["action_change_acc"] - first["action_change_acc"]),
            "position_percent": percent(figures, "position_mae"),
            "k10_percent": percent(figures, "rollout", "10", "position_mae_mean"),
            "k20_percent": percent(figures, "rollout", "20", "position_mae_mean"),
        }
        within = all(row[key] >= bar if bar < 0 else row[key] <= bar for key, bar in BARS.items())
        rows.append({"from": str(paths[0]), "to": str(path), **row, "within": within})
    return rows


# --------------------------------------------------------------------------------------------------------- rollouts


def held_out_window(model: Path, dataset: Path, start: int, frames: int) -> "tuple[Opened, Corpus, int]":
    """A model, and the end of held-out window number `start` with `frames` frames of the same game after it."""
    one = _open(model)
    corpus = held_out_games(one.world, one.origin, dataset)
    t = corpus.windows(one.world.encoding)
    t = t[t + frames < len(corpus.game)]
    t = t[corpus.game[t] == corpus.game[t + frames]]
    if start >= len(t):
        raise WmTrainError(
            f"rollout: start {start}, but only {len(t)} held-out windows have {frames} frames after them"
        )
    return one, corpus, int(t[start])


def rollout(model: Path, dataset: Path, start: int, frames: int) -> dict[str, Any]:
    """`wmq rollout`: one world against its game, frame by frame."""
    from wm_train.evaluate import rollout as run

    one, corpus, t = held_out_window(model, dataset, start, frames)
    predicted = run(one.model, corpus, one.world.encoding, np.array([t]), frames)[0]
    true = corpus.frames[t + 1 : t + 1 + frames]
    return {"model": one.about, "start": start, **_tracks(predicted, true)}


def _tracks(predicted: Any, true: Any) -> dict[str, Any]:
    from wm_train.evaluate import error
    from wm_train.frames import STATE_INDEX
    from wm_train.world import ONE

    at = [STATE_INDEX["x"], STATE_INDEX["y"]]
    return {
        "position_error": error(predicted, true, "x", "y").mean((1, 2)).tolist(),
        "predicted": (predicted[..., at] / ONE).tolist(),
        "real": (true[..., at] / ONE).tolist(),
    }


def drift(
    model: Path, dataset: Path, frames: int, starts: int, seed: int, advance: Callable[[], None]
) -> dict[str, Any]:
    """`wmq rollout --starts`: many worlds left alone, and what becomes of them."""
    from wm_train.drift import drift_figures

    one = _open(model)
    corpus = held_out_games(one.world, one.origin, dataset)
    figures = drift_figures(one.model, corpus, one.world.encoding, frames, starts, seed, advance)
    figures = {"model": one.about, "games": len(corpus.names), **figures}
    project.keep_figures(f"rollout-{one.name}", figures)
    return figures


def speculate(model: Path, dataset: Path, windows: int, seed: int) -> dict[str, Any]:
    """`wmq speculate`: by inputs over every usable game, by outcome over the held-out ones."""
    from wm_train.speculation import DELAYS, inputs_figures, outcome_figures
    from wm_train.windows import load_corpus, usable_games

    one = _open(model)
    encoding = one.world.encoding
    games = load_corpus(dataset, usable_games(dataset, encoding), encoding)
    by_inputs = {"games": len(games.names), "frames": len(games.game), **inputs_figures(games)}
    corpus = held_out_games(one.world, one.origin, dataset)
    by_outcome = {"games": len(corpus.names), **outcome_figures(one.model, corpus, encoding, windows, seed)}
    figures = {"model": one.about, "delays": list(DELAYS), "inputs": by_inputs, "outcome": by_outcome}
    project.keep_figures(f"speculate-{one.name}", figures)
    return figures
