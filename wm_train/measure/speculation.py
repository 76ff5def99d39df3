"""Speculative execution, measured: compute frames before their inputs have come, and roll back where the guess was
wrong. numpy only.

The guess is that inputs repeat. At a **delay** of d frames, frame f is first shown when inputs up to frame f-d are
known; the newest of them stands in for those that are missing. One frame later the next true input comes. If it is not
what stood in for it, the d frames that were computed with the guess are computed again, with the new input repeated.

Two questions, for one player's inputs late and for both players':

* By inputs: how often do inputs repeat exactly, and how many frames are computed again? Columns of the replays.
* By outcome: how often is the Frame right although an input was not, and how many of the frames computed again come
  out different? A model's answer, from worlds that start in true games.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.measure.one_step import error
from wm_train.measure.starts import need_starts
from wm_train.measure.worlds import Model, Worlds, begin, run
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS

#: Frames that an input comes late.
DELAYS = tuple(range(1, 9))

Inputs = NDArray[np.int8]
Flags = NDArray[np.bool_]

#: Whose inputs are late -> the players that they are.
LATE: Mapping[str, tuple[int, ...]] = {
    **{f"player{player}": (player,) for player in range(PLAYERS)},
    "all": tuple(range(PLAYERS)),
}


# ---------------------------------------------------------------------------------------------------------- by inputs


def _place(corpus: Corpus) -> tuple[Ints, Ints]:
    """(T,) frames of the same game before each frame, and from it on, itself included."""
    first = np.searchsorted(corpus.game, corpus.game, "left")
    end = np.searchsorted(corpus.game, corpus.game, "right")
    at = np.arange(len(corpus.game))
    return at - first, end - at


def repeats(corpus: Corpus, players: tuple[int, ...]) -> Flags:
    """(T,) whether the inputs of these players are those of the frame before; False at a game's first frame."""
    held = corpus.inputs[:, list(players)]
    same = np.zeros(len(held), bool)
    same[1:] = (held[1:] == held[:-1]).all((1, 2)) & (corpus.game[1:] == corpus.game[:-1])
    return same


def _runs(same: Flags) -> Ints:
    """(T,) how many right guesses end at each frame, that frame included."""
    at = np.arange(len(same))
    wrong = np.maximum.accumulate(np.where(same, -1, at))
    return at - wrong


def inputs_figures(corpus: Corpus) -> dict[str, Any]:
    """How good the guess is by inputs alone, for each of LATE; lists are by delay, 1 frame first.

    right       share of frames whose inputs were guessed right when they were first shown
    recomputed  frames computed again, per frame
    runs        lengths of runs of right guesses: how many a minute, mean, median, 90th percentile, longest
    """
    return {late: _inputs_figures(corpus, repeats(corpus, players)) for late, players in LATE.items()}


def _inputs_figures(corpus: Corpus, same: Flags) -> dict[str, Any]:
    before, left = _place(corpus)
    run = _runs(same)
    wrong = ~same & (before > 0)
    guessed = int((before > 0).sum())
    return {
        "right": [float((run[before >= d] >= d).mean()) for d in DELAYS],
        "recomputed": [float(np.minimum(left[wrong], d).sum() / guessed) for d in DELAYS],
        "runs": _lengths(run[np.append(same[1:] != same[:-1], True) & same]),
    }


def _lengths(runs: Ints) -> dict[str, float]:
    if not len(runs):
        return {"count": 0, "mean": 0.0, "p50": 0.0, "p90": 0.0, "longest": 0}
    p50, p90 = np.quantile(runs, [0.5, 0.9])
    return {"count": len(runs), "mean": float(runs.mean()), "p50": float(p50), "p90": float(p90),
            "longest": int(runs.max())}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- by outcome


def _ahead(worlds: Worlds, inputs: Callable[[int], Inputs]) -> NDArray[np.int32]:
    """Frames (B, len(DELAYS), 2, len(STATE)) from where `worlds` stand, which they go on doing."""
    return run(copy.copy(worlds), (inputs(ahead) for ahead in DELAYS))


def outcome_figures(model: Model, corpus: Corpus, encoding: Encoding, windows: int, seed: int = 0) -> dict[str, Any]:
    """How good the guess is by what a model makes of it, from seeded windows; lists are by delay, 1 frame first.

    inputs_right  share of windows in which every guess was right
    right         share of frames that were right when they were first shown, every field of both players
    different     frames computed again that came out different, per frame
    recomputed    frames computed again, per frame, in these windows
    jump_mean     game units that a player jumps when a wrong frame is corrected, over frames that were wrong
    jump_p99
    """
    t = need_starts(corpus, encoding, len(DELAYS), windows, seed)
    worlds = begin(model, corpus, encoding, t)
    true = _ahead(worlds, lambda ahead: corpus.inputs[t + ahead])
    late = {name: _outcome_figures(encoding.game, worlds, corpus, t, true, players) for name, players in LATE.items()}
    return {"windows": len(t), **late}


def _outcome_figures(
    game: Game, worlds: Worlds, corpus: Corpus, t: Ints, true: NDArray[np.int32], players: tuple[int, ...]
) -> dict[str, Any]:
    late = list(players)

    def held(since: int) -> Callable[[int], Inputs]:
        """The late players' inputs repeated from frame t + since on, the others' true."""

        def inputs(ahead: int) -> Inputs:
            out = corpus.inputs[t + ahead].copy()
            out[:, late] = corpus.inputs[t + min(ahead, since)][:, late]
            return out

        return inputs

    shown, again = _ahead(worlds, held(0)), _ahead(worlds, held(1))
    wrong = (shown != true).any((2, 3))
    same = repeats(corpus, players)
    held_on = np.stack([same[t + ahead] for ahead in DELAYS], 1)
    return {
        "inputs_right": [float(v) for v in np.logical_and.accumulate(held_on, 1).mean(0)],
        "right": [float(v) for v in (~wrong).mean(0)],
        "different": [float(v) for v in (shown != again).any((2, 3)).mean(0).cumsum()],
        "recomputed": [float(d * (~held_on[:, 0]).mean()) for d in DELAYS],
        **_jumps(error(game, shown, true, game.roles.position).max((2, 3)), wrong),
    }


def _jumps(away: NDArray[np.float64], wrong: Flags) -> dict[str, list[float]]:
    """Over the frames that were wrong, by delay; 0 where none was."""
    picked = [away[wrong[:, i], i] if wrong[:, i].any() else np.zeros(1) for i in range(len(DELAYS))]
    return {"jump_mean": [float(p.mean()) for p in picked], "jump_p99": [float(np.quantile(p, 0.99)) for p in picked]}
