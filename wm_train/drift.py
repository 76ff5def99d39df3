"""Worlds left alone for a minute on true inputs: how far they drift, and whether what they show could be the game.

numpy only. Drift is distance from the true game at the same time. A world that has drifted can still be a good world,
so beside it stands what does not ask for the same frame: positions, speeds and steps that real games show on that
stage, and habits, which are rates of what happens.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.encoding import Encoding
from wm_train.evaluate import Model, begin, error, need_starts, run, true_frames, true_inputs
from wm_train.frames import SPEEDS, STATE_INDEX
from wm_train.grid import FRAC_BITS, Ints
from wm_train.windows import Corpus

FPS = 60
#: Share of real values that `Usual` leaves out at either end: dead players and warps are somewhere else.
TAIL = 0.0005
#: At most so many points of time in a curve.
POINTS = 120
#: Game units at which a player counts as being somewhere else than in the true game.
APART = 20.0

Frames = NDArray[np.int32]
Flags = NDArray[np.bool_]
_XY = [STATE_INDEX["x"], STATE_INDEX["y"]]
_SPEEDS = [STATE_INDEX[name] for name in SPEEDS]


def _steps(frames: Frames, before: Frames) -> Ints:
    """(..., 2, 2) how far each player came in one frame, in x and y."""
    return frames[..., _XY].astype(np.int64) - before[..., _XY]


@dataclass(frozen=True)
class Usual:
    """What real games show, all but TAIL of it at either end: (low, high) each.

    place   stage id -> two (2,), x and y
    speeds  two (len(SPEEDS),)
    steps   two (2,), the way of one frame in x and y
    """

    place: Mapping[int, tuple[Any, Any]]
    speeds: tuple[Any, Any]
    steps: tuple[Any, Any]

    def places(self, frames: Frames, stage: Ints) -> Flags:
        """(B, H, 2) whether players are where players are on stages (B,)."""
        low, high = (np.stack([self.place[int(s)][end] for s in stage])[:, None, None] for end in (0, 1))
        return np.asarray(((frames[..., _XY] >= low) & (frames[..., _XY] <= high)).all(-1))

    def motion(self, frames: Frames, before: Frames) -> Flags:
        """(B, H, 2) whether every speed, and the way from the frame before, is one that players have."""
        fast, far = frames[..., _SPEEDS], _steps(frames, before)
        usual = ((fast >= self.speeds[0]) & (fast <= self.speeds[1])).all(-1)
        return np.asarray(usual & ((far >= self.steps[0]) & (far <= self.steps[1])).all(-1))


def _usual(values: NDArray[Any]) -> tuple[Any, Any]:
    low, high = np.quantile(values.reshape(-1, values.shape[-1]), [TAIL, 1 - TAIL], axis=0)
    return low, high


def usual(corpus: Corpus) -> Usual:
    """What the games of a corpus show."""
    inside = np.flatnonzero(corpus.game[1:] == corpus.game[:-1]) + 1
    steps = _steps(corpus.frames[inside], corpus.frames[inside - 1])
    place = {int(s): _usual(corpus.frames[corpus.stage == s][..., _XY]) for s in np.unique(corpus.stage)}
    return Usual(place, _usual(corpus.frames[..., _SPEEDS]), _usual(steps))


def _with_before(frames: Frames, start: Frames) -> Frames:
    """(B, H, ...) the frame before each."""
    return np.concatenate([start[:, None], frames[:, :-1]], 1)


def habits(frames: Frames, before: Frames) -> dict[str, float]:
    """Rates of what happens, per player: shares of frames, or times a minute; percent a minute for damage."""
    now, was = ({n: f[..., STATE_INDEX[n]].astype(np.int64) for n in ("action", "percent", "stocks", "on_ground")}
                for f in (frames, before))  # fmt: skip
    minutes = now["action"].size / (60 * FPS)
    hurt = np.maximum(now["percent"] - was["percent"], 0).sum() / (1 << FRAC_BITS)
    return {
        "on_ground": float((now["on_ground"] > 0).mean()),
        "still": float((_steps(frames, before) == 0).all(-1).mean()),
        "actions_a_minute": float((now["action"] != was["action"]).sum() / minutes),
        "percent_a_minute": float(hurt / minutes),
        "stocks_a_minute": float((now["stocks"] < was["stocks"]).sum() / minutes),
    }


def _points(frames: int) -> Ints:
    """Frames ahead that curves are given at: up to POINTS of them, evenly, the last one included."""
    step = -(-frames // POINTS)
    return np.arange(frames, 0, -step)[::-1]


def _drift(frames: Frames, true: Frames) -> dict[str, Any]:
    """Median and 90th percentile of the position error over players, and when they came APART, over time."""
    away = error(frames, true, "x", "y").mean(-1)
    at = _points(frames.shape[1]) - 1
    p50, p90 = np.quantile(away[:, at], [0.5, 0.9], axis=(0, 2))
    apart = (away > APART).any(2)
    first = np.where(apart.any(1), apart.argmax(1) + 1, frames.shape[1])
    return {"position_p50": p50.tolist(), "position_p90": p90.tolist(), "apart_after": float(np.median(first))}


def _over_time(flags: Flags) -> list[float]:
    return [float(share) for share in flags.mean((0, 2))[_points(flags.shape[1]) - 1]]


def _counted(inputs: Iterator[NDArray[np.int8]], advance: Callable[[], None]) -> Iterator[NDArray[np.int8]]:
    for following in inputs:
        yield following
        advance()


def drift_figures(
    model: Model,
    corpus: Corpus,
    encoding: Encoding,
    frames: int,
    starts: int,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Free runs of `frames` frames from seeded starts; keys as `wmq rollout --starts --json` prints them.

    Shares are of players. `advance` is called once a frame. WmTrainError if no game is long enough.
    """
    t = need_starts(corpus, encoding, frames, starts, seed)
    true, start = true_frames(corpus, t, frames), corpus.frames[t]
    got = run(begin(model, corpus, encoding, t), _counted(true_inputs(corpus, t, frames), advance))
    before, real_before = _with_before(got, start), _with_before(true, start)
    bounds, stage = usual(corpus), corpus.stage[t]
    kept = {"predicted": (got, before), "real": (true, real_before)}
    action, stocks = (got[..., STATE_INDEX[name]] == true[..., STATE_INDEX[name]] for name in ("action", "stocks"))
    inside, moves = bounds.places(got, stage), bounds.motion(got, before)
    return {
        "frames": frames,
        "starts": len(t),
        "frames_ahead": _points(frames).tolist(),
        **_drift(got, true),
        "action_acc": _over_time(action),
        "stocks_acc": _over_time(stocks),
        "inside": _over_time(inside),
        "plausible": _over_time(inside & moves),
        "mean": {"action_acc": float(action.mean()), "stocks_acc": float(stocks.mean())},
        "usual": {
            name: {"inside": float(bounds.places(one, stage).mean()), "moves": float(bounds.motion(one, was).mean())}
            for name, (one, was) in kept.items()
        },
        "habits": {name: habits(one, was) for name, (one, was) in kept.items()},
        "baselines": {
            "persistence": _drift(np.broadcast_to(start[:, None], true.shape), true),
            "another_start": _drift(np.roll(true, max(1, len(t) // 2), 0), true),
        },
    }
