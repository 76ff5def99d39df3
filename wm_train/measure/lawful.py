"""Which share of footage keeps the laws of its game, and how long until the first of them is broken. numpy only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.measure.footage import Footage, Frames, Mask, by_world, with_past
from wm_train.measure.measures import Known, Measures
from wm_train.world.definition import Game


def breaches(measures: Measures, known: Known | None, games: Footage) -> dict[str, Mask]:
    """Law -> (T, 2) who breaks it in a frame."""
    return {name: law.broken(games, known) for name, law in measures.laws.items()}


def law_figures(measures: Measures, known: Known | None, games: Footage, own: Mask | None = None) -> dict[str, Any]:
    """How lawful footage is; `own` (T,) says which frames are judged, all if None. {} if the game has no laws.

    lawful        share of frames in which no player breaks a law
    broken        law -> share of the player frames that it is about
    first_broken  seconds until the first breach, median over worlds; None if half of them or more have none
    unbroken      share of worlds without a breach
    """
    if not measures.laws:
        return {}
    own = np.ones(len(games.world), bool) if own is None else own
    by_law = breaches(measures, known, games)
    broken = np.logical_or.reduce([mask.any(1) for mask in by_law.values()])
    first = by_world(games, own, broken)
    median = float(np.median(first))
    return {
        "lawful": 1 - float(broken[own].mean()),
        "broken": {name: _share(mask, measures.laws[name].of(games), own) for name, mask in by_law.items()},
        "first_broken": median / games.game.fps if np.isfinite(median) else None,
        "unbroken": float(np.isinf(first).mean()),
    }


def _share(broken: Mask, about: Mask, own: Mask) -> float:
    """Of the player frames that a law is about; 0 where there are none."""
    judged = about & own[:, None]
    return float(broken[judged].mean()) if judged.any() else 0.0


def runs_figures(
    measures: Measures, known: Known | None, game: Game, corpus: Corpus, t: Ints, frames: Frames
) -> dict[str, Any]:
    """`law_figures` of what worlds showed, (B, H, 2, fields), after the true frames up to `t` (B,)."""
    return law_figures(measures, known, *with_past(game, corpus, t, frames, measures.past))


def lawful_ahead(
    measures: Measures, known: Known | None, game: Game, corpus: Corpus, t: Ints, frames: Frames
) -> NDArray[np.bool_]:
    """(B, H) whether a world breaks no law, by frames ahead; arguments as in `runs_figures`."""
    games, own = with_past(game, corpus, t, frames, measures.past)
    broken = np.logical_or.reduce([mask.any(1) for mask in breaches(measures, known, games).values()])
    return ~broken[own].reshape(frames.shape[:2])
