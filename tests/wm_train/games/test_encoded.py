"""encoded.py: written once, opened only while it is what the dataset and the field table say, and whole or absent."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.factories import add_game, game_columns, game_path, write_dataset
from wm_train.errors import WmTrainError
from wm_train.games import corpus as windows
from wm_train.games.corpus import load_corpus
from wm_train.games.dataset import ENCODED, open_dataset
from wm_train.games.encoded import encode, encoded_path, identity, map_game
from wm_train.grid.arithmetic import Ints
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Field
from wm_train.writer import one_writer

ROOT = Path(__file__).resolve().parents[3]
V22 = Encoding("v2.2")


def files(dataset: Path) -> list[Path]:
    return sorted((dataset / ENCODED / identity(V22)).iterdir())


def test_records_are_what_a_corpus_holds(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [40, 25])
    done: list[tuple[int, int]] = []
    report = encode(tmp_path, V22, 1, lambda *progress: done.append(progress))
    assert (report.games, report.encoded, report.known, report.removed) == (2, 2, 0, 0) and done == [(1, 2), (2, 2)]
    assert report.bytes == sum(path.stat().st_size for path in files(tmp_path))
    corpus = load_corpus(tmp_path, names, V22)
    for index, name in enumerate(names):
        records = map_game(tmp_path, open_dataset(tmp_path).stored(name), V22)
        assert isinstance(records, np.memmap) and not records.flags.writeable
        assert (records["frames"] == corpus.frames[corpus.game == index]).all()
        assert (records["inputs"] == corpus.inputs[corpus.game == index]).all()


def test_what_is_there_is_kept_and_new_games_are_added(tmp_path: Path) -> None:
    write_dataset(tmp_path, [40, 25])
    encode(tmp_path, V22, 1)
    before = {path: path.stat().st_mtime_ns for path in files(tmp_path)}
    add_game(tmp_path, 7, game_columns(np.random.default_rng(0), 9))
    report = encode(tmp_path, V22, 1)
    assert (report.encoded, report.known) == (1, 2) and len(files(tmp_path)) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_game_that_lacks_a_column_is_skipped(tmp_path: Path) -> None:
    add_game(tmp_path, 0, game_columns(np.random.default_rng(0), 30), missing=["hitlag"])
    write_dataset(tmp_path, [20])
    add_game(tmp_path, 1, game_columns(np.random.default_rng(0), 30), missing=["hitlag"])
    report = encode(tmp_path, V22, 1)
    assert (report.games, report.skipped) == (1, 1) and len(files(tmp_path)) == 1


def test_encodings_that_read_other_fields_lie_apart(tmp_path: Path) -> None:
    write_dataset(tmp_path, [40])
    stale = Encoding("v2.2", flags=MeleeFlags(stale_moves=True, press_events="all"))
    assert len({identity(e) for e in (V22, Encoding("v1"), Encoding("v2"), stale)}) == 4
    assert identity(V22) == identity(Encoding("v2.2", 3)) == identity(Encoding("v2.2", flags=MeleeFlags(lookahead=3)))
    encode(tmp_path, V22, 1)
    assert encode(tmp_path, stale, 1).removed == 0
    for encoding in (V22, stale):
        game = open_dataset(tmp_path).games[0]
        records, corpus = map_game(tmp_path, game, encoding), load_corpus(tmp_path, [game.md5], encoding)
        assert records is not None
        assert (records["frames"] == corpus.frames).all() and (records["inputs"] == corpus.inputs).all()


def test_another_dataset_file_of_that_name_and_size_is_another_game(tmp_path: Path) -> None:
    (name,) = write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    (old,) = files(tmp_path)
    parquet, game = game_path(tmp_path, name), open_dataset(tmp_path).stored(name)
    os.utime(parquet, ns=(parquet.stat().st_mtime_ns + 1,) * 2)
    assert map_game(tmp_path, game, V22) is None
    report = encode(tmp_path, V22, 1)
    assert (report.encoded, report.removed) == (1, 1) and files(tmp_path) == [encoded_path(tmp_path, game, V22)] != [
        old
    ]


def test_other_rules_are_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    values, before = windows._values, identity(V22)

    def rounded_down(field: Field, column: np.ndarray) -> Ints:
        return values(field, np.floor(column)) if field.name == "hitlag" else values(field, column)

    identity.cache_clear()
    assert identity(V22) == before
    monkeypatch.setattr(windows, "_values", rounded_down)
    identity.cache_clear()
    try:
        assert identity(V22) != before
        assert map_game(tmp_path, open_dataset(tmp_path).stored(name), V22) is None
    finally:
        identity.cache_clear()


@pytest.mark.parametrize("size", [0, 50, 1000])
def test_a_damaged_file_is_named(tmp_path: Path, size: int) -> None:
    (name,) = write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    (path,) = files(tmp_path)
    os.truncate(path, size)
    with pytest.raises(WmTrainError, match=f"{path.name}.*delete it"):
        map_game(tmp_path, open_dataset(tmp_path).stored(name), V22)


def test_a_file_of_other_records_is_refused(tmp_path: Path) -> None:
    (name,) = write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    (path,) = files(tmp_path)
    np.save(path, np.load(path)[:-1])
    with pytest.raises(WmTrainError, match="expected records of 40 frames"):
        map_game(tmp_path, open_dataset(tmp_path).stored(name), V22)


def test_parts_of_a_killed_run_are_removed_and_two_runs_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, [40])
    folder = tmp_path / ENCODED / identity(V22)
    folder.mkdir(parents=True)
    (folder / ".part-x").touch()
    with one_writer(folder, "encode"), pytest.raises(WmTrainError, match=r"`wmq encode` \(process"):
        encode(tmp_path, V22, 1)
    assert encode(tmp_path, V22, 1).encoded == 1 and len(files(tmp_path)) == 1


def test_a_game_that_cannot_be_read_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    names = write_dataset(tmp_path, [40, 30, 20])
    bad = game_path(tmp_path, names[1])
    good = bad.read_bytes()
    bad.write_bytes(b"x" * len(good))
    with pytest.raises(WmTrainError, match=f"{names[1]}.parquet"):
        encode(tmp_path, V22, 1)
    bad.write_bytes(good)
    assert encode(tmp_path, V22, 1).games == 3 == len(files(tmp_path))


def test_processes_write_the_same(tmp_path: Path) -> None:
    write_dataset(tmp_path, [40, 30, 20])
    encode(tmp_path, V22, 1)
    alone = {path.name: path.read_bytes() for path in files(tmp_path)}
    for path in files(tmp_path):
        path.unlink()
    assert encode(tmp_path, V22, 2).encoded == 3
    assert {path.name: path.read_bytes() for path in files(tmp_path)} == alone


#: Encodes two games, and waits to be killed in the third.
HELD = """
import signal, sys
from pathlib import Path
from wm_train.games import encoded
from wm_train.world.encoding import Encoding
encode_game, left = encoded.encode_game, [1, 2]
def held(*arguments):
    if not left:
        print("held", flush=True)
        signal.pause()
    left.pop()
    return encode_game(*arguments)
