"""Games to train on: in memory, or read from disk as they are wanted, with memory for those alone that are in use.

Frames are numbered through all games laid end to end, as in a Corpus of them. What is read is handed out as a small
Corpus, so that whatever works on a whole one works on it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wm_train.errors import WmTrainError
from wm_train.games.corpus import MEASURED_GAMES, Corpus, Split, cut, held_out_names, load_corpus, place_of, split_games
from wm_train.games.dataset import Dataset, DatasetMeta, StoredGame, open_dataset
from wm_train.games.encoded import Records, encode_game, map_game, record_type
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding


class Games(Protocol):
    """Games by number, 0.. in the order of `names`; `lengths` (G,) int64 are their frames."""

    names: tuple[str, ...]
    lengths: Ints

    def corpus(self, games: Sequence[int] | Ints) -> Corpus:
        """These games, end to end in the order given; `game` counts them from 0."""

    def take(self, frame: Ints) -> Corpus:
        """Single frames by number (any shape, flattened), in the order given; `game` is the number of the game."""


class HeldGames:
    """Games of a Corpus that is in memory."""

    def __init__(self, corpus: Corpus) -> None:
        self.names = corpus.names
        self.lengths: Ints = np.bincount(corpus.game, minlength=len(corpus.names)).astype(np.int64)
        self._corpus = corpus
        self._starts = np.cumsum(self.lengths) - self.lengths

    def corpus(self, games: Sequence[int] | Ints) -> Corpus:
        """See Games; the Corpus itself if all of it is asked for."""
        if np.array_equal(games, np.arange(len(self.names))):
            return self._corpus
        frame = np.concatenate([np.arange(self.lengths[g]) + self._starts[g] for g in games])
        picked, number = self.take(frame), np.repeat(np.arange(len(games)), self.lengths[games])
        return Corpus(picked.frames, picked.inputs, picked.place, number, tuple(self.names[g] for g in games))

    def take(self, frame: Ints) -> Corpus:
        """See Games."""
        at, whole = frame.ravel(), self._corpus
        return Corpus(whole.frames[at], whole.inputs[at], whole.place[at], whole.game[at], self.names)


class StoredGames:
    """Games of a dataset: mapped where they are encoded, else read from Parquet, many times as slowly."""

    def __init__(self, dataset: Dataset, names: Iterable[str], encoding: Encoding) -> None:
        meta = open_dataset(dataset)
        self.names = tuple(names)
        self._dataset, self._encoding = meta.path, encoding
        self._games = [_usable(meta, name, encoding) for name in self.names]
        self.lengths: Ints = np.array([game.frames for game in self._games], np.int64)
        self._places = np.array([place_of(encoding.game, game) for game in self._games], np.int64)
        self._ends = np.cumsum(self.lengths)
        self._open: dict[int, Records] = {}

    def corpus(self, games: Sequence[int] | Ints) -> Corpus:
        """See Games."""
        numbers = np.asarray(games, np.int64)
        lengths = self.lengths[numbers]
        out, at = self._empty(np.repeat(numbers, lengths)), 0
        for number in numbers.tolist():
            records = self._records(number)
            span = slice(at, at := at + len(records))
            out.frames[span], out.inputs[span] = records["frames"], records["inputs"]
        names = tuple(self.names[number] for number in numbers)
        return Corpus(out.frames, out.inputs, out.place, np.repeat(np.arange(len(names)), lengths), names)

    def take(self, frame: Ints) -> Corpus:
        """See Games. Keeps those games mapped that the last call took from."""
        flat = frame.ravel()
        game = np.searchsorted(self._ends, flat, side="right")
        row = flat - (self._ends - self.lengths)[game]
        out, order = self._empty(game), np.argsort(game, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(game[order])) + 1) if len(order) else []
        before, self._open = self._open, {}
        for part in parts:
            number = int(game[part[0]])
            self._open[number] = before[number] if number in before else self._records(number)
            picked = self._open[number][row[part]]
            out.frames[part], out.inputs[part] = picked["frames"], picked["inputs"]
        return out

    def _records(self, number: int) -> Records:
        game = self._games[number]
        records = map_game(self._dataset, game, self._encoding)
        return encode_game(self._dataset, game, self._encoding) if records is None else records

    def _empty(self, game: Ints) -> Corpus:
        """A Corpus with a row for each of `game`, frames and inputs not filled in yet."""
        kinds = record_type(self._encoding)
        frames, inputs = (np.empty((len(game), *kinds[name].shape), kinds[name].base) for name in ("frames", "inputs"))
        return Corpus(frames, inputs, self._places[game], game, self.names)


def _usable(meta: DatasetMeta, name: str, encoding: Encoding) -> StoredGame:
    game = meta.stored(name)
    if lacks := encoding.required_columns & set(game.missing):
        raise WmTrainError(f"{meta.path}: game {name} has no {min(lacks)}, which {encoding.name} reads; leave it out")
    return game


def open_split(dataset: Path, encoding: Encoding, holdout: float, **rule: Any) -> tuple[Games, Games, Split]:
    """(training games, validation games, which is which), nothing loaded yet; arguments as of windows.split_games."""
    meta = open_dataset(dataset)
    split = split_games(meta, encoding, holdout, **rule)
    if split.train != split.valid:
        return StoredGames(meta, split.train, encoding), StoredGames(meta, split.valid, encoding), split
    only = load_corpus(meta, split.train, encoding)
    return HeldGames(cut(only, "train", holdout)), HeldGames(cut(only, "valid", holdout)), split


def open_held_out(
    dataset: Dataset, encoding: Encoding, split: Mapping[str, Any], holdout: float, most: int = MEASURED_GAMES
) -> Games:
    """The games of corpus.held_out, nothing loaded yet."""
    meta = open_dataset(dataset)
    names, middle = held_out_names(meta, encoding, split, most)
    if middle:
        return HeldGames(cut(load_corpus(meta, names, encoding), "valid", holdout))
    return StoredGames(meta, names, encoding)
