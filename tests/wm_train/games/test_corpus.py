"""corpus.py: columns become integer Frames, windows stay inside their game, and the split holds still."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import (
    ONE,
    add_game,
    game_columns,
    game_name,
    random_corpus,
    set_characters,
    set_places,
    still_corpus,
    write_dataset,
)
from wm_train.config import TrainConfig
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, Split, _hashed, held_out, load_corpus, moved_over, split_games
from wm_train.games.dataset import open_dataset
from wm_train.games.store import open_split
from wm_train.melee.field_table import CONTROLS, STAGE, STATE_INDEX
from wm_train.melee.zones import ZONES
from wm_train.world.encoding import Encoding
from wm_train.world.step import World

V22 = Encoding("v2.2", 3)


@given(st.lists(st.integers(1, 15), min_size=1, max_size=6), st.integers(1, 6))
def test_windows_are_all_those_inside_one_game(lengths: list[int], slots: int) -> None:
    corpus = still_corpus(lengths)
    expected = [
        t
        for t in range(len(corpus.game))
        if t + 1 < len(corpus.game) and t - slots + 1 >= 0 and len(set(corpus.game[t - slots + 1 : t + 2])) == 1
    ]
    assert corpus.windows(Encoding("v1", slots)).tolist() == expected
    assert len(expected) == sum(max(0, length - slots) for length in lengths)


def test_session_ids_are_characters_then_stage() -> None:
    corpus = random_corpus()
    character = STATE_INDEX["character"]
    session = corpus.session(V22, np.arange(len(corpus.game)))
    assert session.dtype == np.int64
    assert (session == np.stack([*corpus.frames[..., character].T, corpus.place], 1)).all()
    assert corpus.session(Encoding("v1", 3), np.arange(70)).shape == (70, 0)


@pytest.fixture
def edges() -> dict[str, Any]:
    """A game of 8 frames, plain but for what a test writes into it."""
    columns = game_columns(np.random.default_rng(0), 8)
    return {name: np.zeros_like(column) for name, column in columns.items()}


def field(folder: Path, columns: dict[str, Any], name: str) -> Any:
    """Player 1's column of the corpus."""
    corpus = load_corpus(folder, [add_game(folder, 0, columns)], V22)
    controls = [f.name for f in CONTROLS]
    return corpus.inputs[:, 1, controls.index(name)] if name in controls else corpus.frames[:, 1, STATE_INDEX[name]]


@pytest.mark.parametrize(
    ("column", "name", "values", "expected"),
    [
        ("percent", "percent", [-1, 0, 2000, np.nan, 1.5, 999], [0, 0, 999 * ONE, 0, 1.5 * ONE, 999 * ONE]),
        ("x", "x", [-1e9, 1e9, np.inf, -np.inf], [-300 * ONE, 300 * ONE, 300 * ONE, -300 * ONE]),
        ("y", "y", [0.5 / ONE, -0.5 / ONE, -1.5 / ONE], [1, 0, -1]),
        ("direction", "facing", [-1, 0, 1], [0, 0, 1]),
        ("airborne", "on_ground", [0, 1], [1, 0]),
        ("hurtbox", "invulnerable", [0, 1, 2], [0, 1, 1]),
        ("hurtbox", "hurtbox", [0, 2, 9], [0, 2, 2]),
        ("action", "action", [0, 399, 400, 65535], [0, 399, 399, 399]),
        ("character", "character", [0, 31, 33, 255], [0, 31, 32, 32]),
        ("ground", "ground", [0, 30, 34, 65535], [0, 30, 31, 31]),
        ("last_attack", "last_attack", [0, 62, 64, 255], [0, 62, 63, 63]),
        ("l_cancel", "l_cancel", [0, 2, 3], [0, 2, 0]),
        ("stocks", "stocks", [4, 0, 99], [4 * ONE, 0, 4 * ONE]),
        ("stick_x", "stick_x", [-128, -80, 80, 127], [-80, -80, 80, 80]),
        ("trigger", "shoulder", [0, 1, 0.00625, 0.00624, 2], [0, 80, 1, 0, 80]),
        ("buttons", "A", [0x100, 0xFEFF, 0xFFFF], [1, 0, 1]),
        ("buttons", "D_UP", [0x08, 0xFFF7], [1, 0]),
    ],
)
def test_columns_become_integers(
    tmp_path: Path, edges: dict[str, Any], column: str, name: str, values: list[float], expected: list[float]
) -> None:
    edges[f"p1_{column}"][: len(values)] = np.array(values).astype(edges[f"p1_{column}"].dtype)
    assert field(tmp_path, edges, name)[: len(values)].tolist() == expected


