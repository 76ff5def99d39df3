"""Which events of the true games a model finds, one frame ahead, and how much damage it gives to a hit. numpy only.

An event is what happens from a frame to the next (measures.Event): a prediction of one is made from the true frame
before. Each prediction finds one event at most and each event is found once, the nearest first: who announces a landing
in five frames in a row is right once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.footage import Footage, Frames, Mask, readers
from wm_train.measure.measures import Event
from wm_train.measure.sums import Mean, Summed
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


@dataclass(frozen=True)
class Matches(Summed):
    """Predictions of an event against what happened, at one distance.

    right  predictions that find an event; asked: events around which all is predicted; found: of these
    whole  player frames around which all is predicted
    """

    right: int
    asked: int
    found: int
    whole: int

    def scores(self, predicted: int) -> Scores:
        """Precision of all predictions; recall of the events around which all is predicted; F1.

        0 where nothing is predicted or happens; recall and F1 are None where no frame has all predicted around it.
        """
        precision = self.right / max(predicted, 1)
        if not self.whole:
            return precision, None, None
        recall = self.found / max(self.asked, 1)
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def _matches(true: Mask, predicted: Mask, known: Mask, world: Ints, within: int) -> Matches:
    found, right = matched(true, predicted, world, within)
    whole = _whole(known, world, within)
    asked = true & whole
    return Matches(int(right.sum()), int(asked.sum()), int((found & asked).sum()), int(whole.sum()))


@dataclass(frozen=True)
class EventCounts(Summed):
    """One event in predicted frames: how often it happens and is predicted to, and what of it is found at the exact
    frame and near it."""

    real: int
    predicted: int
    exact: Matches
    near: Matches


def event_counts(events: Mapping[str, Event], games: Footage, t: Ints, predicted: Mask) -> dict[str, EventCounts]:
    """Event -> how well it is predicted, of players in frames t + 1 (N,) of whole games.

    predicted  (N, 2, events) what happens from true frames t to the predicted ones
    """
    truth = happening(games.game, events, games.frames[games.previous], games.frames)
    known = np.zeros(truth.shape[:2], bool)
    known[t + 1] = True
    counts = {}
    for i, (name, event) in enumerate(events.items()):
        said = np.zeros_like(known)
        said[t + 1] = predicted[..., i]
        real = truth[..., i]
        exact, near = (_matches(real, said, known, games.world, away) for away in (0, event.within))
        counts[name] = EventCounts(int((real & known).sum()), int(said.sum()), exact, near)
    return counts


def event_figures(events: Mapping[str, Event], counts: Mapping[str, EventCounts]) -> dict[str, dict[str, Any]]:
    """Event -> real, predicted: how often; precision, recall, f1 at the exact frame; the same with `_within`, `within`
    frames early or late. Where not all frames are predicted, recall within some frames is of the events around which
    all are, and None, like F1, if there is no such frame."""
    return {
        name: {
            "real": found.real,
            "predicted": found.predicted,
            **dict(zip(("precision", "recall", "f1"), found.exact.scores(found.predicted), strict=True)),
            "within": events[name].within,
            **dict(
                zip(
                    ("precision_within", "recall_within", "f1_within"),
                    found.near.scores(found.predicted),
                    strict=True,
                )
            ),
        }
        for name, found in counts.items()
    }


@dataclass(frozen=True)
class HitDamage:
    """Damage of the player frames in which the game and the model both hurt a player: of the model's error, predicted,
    and true."""

    error: Mean
    dealt: Mean
    true: Mean

    @staticmethod
    def of(dealt: NDArray[np.float64], true: NDArray[np.float64]) -> "HitDamage":
        """Of player frames (N, 2), damage of one frame in its unit."""
        both = (dealt > 0) & (true > 0)
        return HitDamage(*(Mean.of(part[both]) for part in (np.abs(dealt - true), dealt, true)))

    def __add__(self, other: "HitDamage") -> "HitDamage":
        return HitDamage(self.error + other.error, self.dealt + other.dealt, self.true + other.true)

    def figures(self) -> dict[str, float | int | None]:
        """hits: how many; mae: mean error, None without a hit; mean, real: mean damage, predicted and true."""
        return {
            "hits": self.error.count,
            "mae": self.error.value,
            "mean": self.dealt.value or 0.0,
            "real": self.true.value or 0.0,
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
