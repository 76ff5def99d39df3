"""Where rollouts start, found by the lengths of games alone. numpy only."""

from dataclasses import dataclass

import numpy as np

from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding


@dataclass(frozen=True)
class Starts:
    """B frames, ascending: game (B,) int64 is the number of each one's game, frame (B,) its number in that."""

    game: Ints
    frame: Ints

    def __len__(self) -> int:
        return len(self.game)

    def among(self, games: Ints) -> "Starts":
        """Those in some games, whose numbers follow each other."""
        rows = slice(*np.searchsorted(self.game, [games[0], games[-1] + 1]))
        return Starts(self.game[rows], self.frame[rows])


def start_counts(lengths: Ints, encoding: Encoding, horizon: int, past: int = 0) -> Ints:
    """How many frames of games of these lengths have `horizon` frames after them, one at least, and a window, or `past`
    frames if that is more, up to them."""
    return np.maximum(lengths - max(encoding.span, past) - max(horizon, 1) + 1, 0)


def seeded_starts(lengths: Ints, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Starts:
    """At most `starts` of the frames that `start_counts` counts, each as likely."""
    counts = start_counts(lengths, encoding, horizon, past)
    total = int(counts.sum())
    picked = np.sort(np.random.default_rng(seed).choice(total, min(starts, total), replace=False))
    ends = np.cumsum(counts)
    game = np.searchsorted(ends, picked, "right")
    return Starts(game, picked - (ends - counts)[game] + max(encoding.span, past) - 1)
