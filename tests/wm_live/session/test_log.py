"""A session's log: what was appended is there again, and nothing else is taken for a log."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.records import INPUTS_BYTES, RECORD_BYTES
from wm_live.errors import WmLiveError
from wm_live.session.log import About, new_log, open_log, read_log
from wm_live.session.tree import root_of
from wm_train.errors import WmTrainError

ABOUT = About("program", "model", "session", "ab" * 32, (1, 2, 3), 2)
RECORDS = [bytes([i]) * RECORD_BYTES for i in range(9)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two records of window and five of frames."""
    with new_log(tmp_path / "log", ABOUT) as log:
        for record in RECORDS[:7]:
            log.append(record)
    return tmp_path / "log"


def test_there_again(folder: Path) -> None:
    with open_log(folder) as log:
        assert log.about == ABOUT
        assert log.records == RECORDS[:7] and log.frames == 5
        assert log.tree.root() == root_of(RECORDS[:7])


def test_goes_on_where_it_ended(folder: Path) -> None:
    with open_log(folder) as log:
        log.append(RECORDS[7])
    with open_log(folder) as log:
        assert log.records == RECORDS[:8]


def test_flushed_is_on_disk(folder: Path) -> None:
    with open_log(folder) as log:
        log.append(RECORDS[7])
        log.flush()
        assert (folder / "records.bin").read_bytes() == b"".join(RECORDS[:8])


def test_what_was_sent_is_known_by_its_frame(folder: Path) -> None:
    with open_log(folder) as log:
        assert log.intended(0) is None
        log.intend(3, bytes([3]) * INPUTS_BYTES)
        log.intend(4, bytes([4]) * (INPUTS_BYTES - 1))
    with open_log(folder) as log:
        assert (log.intended(3), log.intended(4)) == (bytes([3]) * INPUTS_BYTES, None)
        assert log.records == RECORDS[:7]


@pytest.mark.parametrize("torn", [1, RECORD_BYTES - 1])
def test_a_torn_record_is_dropped(folder: Path, torn: int) -> None:
    with (folder / "records.bin").open("ab") as file:
        file.write(bytes([255]) * torn)
    with open_log(folder) as log:
        assert log.records == RECORDS[:7]
    assert (folder / "records.bin").read_bytes() == b"".join(RECORDS[:7])
    with open_log(folder) as log:
        log.append(RECORDS[7])
    assert (folder / "records.bin").read_bytes() == b"".join(RECORDS[:8])


def test_truncate(folder: Path) -> None:
    with open_log(folder) as log:
        log.truncate(4)
        assert log.records == RECORDS[:4] and log.tree.root() == root_of(RECORDS[:4])
        log.append(RECORDS[8])
    with open_log(folder) as log:
        assert log.records == [*RECORDS[:4], RECORDS[8]]


def test_a_log_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(WmLiveError, match="there is a log already"):
        new_log(folder, ABOUT)
    assert (folder / "records.bin").stat().st_size == 7 * RECORD_BYTES


@pytest.mark.parametrize("records", [0, 1])
def test_less_than_a_window(folder: Path, records: int) -> None:
    (folder / "records.bin").write_bytes(b"".join(RECORDS[:records]))
    with pytest.raises(WmLiveError, match=f"{records} records, expected 2"):
        open_log(folder)


@pytest.mark.parametrize("name", ["log.json", "records.bin"])
def test_a_file_is_missing(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WmLiveError, match="not a session's log of this wmq"):
        open_log(folder)


@pytest.mark.parametrize("text", ["", "[", "[]", "null", "{}", "[" * 100_000])
def test_no_json_of_ours(folder: Path, text: str) -> None:
    (folder / "log.json").write_text(text)
    with pytest.raises(WmLiveError, match=r"log\.json"):
        open_log(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "wmq-log-0"),
        ("record_bytes", RECORD_BYTES + 1),
        ("program", 5),
        ("session", None),
        ("ids", "123"),
        ("ids", [-1]),
        ("ids", [True]),
        ("ids", [1 << 16]),
        ("ids", [0] * 5),
        ("slots", 0),
        ("slots", 65),
        ("slots", 2.0),
        ("slots", True),
    ],
)
def test_fields_that_are_not_ours(folder: Path, field: str, value: Any) -> None:
    data = json.loads((folder / "log.json").read_text())
    assert field in data
    (folder / "log.json").write_text(json.dumps(data | {field: value}))
    with pytest.raises(WmLiveError, match=r"log\.json"):
        open_log(folder)


def test_a_disk_that_is_full_for_a_moment_shifts_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.pwrite, 100

    def full_soon(fd: int, data: bytes, at: int) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written, room = real(fd, data[:room], at), 0
        return written

    with open_log(folder) as log:
        with monkeypatch.context() as disk:
            disk.setattr(os, "pwrite", full_soon)
            with pytest.raises(OSError, match=r"No space left on device: '.*records.bin'"):
                log.append(RECORDS[7])
        assert len(log.records) == 7 and log.tree.root() == root_of(RECORDS[:7])
        log.append(RECORDS[7])
        log.append(RECORDS[8])
    with open_log(folder) as log:
        assert log.records == RECORDS


def test_short_writes_are_whole_records(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:37], at))
    with open_log(folder) as log:
        log.append(RECORDS[7])
        log.intend(3, bytes(range(INPUTS_BYTES)))
        assert log.intended(3) == bytes(range(INPUTS_BYTES))
    with open_log(folder) as log:
        assert log.records == RECORDS[:8]


def test_a_log_has_one_writer_and_any_number_of_readers(folder: Path) -> None:
    before = (folder / "records.bin").read_bytes()
    with open_log(folder) as log:
        log.append(RECORDS[7])
        for begin in (open_log, lambda at: new_log(at, ABOUT)):
            with pytest.raises(WmTrainError, match=r"`wmq play` \(process .*\) is writing here"):
                begin(folder)
        with read_log(folder) as seen:
            assert seen.records == RECORDS[:8]
    assert (folder / "records.bin").read_bytes() == before + RECORDS[7]


def test_records_without_their_log_are_not_written_over(folder: Path) -> None:
    (folder / "log.json").unlink()
    before = (folder / "records.bin").read_bytes()
    with pytest.raises(WmLiveError, match="there are records of a log"):
        new_log(folder, ABOUT)
    assert (folder / "records.bin").read_bytes() == before
