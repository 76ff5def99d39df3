"""Metrics of anything that steps a world: one frame ahead, and rollouts that feed on themselves. numpy only.

A **Stepper** takes Windows and returns next Frames, all integers; a network that remembers is a `Recurrent` instead.
Float networks, their QAT forms, QNets and the baselines are measured by the same code on the same frames.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.coverage import coverage_figures
from wm_train.measure.footage import footage
from wm_train.measure.found_events import damage_of, event_figures, happening, hit_damage
from wm_train.measure.lawful import lawful_ahead
from wm_train.measure.measures import measures_of
from wm_train.measure.recorded import Recorded
from wm_train.measure.recurrent import Recurrent, RecurrentWorlds
from wm_train.measure.recurrent import begin as begin_recurrent
from wm_train.measure.recurrent import forced as forced_recurrent
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.step import World, next_frames

#: Horizons of every evaluation; more can be asked for.
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


def error(game: Game, after: NDArray[np.int32], true: NDArray[np.int32], names: Sequence[str]) -> NDArray[np.float64]:
    """(..., 2, len(names)) absolute error in the fields' units; one column of zeros if there are no names."""
    if not names:
        return np.zeros((*after.shape[:-1], 1))
    at = game.at(*names)
    return np.abs(after[..., at].astype(np.int64) - true[..., at]) / float(1 << FRAC_BITS)


def equal(game: Game, one: NDArray[np.int32], other: NDArray[np.int32], name: str) -> NDArray[np.bool_]:
    """(..., 2) whether a field has the same value; True all over if the game has no such field."""
    if not name:
        return np.ones(one.shape[:-1], bool)
    at = game.state_index[name]
    return np.asarray(one[..., at] == other[..., at])


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


