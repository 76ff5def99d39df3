"""thresholds.py: each event is cut where it is called best, and every executor cuts there."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import random_checkpoint, random_corpus, small_model

torch = pytest.importorskip("torch")

from wm_quant.convert import from_checkpoint  # noqa: E402
from wm_train.fit.thresholds import LEAST, best_cut, thresholds  # noqa: E402
from wm_train.nets.predict import heads_along  # noqa: E402
from wm_train.world.fields import PLAYERS  # noqa: E402

CORPUS = random_corpus(lengths=(60, 50))
CHECKPOINT = random_checkpoint(small_model(heads="lawful"))
WORLD = CHECKPOINT.config.model.world


def f1(said: np.ndarray, true: np.ndarray) -> float:
    return 2 * float((said & true).sum()) / max(float(said.sum() + true.sum()), 1.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=1, max_size=30))
def test_no_cut_calls_better(rows: list[tuple[int, bool]]) -> None:
    values, true = np.array([row[0] for row in rows], np.float64), np.array([row[1] for row in rows])
    got = f1(values > best_cut(values, true), true)
    assert got == pytest.approx(max(f1(values > cut, true) for cut in np.arange(-9, 9)))


def test_what_never_happens_is_cut_at_0() -> None:
    assert best_cut(np.arange(5.0), np.zeros(5, bool)) == 0


def test_what_is_told_by_hardly_anything_is_cut_at_0() -> None:
    """Its best cut, far below 0, would be wrong in most of what it calls."""
    true = np.arange(200) % 20 == 19
    blind = np.linspace(-1, -9, 200)
    assert best_cut(blind, true) == 0
    assert best_cut(blind + 9.0 * true, true) != 0, "and where it is told, it is cut there"


def test_events_that_happen_have_cuts_and_what_a_flag_becomes_has_none() -> None:
    found = thresholds(CHECKPOINT, CORPUS)
    assert set(found) <= set(WORLD.head_set.happenings) == {
        "action_changes", "landing", "take_off", "hit", "damage", "teleport", "age_reset",
    }  # fmt: skip
    assert {"action_changes", "landing", "take_off", "teleport"} <= set(found), "the corpus jumps about"
    assert thresholds(replace(CHECKPOINT, thresholds={"landing": 3.0}), CORPUS) == found, "they start from the logits"


def test_an_event_that_hardly_happens_keeps_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wm_train.fit.thresholds.LEAST", 10_000)
    assert LEAST < 10_000 and thresholds(CHECKPOINT, CORPUS) == {}


@pytest.mark.parametrize("form", ["float", "qat"])
def test_heads_fall_by_their_threshold_and_no_others(form: str) -> None:
    plain = replace(CHECKPOINT, form=form)
    cut, t = replace(plain, thresholds={"landing": 1.5}), CORPUS.windows(WORLD.encoding)
    ((_, before),), ((_, after),) = (list(heads_along(one, CORPUS, t)) for one in (plain, cut))
    moved = np.zeros(WORLD.outputs, bool)
    for player in range(PLAYERS):
        moved[WORLD.span(player, "landing")] = True
    assert (before[:, ~moved] == after[:, ~moved]).all()
    # A bias is rounded to the grid of its head's sums.
    assert np.abs((before - after)[:, moved] / 4096 - 1.5).max() < 0.02


def test_a_qnet_has_them_in_its_biases() -> None:
    bare, cut = (from_checkpoint(replace(CHECKPOINT, thresholds=t), parent="ab" * 32) for t in ({}, {"hit": -2.0}))
    differing = [name for name, array in bare.tensors.items() if (array != cut.tensors[name]).any()]
    assert differing == ["heads.bias"]
    rows = np.flatnonzero(bare.tensors["heads.bias"] != cut.tensors["heads.bias"])
    assert rows.tolist() == [WORLD.span(player, "hit").start for player in range(PLAYERS)]