def test_players_games_and_stages_stay_apart(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [5, 7])
    both = load_corpus(tmp_path, names, V22)
    second = load_corpus(tmp_path, names[1:], V22)
    assert both.game.tolist() == [0] * 5 + [1] * 7 and both.place.tolist() == [0] * 5 + [1] * 7
    assert both.names == tuple(names)
    assert (both.frames[5:] == second.frames).all() and (both.inputs[5:] == second.inputs).all()
    assert (second.frames[:, 0] != second.frames[:, 1]).any()
    assert (str(both.frames.dtype), str(both.inputs.dtype)) == ("int32", "int8")


def test_no_game_is_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path, [5])
    with pytest.raises(WmTrainError, match="no game to read"):
        load_corpus(tmp_path, [], V22)


def test_a_game_never_changes_sides_as_others_come(tmp_path: Path) -> None:
    write_dataset(tmp_path, [4] * 12)
    before = split_games(tmp_path, V22, 0.3, seed=1)
    rng = np.random.default_rng(9)
    for index in range(12, 24):
        add_game(tmp_path, index, game_columns(rng, 4))
    now = split_games(tmp_path, V22, 0.3, seed=1)
    assert set(before.train) < set(now.train) and set(before.valid) < set(now.valid)
    assert not set(now.train) & set(now.valid) and len(now.train + now.valid) == 24
    assert now == split_games(tmp_path, V22, 0.3, seed=1)


@pytest.mark.parametrize("first", range(0, 108, 12))
def test_sides_hold_once_both_have_a_game_of_their_own(tmp_path: Path, first: int) -> None:
    """Datasets that grow game by game. Until then one game at most stands in for another, and is named."""
    train, rng, side = TrainConfig(holdout=0.125, seed=0), np.random.default_rng(first), dict[str, str]()
    settled = False
    for index in range(first, first + 12):
        add_game(tmp_path, index, game_columns(rng, 4))
        split = split_games(tmp_path, V22, train.holdout, train.seed)
        moved = moved_over(split.to_json(), train)
        now = dict.fromkeys(split.train, "train") | dict.fromkeys(split.valid, "valid")
        changed = {match for match in side if side[match] != now[match]}
        assert not (settled and (changed or moved)) and len(moved) <= 1
        settled = settled or (not moved and split.train != split.valid)
        assert len(changed) <= 1 and split.valid
        side = {} if split.train == split.valid else now


@pytest.mark.parametrize(("holdout", "low", "high"), [(0.125, 0.09, 0.16), (0.4, 0.35, 0.45)])
def test_as_many_games_are_held_out_as_was_asked(holdout: float, low: float, high: float) -> None:
    matches = [game_name(i) for i in range(1000)]
    assert low < sum(_hashed(match, 3) < holdout for match in matches) / len(matches) < high


def test_a_place_without_a_row_is_nowhere(tmp_path: Path) -> None:
    (name,) = write_dataset(tmp_path, [12])
    set_places(tmp_path, 100)
    corpus = load_corpus(tmp_path, [name], V22)
    assert set(corpus.place.tolist()) == {0} and STAGE.unknown not in ZONES
    session = corpus.session(V22, np.array([5]))
    assert (World(V22).session_places(session)[0, :4] / ONE).tolist() == [-300, 300, -200, 300]
    (games, _, _) = open_split(tmp_path, V22, 0.5, seed=0)
    assert set(games.corpus([0]).place.tolist()) == {0}


def test_the_split_follows_the_seed_and_the_share(tmp_path: Path) -> None:
    write_dataset(tmp_path, [4] * 40)
    splits = [split_games(tmp_path, V22, 0.25, seed).valid for seed in range(3)]
    assert len(set(splits)) == 3 and all(3 <= len(valid) <= 18 for valid in splits)
    assert set(splits[0]) < set(split_games(tmp_path, V22, 0.6, 0).valid)


def load_split(dataset: Path, encoding: Encoding, holdout: float, seed: int) -> tuple[Corpus, Corpus, Split]:
    """Both sides of a split, read whole."""
    *sides, split = open_split(dataset, encoding, holdout, seed=seed)
    train, valid = (games.corpus(range(len(games.names))) for games in sides)
    return train, valid, split


def split_two(tmp_path: Path, holdout: float) -> None:
    write_dataset(tmp_path, [20, 30])
    train, valid, split = load_split(tmp_path, V22, holdout, seed=0)
    assert len(split.train) == len(split.valid) == 1 and split.train != split.valid
    assert (train.names, valid.names) == (split.train, split.valid)
    assert len(train.windows(V22)) and len(valid.windows(V22))


def test_of_two_games_one_validates(tmp_path: Path) -> None:
    split_two(tmp_path, 1e-6)


def test_of_two_games_one_trains(tmp_path: Path) -> None:
    split_two(tmp_path, 0.9999)


