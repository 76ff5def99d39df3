"""Games as integer Frames, and the windows a network sees of them. Columns all the way; no loop over frames.

A **Corpus** holds games end to end. Window `t` shows slots t-K+1..t and, if the encoding is conditioned, the inputs of
t+1; its target is Frame t+1. With a lookahead of n it shows the slots n - 1 frames earlier, and all inputs after them.
No window crosses from one game into the next.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.config import TrainConfig
from wm_train.errors import WmTrainError
from wm_train.games.dataset import META_NAME, Dataset, DatasetMeta, StoredGame, open_dataset, read_game
from wm_train.grid.arithmetic import FRAC_BITS, AnyInts, Ints, round_half_up
from wm_train.world.definition import STANDARD, Game
from wm_train.world.encoding import Encoding
from wm_train.world.extras import with_extras
from wm_train.world.fields import PLAYERS, Field, Kind
from wm_train.world.registry import find_game

Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Corpus:
    """Games end to end.

    frames   (T, 2, len(frame_fields)) int32
    inputs   (T, 2, len(controls)) int8
    place    (T,) int64 id of the place, 0 where the game has none
    game     (T,) int64 index into `names`
    names    match of each game
    """

    frames: NDArray[np.int32]
    inputs: NDArray[np.int8]
    place: Ints
    game: Ints
    names: tuple[str, ...]

    def windows(self, encoding: Encoding) -> Ints:
        """Every t that has `span` frames up to it and one after it, in the same game."""
        t = np.arange(encoding.span - 1, len(self.game) - 1)
        return t[self.game[t - encoding.span + 1] == self.game[t + 1]]

    def pairs(self) -> Ints:
        """Every t that has a frame after it, in the same game."""
        return np.flatnonzero(self.game[:-1] == self.game[1:])

    def session(self, encoding: Encoding, t: Ints) -> Ints:
        """(len(t), session ids) int64 at frames `t`: each player's, then the place, as far as they are read."""
        states = [self.frames[t, p, encoding.frame_index[f.name]] for p in range(PLAYERS) for f in encoding.session_ids]
        ids: list[AnyInts] = [*states, *[self.place[t]] * len(encoding.place)]
        return np.stack(ids, 1).astype(np.int64) if ids else np.zeros((len(t), 0), np.int64)


def window_counts(lengths: Ints, encoding: Encoding) -> Ints:
    """How many windows games of these lengths have: what `Corpus.windows` finds in them."""
    return np.maximum(lengths - encoding.span, 0)


def _values(field: Field, column: NDArray[np.generic]) -> Ints:
    """Integers of one field as a Frame holds them."""
    if field.kind is Kind.CONTINUOUS:
        bounded = np.clip(np.nan_to_num(column.astype(np.float64)), field.lo, field.hi)
        return round_half_up(bounded * (1 << FRAC_BITS)).astype(np.int64)
    if field.kind is Kind.AXIS:
        scaled = column if column.dtype == np.int8 else round_half_up(column.astype(np.float64) * field.hi)
        return np.clip(scaled, field.lo, field.hi).astype(np.int64)
    if field.kind is Kind.BUTTON:
        return ((column.astype(np.int64) & field.bit) != 0).astype(np.int64)
    if field.kind is Kind.BINARY:
        return field.holds(column.astype(np.int64)).astype(np.int64)
    return with_a_row(field, column.astype(np.int64))


def with_a_row(field: Field, ids: Ints) -> Ints:
    """Ids, those outside the field's vocabulary as `Field.unknown`."""
    known: Ints = np.where((ids >= 0) & (ids < field.vocab), ids, field.unknown)
    return known


