"""Metrics of anything that steps a world: one frame ahead, and rollouts that feed on themselves. numpy only.

A **Stepper** takes Windows and returns next Frames, all integers; a network that remembers is a `Recurrent` instead.
Float networks, their QAT forms, QNets and the baselines are measured by the same code on the same frames.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, spread_out
from wm_train.games.store import Games, HeldGames
from wm_train.grid.arithmetic import Ints
from wm_train.measure.lawful import lawful_ahead
from wm_train.measure.measures import measures_of
from wm_train.measure.one_step import Felt, OneStep, OneStepSums, compared, equal, error
from wm_train.measure.recorded import Recorded
from wm_train.measure.recurrent import ALL, NONE, Recurrent, RecurrentWorlds, Walk
from wm_train.measure.starts import seeded_starts, start_counts
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.step import World, next_frames

#: Horizons of every evaluation; more can be asked for.
HORIZONS = (5, 10, 20)
ROLLOUT_STARTS = 300
CHUNK = 4096
#: Told how many frames have been predicted since.
Told = Callable[[int], None]
T = TypeVar("T")
#: Games that are in memory at a time, and walk side by side through a network that remembers.
GAMES_AT_ONCE = 32


@dataclass(frozen=True)
class Window:
    """What a stepper sees of B windows.

    frames     (B, span, 2, len(frame_fields)) int32, oldest first; with a lookahead of n an encoding shows the network
               all but the newest n - 1
    inputs     (B, span, 2, len(controls)) int8, of the same frames
    following  (B, 2, len(controls)) int8, inputs of the frame to be predicted
    session    (B, S) int64
    """

    frames: NDArray[np.int32]
    inputs: NDArray[np.int8]
    following: NDArray[np.int8]
    session: Ints

    @property
    def now(self) -> NDArray[np.int32]:
        """(B, 2, len(frame_fields)) the newest known frame."""
        return self.frames[:, -1]

    def advanced(self, frames: NDArray[np.int32], following: NDArray[np.int8]) -> "Window":
        """The next window, given the Frame just computed and the inputs after it."""
        return Window(
            np.concatenate([self.frames[:, 1:], frames[:, None]], 1),
            np.concatenate([self.inputs[:, 1:], self.following[:, None]], 1),
            following,
            self.session,
        )


Stepper = Callable[[Window], NDArray[np.int32]]
Predictor = Callable[[Window], Ints]
#: Anything that steps a world.
Model = Stepper | Recurrent


def window_at(corpus: Corpus, encoding: Encoding, t: Ints) -> Window:
    """Windows whose newest known frame is `t` (B,): they predict Frame t+1."""
    slots = t[:, None] + np.arange(1 - encoding.span, 1)
    return Window(corpus.frames[slots], corpus.inputs[slots], corpus.inputs[t + 1], corpus.session(encoding, t))


def written(world: World, window: Window, heads: Ints) -> NDArray[np.int32]:
    """The next Frames, (B, 2, len(frame_fields)), that a network's heads (B, outputs) make of windows."""
    bounds = world.session_places(window.session)
    return next_frames(world, window.frames[:, -world.encoding.lookahead], heads, bounds)


def stepper(world: World, predict: Predictor) -> Stepper:
    """A network's heads turned into next Frames."""
    return lambda window: written(world, window, predict(window))


def persistence(window: Window) -> NDArray[np.int32]:
    """Baseline: nothing moves."""
    return window.now


def baselines(game: Game) -> dict[str, Stepper]:
    """Baselines by name: nothing moves; velocities stay; the same, but what the game freezes does not move."""
    found: dict[str, Stepper] = {"persistence": persistence}
    if coast := game.coast:
        found["constant_velocity"] = lambda window: coast(window.now, False)
        found["constant_velocity_freeze"] = lambda window: coast(window.now, True)
    return found


def counted(items: Iterable[T], told: Told, size: Callable[[T], int]) -> Iterator[T]:
    """The items; once one has been dealt with, its size is told."""
    for item in items:
        yield item
        told(size(item))


def chunks(t: Ints) -> Iterator[Ints]:
    """`t` in pieces of at most CHUNK."""
    yield from (t[i : i + CHUNK] for i in range(0, len(t), CHUNK))


