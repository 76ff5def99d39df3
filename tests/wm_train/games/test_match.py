"""match.py: what a game goes by is told by the game, whatever file it is in; and a dataset has each game once."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import Replays
from tests.factories import game_columns
from tests.wm_train.games.slp import POST, POST_ACTION, STAGE, START, Slp
from wm_train.errors import WmTrainError
from wm_train.games.corpus import split_games
from wm_train.games.dataset import open_dataset, read_meta
from wm_train.games.ingest import ingest
from wm_train.games.match import FIRST_FRAMES, first_columns, match_of
from wm_train.games.overlap import overlap, use_of_dataset
from wm_train.games.recordings import Recording
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

LONG = FIRST_FRAMES + 50


@pytest.fixture
def game() -> Recording:
    return Recording("0" * 32, {}, pa.table(game_columns(np.random.default_rng(1), LONG)), (), seed=7)


def changed(game: Recording, column: str, row: int) -> Recording:
    values = game.table.column(column).to_numpy().copy()
    values[row] += 1
    at = game.table.column_names.index(column)
    return replace(game, table=game.table.set_column(at, column, pa.array(values)))


def test_a_game_goes_by_its_first_frames_and_its_seed(game: Recording) -> None:
    same = match_of(game, GAME)
    assert match_of(replace(game, md5="1" * 32, about={"x": 1}), GAME) == same
    assert match_of(replace(game, table=game.table.slice(0, FIRST_FRAMES)), GAME) == same
    assert match_of(replace(game, table=game.table.drop_columns(["p0_hitlag", "p1_self_y"])), GAME) == same
    assert match_of(changed(game, "p1_x", FIRST_FRAMES), GAME) == same
    others = [changed(game, name, FIRST_FRAMES - 1) for name in ("p0_x", "p1_buttons", "p0_stick_y", "p1_action")]
    others += [replace(game, seed=8), replace(game, table=game.table.slice(0, FIRST_FRAMES - 1))]
    assert len({same, *(match_of(other, GAME) for other in others)}) == 1 + len(others)


def test_a_game_played_online_goes_by_its_name(game: Recording) -> None:
    online = replace(game, match="mode.ranked-2022-12-20T05:36:47.50-0 1 1")
    same = match_of(online, GAME)
    assert match_of(changed(online, "p0_x", 3), GAME) == same
    assert match_of(replace(online, seed=8), GAME) != same != match_of(replace(online, match=online.match + "0"), GAME)


def test_the_columns_of_a_match_are_those_of_every_version() -> None:
    names = first_columns(GAME)
    assert {"p0_x", "p1_stick_x", "p0_buttons", "p1_action"} < set(names)
    assert not {"p0_hitlag", "p0_self_y", "p0_airborne", "p0_ground"} & set(names)


@pytest.fixture
def recordings(fixture_replays: Replays, tmp_path: Path) -> dict[str, Path]:
    """Four recordings of one game: whole, cut short, and written anew; and one of another game."""
    (path,) = fixture_replays.folder.glob("fb747d30*.slp")
    data, folder = path.read_bytes(), tmp_path / "in"
    folder.mkdir()
    made = {
        "whole": data,
        "renamed": data.replace(b"dolphin", b"console"),
        "cut": Slp(data).cut(20).bytes,
        "other": Slp(data).each(POST, 0, POST_ACTION, ">H", lambda number: 14).bytes,
    }
    # Of a game shorter than FIRST_FRAMES a recording that stopped before the other is told by its name alone.
    for name, about in made.items():
        (folder / f"{name}.slp").write_bytes(about)
    return {name: folder / f"{name}.slp" for name in made}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_recordings_of_a_game_are_one_game(recordings: dict[str, Path], tmp_path: Path) -> None:
    report = ingest([recordings[name] for name in ("whole", "renamed", "other")], tmp_path / "out", 1)
    assert (report.sources, report.parsed, report.duplicates, report.games) == (3, 2, 1, 2)
    games = open_dataset(tmp_path / "out").games
    assert sorted(len(game.also) for game in games) == [0, 1]
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 2
    again = ingest([path.parent for path in recordings.values()][:1], tmp_path / "out", 1)
    assert (again.parsed, again.known, again.duplicates) == (1, 2, 1), "the cut one is read now"


def test_it_does_not_matter_in_which_order_recordings_come(
    recordings: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wm_train.games.match.FIRST_FRAMES", 100)
    monkeypatch.setattr("wm_train.games.ingest._run_pool", _here)
    straight = tmp_path / "straight"
    ingest(list(recordings.values()), straight, 1)
    (longest,) = (game for game in open_dataset(straight).games if game.also)
    assert len(longest.also) == 2 and longest.frames == 179
    for number, order in enumerate(permutations(("whole", "renamed", "cut"))):
        out = tmp_path / str(number)
        for name in order:
            ingest([recordings[name]], out, 1)
        ingest([recordings["other"]], out, 1)
        assert contents(out) == contents(straight), order
    (straight / "meta.json").unlink()
    ingest(list(recordings.values()), straight, 1)
    assert contents(straight) == contents(out)


def _here(waiting, out, played, seen, workers):  # type: ignore[no-untyped-def]
    """Stands in for the pool: reads in this process."""
    from wm_train.games import ingest as module

    module._worker_out, module._worker_played, module._worker_seen = out, played, set(seen)
    while waiting:
        yield module._ingest_one(waiting.pop())
    return []


def test_one_pair_of_the_training_games_is_one_game(train_replays: Replays, tmp_path: Path) -> None:
    pair = [path for path in train_replays.folder.glob("*.slp") if path.name[:8] in ("b0eafbef", "f7293ed3")]
    assert len(pair) == 2
    for number, path in enumerate(pair):
        ingest([path], tmp_path / str(number), 1)
    first, second = (open_dataset(tmp_path / str(number)) for number in range(2))
    assert first.games[0].md5 != second.games[0].md5 and first.games[0].match == second.games[0].match
    (shared,) = overlap(use_of_dataset("a", first), use_of_dataset("b", second))
    assert shared.games == (first.games[0].match,)
    report = ingest(pair, tmp_path / "both", 1)
    assert (report.games, report.duplicates) == (1, 1)


def test_an_older_dataset_is_refused_and_made_again(fixture_replays: Replays, tmp_path: Path) -> None:
    (path,) = fixture_replays.folder.glob("fb747d30*.slp")
    out = tmp_path / "out"
    ingest([path], out, 1)
    made = contents(out)
    meta = json.loads(made["meta.json"])
    (out / "meta.json").write_text(json.dumps(meta | {"version": 1}))
    for stored in out.glob("*.parquet"):
        stored.write_bytes(b"of an older version")
    with pytest.raises(WmTrainError, match=r"version is 1, expected wmq-dataset version 2; .*`wmq ingest RECORDINGS"):
        read_meta(out)
    ingest([path], out, 1)
    assert contents(out) == made


@pytest.mark.parametrize("change", [lambda meta: meta["games"][1].update(match=meta["games"][0]["match"])])
def test_a_match_is_listed_once(
    recordings: dict[str, Path], tmp_path: Path, change: Callable[[dict[str, object]], None]
) -> None:
    ingest([recordings["whole"], recordings["other"]], tmp_path / "out", 1)
    meta = json.loads((tmp_path / "out" / "meta.json").read_text())
    change(meta)
    (tmp_path / "out" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(WmTrainError, match="each match once"):
        read_meta(tmp_path / "out")


def test_a_stage_without_a_row_is_no_stage(fixture_replays: Replays, tmp_path: Path) -> None:
    from wm_train.games.corpus import load_corpus
    from wm_train.world.step import World

    (path,) = fixture_replays.folder.glob("fb747d30*.slp")
    encoding = Encoding("v2.2")
    (tmp_path / "a.slp").write_bytes(Slp(path.read_bytes()).start(STAGE, ">H", 100).bytes)
    report = ingest([tmp_path / "a.slp"], tmp_path / "out", 1)
    assert report.rowless["stage"] == (100,)
    split = split_games(tmp_path / "out", encoding, 0.5, 0, only=("any",))
    corpus = load_corpus(tmp_path / "out", split.train, encoding)
    session = corpus.session(encoding, np.array([50]))
    assert session[0, -1] == 0
    assert (World(encoding).session_places(session)[0, :4] / 4096).tolist() == [-300, 300, -200, 300]
    assert START == 0x36
