"""ingest.py and the stored side of dataset.py: one folder, whatever happens on the way there."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Replays
from wm_train.errors import WmTrainError
from wm_train.games import dataset, ingest
from wm_train.games.dataset import StoredGame, open_dataset, read_game
from wm_train.games.ingest import IngestReport, Outcome
from wm_train.games.recordings import Recording, RecordingError
from wm_train.melee.melee import GAME
from wm_train.melee.replays import PARSER, READER, read_replay
from wm_train.world.definition import LIST_OFFSETS, Game
from wm_train.writer import one_writer

ROOT = Path(__file__).resolve().parents[3]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _run(sources: list[Path], out: Path, workers: int = 1) -> tuple[IngestReport, list[Outcome]]:
    outcomes: list[Outcome] = []
    report = ingest.ingest(sources, out, workers, lambda done, total, outcome: outcomes.append(outcome))
    assert len(outcomes) == report.sources == report.parsed + report.known + report.duplicates + len(report.rejected)
    return report, outcomes


@pytest.fixture(scope="module")
def made(fixture_replays: Replays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all fixtures, made in one go. Copy it before you change it."""
    out = tmp_path_factory.mktemp("made") / "dataset"
    _run([fixture_replays.folder], out, 2)
    return out


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_every_fixture_is_stored_or_rejected(fixture_replays: Replays, made: Path) -> None:
    meta = open_dataset(made)
    good = {fact["md5"]: fact for fact in fixture_replays.facts if fact["parse_ok"] and fact["is_1v1"]}
    assert [game.md5 for game in meta.games] == sorted(good)
    for game in meta.games:
        fact = good[game.md5]
        assert (game.frames, game.about["stage"], game.about["slippi_version"]) == (
            fact["unique_frames"],
            fact["stage"],
            fact["slippi_version"],
        )
        assert ("hitlag" not in game.missing) == fact["has_hitlag"]
    assert {entry.md5 for entry in meta.rejected} == {fact["md5"] for fact in fixture_replays.facts} - set(good)
    assert all(entry.name == f"{entry.md5}.slp" and entry.reason and entry.detail for entry in meta.rejected)


def test_what_is_read_back_is_what_the_replay_holds(fixture_replays: Replays, made: Path) -> None:
    for game in open_dataset(made).games:
        table = read_replay(fixture_replays.folder / f"{game.md5}.slp").table
        stored = read_game(made, game.md5, table.column_names)
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            if pa.types.is_list(column.type):
                assert np.array_equal(stored[LIST_OFFSETS], column.offsets.to_numpy())
                column = column.values
            assert stored[name].dtype == column.to_numpy().dtype
            assert stored[name].tobytes() == column.to_numpy().tobytes()


def test_a_second_run_parses_nothing_and_changes_nothing(fixture_replays: Replays, copy: Path) -> None:
    before, times = _bytes(copy), {path: path.stat().st_mtime_ns for path in copy.glob("*.parquet")}
    report, outcomes = _run([fixture_replays.folder], copy)
    assert (report.parsed, report.known, len(report.rejected)) == (0, 9, 12)
    assert not any(outcome.game for outcome in outcomes)
    assert _bytes(copy) == before and {path: path.stat().st_mtime_ns for path in times} == times