def game_arrays(encoding: Encoding, columns: Columns, place: int) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """(frames, inputs) of one game as a Corpus holds them, from its place and columns of `encoding.read_columns`."""
    frames = len(columns[encoding.read_columns[0]])

    def stack(fields: Sequence[Field], dtype: type) -> NDArray[np.int32]:
        out: NDArray[np.int32] = np.zeros((frames, PLAYERS, len(fields)), dtype)
        for player in range(PLAYERS):
            for i, field in enumerate(fields):
                column = columns.get(f"p{player}_{field.column}")
                if column is not None:
                    out[:, player, i] = _values(field, column)
        return out

    game = encoding.game
    states = stack(game.state, np.int32)
    states = game.settled(states) if game.settled else states
    return with_extras(encoding, columns, place, states, stack(game.controls, np.int8).astype(np.int8))


def played_dataset(dataset: Dataset, encoding: Encoding) -> DatasetMeta:
    """`open_dataset`; WmTrainError unless its games are of the encoding's game."""
    meta = open_dataset(dataset)
    if meta.game is not encoding.game:
        raise WmTrainError(
            f"{meta.path}: its games are of {meta.game.name}, expected {encoding.game.name}; name another"
        )
    return meta


def place_of(game: Game, stored: StoredGame) -> int:
    """Id of the place of a stored game, inside the vocabulary; 0 where the game has none."""
    if game.place is None:
        return 0
    return int(with_a_row(game.place, np.array([stored.about[game.facts.place]]))[0])


def load_corpus(dataset: Dataset, names: Iterable[str], encoding: Encoding) -> Corpus:
    """The games of a dataset with these matches; WmTrainError where one lacks a column that the encoding reads."""
    meta = played_dataset(dataset, encoding)
    frames, inputs, place, game = [], [], [], []
    names = tuple(names)
    for index, stored in enumerate(map(meta.stored, names)):
        where = place_of(encoding.game, stored)
        columns = read_game(meta, stored.md5, encoding.read_columns)
        one_frames, one_inputs = game_arrays(encoding, columns, where)
        length = len(one_frames)
        frames.append(one_frames)
        inputs.append(one_inputs)
        place.append(np.full(length, where, np.int64))
        game.append(np.full(length, index, np.int64))
    if not frames:
        raise WmTrainError(f"{meta.path}: no game to read; run `wmq ingest` on a folder of 1v1 recordings first")
    return Corpus(np.concatenate(frames), np.concatenate(inputs), np.concatenate(place), np.concatenate(game), names)


def made_up_corpus(frames: int, seed: int, played: Game | None = None) -> Corpus:
    """One game without sense whose every field and input is in range: to run executors on where there is no data."""
    rng = np.random.default_rng(seed)
    game = played or find_game()
    states, inputs = _in_range(rng, game.state, frames), _in_range(rng, game.controls, frames)
    constant = [i for i, field in enumerate(game.state) if field.session]
    states[..., constant] = states[0][:, constant]
    place = np.full(frames, rng.integers(game.place.vocab) if game.place else 0, np.int64)
    return Corpus(states.astype(np.int32), inputs.astype(np.int8), place, np.zeros(frames, np.int64), ("made-up",))


def _in_range(rng: np.random.Generator, fields: Sequence[Field], frames: int) -> Ints:
    """(frames, 2, len(fields)) integers over the whole range of every field."""
    unit = [1 << FRAC_BITS if field.kind is Kind.CONTINUOUS else 1 for field in fields]
    low, high = (
        [int(end * u) for end, u in zip(ends, unit, strict=True)]
        for ends in ([f.lo for f in fields], [f.hi for f in fields])
    )
    return rng.integers(low, np.add(high, 1), (frames, PLAYERS, len(fields)))


