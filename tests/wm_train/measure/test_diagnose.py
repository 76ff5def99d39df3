"""diagnose.py: each gate opens on the error that it is for, and on no other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import (
    ONE,
    V22,
    add_game,
    game_columns,
    random_checkpoint,
    random_corpus,
    small_model,
    write_dataset,
)
from tests.verbs import figures, run
from wm_train.checkpoint import save_checkpoint
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, load_corpus
from wm_train.measure.diagnose import ENOUGH, Seen, Verdict, aside_of, head_figures, predicted, verdicts
from wm_train.melee.field_table import CONTROLS, STATE_INDEX
from wm_train.melee.gates import GATES
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS

FIELDS = Encoding("v2.1", 1, MeleeFlags(projectiles=True, stale_moves=True))
LENGTH = 1200


def field(frames: Any, name: str) -> Any:
    return frames[..., STATE_INDEX[name]]


@pytest.fixture
def seen() -> Seen:
    """A game in which nothing is ever hit, pressed or near, actions 0..3 change by chance, and all is predicted."""
    rng = np.random.default_rng(0)
    corpus = random_corpus(0, (LENGTH,), FIELDS)
    corpus.frames[:] = 0
    corpus.inputs[:] = 0
    field(corpus.frames, "action")[:] = rng.integers(0, 4, (LENGTH, PLAYERS))
    field(corpus.frames, "character")[:] = [1, 2]
    corpus.frames[..., FIELDS.frame_index["item_distance"]] = 256 * ONE
    t = np.arange(LENGTH - 1)
    return Seen(t, corpus.frames[t], corpus.frames[t + 1].copy(), corpus.frames[t + 1], corpus, GAME, corpus, FIELDS)


def gate(seen: Seen, name: str) -> Verdict:
    return next(v for v in verdicts(seen) if v.name == name)


def half(rng: np.random.Generator) -> Any:
    return rng.random((LENGTH - 1, PLAYERS)) < 0.5


def mixed(seen: Seen, bad: Any) -> None:
    """Player 1's character is in every action less often, and wrong more often."""
    field(seen.corpus.frames, "action")[::4, 1] = 5
    seen.now[:], seen.true[:] = seen.corpus.frames[seen.t], seen.corpus.frames[seen.t + 1]
    seen.after[:] = seen.true
    field(seen.after, "action")[:, 1][bad[:, 1]] = 77
    field(seen.after, "action")[:, 0][::20] = 77


def hits(seen: Seen, bad: Any) -> None:
    field(seen.now, "hitlag")[bad] = ONE
    field(seen.after, "x")[:] += np.where(bad, 4 * ONE, ONE)


def repeated(seen: Seen, bad: Any) -> None:
    aside = seen.corpus.frames
    field(aside, "last_attack")[:] = 7
    aside[:-1, :, FIELDS.frame_index["stale_3"]] = np.where(bad[:, ::-1], 7, 9)
    field(seen.true, "percent")[:] = 10 * ONE
    field(seen.after, "percent")[:] = np.where(bad, 14 * ONE, 11 * ONE)


def rare(seen: Seen, bad: Any) -> None:
    there = np.zeros_like(bad)
    there[::15] = True
    field(seen.true, "action")[there] = 300
    field(seen.after, "action")[:] = np.where(there, 0, field(seen.true, "action"))


def near(seen: Seen, bad: Any) -> None:
    distance = seen.corpus.frames[:-1, :, FIELDS.frame_index["item_distance"]]
    seen.corpus.frames[:-1, :, FIELDS.frame_index["item_distance"]] = np.where(bad, 5 * ONE, distance)
    field(seen.after, "y")[:] += np.where(bad, 2 * ONE, ONE)


def long_actions(seen: Seen, bad: Any) -> None:
    field(seen.now, "state_age")[bad] = 128 * ONE
    field(seen.now, "state_age")[~bad] = 127 * ONE
    field(seen.after, "action")[bad] = 77


def edges(seen: Seen, bad: Any) -> None:
    seen.corpus.inputs[1::2, :, [f.name for f in CONTROLS].index("B")] = 1
    field(seen.after, "action")[::2] = 77


def early(seen: Seen, bad: Any) -> None:
    later = field(seen.corpus.frames, "action")[3:]
    field(seen.after, "action")[: len(later) - 1] = later[:-1]


PLANTED: dict[str, Callable[[Seen, Any], None]] = {
    "mixed_characters": mixed,
    "hits": hits,
    "repeated_moves": repeated,
    "rare_actions": rare,
    "items_near": near,
    "long_actions": long_actions,
    "button_edges": edges,
    "early_actions": early,
}