encoded.encode_game = held
encoded.encode(Path(sys.argv[1]), Encoding("v2.2"), 1)
"""


def test_killed_it_goes_on(tmp_path: Path, python: str) -> None:
    write_dataset(tmp_path, [40] * 12)
    with subprocess.Popen([python, "-c", HELD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        child.kill()
    report = encode(tmp_path, V22, 1)
    assert (report.games, report.known, report.encoded) == (12, 2, 10) and len(files(tmp_path)) == 12


def linked_to_a_strangers_folder(dataset: Path, at: str) -> Path:
    """A folder with somebody's files, and a link to it in the dataset, at a part of `encoded/<identity>`."""
    stranger = dataset.parent / "home"
    stranger.mkdir()
    for name in ("wallet.json", f"{'0' * 32}-{'0' * 16}.npy"):
        (stranger / name).write_text("mine")
    (stranger / identity(V22)).mkdir()
    (stranger / identity(V22) / "letters.txt").write_text("mine")
    place = dataset / ENCODED / identity(V22) if at == "identity" else dataset / ENCODED
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(stranger, target_is_directory=True)
    return stranger


@pytest.mark.parametrize("at", ["encoded", "identity"])
def test_nothing_is_written_or_deleted_through_a_link(tmp_path: Path, at: str) -> None:
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    write_dataset(dataset, [40])
    stranger = linked_to_a_strangers_folder(dataset, at)
    before = {path: path.read_bytes() for path in stranger.rglob("*") if path.is_file()}
    with pytest.raises(WmTrainError, match="is a link, which no folder of wmq holds"):
        encode(dataset, V22, 1)
    assert {path: path.read_bytes() for path in stranger.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["notes.txt", ".bashrc", f"{'0' * 32}.npy", f"{'0' * 32}-{'0' * 16}.npy.bak"])
def test_a_file_that_encode_did_not_write_is_not_deleted(tmp_path: Path, name: str) -> None:
    write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    foreign = tmp_path / ENCODED / identity(V22) / name
    foreign.write_text("mine")
    with pytest.raises(WmTrainError, match="was not made by wmq"):
        encode(tmp_path, V22, 1)
    assert foreign.read_text() == "mine"


def test_a_folder_among_the_files_is_not_deleted(tmp_path: Path) -> None:
    write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    inner = tmp_path / ENCODED / identity(V22) / f"{'0' * 32}-{'0' * 16}.npy"
    inner.mkdir()
    with pytest.raises(WmTrainError, match="was not made by wmq"):
        encode(tmp_path, V22, 1)
    assert inner.is_dir()


def test_records_are_not_read_through_a_link(tmp_path: Path) -> None:
    (name,) = write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    (path,) = files(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WmTrainError, match=f"{path.name}.*delete it"):
        map_game(tmp_path, open_dataset(tmp_path).stored(name), V22)


HEADERS = [b"{'descr': [(\\n", b"(" * 90, b"{'descr': '|O', 'fortran_order': False, 'shape': (40,)}", b"\\\n", b"'" * 3]


@pytest.mark.parametrize("head", HEADERS)
def test_a_header_is_compared_not_parsed(tmp_path: Path, head: bytes) -> None:
    (name,) = write_dataset(tmp_path, [40])
    encode(tmp_path, V22, 1)
    (path,) = files(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw[:10] + head + raw[10 + len(head) :])
    with pytest.raises(WmTrainError, match="expected records of 40 frames"):
        map_game(tmp_path, open_dataset(tmp_path).stored(name), V22)
