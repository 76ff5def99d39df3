"""replays.py: the right verdict for every real file, the right rows; broken bytes give a RecordingError, no other."""

import hashlib
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peppi_py import read_slippi
from peppi_py._peppi import read_slippi as read_raw

from tests.conftest import Replays
from wm_train.errors import WmTrainError
from wm_train.games import recordings
from wm_train.games.dataset import stored_types
from wm_train.games.recordings import RecordingError
from wm_train.melee import replays
from wm_train.melee.columns import ITEM_COLUMNS, PLAYER_COLUMNS
from wm_train.melee.melee import GAME
from wm_train.melee.replays import parse_replay, read_replay

# A training-mode recording: its ids start at 262433, so its rows have no place on the game's clock.
NO_CLOCK = "c5b4c595"

REASONS = {
    "4a7920eb": "not_slp",
    "5806c95c": "not_slp",
    "6dc6ffe7": "not_1v1",
    "85d9d947": "teams",
    "8d503bd7": "single_player_mode",
    "9447da05": "truncated",
    "94c0d2ea": "unknown_event",
    "c0720652": "not_1v1",
    "d7cebb17": "truncated",
    "e88332c2": "panic",
    "f378edc2": "not_slp",
    "fefa0597": "unsupported_version",
}


def _verdict(data: bytes) -> str:
    """`ok` or the reason. Any other exception passes."""
    try:
        parse_replay(data, hashlib.md5(data).hexdigest())
    except RecordingError as error:
        return error.reason
    return "ok"


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A silenced process: the parser's panics print to stderr, and a crash there must not end the tests."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _silence) as pool:
        yield pool


@pytest.fixture(scope="module")
def small(fixture_replays: Replays) -> bytes:
    """A whole replay of 179 frames, version 3.13.0."""
    (path,) = fixture_replays.folder.glob("fb747d30*.slp")
    return path.read_bytes()


def _check_against_list(path: Path, fact: dict[str, Any]) -> None:
    replay = read_replay(path)
    assert replay.md5 == fact["md5"]
    assert replay.table.num_rows == fact["unique_frames"]
    assert ("hitlag" not in replay.missing) == fact["has_hitlag"]
    assert tuple(replay.about[name] for name in ("stage", "slippi_version", "end_method")) == (
        fact["stage"],
        fact["slippi_version"],
        fact["end_method"],
    )
    assert replay.table.column("frame").to_numpy().tolist() == list(range(-123, fact["unique_frames"] - 123))
    types = stored_types(GAME.columns, GAME.lists)
    assert {field.name: field.type for field in replay.table.schema} == {
        name: types[name] for name in types if name.removeprefix("p0_").removeprefix("p1_") not in replay.missing
    }
    assert not any(column.null_count for column in replay.table.columns)


def test_train_games_have_the_listed_verdict(train_replays: Replays) -> None:
    assert len(train_replays.facts) == 118
    for fact in train_replays.facts:
        assert fact["parse_ok"] and fact["is_1v1"]
        if fact["md5"].startswith(NO_CLOCK):
            with pytest.raises(RecordingError, match="262433") as caught:
                read_replay(train_replays.path(fact))
            assert caught.value.reason == "frame_ids"
        else:
            _check_against_list(train_replays.path(fact), fact)


def test_edge_cases_have_the_listed_verdict(fixture_replays: Replays, elsewhere: ProcessPoolExecutor) -> None:
    got = {}
    for fact in fixture_replays.facts:
        path = fixture_replays.path(fact)
        if fact["parse_ok"] and fact["is_1v1"]:
            _check_against_list(path, fact)
        else:
            got[fact["md5"][:8]] = elsewhere.submit(_verdict, path.read_bytes()).result(60)
    assert got == REASONS


def test_last_copy_of_a_frame_is_kept(train_replays: Replays) -> None:
    fact = max(train_replays.facts, key=lambda fact: fact["rollback_dups"])
    assert fact["rollback_dups"] > 1000
    path = train_replays.path(fact)
    raw, table = read_slippi(str(path)).frames, read_replay(path).table
    last = {frame: row for row, frame in enumerate(raw.id.to_pylist())}
    rows = [last[frame] for frame in sorted(last)]
    assert len(rows) == table.num_rows < len(raw.id)
    for i in range(2):
        post, pre = raw.ports[i].leader.post, raw.ports[i].leader.pre
        for name, column in {"x": post.position.x, "action": post.state, "buttons": pre.buttons_physical}.items():
            assert np.array_equal(table.column(f"p{i}_{name}").to_numpy(), column.to_numpy()[rows])


def test_derived_columns(train_replays: Replays) -> None:
    fact = next(fact for fact in train_replays.facts if fact["core"] and fact["rollback_dups"] == 0)
    path = train_replays.path(fact)
    raw, table = read_slippi(str(path)).frames, read_replay(path).table
    pre, post = raw.ports[1].leader.pre, raw.ports[1].leader.post
    sticks = {"stick_x": pre.joystick.x, "stick_y": pre.joystick.y, "cstick_x": pre.cstick.x, "cstick_y": pre.cstick.y}
    for name, column in sticks.items():
        codes = table.column(f"p1_{name}").to_numpy()
        assert len(np.unique(codes)) > 2
        assert np.array_equal((codes / 80).astype(np.float32), column.to_numpy())
    assert np.array_equal(table.column("p1_direction").to_numpy(), post.direction.to_numpy())
    in_hitstun = (post.state_flags[3].to_numpy() & 2) != 0
    hitstun = table.column("p1_hitstun").to_numpy()
    assert in_hitstun.any() and not hitstun[~in_hitstun].any()
    assert np.array_equal(hitstun[in_hitstun], post.misc_as.to_numpy()[in_hitstun])