def begin(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Worlds:
    """Worlds that stand at frames `t` (B,), ascending, and have seen the true game up to there."""
    if isinstance(model, Recurrent):
        return begin_recurrent(model, corpus, t)
    return WindowWorlds(model, window_at(corpus, encoding, t))


def forced(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> Iterator[tuple[Ints, NDArray[np.int32]]]:
    """(some of `t`, their next Frames) given the true past, until all of `t` has come."""
    if isinstance(model, Recurrent):
        yield from forced_recurrent(model, corpus, t)
        return
    for chunk in chunks(t):
        yield chunk, model(window_at(corpus, encoding, chunk))


@dataclass(frozen=True)
class OneStep:
    """What N predictions one frame ahead got wrong.

    t          (N,) the frames that the predictions start from
    position   (N, 2, 2), velocity (N, 2, velocities), damage (N, 2, 1): absolute errors in the fields' units
    right      (N, 2) bool, the action is the true one
    changed    (N, 2) bool, the true action is not that of the frame before
    events     (N, 2, events) bool, what is predicted to happen from frame t on
    dealt      (N, 2) damage that is predicted, in its unit
    """

    t: Ints
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    damage: NDArray[np.float64]
    right: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    events: NDArray[np.bool_]
    dealt: NDArray[np.float64]

    def figures(self) -> dict[str, Any]:
        """Metrics over both players; keys as `wmq evaluate --json` prints them."""
        p50, p95 = np.quantile(self.position.mean((1, 2)), [0.5, 0.95])
        first = self.right[:, 0][self.changed[:, 0]]
        both = self.of(np.ones_like(self.right))
        return {
            "frames": len(self.t),
            "action_acc": both["action_acc"],
            "action_change_acc": both["action_change_acc"],
            "action_change_acc_p0": float(first.mean()) if len(first) else None,
            "position_mae": both["position_mae"],
            "position_p50": float(p50),
            "position_p95": float(p95),
            "velocity_mae": both["velocity_mae"],
            "damage_mae": both["damage_mae"],
        }

    def of(self, players: NDArray[np.bool_]) -> dict[str, Any]:
        """The metrics that are known of each player, over `players` (N, 2) only, at least one; None where no action
        changes."""
        changed = self.right[players & self.changed]
        return {
            "action_acc": float(self.right[players].mean()),
            "action_change_acc": float(changed.mean()) if len(changed) else None,
            "position_mae": float(self.position[players].mean()),
            "velocity_mae": float(self.velocity[players].mean()),
            "damage_mae": float(self.damage[players].mean()),
        }


def compared(corpus: Corpus, encoding: Encoding, t: Ints, after: NDArray[np.int32]) -> OneStep:
    """What the Frames (N, 2, len(frame_fields)) that were predicted after frames `t` (N,) got wrong."""
    game, roles, events = encoding.game, encoding.game.roles, measures_of(encoding).events
    now, true = corpus.frames[t], corpus.frames[t + 1]
    position, velocity, damage = (
        error(game, after, true, names) for names in (roles.position, roles.velocity, roles.hurt)
    )
    right, changed = equal(game, after, true, roles.action), ~equal(game, now, true, roles.action)
    happens, dealt = happening(game, events, now, after), damage_of(game, now, after)
    return OneStep(t, position, velocity, damage, right, changed, happens, dealt)


def one_step(model: Model, corpus: Corpus, encoding: Encoding, t: Ints) -> OneStep:
    """Predictions one frame ahead, over windows that end at `t`."""
    parts = [compared(corpus, encoding, chunk, after) for chunk, after in forced(model, corpus, encoding, t)]
    joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(OneStep)}
    return OneStep(**joined)


def window_ends(corpus: Corpus, encoding: Encoding, past: int = 0) -> Ints:
    """Every frame that a window can end at, with at least `past` frames of its game up to it."""
    t = corpus.windows(encoding)
    t = t[t >= past - 1]
    return t[corpus.game[t - past + 1] == corpus.game[t]]


def evenly(t: Ints, limit: int) -> Ints:
    """At most `limit` of some frames, evenly spread; all if it is 0."""
    return t[np.linspace(0, len(t) - 1, limit).astype(np.int64)] if limit and len(t) > limit else t


def rollout_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Ints:
    """Seeded starts t, ascending, whose next `horizon` frames lie in the same game, as do `past` frames up to them."""
    t = window_ends(corpus, encoding, past)
    t = t[t + horizon < len(corpus.game)]
    t = t[corpus.game[t] == corpus.game[t + horizon]]
    picked = np.random.default_rng(seed).choice(t, min(starts, len(t)), replace=False)
    return np.sort(picked)


def need_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Ints:
    """`rollout_starts`, of which there must be one; else WmTrainError."""
    t = rollout_starts(corpus, encoding, horizon, starts, seed, past)
    if not len(t):
        need = max(encoding.span, past) + horizon
        raise WmTrainError(
            f"evaluate: no game has {need} frames in a row, which a rollout needs; evaluate on longer games"
        )
    return t


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
    """Frames (B, horizon, 2, len(STATE)) of worlds that run by themselves from `t`, ascending; true inputs fed."""
    return run(begin(model, corpus, encoding, t), true_inputs(corpus, t, horizon))


def rollout_figures(
    model: Model,
    corpus: Corpus,
    encoding: Encoding,
    seed: int = 0,
    starts: int = ROLLOUT_STARTS,
    horizons: Sequence[int] = HORIZONS,
    past: int = 0,
    recorded: Recorded | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics of seeded rollouts for each of `horizons`, with the position error per frame ahead. All of them are of
    the same rollouts, as long as the longest horizon. With what recorded games show also the share of lawful frames,
    if the game has laws."""
    longest = max(horizons)
    t = need_starts(corpus, encoding, longest, starts, seed, past)
    frames, true = rollout(model, corpus, encoding, t, longest), true_frames(corpus, t, longest)
    game = encoding.game
    position = error(game, frames, true, game.roles.position).mean((0, 2, 3))
    damage = error(game, frames, true, game.roles.hurt).mean((0, 2, 3))
    action = equal(game, frames, true, game.roles.action).mean((0, 2))
    measures, lawful = measures_of(encoding), None
    if recorded is not None and measures.laws:
        lawful = lawful_ahead(measures, recorded.known, game, corpus, t, frames)
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


def evaluate(
    model: Model,
    corpus: Corpus,
    encoding: Encoding,
    seed: int = 0,
    limit: int = 0,
    further: Sequence[int] = (),
    past: int = 0,
    starts: int = ROLLOUT_STARTS,
    recorded: Recorded | None = None,
) -> dict[str, Any]:
    """One-step metrics over every window (`limit` of them, evenly spread, if not 0) and rollouts from `starts`.

    `further` horizons have rollouts of their own, so that no figure depends on what else is asked for. With `past`
    only frames count that have as many frames of their game up to them: models with shorter windows then see the same
    frames as those with longer ones. `recorded` is needed for coverage and laws.
    """
    groups = [HORIZONS, *((k,) for k in sorted(set(further) - set(HORIZONS)))]
    for horizons in groups:
        need_starts(corpus, encoding, max(horizons), 1, seed, past)
    t = evenly(window_ends(corpus, encoding, past), limit)
    errors = one_step(model, corpus, encoding, t)
    figures: dict[str, Any] = errors.figures() | felt(errors, corpus, encoding, recorded) | {"rollout": {}}
    for horizons in groups:
        figures["rollout"] |= rollout_figures(model, corpus, encoding, seed, starts, horizons, past, recorded)
    return figures


def felt(errors: OneStep, corpus: Corpus, encoding: Encoding, recorded: Recorded | None) -> dict[str, Any]:
    """What a player would notice one frame ahead: events, the damage of a hit, errors where little was seen.

    Events are those of the game's measures; damage is there if the game has it, coverage if `recorded` is given.
    """
    game, t = encoding.game, errors.t
    figures: dict[str, Any] = {}
    if events := measures_of(encoding).events:
        figures["events"] = event_figures(events, footage(game, corpus), t, errors.events)
    if game.roles.damage:
        figures["hit_damage"] = hit_damage(errors.dealt, damage_of(game, corpus.frames[t], corpus.frames[t + 1]))
    if recorded is not None:
        figures["coverage"] = coverage_figures(game, errors.of, corpus.frames[t], recorded)
    return figures
