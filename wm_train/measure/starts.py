"""Which frames are measured, and which of them rollouts start at. numpy only."""

from dataclasses import dataclass

import numpy as np

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, spread_out
from wm_train.games.store import HeldGames
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


def window_ends(corpus: Corpus, encoding: Encoding, past: int = 0) -> Ints:
    """Every frame that a window can end at, with at least `past` frames of its game up to it."""
    t = corpus.windows(encoding)
    t = t[t >= past - 1]
    return t[corpus.game[t - past + 1] == corpus.game[t]]


def evenly(t: Ints, limit: int) -> Ints:
    """At most `limit` of some frames, evenly spread; all if it is 0."""
    return t if not limit else t[spread_out(len(t), limit)]


def rollout_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Ints:
    """Seeded starts t, ascending, whose next `horizon` frames lie in the same game, as do `past` frames up to them."""
    lengths = HeldGames(corpus).lengths
    found = seeded_starts(lengths, encoding, horizon, starts, seed, past)
    return (np.cumsum(lengths) - lengths)[found.game] + found.frame


def need_starts(corpus: Corpus, encoding: Encoding, horizon: int, starts: int, seed: int, past: int = 0) -> Ints:
    """`rollout_starts`, of which there must be one; else WmTrainError."""
    need_long_game(HeldGames(corpus).lengths, encoding, horizon, past)
    return rollout_starts(corpus, encoding, horizon, starts, seed, past)


def need_long_game(lengths: Ints, encoding: Encoding, horizon: int, past: int) -> None:
    """WmTrainError if no game of these lengths is long enough for a rollout."""
    if not start_counts(lengths, encoding, horizon, past).any():
        need = max(encoding.span, past) + horizon
        raise WmTrainError(
            f"evaluate: no game has {need} frames in a row, which a rollout needs; evaluate on longer games"
        )
