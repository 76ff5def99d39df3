"""Metrics of anything that steps a world: one frame ahead, and rollouts that feed on themselves. numpy only.

Float networks, their QAT forms, QNets and the baselines are measured by the same code on the same frames.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus, spread_out
from wm_train.games.store import Games, HeldGames
from wm_train.grid.arithmetic import Ints
from wm_train.measure.one_step import Felt, OneStep, OneStepSums, compared
from wm_train.measure.recorded import Recorded
from wm_train.measure.rollouts import HORIZONS, ROLLOUT_STARTS, Rollouts, Told, counted
from wm_train.measure.starts import need_long_game, seeded_starts, start_counts, window_ends
from wm_train.measure.worlds import Model, Worlds, forced, walk_of
from wm_train.world.encoding import Encoding

#: Games that are in memory at a time, and walk side by side through a network that remembers.
GAMES_AT_ONCE = 32


def one_step(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> OneStep:
    """Predictions one frame ahead, over windows that end at `t`, one at least."""
    return _one_step(corpus, encoding, forced(model, corpus, encoding, t))


def _one_step(corpus: Corpus, encoding: Encoding, predicted: Iterable[tuple[Ints, NDArray[np.int32]]]) -> OneStep:
    """Of what `forced` gives."""
    parts = [compared(corpus, encoding, chunk, after) for chunk, after in predicted]
    joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(OneStep)}
    return OneStep(**joined)


def evaluate(
    model: Model,
    games: Games | Corpus,
    encoding: Encoding,
    seed: int = 0,
    limit: int = 0,
    further: Sequence[int] = (),
    past: int = 0,
    starts: int = ROLLOUT_STARTS,
    recorded: Recorded | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """One-step metrics over every window (`limit` of them, evenly spread, if not 0) and rollouts from `starts`.

    `further` horizons have rollouts of their own, so that no figure depends on what else is asked for. With `past`
    only frames count that have as many frames of their game up to them: models with shorter windows then see the same
    frames as those with longer ones. `recorded` is needed for coverage and laws. Games are read GAMES_AT_ONCE at a
    time, and `advance` is called with the share of all frames that has been predicted since.
    """
    held, groups = as_games(games), [HORIZONS, *((k,) for k in sorted(set(further) - set(HORIZONS)))]
    for horizons in groups:
        need_long_game(held.lengths, encoding, max(horizons), past)
    counts = start_counts(held.lengths, encoding, 1, past)
    asked = [seeded_starts(held.lengths, encoding, max(horizons), starts, seed, past) for horizons in groups]
    there = int(counts.sum())
    frames = min(limit, there) if limit else there
    frames += sum(len(one) * max(horizons) for one, horizons in zip(asked, groups, strict=True))
    found = _Found(model, encoding, recorded, groups, lambda more: advance(more / frames))
    for block, own in _blocks(counts, limit):
        mine = [one.among(block) for one in asked]
        if len(own) or any(map(len, mine)):
            corpus, first = held.corpus(block), np.cumsum(held.lengths[block]) - held.lengths[block]
            at = [first[one.game - block[0]] + one.frame for one in mine]
            found.add(corpus, window_ends(corpus, encoding, past)[own], at)
    return found.figures()


def _blocks(counts: Ints, limit: int) -> Iterator[tuple[Ints, Ints]]:
    """(numbers of some games, which of their frames are measured), in order; `counts` of frames that each game has."""
    picked, seen = spread_out(int(counts.sum()), limit) if limit else None, 0
    for first in range(0, len(counts), GAMES_AT_ONCE):
        block = np.arange(first, min(first + GAMES_AT_ONCE, len(counts)))
        own = np.arange(counts[block].sum())
        if picked is not None:
            own = picked[np.searchsorted(picked, seen) : np.searchsorted(picked, seen + len(own))] - seen
        yield block, own
        seen += int(counts[block].sum())


@dataclass
class _Found:
    """What has been measured of a model so far. `groups` are horizons of the same rollouts."""

    model: Model
    encoding: Encoding
    recorded: Recorded | None
    groups: Sequence[tuple[int, ...]]
    told: Told
    ahead: OneStepSums | None = None
    rollouts: dict[tuple[int, ...], list[Rollouts]] = field(init=False)

    def __post_init__(self) -> None:
        self.rollouts = {group: [] for group in self.groups}

    def add(self, corpus: Corpus, t: Ints, starts: Sequence[Ints]) -> None:
        """Measure the Frames after `t`, and rollouts of each group from its starts, in one walk through the games."""
        walk = walk_of(self.model, corpus, self.encoding, t, np.concatenate(starts))
        predicted = counted(walk.frames(), self.told, lambda part: len(part[0]))
        if len(t):
            errors = _one_step(corpus, self.encoding, predicted)
            sums = OneStepSums(errors.errors(), Felt.of(errors, corpus, self.encoding, self.recorded))
            self.ahead = sums if self.ahead is None else self.ahead + sums
        deque(predicted, 0)  # of a block with starts alone, the walk is still to be made
        ends = np.cumsum([0, *map(len, starts)]).tolist()
        for group, at, some in zip(self.groups, starts, pairwise(ends), strict=True):
            if len(at):
                self.rollouts[group].append(self._run(walk.worlds(slice(*some)), corpus, at, max(group)))

    def _run(self, worlds: Worlds, corpus: Corpus, t: Ints, horizon: int) -> Rollouts:
        return Rollouts.of(worlds, corpus, self.encoding, t, horizon, self.recorded, self.told)

    def figures(self) -> dict[str, Any]:
        """As `wmq evaluate --json` prints them."""
        assert self.ahead is not None, "a rollout can start"
        found: dict[str, Any] = {"rollout": {}}
        for horizons, parts in self.rollouts.items():
            found["rollout"] |= Rollouts.joined(parts).figures(self.encoding, horizons)
        return self.ahead.figures() | found


def as_games(games: Games | Corpus) -> Games:
    """Games, of a Corpus that is in memory if it is one."""
    return HeldGames(games) if isinstance(games, Corpus) else games