@dataclass
class WindowWorlds:
    """B worlds that run by themselves, seen through their newest window."""

    step_window: Stepper
    window: Window

    def step(self, following: NDArray[np.int8]) -> NDArray[np.int32]:
        """The next Frames, given the inputs of that frame (B, 2, len(CONTROLS))."""
        seen = replace(self.window, following=following)
        frames = self.step_window(seen)
        self.window = seen.advanced(frames, following)
        return frames


#: Worlds that run by themselves.
Worlds = WindowWorlds | RecurrentWorlds


@dataclass(frozen=True)
class WindowWalk:
    """What Walk is to a network that remembers, for a stepper, which needs no more than the windows."""

    step_window: Stepper
    corpus: Corpus
    encoding: Encoding
    t: Ints
    starts: Ints

    def frames(self) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
        """See Walk."""
        for chunk in chunks(self.t):
            yield chunk, self.step_window(window_at(self.corpus, self.encoding, chunk))

    def worlds(self, some: slice = ALL) -> WindowWorlds:
        """See Walk."""
        return WindowWorlds(self.step_window, window_at(self.corpus, self.encoding, self.starts[some]))


def walk_of(model: Model, corpus: Corpus, encoding: Encoding, t: Ints, starts: Ints) -> Walk | WindowWalk:
    """True games shown to a model: its next Frames after frames `t`, and worlds that begin at `starts`."""
    if isinstance(model, Recurrent):
        return Walk(model, corpus, t, starts)
    return WindowWalk(model, corpus, encoding, t, starts)