def test_a_model_that_is_always_right_opens_no_gate(seen: Seen) -> None:
    assert [v.name for v in verdicts(seen)] == [g.name for g in GATES] == list(PLANTED)
    assert not any(v.open for v in verdicts(seen))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_opens_its_gate(seen: Seen, name: str) -> None:
    before = gate(seen, name)
    PLANTED[name](seen, half(np.random.default_rng(1)))
    after = gate(seen, name)
    assert not before.open and after.open and after.value is not None and after.value > after.threshold
    assert min(after.suspect_frames, after.ordinary_frames) >= ENOUGH


def test_values_are_ratios_and_differences(seen: Seen) -> None:
    bad = half(np.random.default_rng(1))
    hits(seen, bad)
    verdict = gate(seen, "hits")
    assert (verdict.suspect, verdict.ordinary, verdict.value) == (2.0, 0.5, 4.0)
    assert (verdict.suspect_frames, verdict.ordinary_frames) == (bad.sum(), (~bad).sum())
    edges(seen, bad)
    assert gate(seen, "button_edges").value == 1.0


def test_few_frames_say_nothing(seen: Seen) -> None:
    bad = np.zeros((LENGTH - 1, PLAYERS), bool)
    bad[:20] = True
    hits(seen, bad)
    verdict = gate(seen, "hits")
    assert (verdict.open, verdict.value, verdict.suspect_frames) == (None, None, 40)


def test_what_the_games_lack_is_not_judged(seen: Seen) -> None:
    bare = Seen(seen.t, seen.now, seen.after, seen.true, seen.corpus, GAME, None, FIELDS)
    assert {v.name for v in verdicts(bare) if v.open is None} >= {"repeated_moves", "items_near"}


def test_an_action_that_comes_in_the_next_game_is_not_early(seen: Seen) -> None:
    early(seen, None)
    apart = Corpus(seen.corpus.frames, seen.corpus.inputs, seen.corpus.place, np.arange(LENGTH), ())
    split = Seen(seen.t, seen.now, seen.after, seen.true, apart, GAME, None, FIELDS)
    assert (gate(seen, "early_actions").value or 0) > 0.5 and gate(split, "early_actions").value == 0


def test_heads_are_those_that_the_encoding_embeds(seen: Seen) -> None:
    rare(seen, half(np.random.default_rng(1)))
    heads = {head["name"]: head for head in head_figures(seen, V22)}
    assert list(heads) == ["action", "jumps", "l_cancel", "hurtbox", "ground", "last_attack"]
    action = heads["action"]
    assert (action["ids"], action["width"], action["common"], action["rare"]) == (400, 32, 1.0, 0.0)
    assert heads["jumps"] | {"name": ""} == {"name": "", "ids": 8, "width": 4, "changes": 0, "rare": None,
                                             "common": None}  # fmt: skip


def test_predictions_follow_the_games(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [30, 40])
    corpus = load_corpus(tmp_path, [names[1]], Encoding("v2.2", 3))
    aside, fields = aside_of(GAME, tmp_path, corpus, {"train": [names[0]], "valid": [names[1]]}, 0.5)
    assert (
        aside is not None
        and fields is not None
        and aside.names == corpus.names
        and "item_distance" not in fields.frame_index
    )
    seen = predicted(lambda window: window.now, Encoding("v2.2", 3), corpus, (aside, fields), limit=10)
    assert (seen.after == seen.now).all() and len(seen.t) == 10
    assert (seen.now == corpus.frames[seen.t]).all() and (seen.true == corpus.frames[seen.t + 1]).all()
    assert aside_of(GAME, tmp_path, corpus, {"train": [names[1]], "valid": [names[0]]}, 0.5)[0] is None
    with pytest.raises(WmTrainError, match="no game has 51 frames in a row"):
        predicted(lambda window: window.now, Encoding("v2.2", 50), corpus, (None, fields))


def test_the_verb_says_which_gate_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    names = [add_game(tmp_path / "ds", i, game_columns(rng, 80)) for i in range(2)]
    checkpoint = random_checkpoint(small_model(flags=MeleeFlags(press_events="all")))
    Path("run").mkdir()
    save_checkpoint(Path("run"), replace(checkpoint, split={"train": names[:1], "valid": names[1:]}))
    found = figures("diagnose", "run", "--dataset", "ds")
    assert [v["name"] for v in found["gates"]] == list(PLANTED) and found["flags"] == {"press_events": "all"}
    assert (found["frames"], found["games"], len(found["heads"])) == (77, 1, 6)
    shown = run("diagnose", "run", "--dataset", "ds", "--limit", "20")
    assert shown.exit_code == 0 and "press_events" in shown.stdout and "last_attack" in shown.stdout
