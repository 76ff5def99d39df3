"""game_kinds.py: what sets a game apart is told by name, in datasets and by what training takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Replays
from tests.factories import add_game, game_columns, set_kinds
from tests.wm_train.games.slp import BLOCK, PRE, STICK_X, Slp
from wm_train.errors import WmTrainError
from wm_train.games.corpus import held_out, split_games
from wm_train.games.ingest import ingest
from wm_train.melee.columns import off_the_grid
from wm_train.melee.game_kinds import KINDS, kinds_of
from wm_train.melee.replays import RecordingError, parse_replay
from wm_train.world.encoding import Encoding

V22 = Encoding("v2.2", 3)


def start(player: dict[str, Any] | None = None, **about: Any) -> dict[str, Any]:
    """What a game of four stocks between two people was started with, as peppi gives it, but for what is named."""
    one = {"type": "Human", "stocks": 4, "bitfield": 192, "damage_start": 0, "damage_spawn": 0, "offense_ratio": 1.0,
           "defense_ratio": 1.0, "model_scale": 1.0}  # fmt: skip
    rules = {"bitfield": [50, 1, 134, 76], "item_spawn_frequency": -1, "damage_ratio": 1.0, "is_pal": False,
             "scene": {"minor": 2, "major": 8}, "bytes": ""}  # fmt: skip
    return rules | {"players": [one, one | (player or {})]} | about


@pytest.mark.parametrize(
    ("started", "kinds"),
    [
        (start(), []),
        (start(scene=None, is_pal=None), []),
        (start({"type": "Cpu"}), ["cpu"]),
        (start({"stocks": 3}), ["stocks"]),
        (start({"model_scale": 1.8}), ["giant"]),
        (start({"model_scale": 0.35}), ["tiny"]),
        (start({"bitfield": 193}), ["stamina"]),
        (start({"bitfield": 200}), ["invisible"]),
        (start({"damage_spawn": 300}), ["sudden-death"]),
        (start({"offense_ratio": 1.5}), ["handicap"]),
        (start(is_pal=True), ["pal"]),
        (start(item_spawn_frequency=2), ["items"]),
        (start(bitfield=[18, 1, 6, 76]), ["time"]),
        (start(scene={"minor": 2, "major": 19}), ["lightning"]),
        (start(scene={"minor": 2, "major": 30}), ["giant"]),
        (start(scene={"minor": 2, "major": 29}), ["tiny"]),
        (start(scene={"minor": 2, "major": 31}), ["stamina"]),
        (start(scene={"minor": 2, "major": 99}), ["other-menu"]),
        (start({"type": "Cpu", "stocks": 1}, is_pal=True), ["cpu", "stocks", "pal"]),
    ],
)
def test_what_sets_a_game_apart_has_a_name(started: dict[str, Any], kinds: list[str]) -> None:
    assert kinds_of(started, rounded=False) == kinds and set(kinds) <= set(KINDS)


def test_a_stick_is_on_the_grid_of_a_controller_or_is_told() -> None:
    grid = (np.arange(-80, 81) / 80).astype(np.float32)
    assert not off_the_grid(grid).any()
    assert off_the_grid(np.array([-127 / 128, 72 / 127, -39 / 128, 80 / 127 + 1e-6, 0.00001], np.float32)).all()
    assert kinds_of(start(), rounded=True) == ["rounded"]


@pytest.fixture
def small(fixture_replays: Replays) -> bytes:
    (path,) = fixture_replays.folder.glob("fb747d30*.slp")
    return path.read_bytes()


def about(data: bytes) -> Any:
    return parse_replay(data, "0" * 32).about


def test_the_facts_of_a_replay(small: bytes) -> None:
    assert about(small)["player_types"] == ["human", "human"] and about(small)["game_kinds"] == ["stocks"]
    assert about(small)["rounded_sticks"] == [0, 0]
    four = Slp(small).player(0, 2, "B", 4).player(1, 2, "B", 4)
    assert about(four.bytes)["game_kinds"] == []
    assert about(Slp(four.bytes).start(BLOCK + 0x34, ">f", 1.5).bytes)["game_kinds"] == ["lightning"]
    assert about(Slp(four.bytes).start(BLOCK + 0x34, ">f", 0.5).bytes)["game_kinds"] == ["slow-motion"]
    sticks = (-127 / 128, 72 / 127, -39 / 128, 40 / 80)
    odd = Slp(four.bytes).each(PRE, 1, STICK_X, ">f", lambda number: sticks[number % 4])
    assert about(odd.bytes)["game_kinds"] == ["rounded"] and about(odd.bytes)["rounded_sticks"] == [0, 135]
    computer = Slp(odd.bytes).player(1, 1, "B", 1)
    assert about(computer.bytes)["player_types"] == ["human", "cpu"] and about(computer.bytes)["game_kinds"] == ["cpu"]


def test_a_whole_file_is_not_called_truncated(small: bytes) -> None:
    """As of a development version: it says 3.17 and lacks what that version added last."""
    newer = Slp(small)
    at = next(newer.events(0x36))
    newer.data[at + 1 : at + 4] = bytes((3, 17, 0))
    with pytest.raises(RecordingError, match=r"a whole file, but its events are shorter than those of 3\.17\.0") as got:
        parse_replay(newer.bytes, "0" * 32)
    assert got.value.reason == "unsupported_version"
    with pytest.raises(RecordingError) as got:
        parse_replay(newer.bytes[:-2000], "0" * 32)
    assert got.value.reason == "truncated"


def with_kinds(folder: Path) -> dict[str, str]:
    """Games of several kinds, by name."""
    kinds = {"a": [], "b": [], "c": ["cpu"], "d": ["cpu", "giant"], "e": ["stocks"]}
    rng = np.random.default_rng(0)
    names = {name: add_game(folder, index, game_columns(rng, 20)) for index, name in enumerate(kinds)}
    set_kinds(folder, {names[name]: words for name, words in kinds.items()})
    return names


@pytest.mark.parametrize(
    ("only", "taken"),
    [
        (("standard",), "ab"),
        (("standard", "cpu"), "abc"),
        (("cpu", "giant"), "cd"),
        (("stocks",), "e"),
        (("any",), "abcde"),
    ],
)
def test_a_split_takes_games_by_kind(tmp_path: Path, only: tuple[str, ...], taken: str) -> None:
    names = with_kinds(tmp_path)
    split = split_games(tmp_path, V22, 0.3, 0, only=only)
    assert {*split.train, *split.valid} == {names[name] for name in taken}
    assert set(split.skipped) == set(names.values()) - {*split.train, *split.valid}
    apart = (
        held_out(tmp_path, V22, split.to_json() | {"train": [names[taken[0]]], "valid": []}, 0.3) if taken[1:] else None
    )
    assert apart is None or set(apart.names) == {names[name] for name in taken[1:]}


def test_training_takes_standard_games_if_nothing_is_said(tmp_path: Path) -> None:
    names = with_kinds(tmp_path)
    assert split_games(tmp_path, V22, 0.3, 0) == split_games(tmp_path, V22, 0.3, 0, only=("standard",))
    set_kinds(tmp_path, {match: ["cpu"] for match in names.values()})
    with pytest.raises(WmTrainError, match=r"none of 5 games is standard: there are 5 cpu; .*--only any"):
        split_games(tmp_path, V22, 0.3, 0)
    with pytest.raises(WmTrainError, match="only: got 'standart', expected kinds of games: standard, cpu, stocks"):
        split_games(tmp_path, V22, 0.3, 0, only=("standart",))


def test_ingest_says_what_it_has_read(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "one.slp").write_bytes(Slp(small).player(1, 1, "B", 1).bytes)
    report = ingest([tmp_path / "one.slp"], tmp_path / "out", 1)
    assert dict(report.kinds) == {"cpu": 1, "stocks": 1} and report.rounded == 0
