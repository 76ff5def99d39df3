"""Inputs: chance that repeats itself, replays that go round, and a keyboard that is a real terminal."""

import os
import pty
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.factories import random_inputs
from wm_live.session import inputs as module
from wm_live.session.inputs import by_chance, keyboard, neutral, replayed
from wm_train.melee.field_table import CONTROLS
from wm_train.melee.melee import GAME, PAD

KEYS, AXIS = PAD.keys, 80


NAMES = [control.name for control in CONTROLS]
LOW, HIGH = np.array([(control.lo, control.hi) for control in CONTROLS]).T


def test_a_replay_goes_round() -> None:
    game = random_inputs(np.random.default_rng(0), 7)
    inputs = replayed(game)
    assert all(np.array_equal(inputs(n), game[n % 7]) for n in range(30))


def test_chance_is_the_same_for_the_same_seed() -> None:
    rows = [np.stack([by_chance(GAME, seed)(n) for n in range(600)]) for seed in (3, 3, 4)]
    assert np.array_equal(rows[0], rows[1]) and not np.array_equal(rows[0], rows[2])
    assert np.array_equal(by_chance(GAME, 3)(77), rows[0][77]), "whatever was asked before"


def test_chance_is_in_range_and_moves() -> None:
    for seed in range(9):
        rows = np.stack([by_chance(GAME, seed)(n) for n in range(600)])
        assert rows.dtype == np.int8 and rows.shape == (600, 2, len(CONTROLS))
        assert (rows >= LOW).all() and (rows <= HIGH).all()
        changes = (np.diff(rows, axis=0) != 0).any(2)
        assert 40 < changes[:, 0].sum() <= 150 and 40 < changes[:, 1].sum() <= 150
        assert (rows[:, 0] != rows[:, 1]).any()


# --- the keyboard ---


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal that is standard input; what is written to the descriptor is typed there. No time passes."""
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    typed, end = pty.openpty()
    with os.fdopen(end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield typed
    os.close(typed)


def pressed(row: Any) -> dict[str, int]:
    """What one player presses."""
    return {name: int(value) for name, value in zip(NAMES, row, strict=True) if value}


def typed(terminal: int, keys: str, inputs: Any) -> dict[str, int]:
    """What the first player presses after these keys."""
    os.write(terminal, keys.encode())
    module.select.select([module.sys.stdin], [], [], 30)
    return pressed(inputs(0)[0])


@pytest.mark.parametrize("key", KEYS)
def test_each_key(terminal: int, key: str) -> None:
    name, value = KEYS[key]
    with keyboard(GAME, lambda frame: neutral(GAME)) as inputs:
        assert pressed(inputs(0)[0]) == {}
        assert typed(terminal, key.upper(), inputs) == {name: value}
        assert LOW[NAMES.index(name)] <= value <= HIGH[NAMES.index(name)]


def test_the_other_player_is_the_other_s(terminal: int) -> None:
    other = random_inputs(np.random.default_rng(0), 5)
    kept = other.copy()
    with keyboard(GAME, replayed(other)) as inputs:
        assert typed(terminal, "aj", inputs) == {"stick_x": -AXIS, "A": 1}
        assert all(np.array_equal(inputs(n)[1], kept[n, 1]) for n in range(5))
    assert np.array_equal(other, kept)


def test_a_key_is_let_go(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    with keyboard(GAME, lambda frame: neutral(GAME)) as inputs:
        assert typed(terminal, "d", inputs) == {"stick_x": AXIS}
        now += module.HELD_S * 0.9
        assert pressed(inputs(1)[0]) == {"stick_x": AXIS}
        now += module.HELD_S * 0.2
        assert pressed(inputs(2)[0]) == {}


@pytest.mark.parametrize("key", ["q", "Q"])
def test_q_ends_it_and_the_terminal_is_as_it_was(terminal: int, key: str) -> None:
    before = module.termios.tcgetattr(module.sys.stdin)
    with pytest.raises(KeyboardInterrupt), keyboard(GAME, lambda frame: neutral(GAME)) as inputs:
        assert module.termios.tcgetattr(module.sys.stdin) != before
        typed(terminal, key, inputs)
    assert module.termios.tcgetattr(module.sys.stdin) == before
