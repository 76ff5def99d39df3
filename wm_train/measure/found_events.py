"""Which events of the true games a model finds, one frame ahead, and how much damage it gives to a hit. numpy only.

An event is what happens from a frame to the next (measures.Event): a prediction of one is made from the true frame
before. Each prediction finds one event at most and each event is found once, the nearest first: who announces a landing
in five frames in a row is right once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.footage import Footage, Frames, Mask, readers
from wm_train.measure.measures import Event
from wm_train.world.definition import Game

#: Precision, recall and F1.
Scores = tuple[float, float | None, float | None]


def happening(game: Game, events: Mapping[str, Event], now: Frames, after: Frames) -> Mask:
    """(..., 2, events) what happens from Frames (..., 2, fields) to those that follow them."""
    fields = readers(game, now, after)
    found = [event.happens(*fields) for event in events.values()]
    return np.stack(found, -1) if found else np.zeros((*now.shape[:-1], 0), bool)


def _shifted(flags: Mask, ahead: int, world: Ints, outside: bool = False) -> Mask:
    """(T, 2) `flags` of the frame `ahead` frames later; `outside` past a world's ends."""
    at = np.arange(len(flags)) + ahead
    inside = (at >= 0) & (at < len(flags))
    at = at.clip(0, len(flags) - 1)
    inside &= world[at] == world
    return np.where(inside[:, None], flags[at], outside)


def matched(true: Mask, predicted: Mask, world: Ints, within: int) -> tuple[Mask, Mask]:
    """Which true events (T, 2) are found, and which predictions (T, 2) find one, at most `within` frames away."""
    missed, idle = true.copy(), predicted.copy()
    for ahead in sorted(range(-within, within + 1), key=abs):
        pairs = idle & _shifted(missed, ahead, world)
        idle &= ~pairs
        missed &= ~_shifted(pairs, -ahead, world)
    return true & ~missed, predicted & ~idle


def _whole(known: Mask, world: Ints, within: int) -> Mask:
    """Frames around which all is predicted, as far as their world goes."""
    return np.logical_and.reduce([_shifted(known, ahead, world, True) for ahead in range(-within, within + 1)])


def _scores(true: Mask, predicted: Mask, known: Mask, world: Ints, within: int) -> Scores:
    """Precision of all predictions; recall of the events around which all is predicted; F1.

    0 where nothing is predicted or happens; recall and F1 are None where no frame has all predicted around it.
    """
    found, right = matched(true, predicted, world, within)
    whole = _whole(known, world, within)
    precision = float(right.sum() / max(predicted.sum(), 1))
    if not whole.any():
        return precision, None, None
    asked = true & whole
    recall = float((found & asked).sum() / max(asked.sum(), 1))
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def event_figures(events: Mapping[str, Event], games: Footage, t: Ints, predicted: Mask) -> dict[str, dict[str, Any]]:
    """Event -> how well it is predicted, of players in frames t + 1 (N,).

    predicted  (N, 2, events) what happens from true frames t to the predicted ones
    returns    real, predicted: how often; precision, recall, f1 at the exact frame; the same with `_within`, `within`
               frames early or late. Where not all frames are predicted, recall within some frames is of the events
               around which all are, and None, like F1, if there is no such frame
    """
    truth = happening(games.game, events, games.frames[games.previous], games.frames)
    known = np.zeros(truth.shape[:2], bool)
    known[t + 1] = True
    figures = {}
    for i, (name, event) in enumerate(events.items()):
        said = np.zeros_like(known)
        said[t + 1] = predicted[..., i]
        exact, near = (_scores(truth[..., i], said, known, games.world, away) for away in (0, event.within))
        figures[name] = {
            "real": int((truth[..., i] & known).sum()),
            "predicted": int(said.sum()),
            **dict(zip(("precision", "recall", "f1"), exact, strict=True)),
            "within": event.within,
            **dict(zip(("precision_within", "recall_within", "f1_within"), near, strict=True)),
        }
    return figures


def hit_damage(dealt: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Damage given a hit: of the player frames (N, 2) in which the game and the model both hurt a player.

    dealt, true  damage of one frame in its unit
    returns      hits: how many; mae: mean error, None without a hit; mean, real: mean damage, predicted and true
    """
    both = (dealt > 0) & (true > 0)
    if not both.any():
        return {"hits": 0, "mae": None, "mean": 0.0, "real": 0.0}
    return {
        "hits": int(both.sum()),
        "mae": float(np.abs(dealt - true)[both].mean()),
        "mean": float(dealt[both].mean()),
        "real": float(true[both].mean()),
    }


def damage_of(game: Game, now: Frames, after: Frames) -> NDArray[np.float64]:
    """(..., 2) damage of one frame in its unit, below 0 where damage falls; zeros if the game has none."""
    if not game.roles.damage:
        return np.zeros(now.shape[:-1])
    before, then = (read(game.roles.damage) for read in readers(game, now, after))
    return np.asarray((then - before) / float(1 << FRAC_BITS))


def events_a_minute(events: Mapping[str, Event], game: Game, frames: Frames, before: Frames) -> dict[str, float]:
    """Event -> how often a minute it happens to a player, in Frames (..., 2, fields) that follow `before`."""
    minutes = frames[..., 0].size / (60 * game.fps)
    happens = happening(game, events, before, frames)
    count = happens.sum(tuple(range(happens.ndim - 1)))
    return {f"{name}_a_minute": float(many / minutes) for name, many in zip(events, count, strict=True)}
