"""Where rollouts start, found by the lengths of games alone, and the frames that they need. numpy only."""

from dataclasses import dataclass

import numpy as np

from wm_train.games.corpus import Corpus
from wm_train.games.store import Games
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding


@dataclass(frozen=True)
class Starts:
    """B frames, ascending: game (B,) int64 is the number of each one's game, frame (B,) its number in that."""

    game: Ints
    frame: Ints

    def __len__(self) -> int:
        return len(self.game)


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


def pieces(games: Games, starts: Starts, before: int | None, horizon: int) -> tuple[Corpus, Ints]:
    """The games that have a start, from `before` frames before the first one's next frame (None: from their beginning)
    to `horizon` frames after the last; and the starts (B,) in them."""
    numbers, first = np.unique(starts.game, return_index=True)
    last = np.append(first[1:], len(starts)) - 1
    begins = np.maximum(starts.frame[first] + 1 - before, 0) if before is not None else np.zeros_like(first)
    ends = starts.frame[last] + horizon + 1
    parts = [
        _part(games.corpus([number]), slice(begin, end))
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True)
    ]
    frames, inputs, place = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    lengths = ends - begins
    names = tuple(games.names[number] for number in numbers)
    where = np.searchsorted(numbers, starts.game)
    t = (np.cumsum(lengths) - lengths - begins)[where] + starts.frame
    return Corpus(frames, inputs, place, np.repeat(np.arange(len(names)), lengths), names), t


def _part(game: Corpus, span: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Copies, so that the rest of the game is not kept."""
    return game.frames[span].copy(), game.inputs[span].copy(), game.place[span].copy()