@dataclass(frozen=True)
class Split:
    """Matches of the games apart for training and validation, and of those that do neither: they lack a column, or are
    of a kind that is not among `only`. With one game only, its middle is held out instead. fingerprint: of the dataset
    that was split."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    skipped: tuple[str, ...]
    only: tuple[str, ...]
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """What a run keeps of it."""
        return dict(vars(self))


#: In place of kinds: games of every kind.
ANY_KIND = ("any",)


def readable_games(dataset: Dataset, encoding: Encoding) -> list[StoredGame]:
    """The games that have every field of the encoding; WmTrainError if there is none."""
    meta = played_dataset(dataset, encoding)
    readable = [game for game in meta.games if not encoding.required_columns & set(game.missing)]
    if not readable:
        needed = ".".join(map(str, encoding.since))
        raise WmTrainError(
            f"{meta.path}: none of {len(meta.games)} games has every field of encoding {encoding.name}, which needs "
            f"{encoding.game.recorded} {needed} or newer; ingest such games or choose an older encoding"
        )
    return readable


def usable_games(dataset: Dataset, encoding: Encoding, only: Sequence[str] = (STANDARD,)) -> list[str]:
    """Matches of the readable games whose kinds are all among `only`; WmTrainError if there is none."""
    known = (STANDARD, *encoding.game.facts.words, *ANY_KIND)
    if strange := [kind for kind in only if kind not in known]:
        raise WmTrainError(f"only: got {strange[0]!r}, expected kinds of games: {', '.join(known)}")
    meta = played_dataset(dataset, encoding)
    readable = readable_games(meta, encoding)
    usable = [g.match for g in readable if ANY_KIND[0] in only or set(only).issuperset(meta.kinds(g))]
    if not usable:
        found = Counter(" and ".join(meta.kinds(game)) for game in readable).most_common(3)
        there = ", ".join(f"{count} {kinds}" for kinds, count in found)
        raise WmTrainError(
            f"{meta.path}: none of {len(readable)} games is {' or '.join(only)}: there are {there}; ingest others, or "
            f"say which to take with `wmq train --only`, such as --only {ANY_KIND[0]}"
        )
    return usable


def split_games(
    dataset: Dataset,
    encoding: Encoding,
    holdout: float,
    seed: int,
    hold_character: int = -1,
    hold_seen: bool = False,
    only: Sequence[str] = (STANDARD,),
) -> Split:
    """Which games train and which validate: by hash of match and seed, so that a game keeps its side as others come and
    go (`_parted` says what holds while they are few). Games that lack a column, or are not of `only`, are `skipped`.

    With `hold_character`, a character-select id, `holdout` is the share of the games with that character that
    validate, and those without it train. With `hold_seen` as many train, first the character's other games.
    """
    meta = played_dataset(dataset, encoding)
    share = {match: _hashed(match, seed) for match in usable_games(meta, encoding, only)}
    games = meta.by_match
    ranked = sorted(share, key=share.__getitem__)
    held = [match for match in ranked if hold_character < 0 or hold_character in meta.cast(games[match])]
    apart = set(held)
    others = [match for match in ranked if match not in apart]
    if hold_character >= 0 and not (len(held) > 1 and others):
        found = f"{len(held)} of {len(ranked)} usable games have character {hold_character}"
        raise WmTrainError(f"{meta.path}: {found}; expected at least two with it, and one without; see {META_NAME}")
    valid, rest = _parted(held, share, holdout)
    train = [*rest * hold_seen, *others][: len(others)] if hold_character >= 0 else rest or valid
    parts = [tuple(sorted(part)) for part in (train, valid, set(games) - {*train, *valid})]
    return Split(parts[0], parts[1], parts[2], tuple(only), meta.fingerprint)


def _parted(ranked: list[str], share: Mapping[str, float], holdout: float) -> tuple[list[str], list[str]]:
    """(games below `holdout`, the rest); at least one below, and one not if there are two."""
    below = [match for match in ranked if share[match] < holdout] or ranked[:1]
    if 1 < len(ranked) == len(below):
        below.pop()
    return below, ranked[len(below) :]


def _hashed(match: str, seed: int) -> float:
    """0 to 1, as by chance."""
    return int(hashlib.sha256(f"{seed}:{match}".encode()).hexdigest()[:8], 16) / 2**32


def cut(corpus: Corpus, part: str, holdout: float) -> Corpus:
    """The middle (`valid`) or the rest (`train`) of a single game that has to serve as both.

    Not its end: how a game ends is seen nowhere else in it. The rest counts as two games: no window spans the gap.
    """
    length = len(corpus.game)
    first = int(length * (1 - holdout) / 2)
    last = first + int(length * holdout)
    if part == "valid":
        keep, names = np.arange(first, last), corpus.names
    else:
        keep, names = np.concatenate([np.arange(first), np.arange(last, length)]), corpus.names * 2
    game = (keep >= last).astype(np.int64)
    return Corpus(corpus.frames[keep], corpus.inputs[keep], corpus.place[keep], game, names)


def only_of(split: Mapping[str, Any]) -> tuple[str, ...]:
    """Kinds of games that a run was asked to take."""
    return tuple(split.get("only", (STANDARD,)))


def common_kinds(splits: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Kinds of games that all runs of these splits were asked to take; standard ones if they have none in common."""
    named = [set(only_of(split)) for split in splits if ANY_KIND[0] not in only_of(split)]
    return tuple(sorted(set.intersection(*named))) or (STANDARD,) if named else ANY_KIND