def test_a_game_without_a_column_is_skipped(tmp_path: Path) -> None:
    columns = game_columns(np.random.default_rng(0), 6)
    old = add_game(tmp_path, 0, columns, missing=["self_y", "hitlag"])
    new = [add_game(tmp_path, i, columns) for i in (1, 2)]
    split = split_games(tmp_path, V22, 0.5, 0)
    assert split.skipped == (old,) and sorted(split.train + split.valid) == sorted(new)
    assert split_games(tmp_path, Encoding("v1", 3), 0.5, 0).skipped == ()
    assert load_corpus(tmp_path, [old], Encoding("v1", 3)).names == (old,)


def test_nothing_but_old_games_is_an_error(tmp_path: Path) -> None:
    add_game(tmp_path, 0, game_columns(np.random.default_rng(0), 6), missing=["hitlag"])
    with pytest.raises(WmTrainError, match=r"none of 1 games has every field of encoding v2\.2"):
        split_games(tmp_path, V22, 0.5, 0)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 0.9))
def test_a_single_game_is_split_by_time(tmp_path_factory: pytest.TempPathFactory, holdout: float) -> None:
    folder = tmp_path_factory.mktemp("one")
    write_dataset(folder, [40])
    train, valid, split = load_split(folder, V22, holdout, 0)
    whole = load_corpus(folder, [game_name(0)], V22)
    assert split.train == split.valid == (game_name(0),)
    held, before = int(40 * holdout), int(40 * (1 - holdout) / 2)
    for name in ("frames", "inputs", "place"):
        parts = getattr(train, name)[:before], getattr(valid, name), getattr(train, name)[before:]
        assert (np.concatenate(parts) == getattr(whole, name)).all()
    assert (train.game == [0] * before + [1] * (40 - held - before)).all() and len(train.names) == 2
    assert not valid.game.any() and len(valid.game) == held


def test_held_out_is_what_was_not_trained_on(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [20, 30, 25])
    split = {"train": [names[0]], "valid": [names[1]]}
    assert set(held_out(tmp_path, V22, split, 0.3).names) == {names[1], names[2]}
    with pytest.raises(WmTrainError, match="trained on all 3 usable games"):
        held_out(tmp_path, V22, {"train": names, "valid": []}, 0.3)


def test_held_out_of_a_single_game_is_its_middle(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [40])
    _, valid, split = load_split(tmp_path, V22, 0.3, 0)
    got = held_out(tmp_path, V22, {"train": split.train, "valid": split.valid}, 0.3)
    assert (got.frames == valid.frames).all() and len(got.game) == int(40 * 0.3)
    other = add_game(tmp_path, 1, game_columns(np.random.default_rng(1), 9))
    assert held_out(tmp_path, V22, {"train": names, "valid": names}, 0.3).names == (other,)


def with_characters(folder: Path, games: int) -> tuple[set[str], set[str]]:
    """A dataset whose every third game has character 9: (names with it, names without)."""
    write_dataset(folder, [30] * games)
    set_characters(folder, [(9, 2) if i % 3 == 0 else (2, 20) for i in range(games)])
    listed = open_dataset(folder).games
    having = {game.md5 for game in listed if 9 in game.about["characters"]}
    return having, {game.md5 for game in listed} - having


def test_a_split_can_hold_a_character_out(tmp_path: Path) -> None:
    having, others = with_characters(tmp_path, 15)
    unseen = split_games(tmp_path, V22, 0.5, 0, hold_character=9)
    seen = split_games(tmp_path, V22, 0.5, 0, hold_character=9, hold_seen=True)
    assert set(unseen.train) == others and set(unseen.valid) < having
    assert set(unseen.skipped) == having - set(unseen.valid)
    assert seen.valid == unseen.valid and len(seen.train) == len(unseen.train)
    assert having - set(seen.valid) <= set(seen.train) <= (others | having) - set(seen.valid)
    assert set(seen.skipped) == others - set(seen.train)


@pytest.mark.parametrize("holdout", [0.001, 0.999])
def test_a_held_character_is_on_both_sides_where_it_is_seen(tmp_path: Path, holdout: float) -> None:
    having, _ = with_characters(tmp_path, 9)
    seen = split_games(tmp_path, V22, holdout, 0, hold_character=9, hold_seen=True)
    assert seen.valid and having & set(seen.train)


@pytest.mark.parametrize(("character", "found"), [(7, "0 of 6"), (2, "6 of 6"), (20, "1 of 6")])
def test_a_character_must_be_in_some_games_and_not_in_all(tmp_path: Path, character: int, found: str) -> None:
    write_dataset(tmp_path, [30] * 6)
    set_characters(tmp_path, [(2, 20)] + [(2, 9)] * 5)
    with pytest.raises(WmTrainError, match=f"{found} usable games have character {character}"):
        split_games(tmp_path, V22, 0.5, 0, hold_character=character)
