"""Rollouts: worlds that run by themselves from true frames, held against what really followed. numpy only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.measure.lawful import lawful_ahead
from wm_train.measure.measures import measures_of
from wm_train.measure.one_step import equal, error
from wm_train.measure.recorded import Recorded
from wm_train.measure.starts import need_starts
from wm_train.measure.worlds import Model, Worlds, begin, run, true_frames, true_inputs
from wm_train.world.encoding import Encoding

#: Horizons of every evaluation; more can be asked for.
HORIZONS = (5, 10, 20)
ROLLOUT_STARTS = 300
#: Told how many frames have been predicted since.
Told = Callable[[int], None]
T = TypeVar("T")


def counted(items: Iterable[T], told: Told, size: Callable[[T], int]) -> Iterator[T]:
    """The items; once one has been dealt with, its size is told."""
    for item in items:
        yield item
        told(size(item))


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