def is_cut(split: Mapping[str, Any]) -> bool:
    """Whether one game had to serve as both sides; the others that trained are those of the run it began from."""
    valid = set(split.get("valid", ()))
    return bool(valid) and valid.issubset(split.get("train", ()))


def moved_over(split: Mapping[str, Any], train: TrainConfig) -> list[str]:
    """Matches that are on the other side than their hash says, since no game would be there: the next game whose hash
    does say so sends them back."""
    first, second = (split.get(part, ()) for part in ("train", "valid"))
    if is_cut(split) or train.hold_character >= 0:
        return []
    sides = [(match, below) for below, matches in ((False, first), (True, second)) for match in matches]
    return [match for match, below in sides if (_hashed(match, train.seed) < train.holdout) != below]


def any_games(dataset: Path, encoding: Encoding, split: Mapping[str, Any], holdout: float, frames: int) -> Corpus:
    """Frames to run executors on: held-out games, else any of the dataset, MEASURED_GAMES at most; without a dataset
    `frames` made-up ones."""
    if not (dataset / META_NAME).exists():
        return made_up_corpus(frames, 0, encoding.game)
    meta = open_dataset(dataset)
    usable = set(usable_games(meta, encoding, only_of(split)))
    fresh = usable - set(split.get("train", ()))
    return held_out(meta, encoding, split, holdout) if fresh else load_corpus(meta, measured(usable), encoding)


#: Games that a model is measured on, at most, unless more are asked for: of more the figures hardly change.
MEASURED_GAMES = 256


def spread_out(count: int, most: int) -> Ints:
    """Numbers of at most `most` of `count` things, evenly spread, the first and the last among them."""
    return np.linspace(0, count - 1, most).astype(np.int64) if count > most else np.arange(count)


def measured(matches: Collection[str], most: int = MEASURED_GAMES) -> list[str]:
    """At most so many of some games, evenly spread over their sorted names."""
    ordered = sorted(matches)
    return [ordered[number] for number in spread_out(len(ordered), most)]


def held_out_names(
    meta: DatasetMeta, encoding: Encoding, split: Mapping[str, Any], most: int
) -> tuple[list[str], bool]:
    """(matches of what of a dataset a run has not trained on; whether it is the middle of one game).

    Of the games of its kinds outside its training games `most` at most; where one game served as both, that game's
    held-out middle. WmTrainError if nothing is left.
    """
    trained, valid = set(split.get("train", ())), set(split.get("valid", ()))
    usable = set(usable_games(meta, encoding, only_of(split)))
    if fresh := usable - trained:
        return measured(fresh, most), False
    if is_cut(split) and usable & valid:
        return sorted(usable & valid), True
    raise WmTrainError(f"{meta.path}: the run was trained on all {len(usable)} usable games; evaluate on others")


def held_out(
    dataset: Dataset, encoding: Encoding, split: Mapping[str, Any], holdout: float, most: int = MEASURED_GAMES
) -> Corpus:
    """The games of `held_out_names`, in memory."""
    meta = open_dataset(dataset)
    names, middle = held_out_names(meta, encoding, split, most)
    corpus = load_corpus(meta, names, encoding)
    return cut(corpus, "valid", holdout) if middle else corpus
