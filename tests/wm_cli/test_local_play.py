"""`wmq play --world`: a world by its name or folder, at a place and with a cast by their names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import small_model, small_qnet
from tests.verbs import run
from wm_cli import local_play
from wm_live.watch.arena import Arena
from wm_live.watch.server import deaf
from wm_live.watch.viewer import LiveFeed
from wm_quant.qnet import save_qnet


@pytest.fixture
def world(tmp_path: Path) -> Path:
    save_qnet(tmp_path / "mine", small_qnet(small_model("v2.2", "lawful")))
    return tmp_path / "mine"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Arena]:
    """What would have been served."""
    served: list[Arena] = []

    def serve(feed: LiveFeed, port: int, report: Any, hear: Any) -> None:
        assert isinstance(feed.source, Arena) and feed.source.hands and hear == feed.source.hands.hear
        served.append(feed.source)

    monkeypatch.setattr(local_play, "watch", serve)
    return served


def test_a_world_is_played_where_and_as_is_usual(world: Path, played: list[Arena]) -> None:
    assert run("play", "--world", str(world)).exit_code == 0
    (one,) = played
    assert (one.hello.place, one.hello.cast, one.fps) == (31, (22, 1), 60)
    assert not one.other(5).any()


def test_place_cast_and_second_player_are_named(world: Path, played: list[Arena]) -> None:
    given = ["--on", "final destination", "--cast", "Marth, fox", "--against", "random", "--start", "3", "--fps", "0"]
    assert run("play", "--world", str(world), *given).exit_code == 0
    (one,) = played
    assert (one.hello.place, one.hello.cast, one.fps) == (32, (18, 1), 0)
    assert any(one.other(n).any() for n in range(60))


def test_a_recorded_second_player_begins_from_its_game(
    world: Path, played: list[Arena], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.factories import write_dataset

    write_dataset(tmp_path / "games", [400, 400, 400, 400])
    monkeypatch.setattr(local_play, "REPLAYED", 60)
    given = ["--against", "replay", "--dataset", str(tmp_path / "games"), "--start", "7"]
    assert run("play", "--world", str(world), *given).exit_code == 0
    (one,) = played
    assert np.array_equal(one.other(0), one.corpus.inputs[one.t + 1])


def test_a_world_that_is_watched_has_chance_at_both_controllers(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(local_play, "watch", lambda feed, port, report, hear: served.append((feed.source, port, hear)))
    assert run("watch", "--world", str(world), "--start", "4", "--port", "5").exit_code == 0
    ((one, port, hear),) = served
    assert (one.hands, one.hello.pad, port, hear) == (None, None, 5, deaf)
    pressed = np.stack([one.other(n) for n in range(60)])
    assert pressed[:, 0].any() and pressed[:, 1].any()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--on", "Atlantis"], "--on: got 'Atlantis', expected one of"),
        (["--cast", "Fox"], "--cast: got 1 names, expected 2 with a comma between"),
        (["--cast", "Fox,Nemo"], "--cast: got 'Nemo', expected one of"),
        (["--opponent", "any"], "--world: is played on no chain; leave --guest and --opponent out"),
    ],
)
def test_a_mistake_is_told_in_one_line(world: Path, played: list[Arena], given: list[str], says: str) -> None:
    got = run("play", "--world", str(world), *given)
    assert got.exit_code == 2 and says in got.output and not played


def test_a_world_that_is_not_there_is_told_what_is_wanted(played: list[Arena], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for name in ("atlantis", "file"):
        got = run("play", "--world", str(tmp_path / name))
        assert got.exit_code == 1 and name in got.output and "Traceback" not in got.output and not played
