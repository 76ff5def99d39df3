"""Metrics of anything that steps a world: one frame ahead, and rollouts that feed on themselves. numpy only.

A **Stepper** takes Windows and returns next Frames, all integers; a network that remembers is a `Recurrent` instead.
Float networks, their QAT forms, QNets and the baselines are measured by the same code on the same frames.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.frames import SPEEDS, STATE_INDEX, Encoding
from wm_train.grid import FRAC_BITS, Ints
from wm_train.recurrent import Recurrent, RecurrentWorlds
from wm_train.recurrent import begin as begin_recurrent
from wm_train.recurrent import forced as forced_recurrent
from wm_train.stages import session_bounds
from wm_train.windows import Corpus
from wm_train.world import ONE, World, next_frames

HORIZONS = (5, 10, 20)
ROLLOUT_STARTS = 300
CHUNK = 4096


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


def stepper(world: World, predict: Predictor) -> Stepper:
    """A network's heads turned into next Frames."""

    def step(window: Window) -> NDArray[np.int32]:
        bounds = session_bounds(world.encoding, window.session)
        return next_frames(world, window.frames[:, -world.encoding.lookahead], predict(window), bounds)

    return step


def persistence(window: Window) -> NDArray[np.int32]:
    """Baseline: nothing moves."""
    return window.now


def _coasted(window: Window, freeze: bool) -> NDArray[np.int32]:
    frames = window.now.copy()
    field = {name: frames[..., STATE_INDEX[name]] for name in (*SPEEDS, "hitlag", "on_ground")}
    self_x = np.where(field["on_ground"] > 0, field["self_x_ground"], field["self_x_air"])
    hitlag = np.maximum(field["hitlag"] - ONE, 0)
    moving = (hitlag == 0) | (not freeze)
    frames[..., STATE_INDEX["x"]] += np.where(moving, self_x + field["knockback_x"], 0)
    frames[..., STATE_INDEX["y"]] += np.where(moving, field["self_y"] + field["knockback_y"], 0)
    frames[..., STATE_INDEX["hitlag"]] = hitlag
    return frames


def constant_velocity(window: Window) -> NDArray[np.int32]:
    """Baseline: velocities (air or ground self velocity, and knockback) stay."""
    return _coasted(window, freeze=False)


def constant_velocity_freeze(window: Window) -> NDArray[np.int32]:
    """Baseline: the same, but nothing moves while hitlag lasts."""
    return _coasted(window, freeze=True)


BASELINES: Mapping[str, Stepper] = {
    "persistence": persistence,
    "constant_velocity": constant_velocity,
    "constant_velocity_freeze": constant_velocity_freeze,
}


def _error(after: NDArray[np.int32], true: NDArray[np.int32], *names: str) -> NDArray[np.float64]:
    """(B, 2, len(names)) absolute error in the fields' units."""
    at = [STATE_INDEX[name] for name in names]
    return np.abs(after[..., at].astype(np.int64) - true[..., at]) / float(1 << FRAC_BITS)


def _chunks(t: Ints) -> Iterator[Ints]:
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


