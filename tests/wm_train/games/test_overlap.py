"""overlap.py and fingerprints: which games are shared, and when that spoils a figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import add_game, game_columns, game_name, write_dataset
from wm_train.errors import WmTrainError
from wm_train.games.corpus import split_games
from wm_train.games.dataset import fingerprint, open_dataset
from wm_train.games.overlap import Use, overlap, use_of_dataset, use_of_split
from wm_train.world.encoding import Encoding


def use(train: str, valid: str, holdout: float = 0.1) -> Use:
    return use_of_split("run", {"train": list(train), "valid": list(valid)}, holdout)


def found(a: Use, b: Use) -> list[tuple[str, str, str, bool]]:
    return [(s.first, s.second, "".join(s.games), s.leak) for s in overlap(a, b)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (use("abc", "de"), use("abx", "dy"), [("train", "train", "ab", False), ("valid", "valid", "d", False)]),
        (use("abc", "de"), use("dx", "ay"), [("train", "valid", "a", True), ("valid", "train", "d", True)]),
        (use("ab", "c"), use("de", "f"), []),
        (use("a", "a"), use("a", "a"), [("cut", "cut", "a", False)]),
        (use("a", "a", 0.1), use("a", "a", 0.2), [("cut", "cut", "a", True)]),
        (use("a", "a"), use("ab", "c"), [("cut", "train", "a", True)]),
        (use("ab", "c"), use("c", "c"), [("valid", "cut", "c", True)]),
        (use("ab", "c"), Use("d", {"a": "listed", "c": "listed"}),
         [("train", "listed", "a", False), ("valid", "listed", "c", False)]),
    ],
)  # fmt: skip
def test_shared_games_by_role(a: Use, b: Use, expected: list[tuple[str, str, str, bool]]) -> None:
    assert found(a, b) == expected


@pytest.mark.parametrize("split", [{}, {"train": ["a"]}, {"train": ["a"], "valid": [1]}, {"train": "a", "valid": "b"},
                                   {"train": [], "valid": ["a"]}])  # fmt: skip
def test_a_split_without_games_is_an_error(split: dict[str, Any]) -> None:
    with pytest.raises(WmTrainError, match=r"run: split has no list of (train|valid) games"):
        use_of_split("run", split, 0.1)


def test_a_fingerprint_is_of_the_set_of_games(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [5, 6])
    both = open_dataset(tmp_path).fingerprint
    assert both == fingerprint(names) == fingerprint(names[::-1] + names[:1])
    assert len({both, fingerprint(names[:1]), fingerprint([])}) == 3
    add_game(tmp_path, 9, game_columns(np.random.default_rng(0), 5), missing=["hitlag"])
    assert open_dataset(tmp_path).fingerprint == fingerprint([*names, game_name(9)]) != both
    split = split_games(tmp_path, Encoding("v2.2", 3), 0.5, 0)
    assert split.skipped == (game_name(9),) and split.fingerprint == open_dataset(tmp_path).fingerprint


def test_a_dataset_lists_its_games(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [5, 6])
    assert use_of_dataset("d", open_dataset(tmp_path)) == Use("d", dict.fromkeys(sorted(names), "listed"))
