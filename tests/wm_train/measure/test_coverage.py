"""recorded.py and coverage.py: what is counted of which games, and errors by how often something was seen."""

from pathlib import Path

import numpy as np
import pytest

from tests.factories import ONE, still_corpus, write_dataset
from wm_train.games.corpus import load_corpus
from wm_train.measure import recorded as module
from wm_train.measure.coverage import Coverage
from wm_train.measure.evaluate import evaluate, one_step
from wm_train.measure.recorded import Recorded, recorded
from wm_train.measure.window import persistence
from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

CAST, ACTIONS = (STATE[STATE_INDEX[name]].vocab for name in ("character", "action"))
SHORT = Encoding("v2.2", 3)


def seen(**counts: int) -> Recorded:
    """Training in which character 1 was in action N as often as `aN` says."""
    table = np.zeros((CAST, ACTIONS), np.int64)
    for action, count in counts.items():
        table[1, int(action[1:])] = count
    return Recorded(1, 1, table, None)


def test_errors_are_by_how_often_training_has_seen_who_does_what() -> None:
    corpus = still_corpus((64,))
    corpus.frames[..., STATE_INDEX["character"]] = 1
    action, x = (corpus.frames[..., STATE_INDEX[name]] for name in ("action", "x"))
    action[:, 0], action[:20, 0] = 7, 8
    x[1:21, 0] = 4 * ONE * (np.arange(20) % 2 == 0)  # moves by 4 in each frame whose past is in action 8
    x[21:, 0] = x[20, 0]
    t = np.arange(2, 62)
    errors = one_step(persistence, corpus, SHORT, t)
    rows = Coverage.of(GAME, errors.means, corpus.frames[t], seen(a0=99, a7=100, a8=0)).figures()
    assert [(row["seen_from"], row["seen_to"], row["player_frames"]) for row in rows] == [
        (0, 1, 18), (1, 100, 60), (100, 1000, 42)]  # fmt: skip
    assert rows[0]["position_mae"] == 2.0 and rows[2]["position_mae"] == 0
    assert rows[0]["action_change_acc"] == 0 and rows[0]["action_acc"] == pytest.approx(17 / 18)
    assert rows[1]["action_acc"] == 1


def test_counts_are_of_the_games_that_were_trained_on(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [30, 40, 50])
    split = {"train": names[:2], "valid": names[2:]}
    got = recorded(tmp_path, SHORT, split, 0.5)
    assert (got.games, got.trained, int(got.seen.sum())) == (3, 2, 2 * (30 + 40))
    one = load_corpus(tmp_path, names[:1], SHORT)
    action = int(one.frames[0, 0, STATE_INDEX["action"]])
    alone = recorded(tmp_path, SHORT, {"train": names[:1]}, 0.5).seen.sum(0)
    assert alone[action] == (one.frames[..., STATE_INDEX["action"]] == action).sum()
    # Laws are of the game, not of the run: their tables are of every game.
    assert got.known is not None and got.known.to_json()["games"] == got.to_json()["games"] == 3
    assert got.known.to_json()["frames"] == 120


def test_of_a_game_that_serves_as_both_the_held_out_middle_is_not_counted(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [100])
    got = recorded(tmp_path, SHORT, {"train": names, "valid": names}, 0.4)
    assert int(got.seen.sum()) == 2 * 60


def test_so_many_games_are_counted_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_dataset(tmp_path, [30, 40, 50])
    monkeypatch.setattr(module, "GAMES", 2)
    assert recorded(tmp_path, SHORT, {"train": names}, 0.5).games == 2


def test_without_the_training_games_there_is_no_coverage(tmp_path: Path) -> None:
    write_dataset(tmp_path, [60, 60])
    got = recorded(tmp_path, SHORT, {"train": []}, 0.5)
    corpus = load_corpus(tmp_path, [path.stem for path in sorted(tmp_path.glob("*.parquet"))], SHORT)
    figures = evaluate(persistence, corpus, SHORT, recorded=got, starts=4)
    assert figures["coverage"] == [] and 0 <= figures["rollout"]["5"]["lawful"] <= 1
