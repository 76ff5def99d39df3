"""What the recorded games of a dataset show, as counts: what laws ask for, and how often a run has seen what."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from wm_train.games.corpus import Corpus, cut, load_corpus, only_of, usable_games
from wm_train.games.dataset import open_dataset
from wm_train.grid.arithmetic import Ints
from wm_train.measure.footage import Frames, footage, game_field
from wm_train.measure.measures import Known, measures_of
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding

#: Games that are counted at most: the first by MD5, which is as good as by chance.
GAMES = 512


@dataclass(frozen=True)
class Recorded:
    """Counts over games of a dataset.

    games    how many were counted; trained: how many of them the run has trained on
    seen     (casts, actions) int64 player frames of training with that cast in that action
    known    what the game's laws ask for, of all games; None if they ask for nothing
    """

    games: int
    trained: int
    seen: Ints
    known: Known | None

    def to_json(self) -> dict[str, Any]:
        """What the laws' tables are learned from, and what they say."""
        return {"games": self.games, **({} if self.known is None else {"known": self.known.to_json()})}


def recorded(dataset: Path, encoding: Encoding, split: Mapping[str, Any], holdout: float) -> Recorded:
    """Counts over the usable games of a dataset, GAMES of them at most, one game in memory at a time."""
    trained, valid = set(split.get("train", ())), set(split.get("valid", ()))
    count, tables = measures_of(encoding).count, []
    seen = np.zeros(_cells(encoding.game), np.int64)
    meta = open_dataset(dataset)
    names = usable_games(meta, encoding, only_of(split))[:GAMES]
    for name in names:
        one = load_corpus(meta, [name], encoding)
        if count is not None:
            tables.append(count(footage(encoding.game, one)))
        if name in trained:
            part = cut(one, "train", holdout) if name in valid else one
            seen += _counted(encoding.game, part)
    known = reduce(add, tables) if tables else None
    return Recorded(len(names), len(trained.intersection(names)), seen, known)


def _cells(game: Game) -> tuple[int, int]:
    """Casts and actions that a game knows; 1 where it has no such field."""
    cast, action = (game.field(name).vocab if name else 1 for name in (game.roles.cast, game.roles.action))
    return cast, action


def cast_and_action(game: Game, frames: Frames) -> tuple[Ints, Ints]:
    """Who each player is and what each does, (..., 2)."""
    return game_field(game, frames, game.roles.cast), game_field(game, frames, game.roles.action)


def _counted(game: Game, part: Corpus) -> Ints:
    counts = np.zeros(_cells(game), np.int64)
    np.add.at(counts, cast_and_action(game, part.frames), 1)
    return counts