def begin(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> WindowWorlds | RecurrentWorlds:
    """Worlds that stand at frames `t` (B,), ascending, and have seen the true game up to there."""
    if isinstance(model, Recurrent):
        return begin_recurrent(model, corpus, t)
    return WindowWorlds(model, window_at(corpus, encoding, t))


def forced(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
    """(some of `t`, their next Frames) given the true past, until all of `t` has come."""
    if isinstance(model, Recurrent):
        yield from forced_recurrent(model, corpus, t)
        return
    for chunk in _chunks(t):
        yield chunk, model(window_at(corpus, encoding, chunk))


def one_step(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> dict[str, Any]:
    """Metrics one frame ahead, over windows that end at `t`; keys as `wmq evaluate --json` prints them."""
    position, velocity, damage, right, changed = [], [], [], [], []
    action = STATE_INDEX["action"]
    for chunk, after in forced(model, corpus, encoding, t):
        now, true = corpus.frames[chunk], corpus.frames[chunk + 1]
        position.append(_error(after, true, "x", "y"))
        velocity.append(_error(after, true, *SPEEDS))
        damage.append(_error(after, true, "percent"))
        right.append(after[..., action] == true[..., action])
        changed.append(now[..., action] != true[..., action])
    return _one_step_figures(*(np.concatenate(part) for part in (position, velocity, damage, right, changed)))


def _one_step_figures(position: Any, velocity: Any, damage: Any, right: Any, changed: Any) -> dict[str, Any]:
    p50, p95 = np.quantile(position.mean((1, 2)), [0.5, 0.95])
    return {
        "frames": len(position),
        "action_acc": float(right.mean()),
        "action_change_acc": float(right[changed].mean()) if changed.any() else 0.0,
        "action_change_acc_p0": float(right[:, 0][changed[:, 0]].mean()) if changed[:, 0].any() else 0.0,
        "position_mae": float(position.mean()),
        "position_p50": float(p50),
        "position_p95": float(p95),
        "velocity_mae": float(velocity.mean()),
        "damage_mae": float(damage.mean()),
    }


def rollout_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int) -> Ints:
    """Seeded starts t whose next `horizon` frames lie in the same game."""
    t = corpus.windows(encoding)
    t = t[t + horizon < len(corpus.game)]
    t = t[corpus.game[t] == corpus.game[t + horizon]]
    picked = np.random.default_rng(seed).choice(t, min(starts, len(t)), replace=False)
    return np.sort(picked)


def rollout(model: Model, corpus: Corpus, encoding: Encoding, t: Ints, horizon: int) -> NDArray[np.int32]:
    """Frames (B, horizon, 2, len(STATE)) of worlds that run by themselves from `t`, ascending; true inputs fed."""
    worlds = begin(model, corpus, encoding, t)
    return np.stack([worlds.step(corpus.inputs[t + ahead]) for ahead in range(1, horizon + 1)], 1)


def rollout_figures(
    model: Model, corpus: Corpus, encoding: Encoding, seed: int = 0, starts: int = ROLLOUT_STARTS
) -> dict[str, dict[str, Any]]:
    """Metrics of seeded rollouts for each of HORIZONS, with the position error per horizon."""
    longest = max(HORIZONS)
    t = rollout_starts(corpus, encoding, longest, starts, seed)
    frames = rollout(model, corpus, encoding, t, longest)
    true = corpus.frames[t[:, None] + np.arange(1, longest + 1)]
    position = _error(frames, true, "x", "y").mean((0, 2, 3))
    percent = _error(frames, true, "percent").mean((0, 2, 3))
    action = (frames == true)[..., STATE_INDEX["action"]].mean((0, 2))
    return {
        str(k): {
            "position_mae_mean": float(position[:k].mean()),
            "position_mae_last": float(position[k - 1]),
            "position_mae": [float(v) for v in position[:k]],
            "action_acc_last": float(action[k - 1]),
            "percent_mae_last": float(percent[k - 1]),
        }
        for k in HORIZONS
    }


def evaluate(model: Model, corpus: Corpus, encoding: Encoding, seed: int = 0, limit: int = 0) -> dict[str, Any]:
    """One-step metrics over every window (`limit` of them, evenly spread, if not 0) and rollouts."""
    t = corpus.windows(encoding)
    if not len(rollout_starts(corpus, encoding, max(HORIZONS), 1, seed)):
        need = encoding.span + max(HORIZONS)
        raise WmTrainError(
            f"evaluate: no game has {need} frames in a row, which a rollout needs; evaluate on longer games"
        )
    if limit and len(t) > limit:
        t = t[np.linspace(0, len(t) - 1, limit).astype(np.int64)]
    return one_step(model, corpus, encoding, t) | {"rollout": rollout_figures(model, corpus, encoding, seed)}
