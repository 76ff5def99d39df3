"""Figures of a bench: by hand, and that real ones are what was run."""

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.wm_live.games import FRAMES, deployed_on, moves
from wm_cli.tally import Tally
from wm_live.bench import pace as bench
from wm_live.bench.pace import Run
from wm_live.localnet.servers import Localnet
from wm_live.session.game import bring_up, take_down
from wm_live.session.inputs import neutral
from wm_live.session.lifecycle import need_session
from wm_live.session.play import Beat
from wm_train.world.definition import FPS
from wm_train.world.registry import find_game


def beat(number: int, sent: float, seen: float, late: bool = False, state: Any = None) -> Beat:
    """A beat with these times."""
    return Beat(number, neutral(find_game()), state, sent, seen, late)


PACED = [
    Run([beat(n, n / 60, n / 60 + 0.004, late=n in (3, 7)) for n in range(120)], 2.0),
    Run([beat(n, n / 60, n / 60 + 0.006) for n in range(120)], 2.5),
]
FULL = [Run([beat(n, n / 500, 0.002 + n / 400) for n in range(100)], 0.25), Run([beat(0, 0, 0)] * 50, 0.5)]


def test_figures_by_hand() -> None:
    figures = bench.figures(PACED, FULL[:1], steps=3, wanted_fps=60)
    assert {name: figures[name] for name in ("sessions", "steps", "wanted_fps", "frames")} == {
        "sessions": 2,
        "steps": 3,
        "wanted_fps": 60,
        "frames": 240,
    }
    assert (figures["fps"], figures["seconds"], figures["late_frames"]) == (48.0, 2.5, 2)
    assert figures["round_trip_ms"] == {"p50": 5.0, "p95": 6.0, "p99": 6.0}
    assert figures["execution_ms"] == {"p50": 2.5, "p95": 2.5, "p99": 2.5}
    assert figures["max_fps"] == 400.0
    assert bench.figures(PACED, FULL, 1, 60)["max_fps"] == 500.0, "of all sessions together"


def test_time_between_sessions_is_nobody_s() -> None:
    runs = [Run([beat(0, 0, 0.0), beat(1, 0, 0.01)], 1), Run([beat(0, 0, 5.0), beat(1, 0, 5.03)], 1)]
    assert bench.execution_ms(runs) == pytest.approx([10, 30])


def test_percentiles() -> None:
    assert bench.percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    assert bench.percentiles([7]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}
    assert bench.percentiles(list(range(101))) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_tally(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("wm_cli.tally.time.monotonic", lambda: now)
    tally = Tally()
    assert tally.figures() == {
        "frames": 0,
        "fps": 0.0,
        "late_frames": 0,
        "round_trip_ms": {"p50": 0.0, "p95": 0.0, "p99": 0.0},
    }
    for number in range(10):
        now += 0.025
        tally.add(beat(number, 1.0, 1.002, late=number == 4, state=object() if number else None))
    assert tally.figures() == {
        "frames": 10,
        "fps": 40.0,
        "late_frames": 1,
        "round_trip_ms": {"p50": 2.0, "p95": 2.0, "p99": 2.0},
    }
    assert tally.unseen == 1


@pytest.mark.parametrize("steps", [1, 3])
def test_sessions_together(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory, steps: int) -> None:
    """Two at the same time, paced and then unpaced, on the rollup."""
    deployed = deployed_on(localnet, tmp_path_factory, steps)

    async def run() -> None:
        async with deployed.own() as own:
            games = [own.game(next(deployed.numbers), deployed.window) for _ in range(2)]
            for game in games:
                await bring_up(game, deployed.window)
            sessions, keys = [game.session for game in games], [game.keys for game in games]
            paced = await bench.together(own.places.rollup, sessions, keys, moves(), FRAMES, FPS)
            full = await bench.together(own.places.rollup, sessions, keys, moves(), FRAMES, 0)
            figures = bench.figures(paced, full, steps, FPS)
            states = [await need_session(own.places.rollup, session) for session in sessions]
            assert [state.frame_number for state in states] == [2 * FRAMES] * 2
            assert states[0].root == states[1].root, "the same inputs come to the same"
            assert all([it.number for it in one.beats] == list(range(k * FRAMES, (k + 1) * FRAMES))
                       for k, part in enumerate((paced, full)) for one in part)  # fmt: skip
            assert figures["frames"] == 2 * FRAMES and 0 < figures["fps"] <= FPS * FRAMES / (FRAMES - 1)
            assert np.isfinite(list(figures["execution_ms"].values())).all()
            for game in games:
                await take_down(game)

    asyncio.run(run())