def test_a_known_file_is_not_parsed(made: Path, fixture_replays: Replays, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(data: bytes, md5: str) -> Recording:
        raise AssertionError("parsed")

    monkeypatch.setattr(ingest, "reader_of", lambda played: replace(READER, parse=parse))
    monkeypatch.setattr(ingest, "_worker_played", GAME, raising=False)
    meta = open_dataset(made)
    monkeypatch.setattr(ingest, "_worker_seen", {meta.games[0].md5}, raising=False)
    for game, known in zip(meta.games[:2], (meta.games[0].md5, None), strict=True):
        source = ingest.Source(fixture_replays.folder / f"{game.md5}.slp", "a.slp")
        assert ingest._ingest_one(source).known == known


def test_copies_of_a_game_collapse_and_files_below_are_found(fixture_replays: Replays, tmp_path: Path) -> None:
    (path,) = fixture_replays.folder.glob("fb747d30*.slp")
    (bad,) = fixture_replays.folder.glob("4a7920eb*.slp")
    below = tmp_path / "in" / "a" / "b"
    below.mkdir(parents=True)
    for name in ("1.slp", "2.SLP", "3.txt"):
        shutil.copy(path, below / name)
    shutil.copy(bad, below / "x.slp")
    shutil.copy(bad, below / "w.slp")
    report, _ = _run([tmp_path / "in", path], tmp_path / "out")
    assert (report.sources, report.parsed, report.duplicates, report.games) == (5, 1, 2, 1)
    assert [entry.name for entry in open_dataset(tmp_path / "out").rejected] == ["a/b/w.slp"]


def test_a_dataset_grows(fixture_replays: Replays, made: Path, tmp_path: Path) -> None:
    paths = sorted(fixture_replays.folder.glob("*.slp"))
    _run(paths[:11], tmp_path / "out")
    _run(paths[11:], tmp_path / "out")
    assert _bytes(tmp_path / "out") == _bytes(made)


@pytest.mark.parametrize("damage", ["no meta", "bad meta", "no game", "cut game", "left-over"])
def test_a_damaged_folder_is_mended(fixture_replays: Replays, made: Path, copy: Path, damage: str) -> None:
    game = sorted(copy.glob("*.parquet"))[3]
    if damage == "no meta":
        (copy / "meta.json").unlink()
    elif damage == "bad meta":
        (copy / "meta.json").write_text("{}")
    elif damage == "no game":
        game.unlink()
    elif damage == "cut game":
        game.write_bytes(game.read_bytes()[:-1])
    else:
        (copy / ".part-x").write_bytes(b"x")
    report, _ = _run([fixture_replays.folder], copy)
    assert report.parsed == (1 if damage.endswith(" game") else 0)
    assert _bytes(copy) == _bytes(made)


def test_a_folder_of_somebody_else_is_left_alone(fixture_replays: Replays, tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"mine": 1}')
    with pytest.raises(WmTrainError, match="expected format wmq-dataset, got None"):
        ingest.ingest([fixture_replays.folder], tmp_path, 1)
    assert _bytes(tmp_path) == {"meta.json": b'{"mine": 1}'}


# A process started in the background ignores Ctrl-C from birth; this one must not, whoever runs the tests.
# It reads no more than half of the files before it is told to go on.
SCRIPT = """
import signal
import sys
import time
from pathlib import Path
from wm_train.games import ingest
source, out, go = map(Path, sys.argv[1:])
ingest_one = ingest._ingest_one
def held(source):
    while len(list(out.glob("*.parquet"))) >= 12 and not go.exists():
        time.sleep(0.002)
    return ingest_one(source)
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ingest._ingest_one = held
    ingest.ingest([source], out, 2)
"""
#: Far more than reading a few files takes.
LIMIT_S = 300


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_an_ended_run_goes_on_to_the_same_folder(
    train_replays: Replays,
    tmp_path: Path,
    ending: signal.Signals,
    python: str,
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted(train_replays.folder.glob("*.slp"))[:24]:
        (source / path.name).symlink_to(path)
    (source / "bad.slp").write_bytes(b"no replay")
    script, out, go = (tmp_path / name for name in ("run.py", "out", "go"))
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [python, script, source, out, go],
        env=environment,
        stdout=subprocess.PIPE,  # which its workers hold too: at its end they have ended
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + LIMIT_S
        while len(list(out.glob("*.parquet"))) < 4:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        if ending == signal.SIGINT:
            os.killpg(process.pid, ending)  # Ctrl-C reaches the workers too
        else:
            process.send_signal(ending)
        go.touch()
        _, stderr = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    listed = (out / "meta.json").exists()
    assert listed == (ending == signal.SIGINT) and (b"KeyboardInterrupt" in stderr) == listed
    kept = len(list(out.glob("*.parquet")))
    assert 4 <= kept < 24
    if listed:
        assert len(open_dataset(out).games) == kept
    report, _ = _run([source], out)
    assert report.known == kept and report.parsed == 24 - kept
    _run([source], tmp_path / "straight")
    assert _bytes(out) == _bytes(tmp_path / "straight")


def test_a_run_that_its_caller_breaks_off_is_listed(train_replays: Replays, tmp_path: Path) -> None:
    def progress(done: int, total: int, outcome: Outcome) -> None:
        raise RuntimeError("enough")

    paths = sorted(train_replays.folder.glob("*.slp"))[:24]
    with pytest.raises(RuntimeError, match="enough"):
        ingest.ingest(paths, tmp_path / "out", 2, progress)
    assert not multiprocessing.active_children()
    listed = {f"{game.md5}.parquet" for game in open_dataset(tmp_path / "out").games}
    assert 1 <= len(listed) < 24 and listed | {"meta.json"} == set(_bytes(tmp_path / "out"))


def test_workers_leave_an_interrupt_to_their_parent(train_replays: Replays, tmp_path: Path) -> None:
    workers: set[int | None] = set()

    def progress(done: int, total: int, outcome: Outcome) -> None:
        for child in multiprocessing.active_children():
            workers.add(child.pid)
            os.kill(child.pid or 0, signal.SIGINT)

    report = ingest.ingest(sorted(train_replays.folder.glob("*.slp"))[:12], tmp_path / "out", 1, progress)
    assert report.parsed == 12 and len(workers) == 1


def _deadly(source: ingest.Source) -> Outcome:
    """Stands in for `_ingest_one` in the workers: one file ends the process, as native code can."""
    if source.name.startswith("d"):
        os.kill(os.getpid(), signal.SIGKILL)
    return ingest._rejected(source, None, "tried", source.name)


@pytest.mark.usefixtures("python")
def test_a_worker_that_dies_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcdefghijkl":
        (tmp_path / f"{name}.slp").write_text(name)
    monkeypatch.setattr(ingest, "_ingest_one", _deadly)
    report, _ = _run([tmp_path], tmp_path / "out", 2)
    reasons = {entry.name: entry.reason for entry in report.rejected}
    assert reasons == {f"{name}.slp": "worker_died" if name == "d" else "tried" for name in "abcdefghijkl"}


def _deadly_read(source: ingest.Source, played: Game, seen: frozenset[str]) -> tuple[Outcome, bytes]:
    if source.name == "bad.slp":
        os.kill(os.getpid(), signal.SIGKILL)
    return ingest._rejected(source, None, "tried", source.name), b""


def test_a_file_that_ends_a_cluster_s_process_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.slp", "bad.slp", "c.slp"):
        (tmp_path / name).write_bytes(name.encode())

    def spread(address: str, function: Any, items: Any) -> Any:
        assert address == "there"
        yield from map(function, items)

    monkeypatch.setattr(ingest, "spread", spread)
    monkeypatch.setattr(ingest, "read_source", _deadly_read)
    report = ingest.ingest([tmp_path], tmp_path / "out", 1, address="there")
    assert [(entry.name, entry.reason) for entry in report.rejected][::2] == [("a.slp", "tried"), ("c.slp", "tried")]
    assert report.rejected[1].name == "bad.slp" and report.rejected[1].reason not in ("tried", "worker_died")


def test_an_error_of_ours_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(data: bytes, md5: str) -> Recording:
        raise KeyError("x") if data == b"a" else RecordingError("no", "reason", md5)

    monkeypatch.setattr(ingest, "reader_of", lambda played: replace(READER, parse=parse))
    monkeypatch.setattr(ingest, "_worker_played", GAME, raising=False)
    monkeypatch.setattr(ingest, "_worker_seen", set(), raising=False)
    (tmp_path / "a.slp").write_text("a")
    got = ingest._ingest_one(ingest.Source(tmp_path / "a.slp", "a.slp")).rejected
    assert got is not None and (got.reason, got.detail) == ("internal_error", "KeyError: 'x'")


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WmTrainError, match="got nothing"):
        ingest.ingest([tmp_path / "absent"], tmp_path / "out")
    with pytest.raises(WmTrainError, match=r"no \.slp file"):
        ingest.ingest([tmp_path], tmp_path / "out")
    (tmp_path / "a.slp").touch()
    with pytest.raises(WmTrainError, match="is a file, expected a place for a folder"):
        ingest.ingest([tmp_path / "a.slp"], tmp_path / "a.slp")


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.slp").touch()
    out = tmp_path / "out"
    out.mkdir()
    with one_writer(out, "ingest"), pytest.raises(WmTrainError, match=r"`wmq ingest` \(process"):
        ingest.ingest([tmp_path / "a.slp"], out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.pop("parser"), "it has no parser"),
        (lambda meta: meta.update(version=3), "version is 3, expected wmq-dataset version 2"),
        (lambda meta: meta.update(games={}), "games is an object of 0, expected a list"),
        (lambda meta: meta["games"].reverse(), "order of md5"),
        (lambda meta: meta["games"].append(meta["games"][-1]), "order of md5"),
        (
            lambda meta: meta["games"][0].update(md5="../../etc/passwd"),
            r"games\[0\]\.md5 is '\.\./",
        ),
        (lambda meta: meta["games"][0].update(frames=True), "frames is True"),
        (lambda meta: meta["games"][0].update(frames=1 << 40), "frames is 1099511627776"),
        (lambda meta: meta["games"][0].update(characters=[1]), "characters is a list of 1"),
        (lambda meta: meta["games"][0].update(missing=[["x"]]), r"missing\[0\] is a list of 1"),
        (lambda meta: meta["games"][0].update(slippi_version="3.\u0669.0"), "slippi_version is"),
        (lambda meta: meta["games"][0].update(extra=1), "has a key 'extra', expected md5, match, frames"),
        (lambda meta: meta["games"][0].update(bytes=12), "expected a file of 12 bytes"),
        (lambda meta: meta["rejected"][0].update(md5=1), r"rejected\[0\]\.md5 is 1"),
    ],
)
def test_a_meta_that_we_did_not_write_is_refused(copy: Path, change: Any, message: str) -> None:
    meta = json.loads((copy / "meta.json").read_text())
    change(meta)
    (copy / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(WmTrainError, match=message):
        open_dataset(copy)


@pytest.mark.parametrize("text", ["", "[1", "[" * 100_000, "\ud800"])
def test_a_meta_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(WmTrainError, match=r"expected JSON|codec can.t decode"):
        open_dataset(tmp_path)


def test_a_game_file_that_we_did_not_write_is_refused(copy: Path) -> None:
    game = open_dataset(copy).games[-1]
    path = dataset.game_path(copy, game.md5)
    table, whole = pq.read_table(path), path.read_bytes()
    keys = table.schema.metadata
    about = json.loads(keys[b"wmq_game"])

    def refused(message: str, column: str = "p0_x") -> None:
        with pytest.raises(WmTrainError, match=message):
            read_game(copy, game.md5, [column])

    def rewrite(new: pa.Table, **changed: Any) -> None:
        more = {b"wmq_game": json.dumps(about | changed).encode()}
        pq.write_table(new.replace_schema_metadata(keys | more), path)

    refused("there is no column", "p2_x")
    for cut in (whole[:-9], whole[:100], b""):
        path.write_bytes(cut)
        refused("expected a game's Parquet file")
    at = len(whole) // 3
    path.write_bytes(whole[:at] + bytes(1000) + whole[at + 1000 :])
    with pytest.raises(WmTrainError):
        read_game(copy, game.md5, table.column_names)
    pq.write_table(table.replace_schema_metadata(None), path)
    refused("expected dataset format 2")
    rewrite(table.slice(1))
    refused("rows")
    rewrite(table, md5="0" * 32)
    refused("expected game")
    rewrite(table.drop_columns("p0_x"))
    refused("got nothing")
    rewrite(table.set_column(1, "p0_x", table.column("p0_x").cast(pa.float64())))
    refused("expected float, got double")
    rewrite(table.set_column(1, "p0_x", pa.nulls(table.num_rows, pa.float32())))
    refused("nulls")
    rewrite(table, missing=["hitlag"])
    refused("has no 'p1_hitlag'", "p1_hitlag")
    rewrite(table)
    assert len(read_game(copy, game.md5, ["p0_x"])["p0_x"]) == game.frames


def test_a_newer_parser_tries_rejected_files_again(fixture_replays: Replays, copy: Path) -> None:
    meta = json.loads((copy / "meta.json").read_text())
    meta["parser"] = "older"
    meta["rejected"][0]["reason"] = "a fault that is mended"
    (copy / "meta.json").write_text(json.dumps(meta))
    _run([fixture_replays.folder], copy)
    again = open_dataset(copy)
    assert again.parser == PARSER and "mended" not in str(again.rejected)


def test_game_by_md5(made: Path) -> None:
    meta = open_dataset(made)
    assert isinstance(meta.stored(meta.games[2].match), StoredGame)
    with pytest.raises(WmTrainError, match="no game"):
        meta.stored("f" * 32)
