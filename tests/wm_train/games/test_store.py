"""games.py: from memory, from records or from Parquet, the same frames come out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import add_game, game_columns, random_corpus, write_dataset
from wm_train.errors import WmTrainError
from wm_train.games import dataset
from wm_train.games.corpus import Corpus, load_corpus, split_games
from wm_train.games.encoded import encode
from wm_train.games.store import Games, HeldGames, StoredGames, open_split
from wm_train.world.encoding import Encoding

V22 = Encoding("v2.2", 3)
LENGTHS = [30, 12, 25, 7]


def same(a: Corpus, b: Corpus) -> bool:
    pairs = [(getattr(a, name), getattr(b, name)) for name in ("frames", "inputs", "place", "game")]
    return a.names == b.names and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


@pytest.fixture(scope="module", params=["held", "encoded", "parquet"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Games, Corpus]:
    """The games, however they are kept, and a Corpus of them."""
    folder = tmp_path_factory.mktemp("games")
    names = write_dataset(folder, LENGTHS)
    whole = load_corpus(folder, names, V22)
    if request.param == "encoded":
        encode(folder, V22, 1)
    make: Callable[[], Games] = (
        (lambda: HeldGames(whole)) if request.param == "held" else (lambda: StoredGames(folder, names, V22))
    )
    return make(), whole


def test_all_games_are_the_corpus(case: tuple[Games, Corpus]) -> None:
    games, whole = case
    assert games.names == whole.names and games.lengths.tolist() == LENGTHS and games.lengths.dtype == np.int64
    assert same(games.corpus(range(4)), whole)


def test_some_games_are_a_corpus_of_them(case: tuple[Games, Corpus]) -> None:
    games, whole = case
    some = games.corpus([2, 0])
    at = np.concatenate([np.flatnonzero(whole.game == 2), np.flatnonzero(whole.game == 0)])
    expected = Corpus(whole.frames[at], whole.inputs[at], whole.place[at], np.repeat([0, 1], [25, 30]),
                      (whole.names[2], whole.names[0]))  # fmt: skip
    assert same(some, expected)


@settings(max_examples=30)
@given(st.data())
def test_single_frames_are_those_of_the_corpus(case: tuple[Games, Corpus], data: st.DataObject) -> None:
    games, whole = case
    frame = np.array(data.draw(st.lists(st.integers(0, sum(LENGTHS) - 1), max_size=20)), np.int64)
    taken = games.take(frame.reshape(1, -1))
    assert same(taken, Corpus(whole.frames[frame], whole.inputs[frame], whole.place[frame], whole.game[frame],
                              whole.names))  # fmt: skip


def test_only_games_in_use_stay_mapped(tmp_path: Path) -> None:
    games = StoredGames(tmp_path, write_dataset(tmp_path, LENGTHS), V22)
    encode(tmp_path, V22, 1)
    games.take(np.array([0, 31, 45]))
    first = games._open[2]
    games.take(np.array([46]))
    assert list(games._open) == [2] and games._open[2] is first


def test_another_encoding_reads_its_own_fields(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [20])
    v1 = Encoding("v1", 3)
    encode(tmp_path, v1, 1)
    assert same(StoredGames(tmp_path, names, v1).corpus([0]), load_corpus(tmp_path, names, v1))
    taken = StoredGames(tmp_path, names, v1).take(np.arange(20))
    assert (taken.frames == load_corpus(tmp_path, names, v1).frames).all()


def test_games_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    name = add_game(tmp_path, 0, game_columns(np.random.default_rng(0), 30), missing=["hitlag"])
    with pytest.raises(WmTrainError, match=r"has no hitlag, which v2\.2 reads"):
        StoredGames(tmp_path, [name], V22)
    assert len(StoredGames(tmp_path, [name], Encoding("v1")).lengths) == 1
    with pytest.raises(WmTrainError, match="no game ff"):
        StoredGames(tmp_path, ["ff"], V22)


def test_a_split_hands_out_what_its_lists_say(tmp_path: Path) -> None:
    write_dataset(tmp_path, [40, 30, 20, 10])
    train, valid, split = open_split(tmp_path, V22, 0.3, seed=1)
    assert split == split_games(tmp_path, V22, 0.3, 1) and len(split.valid) < 4
    for games, names in ((train, split.train), (valid, split.valid)):
        assert games.names == names
        assert same(games.corpus(range(len(names))), load_corpus(tmp_path, names, V22))


def test_a_split_reads_the_list_of_games_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 22,000 games a reading takes longer than a second."""
    write_dataset(tmp_path, [40, 30, 20, 10])
    readings, read = list[Path](), dataset.read_meta

    def counted(path: Path) -> dataset.DatasetMeta:
        readings.append(path)
        return read(path)

    monkeypatch.setattr(dataset, "read_meta", counted)
    open_split(tmp_path, V22, 0.3, seed=1)
    assert readings == [tmp_path]


def test_a_held_corpus_is_not_copied() -> None:
    corpus = random_corpus()
    assert HeldGames(corpus).corpus([0, 1]) is corpus
