"""Worlds left alone for a minute on true inputs: how far they drift, and whether what they show could be the game.

numpy only. Drift is distance from the true game at the same time. A world that has drifted can still be a good world,
so beside it stands what does not ask for the same frame: positions, speeds and steps that real games show on that
stage, and habits, which are rates of what happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.footage import Frames, game_field
from wm_train.measure.found_events import events_a_minute
from wm_train.measure.lawful import runs_figures
from wm_train.measure.measures import Measures, measures_of
from wm_train.measure.one_step import equal, error
from wm_train.measure.recorded import Recorded
from wm_train.measure.rollouts import counted
from wm_train.measure.starts import need_starts
from wm_train.measure.worlds import Model, begin, run, true_frames, true_inputs
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding

#: Share of real values that `Usual` leaves out at either end: dead players and warps are somewhere else.
TAIL = 0.0005
#: At most so many points of time in a curve.
POINTS = 120
#: Game units at which a player counts as being somewhere else than in the true game.
APART = 20.0

Flags = NDArray[np.bool_]


def _steps(game: Game, frames: Frames, before: Frames) -> Ints:
    """(..., 2, 2) how far each player came in one frame, across and up."""
    at = game.at(*game.roles.position)
    return frames[..., at].astype(np.int64) - before[..., at]


@dataclass(frozen=True)
class Usual:
    """What real games show, all but TAIL of it at either end: (low, high) each.

    place   place id -> two (2,), across and up
    speeds  two (velocities,)
    steps   two (2,), the way of one frame, across and up
    """

    game: Game
    place: Mapping[int, tuple[Any, Any]]
    speeds: tuple[Any, Any]
    steps: tuple[Any, Any]

    def places(self, frames: Frames, place: Ints) -> Flags:
        """(B, H, 2) whether players are where players are in places (B,)."""
        at = self.game.at(*self.game.roles.position)
        low, high = (np.stack([self.place[int(s)][end] for s in place])[:, None, None] for end in (0, 1))
        return np.asarray(((frames[..., at] >= low) & (frames[..., at] <= high)).all(-1))

    def motion(self, frames: Frames, before: Frames) -> Flags:
        """(B, H, 2) whether every speed, and the way from the frame before, is one that players have."""
        fast = frames[..., self.game.at(*self.game.roles.velocity)]
        far = _steps(self.game, frames, before)
        usual = ((fast >= self.speeds[0]) & (fast <= self.speeds[1])).all(-1)
        return np.asarray(usual & ((far >= self.steps[0]) & (far <= self.steps[1])).all(-1))


def _usual(values: NDArray[Any]) -> tuple[Any, Any]:
    low, high = np.quantile(values.reshape(-1, values.shape[-1]), [TAIL, 1 - TAIL], axis=0)
    return low, high


def usual(game: Game, corpus: Corpus) -> Usual:
    """What the games of a corpus show."""
    inside = np.flatnonzero(corpus.game[1:] == corpus.game[:-1]) + 1
    steps = _steps(game, corpus.frames[inside], corpus.frames[inside - 1])
    at = game.at(*game.roles.position)
    place = {int(s): _usual(corpus.frames[corpus.place == s][..., at]) for s in np.unique(corpus.place)}
    return Usual(game, place, _usual(corpus.frames[..., game.at(*game.roles.velocity)]), _usual(steps))


def _with_before(frames: Frames, start: Frames) -> Frames:
    """(B, H, ...) the frame before each."""
    return np.concatenate([start[:, None], frames[:, :-1]], 1)


def habits(game: Game, frames: Frames, before: Frames) -> dict[str, float]:
    """Rates of what happens, per player: shares of frames, or times a minute; damage in its unit a minute.

    Those of the game's roles are named after the role's field, as in `on_ground`; roles that it lacks have none.
    """
    roles = game.roles

    def change(name: str) -> Ints:
        return game_field(game, frames, name) - game_field(game, before, name)

    minutes = frames[..., 0].size / (60 * game.fps)
    hurt = np.maximum(change(roles.damage), 0).sum() / (1 << FRAC_BITS)
    rates = {
        roles.grounded: float((game_field(game, frames, roles.grounded) > 0).mean()),
        "still": float((_steps(game, frames, before) == 0).all(-1).mean()),
        "actions_a_minute": float((change(roles.action) != 0).sum() / minutes),
        _a_minute(roles.damage): float(hurt / minutes),
        _a_minute(roles.lives): float((change(roles.lives) < 0).sum() / minutes),
    }
    return {name: rate for name, rate in rates.items() if name}


def _a_minute(name: str) -> str:
    return f"{name}_a_minute" if name else ""


def _points(frames: int) -> Ints:
    """Frames ahead that curves are given at: up to POINTS of them, evenly, the last one included."""
    step = -(-frames // POINTS)
    return np.arange(frames, 0, -step)[::-1]


def _drift(game: Game, frames: Frames, true: Frames) -> dict[str, Any]:
    """Median and 90th percentile of the position error over players, and when they came APART, over time."""
    away = error(game, frames, true, game.roles.position).mean(-1)
    at = _points(frames.shape[1]) - 1
    p50, p90 = np.quantile(away[:, at], [0.5, 0.9], axis=(0, 2))
    apart = (away > APART).any(2)
    first = np.where(apart.any(1), apart.argmax(1) + 1, frames.shape[1])
    return {"position_p50": p50.tolist(), "position_p90": p90.tolist(), "apart_after": float(np.median(first))}


def _laws(
    measures: Measures, recorded: Recorded | None, game: Game, corpus: Corpus, t: Ints, runs: Mapping[str, Frames]
) -> dict[str, Any]:
    """Laws as keys of figures: of each of `runs`, and what their tables were learned from; {} if none is measured."""
    if recorded is None or not measures.laws:
        return {}
    laws = {name: runs_figures(measures, recorded.known, game, corpus, t, frames) for name, frames in runs.items()}
    return {"laws": laws, "recorded": recorded.to_json()}


def _over_time(flags: Flags) -> list[float]:
    return [float(share) for share in flags.mean((0, 2))[_points(flags.shape[1]) - 1]]


def drift_figures(
    model: Model,
    corpus: Corpus,
    encoding: Encoding,
    frames: int,
    starts: int,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
    recorded: Recorded | None = None,
) -> dict[str, Any]:
    """Free runs of `frames` frames from seeded starts; keys as `wmq rollout --starts --json` prints them.

    Shares are of players. `advance` is called once a frame. What recorded games show is needed for laws: without it
    none is measured. WmTrainError if no game is long enough.
    """
    t = need_starts(corpus, encoding, frames, starts, seed)
    true, start = true_frames(corpus, t, frames), corpus.frames[t]
    got = run(begin(model, corpus, encoding, t), counted(true_inputs(corpus, t, frames), lambda _: advance(), len))
    before, real_before = _with_before(got, start), _with_before(true, start)
    game, measures = encoding.game, measures_of(encoding)
    bounds, place = usual(game, corpus), corpus.place[t]
    kept = {"predicted": (got, before), "real": (true, real_before)}
    action, lives = (equal(game, got, true, name) for name in (game.roles.action, game.roles.lives))
    lives_acc = f"{game.roles.lives or 'lives'}_acc"
    inside, moves = bounds.places(got, place), bounds.motion(got, before)
    return {
        "frames": frames,
        "starts": len(t),
        "frames_ahead": _points(frames).tolist(),
        **_drift(game, got, true),
        "action_acc": _over_time(action),
        lives_acc: _over_time(lives),
        "inside": _over_time(inside),
        "plausible": _over_time(inside & moves),
        "mean": {"action_acc": float(action.mean()), lives_acc: float(lives.mean())},
        "usual": {
            name: {"inside": float(bounds.places(one, place).mean()), "moves": float(bounds.motion(one, was).mean())}
            for name, (one, was) in kept.items()
        },
        "habits": {
            name: habits(game, one, was) | events_a_minute(measures.events, game, one, was)
            for name, (one, was) in kept.items()
        },
        **_laws(measures, recorded, game, corpus, t, {name: one for name, (one, _) in kept.items()}),
        "baselines": {
            "persistence": _drift(game, np.broadcast_to(start[:, None], true.shape), true),
            "another_start": _drift(game, np.roll(true, max(1, len(t) // 2), 0), true),
        },
    }
