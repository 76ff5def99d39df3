"""Errors by how often a run has seen what it predicts from: who a player is, and what the player does. numpy only."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wm_train.measure.footage import Frames, Mask
from wm_train.measure.recorded import Recorded, cast_and_action
from wm_train.world.definition import Game

#: Least player frames of training of each row.
ROWS = (0, 1, 100, 1_000, 10_000)


def coverage_figures(
    game: Game, metrics: Callable[[Mask], Mapping[str, Any]], now: Frames, recorded: Recorded
) -> list[dict[str, Any]]:
    """One row for each of ROWS that any player frame falls into, the rarest first; none if no training game is there.

    metrics   player frames (N, 2) -> metrics over them
    now       (N, 2, fields) the true Frames that were predicted from
    returns   seen_from, seen_to: player frames of training with that cast in that action (to: not included, None
              without an end); player_frames: predicted ones of which that is so; their metrics
    """
    if not recorded.trained:
        return []
    seen = recorded.seen[cast_and_action(game, now)]
    rows = []
    for least, end in zip(ROWS, (*ROWS[1:], None), strict=True):
        players = np.asarray((seen >= least) & (seen < (np.inf if end is None else end)))
        if players.any():
            about = {"seen_from": least, "seen_to": end, "player_frames": int(players.sum())}
            rows.append(about | dict(metrics(players)))
    return rows