def begin(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Worlds:
    """Worlds that stand at frames `t` (B,), and have seen the true game up to there."""
    walk = walk_of(model, corpus, encoding, NONE, t)
    deque(walk.frames(), 0)
    return walk.worlds()


def forced(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
    """(some of `t`, their next Frames) given the true past, until all of `t` has come."""
    return walk_of(model, corpus, encoding, t, NONE).frames()


def one_step(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> OneStep:
    """Predictions one frame ahead, over windows that end at `t`, one at least."""
    return _one_step(corpus, encoding, forced(model, corpus, encoding, t))


def _one_step(corpus: Corpus, encoding: Encoding, predicted: Iterable[tuple[Ints, NDArray[np.int32]]]) -> OneStep:
    """Of what `forced` gives."""
    parts = [compared(corpus, encoding, chunk, after) for chunk, after in predicted]
    joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(OneStep)}
    return OneStep(**joined)


def window_ends(corpus: Corpus, encoding: Encoding, past: int = 0) -> Ints:
    """Every frame that a window can end at, with at least `past` frames of its game up to it."""
    t = corpus.windows(encoding)
    t = t[t >= past - 1]
    return t[corpus.game[t - past + 1] == corpus.game[t]]


def evenly(t: Ints, limit: int) -> Ints:
    """At most `limit` of some frames, evenly spread; all if it is 0."""
    return t if not limit else t[spread_out(len(t), limit)]


def rollout_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Ints:
    """Seeded starts t, ascending, whose next `horizon` frames lie in the same game, as do `past` frames up to them."""
    lengths = HeldGames(corpus).lengths
    found = seeded_starts(lengths, encoding, horizon, starts, seed, past)
    return (np.cumsum(lengths) - lengths)[found.game] + found.frame


def need_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Ints:
    """`rollout_starts`, of which there must be one; else WmTrainError."""
    _need_start(HeldGames(corpus).lengths, encoding, horizon, past)
    return rollout_starts(corpus, encoding, horizon, starts, seed, past)


def _need_start(lengths: Ints, encoding: Encoding, horizon: int, past: int) -> None:
    """WmTrainError if no game of these lengths is long enough for a rollout."""
    if not start_counts(lengths, encoding, horizon, past).any():
        need = max(encoding.span, past) + horizon
        raise WmTrainError(
            f"evaluate: no game has {need} frames in a row, which a rollout needs; evaluate on longer games"
        )


def run(worlds: Worlds, inputs: Iterable[NDArray[np.int8]]) -> NDArray[np.int32]:
    """Frames (B, H, 2, len(STATE)) of worlds that run by themselves on H inputs (B, 2, len(CONTROLS)), which may be
    made as they are asked for."""
    return np.stack([worlds.step(following) for following in inputs], 1)


def true_inputs(corpus: Corpus, t: Ints, horizon: int) -> Iterator[NDArray[np.int8]]:
    """What the players really did in the `horizon` frames after `t`."""
    return (corpus.inputs[t + ahead] for ahead in range(1, horizon + 1))


def true_frames(corpus: Corpus, t: Ints, horizon: int) -> NDArray[np.int32]:
    """(B, horizon, 2, len(STATE)) what really followed frames `t`."""
    return corpus.frames[t[:, None] + np.arange(1, horizon + 1)]


def rollout(model: Model, corpus: Corpus, encoding: Encoding, t: Ints, horizon: int) -> NDArray[np.int32]:
    """Frames (B, horizon, 2, len(STATE)) of worlds that run by themselves from `t`; true inputs fed."""
    return run(begin(model, corpus, encoding, t), true_inputs(corpus, t, horizon))


@dataclass(frozen=True)
class Rollouts:
    """What came of B worlds that ran by themselves from frames of true games, and of those.

    frames, true  (B, H, 2, len(frame_fields)) int32
    lawful        (B, H) whether a frame breaks no law; none is known where no recorded games were shown
    """

    frames: NDArray[np.int32]
    true: NDArray[np.int32]
    lawful: NDArray[np.bool_] | None

    @staticmethod
    def of(
        worlds: Worlds,
        corpus: Corpus,
        encoding: Encoding,
        t: Ints,
        horizon: int,
        recorded: Recorded | None = None,
        told: Told = lambda frames: None,
    ) -> "Rollouts":
        """Lets worlds run that stand at frames `t` (B,), and tells of each Frame of each."""
        inputs = counted(true_inputs(corpus, t, horizon), told, len)
        frames, true = run(worlds, inputs), true_frames(corpus, t, horizon)
        lawful, measures = None, measures_of(encoding)
        if recorded is not None and measures.laws:
            lawful = lawful_ahead(measures, recorded.known, encoding.game, corpus, t, frames)
        return Rollouts(frames, true, lawful)

    @staticmethod
    def joined(parts: Sequence["Rollouts"]) -> "Rollouts":
        """Those of all parts, in order."""
        laws = [part.lawful for part in parts if part.lawful is not None]
        frames, true = (np.concatenate([getattr(part, name) for part in parts]) for name in ("frames", "true"))
        return Rollouts(frames, true, np.concatenate(laws) if laws else None)

    def figures(self, encoding: Encoding, horizons: Sequence[int]) -> dict[str, dict[str, Any]]:
        """Metrics for each of `horizons`, with the position error per frame ahead."""
        game = encoding.game
        position = error(game, self.frames, self.true, game.roles.position).mean((0, 2, 3))
        damage = error(game, self.frames, self.true, game.roles.hurt).mean((0, 2, 3))
        action = equal(game, self.frames, self.true, game.roles.action).mean((0, 2))
        lawful = None if self.lawful is None else self.lawful.mean(0)
        return {
            str(k): {
                "position_mae_mean": float(position[:k].mean()),
                "position_mae_last": float(position[k - 1]),
                "position_mae": [float(v) for v in position[:k]],
                "action_acc_last": float(action[k - 1]),
                f"{game.roles.damage or 'damage'}_mae_last": float(damage[k - 1]),
                **({} if lawful is None else {"lawful": float(lawful[:k].mean())}),
            }
            for k in horizons
        }


def rollout_figures(model: Model, corpus: Corpus, encoding: Encoding, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Metrics of seeded rollouts for each of HORIZONS. All of them are of the same rollouts."""
    horizon = max(HORIZONS)
    t = need_starts(corpus, encoding, horizon, ROLLOUT_STARTS, seed)
    return Rollouts.of(begin(model, corpus, encoding, t), corpus, encoding, t, horizon).figures(encoding, HORIZONS)


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
        _need_start(held.lengths, encoding, max(horizons), past)
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