def test_items_are_those_of_the_kept_copy(train_replays: Replays) -> None:
    for fact in train_replays.facts:
        raw = read_raw(str(train_replays.path(fact)), False).frames
        if fact["rollback_dups"] > 50 and len(raw.field("item").flatten()) > 100:
            break
    table = read_replay(train_replays.path(fact)).table
    last = dict(zip(raw.field("id").to_pylist(), raw.field("item").to_pylist(), strict=True))
    items = [last[frame] for frame in sorted(last)]
    assert table.column("item_type").to_pylist() == [[item["type"] for item in row] for row in items]
    assert table.column("item_vy").to_pylist() == [[item["velocity"]["y"] for item in row] for row in items]
    assert table.column("item_owner").to_pylist() == [[item["owner"] for item in row] for row in items]


def test_what_a_version_lacks_is_named_and_absent(fixture_replays: Replays) -> None:
    (path,) = fixture_replays.folder.glob("a0f3b94e*.slp")  # 2.0.1
    replay = read_replay(path)
    lacks = {"self_x_air", "self_y", "knockback_x", "knockback_y", "self_x_ground", "hitlag", "hurtbox"}
    assert set(replay.missing) == lacks | {"animation_index"} | {column.name for column in ITEM_COLUMNS}
    assert replay.table.num_columns == 1 + 2 * (len(PLAYER_COLUMNS) - 8)
    assert replay.about["ports"] == [0, 2]


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99, 0.9999])
def test_a_cut_file_is_refused(small: bytes, share: float, elsewhere: ProcessPoolExecutor) -> None:
    cut = small[: int(len(small) * share)]
    assert elsewhere.submit(_verdict, cut).result(60) == ("truncated" if cut else "not_slp")


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"{U\x03raw[$U#m" + b"x" * 100, b"{" * 100_000])
def test_garbage_is_not_slp(data: bytes) -> None:
    assert _verdict(data) == "not_slp"


@pytest.mark.parametrize("length", [None, 0])
def test_deep_metadata_is_refused_before_it_overflows_the_parser(
    small: bytes, length: int | None, elsewhere: ProcessPoolExecutor
) -> None:
    end = 15 + int.from_bytes(small[11:15], "big")
    nested = b"U\x08metadata{" + b"U\x01a{" * 300_000 + b"}" * 300_000 + b"}}"
    head = small[:11] + (small[11:15] if length is None else length.to_bytes(4, "big"))
    assert elsewhere.submit(_verdict, head + small[15:end] + nested).result(60) == "metadata"


def test_what_is_no_regular_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.slp")
    (tmp_path / "large.slp").write_bytes(b"12345")
    monkeypatch.setattr(recordings, "MAX_BYTES", 4)
    names = {"pipe.slp": "not_a_file", "large.slp": "too_large", "absent.slp": "unreadable", ".": "not_a_file"}
    for name, reason in names.items():
        with pytest.raises(WmTrainError) as caught:
            read_replay(tmp_path / name)
        assert isinstance(caught.value, RecordingError) and caught.value.reason == reason


def test_values_outside_their_range_are_refused(small: bytes) -> None:
    """A stick of 1.5 and a NaN position: the parser takes them, the dataset must not."""
    table_end = 16 + small[16]  # a table of event sizes comes first: (code, size in two bytes) each
    sizes = {small[i]: 1 + small[i + 1] * 256 + small[i + 2] for i in range(17, table_end, 3)}
    at, found = table_end, dict[int, int]()
    while not {0x37, 0x38} <= found.keys():
        found.setdefault(small[at], at)
        at += sizes[small[at]]
    stick = found[0x37] + 0x19  # joystick x of the pre-frame event
    position = found[0x38] + 0x0A  # x of the post-frame event
    assert _verdict(_with_float(small, stick, 0.5)) == "ok"
    assert _verdict(_with_float(small, stick, 1.5)) == "bad_values"
    assert _verdict(_with_float(small, position, float("nan"))) == "bad_values"


def _with_float(data: bytes, at: int, value: float) -> bytes:
    return data[:at] + np.array(value, ">f4").tobytes() + data[at + 4 :]


def test_a_row_without_a_player_is_refused() -> None:
    half = pa.array([{"post": {"state": 1}}, None], pa.struct([("post", pa.struct([("state", pa.uint16())]))]))
    with pytest.raises(RecordingError) as caught:
        replays._child(half, "post.state")
    assert caught.value.reason == "incomplete_frame"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bytes_give_a_replay_or_its_error(
    small: bytes, elsewhere: ProcessPoolExecutor, data: st.DataObject
) -> None:
    broken = bytearray(small)
    # Half of the flips in the first KiB, where sizes, versions and players are.
    where = st.one_of(st.integers(0, 1023), st.integers(0, len(small) - 1))
    for at, value in data.draw(st.lists(st.tuples(where, st.integers(0, 255)), min_size=1, max_size=8)):
        broken[at] = value
    assert isinstance(elsewhere.submit(_verdict, bytes(broken)).result(60), str)
