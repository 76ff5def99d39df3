"""Interventions: from the same state on other inputs. Does a world do what its players say? numpy only.

Worlds begin at seeded frames of true games and run three times: on the true inputs, on the same ones again, which must
give the same bytes, and with one player's inputs changed. What then differs is what the inputs did.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.measure.one_step import error
from wm_train.measure.starts import rollout_starts
from wm_train.measure.worlds import Model, Worlds, begin, run
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS

#: Frames of a run, and worlds.
FRAMES, STARTS = 30, 100

Inputs = NDArray[np.int8]


def _idle(inputs: Inputs) -> Inputs:
    """Nobody touches the controller."""
    return np.zeros_like(inputs)


def _another(inputs: Inputs) -> Inputs:
    """What was pressed at another moment of the games."""
    return np.roll(inputs, max(1, len(inputs) // 2), 0)


#: What a player's inputs (B, H, controls) become.
CHANGES: dict[str, Callable[[Inputs], Inputs]] = {"idle": _idle, "another": _another}


def intervention_figures(
    model: Model, corpus: Corpus, encoding: Encoding, starts: int = STARTS, frames: int = FRAMES, seed: int = 0
) -> dict[str, Any] | None:
    """What changes when a player's inputs do; None if no game is long enough.

    starts, frames  worlds, and how long each ran
    same            whether the same inputs gave the same bytes
    idle, another   by how the inputs were changed, over both players where they did change: see `_reaction`
    """
    t = rollout_starts(corpus, encoding, frames, starts, seed)
    if not len(t):
        return None
    true = corpus.inputs[t[:, None] + np.arange(1, frames + 1)]
    worlds = begin(model, corpus, encoding, t)
    control = _run(worlds, true)
    return {
        "starts": len(t),
        "frames": frames,
        "same": bool(_run(worlds, true).tobytes() == control.tobytes()),
        **{name: _reactions(encoding.game, worlds, true, control, change) for name, change in CHANGES.items()},
    }


def _run(worlds: Worlds, inputs: Inputs) -> NDArray[np.int32]:
    """Frames (B, H, 2, fields) on inputs (B, H, 2, controls), from where `worlds` stand, which they go on doing."""
    return run(copy.copy(worlds), iter(inputs.swapaxes(0, 1)))


def _reactions(
    game: Game, worlds: Worlds, true: Inputs, control: NDArray[np.int32], change: Callable[[Inputs], Inputs]
) -> dict[str, Any]:
    parts = []
    for player in range(PLAYERS):
        inputs = true.copy()
        inputs[:, :, player] = change(true[:, :, player])
        changed = (inputs != true).any((1, 2, 3))
        parts.append((player, changed, _run(worlds, inputs)))
    return _reaction(game, control, parts)


def _reaction(
    game: Game, control: NDArray[np.int32], parts: list[tuple[int, NDArray[np.bool_], NDArray[np.int32]]]
) -> dict[str, Any]:
    """Over runs with one player's inputs changed, of (player, which worlds (B,), frames (B, H, 2, fields)).

    runs     how many
    reacts   share in which the player comes to differ from the control
    action   share in which the player's action does
    apart    distance of the player from the control at the end, mean over runs, in the position's unit
    other    share in which the other player comes to differ
    """
    own, action, other, apart = [], [], [], []
    for player, changed, frames in parts:
        differ = frames[changed] != control[changed]
        own.append(differ[:, :, player].any((1, 2)))
        other.append(differ[:, :, 1 - player].any((1, 2)))
        action.append(_action(game, differ[:, :, player]))
        ends = frames[changed][:, -1], control[changed][:, -1]
        apart.append(_distance(game, *ends)[:, player])
    shares = {"reacts": own, "action": action, "apart": apart, "other": other}
    means = {name: _mean(np.concatenate(values)) for name, values in shares.items()}
    return {"runs": int(sum(len(part) for part in own)), **means}


def _action(game: Game, differ: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(B,) whether the action differs anywhere in (B, H, fields)."""
    at = game.at(game.roles.action) if game.roles.action else []
    return np.asarray(differ[..., at].any((1, 2)))


def _distance(game: Game, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.float64]:
    """(B, 2) distance of each player."""
    return np.asarray(np.sqrt((error(game, one, other, game.roles.position) ** 2).sum(-1)))


def _mean(values: NDArray[Any] | Ints) -> float:
    return float(values.mean()) if len(values) else 0.0
