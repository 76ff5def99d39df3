"""Errors by how often a run has seen what it predicts from: who a player is, and what the player does. numpy only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wm_train.measure.footage import Frames, Mask
from wm_train.measure.recorded import Recorded, cast_and_action
from wm_train.measure.sums import Means, added, values
from wm_train.world.definition import Game

#: Least player frames of training of each row.
ROWS = (0, 1, 100, 1_000, 10_000)


@dataclass(frozen=True)
class Coverage:
    """Metrics, summed, of each of ROWS that any player frame falls into, by its least player frames."""

    rows: Mapping[int, Means]

    @staticmethod
    def of(game: Game, means: Callable[[Mask], Means], now: Frames, recorded: Recorded) -> "Coverage":
        """No rows if no training game is there.

        means  player frames (N, 2) -> metrics over them, summed
        now    (N, 2, fields) the true Frames that were predicted from
        """
        if not recorded.trained:
            return Coverage({})
        seen = recorded.seen[cast_and_action(game, now)]
        ends = zip(ROWS, (*ROWS[1:], np.inf), strict=True)
        players = {least: np.asarray((seen >= least) & (seen < end)) for least, end in ends}
        return Coverage({least: means(of) for least, of in players.items() if of.any()})

    def __add__(self, other: "Coverage") -> "Coverage":
        found = {*self.rows, *other.rows}
        return Coverage({least: added(self.rows.get(least, {}), other.rows.get(least, {})) for least in found})

    def figures(self) -> list[dict[str, Any]]:
        """The rows, the rarest first.

        seen_from, seen_to  player frames of training with that cast in that action (to: not included, None without an
                            end)
        player_frames       predicted ones of which that is so; their metrics
        """
        return [
            {"seen_from": least, "seen_to": end, "player_frames": of["action_acc"].count} | values(of)
            for least, end in zip(ROWS, (*ROWS[1:], None), strict=True)
            if (of := self.rows.get(least))
        ]
