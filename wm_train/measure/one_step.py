"""What predictions one frame ahead got wrong: arrays for the games at hand, and sums for all of them. numpy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.coverage import Coverage
from wm_train.measure.footage import footage
from wm_train.measure.found_events import (
    EventCounts,
    HitDamage,
    damage_of,
    event_counts,
    event_figures,
    happening,
)
from wm_train.measure.measures import Event, measures_of
from wm_train.measure.recorded import Recorded
from wm_train.measure.sums import Mean, Means, Spread, Summed, added, values
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding


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


@dataclass(frozen=True)
class Errors(Summed):
    """Sums over predicted frames.

    frames    how many
    both      metrics over both players; first: whether player 0's action is right where it changes
    position  mean position error of each frame
    """

    frames: int
    both: Means
    first: Mean
    position: Spread

    def figures(self) -> dict[str, Any]:
        """Metrics over both players; keys as `wmq evaluate --json` prints them."""
        both = values(self.both)
        return {
            "frames": self.frames,
            "action_acc": both["action_acc"],
            "action_change_acc": both["action_change_acc"],
            "action_change_acc_p0": self.first.value,
            "position_mae": both["position_mae"],
            "position_p50": self.position.quantile(0.5),
            "position_p95": self.position.quantile(0.95),
            "velocity_mae": both["velocity_mae"],
            "damage_mae": both["damage_mae"],
        }


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

    def means(self, players: NDArray[np.bool_]) -> Means:
        """The metrics that are known of each player, over `players` (N, 2) only."""
        return {
            "action_acc": Mean.of(self.right[players]),
            "action_change_acc": Mean.of(self.right[players & self.changed]),
            "position_mae": Mean.of(self.position[players]),
            "velocity_mae": Mean.of(self.velocity[players]),
            "damage_mae": Mean.of(self.damage[players]),
        }

    def of(self, players: NDArray[np.bool_]) -> dict[str, float | None]:
        """The same as numbers; None of no player frame, and where no action changes."""
        return values(self.means(players))

    def errors(self) -> Errors:
        """The sums of all of it."""
        first = self.right[:, 0][self.changed[:, 0]]
        spread = Spread.of(self.position.mean((1, 2)))
        return Errors(len(self.t), self.means(np.ones_like(self.right)), Mean.of(first), spread)


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


@dataclass(frozen=True)
class Felt:
    """What a player would notice one frame ahead, summed: events, the damage of a hit, errors where little was seen.

    known  the game's events; without any there are no counts
    hits   None if the game has no damage; coverage: None if it is not known what was trained on
    """

    known: Mapping[str, Event]
    events: Mapping[str, EventCounts]
    hits: HitDamage | None
    coverage: Coverage | None

    @staticmethod
    def of(errors: OneStep, corpus: Corpus, encoding: Encoding, recorded: Recorded | None) -> "Felt":
        """Of predictions in whole games."""
        game, t, events = encoding.game, errors.t, measures_of(encoding).events
        now, true = corpus.frames[t], corpus.frames[t + 1]
        return Felt(
            events,
            event_counts(events, footage(game, corpus), t, errors.events) if events else {},
            HitDamage.of(errors.dealt, damage_of(game, now, true)) if game.roles.damage else None,
            None if recorded is None else Coverage.of(game, errors.means, now, recorded),
        )

    def __add__(self, other: "Felt") -> "Felt":
        """Of other games, measured alike."""
        hits = None if self.hits is None or other.hits is None else self.hits + other.hits
        coverage = None if self.coverage is None or other.coverage is None else self.coverage + other.coverage
        return Felt(self.known, added(self.events, other.events), hits, coverage)

    def figures(self) -> dict[str, Any]:
        """Keys as `wmq evaluate --json` prints them."""
        figures: dict[str, Any] = {}
        if self.known:
            figures["events"] = event_figures(self.known, self.events)
        if self.hits is not None:
            figures["hit_damage"] = self.hits.figures()
        if self.coverage is not None:
            figures["coverage"] = self.coverage.figures()
        return figures


@dataclass(frozen=True)
class OneStepSums(Summed):
    """All that is measured one frame ahead, summed."""

    errors: Errors
    felt: Felt

    def figures(self) -> dict[str, Any]:
        """Keys as `wmq evaluate --json` prints them."""
        return self.errors.figures() | self.felt.figures()
