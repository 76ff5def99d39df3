"""Figures over many games: the same whatever is in memory at once, and in memory that does not grow with the games."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import random_corpus, write_dataset
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, held_out, measured, spread_out
from wm_train.games.store import HeldGames, StoredGames, open_held_out
from wm_train.grid.arithmetic import Ints
from wm_train.measure import evaluate as module
from wm_train.measure.evaluate import evaluate
from wm_train.measure.recorded import recorded
from wm_train.measure.rollouts import HORIZONS
from wm_train.measure.starts import rollout_starts, seeded_starts, start_counts, window_ends
from wm_train.measure.sums import Mean, Spread
from wm_train.measure.window import baselines
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

SHORT = Encoding("v2.2", 3)
LENGTHS = (90, 24, 40, 3, 61, 33, 70)
MOVES = baselines(GAME)["constant_velocity"]


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("asked", [{}, {"limit": 50}, {"limit": 3}, {"past": 7, "further": (30,)}])
def test_games_at_once_change_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], at_once: int
) -> None:
    """To the last bit: counts, means, quantiles, events, coverage and laws."""
    names = write_dataset(tmp_path, LENGTHS)
    split = {"train": names[:2]}
    shown = recorded(tmp_path, SHORT, split, 0.5)
    shown = replace(shown, seen=np.random.default_rng(0).integers(0, 200, shown.seen.shape))
    expected = evaluate(MOVES, held_out(tmp_path, SHORT, split, 0.5), SHORT, recorded=shown, **asked)
    monkeypatch.setattr(module, "GAMES_AT_ONCE", at_once)
    games, told = open_held_out(tmp_path, SHORT, split, 0.5), list[float]()
    assert evaluate(MOVES, games, SHORT, recorded=shown, advance=told.append, **asked) == expected
    assert sum(told) == pytest.approx(1)
    # Each block of games with its frames, and each frame ahead of its rollouts.
    assert len(told) > 20 and max(told) < 1
    assert asked or (len(expected["coverage"]), expected["events"]["landings"]["real"] > 0) == (3, True)


class Counted(HeldGames):
    """Games that say how many frames of theirs were asked for at once, at most, and which games were, in order."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(corpus)
        self.most, self.read = 0, list[int]()

    def corpus(self, games: Sequence[int] | Ints) -> Corpus:
        found = super().corpus(games)
        self.most = max(self.most, len(found.game))
        self.read += np.asarray(games).tolist()
        return found


def test_no_more_games_are_in_memory_than_are_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAMES_AT_ONCE", 2)
    games = Counted(random_corpus(lengths=(50,) * 20))
    evaluate(MOVES, games, SHORT, starts=5)
    assert games.most == 100


def test_a_limit_reads_no_game_that_it_has_no_frame_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAMES_AT_ONCE", 1)
    games = Counted(random_corpus(lengths=(50,) * 20))
    evaluate(MOVES, games, SHORT, limit=3, starts=1)
    (start,) = seeded_starts(games.lengths, SHORT, max(HORIZONS), 1, seed=0).game.tolist()
    assert start not in (0, 9, 19) and games.read == sorted([0, 9, 19, start])


@pytest.mark.parametrize(("horizon", "past", "starts"), [(0, 0, 300), (1, 0, 7), (20, 0, 300), (5, 30, 9), (60, 0, 5)])
def test_starts_are_those_that_a_look_at_every_frame_gives(horizon: int, past: int, starts: int) -> None:
    corpus = random_corpus(lengths=LENGTHS)
    t = window_ends(corpus, SHORT, past)
    t = t[t + horizon < len(corpus.game)]
    t = t[corpus.game[t] == corpus.game[t + horizon]]
    assert start_counts(np.array(LENGTHS), SHORT, horizon, past).sum() == len(t)
    picked = np.sort(np.random.default_rng(4).choice(t, min(starts, len(t)), replace=False))
    assert rollout_starts(corpus, SHORT, horizon, starts, 4, past).tolist() == picked.tolist()


def test_quantiles_are_those_of_all_numbers() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 20, 999, 1000):
        numbers = np.abs(rng.normal(0, 40, size).round()) / 4096
        parts = [Spread.of(part) for part in np.array_split(numbers, 3) if len(part)]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined + part
        assert [joined.quantile(share) for share in (0.0, 0.5, 0.95, 1.0)] == [
            np.quantile(numbers, share) for share in (0.0, 0.5, 0.95, 1.0)
        ]
        assert joined.counts.sum() == size and len(joined.numbers) <= 200


def test_a_mean_of_nothing_is_none() -> None:
    assert Mean.of(np.zeros(0)).value is None
    assert (Mean.of(np.array([True, False])) + Mean.of(np.array([True, True]))).value == 0.75


def test_at_most_so_many_games_are_measured(tmp_path: Path) -> None:
    """Evenly spread, the same ones in memory and from disk; all where there are not more."""
    names = sorted(write_dataset(tmp_path, [30] * 7))
    assert spread_out(7, 3).tolist() == [0, 3, 6] and spread_out(3, 7).tolist() == [0, 1, 2]
    assert measured(names[::-1], 3) == [names[i] for i in (0, 3, 6)]
    assert held_out(tmp_path, SHORT, {"train": names[:2]}, 0.5, most=2).names == (names[2], names[6])
    found = open_held_out(tmp_path, SHORT, {"train": names[:2]}, 0.5, most=2)
    assert isinstance(found, StoredGames) and found.names == (names[2], names[6])
    assert held_out(tmp_path, SHORT, {"train": names[:2]}, 0.5).names == tuple(names[2:])


def test_one_game_on_both_sides_is_measured_in_its_middle(tmp_path: Path) -> None:
    (name,) = write_dataset(tmp_path, [90])
    split = {"train": [name], "valid": [name]}
    games = open_held_out(tmp_path, SHORT, split, 0.5)
    assert games.lengths.tolist() == [45]
    with pytest.raises(WmTrainError, match="trained on all"):
        open_held_out(tmp_path, SHORT, {"train": [name], "valid": []}, 0.5)


def test_memory_does_not_grow_with_the_games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAMES_AT_ONCE", 2)
    peaks = []
    for number in (4, 40):
        write_dataset(tmp_path / str(number), [300] * number)
        games = open_held_out(tmp_path / str(number), SHORT, {}, 0.5)
        tracemalloc.start()
        evaluate(MOVES, games, SHORT, starts=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
