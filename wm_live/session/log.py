"""A session's log: what anyone needs to compute the session again, and to dispute a frame of it.

    log.json       program, session, manifest, ids, slots, record size
    records.bin    one record after the other: both inputs, then the Frame they led to; first the window it started from
    sent.bin       both inputs of each frame, by its number, written before they are sent

Records are only ever appended. A torn one at the end is dropped when the log is opened. A player who dies at once
leaves frames behind that were sent and are in no record yet: from what was sent they are computed again.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from wm_export.schema.limits import SESSION_IDS
from wm_export.schema.records import Records
from wm_live.errors import WmLiveError
from wm_live.session.tree import Tree
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_json, naming, write_whole
from wm_train.world.registry import DEFAULT_GAME, find_game
from wm_train.writer import one_writer

FORMAT = "wmq-log-1"
RECORDS, SENT = "records.bin", "sent.bin"
#: A day at 60 frames a second.
MOST_RECORDS = 60 * 86_400


@dataclass(frozen=True)
class About:
    """What a log is of; addresses as base58, hashes as hexadecimal."""

    program: str
    model: str
    session: str
    manifest_sha256: str
    ids: tuple[int, ...]
    slots: int
    game: str = DEFAULT_GAME

    @property
    def codec(self) -> Records:
        """What inputs, Frames and records of its game are as bytes."""
        return Records(find_game(self.game))


class Log:
    """An open log. `records` and `tree` always agree; what is appended is on disk after `flush`."""

    def __init__(
        self,
        folder: Path,
        about: About,
        records: list[bytes],
        file: FileIO | None,
        sent: FileIO | None,
        opened: ExitStack,
    ) -> None:
        self.folder, self.about, self.records, self.tree = folder, about, records, Tree(records)
        self._file, self._sent, self._open = file, sent, opened
        self.codec = about.codec

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def frames(self) -> int:
        """Frames computed, beyond the window it started from."""
        return len(self.records) - self.about.slots

    def append(self, record: bytes) -> None:
        """Add the next record. Not to a log that was opened to be read."""
        assert self._file is not None
        write_whole(self._file, len(self.records) * self.codec.record_size, record)
        self.records.append(record)
        self.tree.append(record)

    def intend(self, frame: int, inputs: bytes) -> None:
        """Keep both players' inputs (codec.inputs_size bytes) of a frame that is about to be sent."""
        assert self._sent is not None
        write_whole(self._sent, frame * self.codec.inputs_size, inputs)

    def intended(self, frame: int) -> bytes | None:
        """What `intend` has kept for a frame; None if there is nothing."""
        assert self._sent is not None
        self._sent.seek(frame * self.codec.inputs_size)
        found = self._sent.read(self.codec.inputs_size)
        return found if len(found) == self.codec.inputs_size else None

    def flush(self) -> None:
        """Everything so far survives whatever comes; without it, all but the end of the machine."""
        assert self._file is not None
        with naming(self.folder / RECORDS):
            os.fsync(self._file.fileno())

    def truncate(self, count: int) -> None:
        """Forget every record after the first `count`: frames that were lost with a rollup."""
        self.flush()
        assert self._file is not None
        self._file.truncate(count * self.codec.record_size)
        self.records = self.records[:count]
        self.tree = Tree(self.records)

    def close(self) -> None:
        """End it."""
        with self._open:
            if self._file is not None and not self._file.closed:
                self.flush()


def new_log(folder: Path, about: About) -> Log:
    """An empty log; WmLiveError if one is there already."""
    with _writing(folder) as opened:
        if (folder / "log.json").exists():
            raise WmLiveError(f"{folder}: there is a log already; name another folder")
        if any((folder / name).is_file() and (folder / name).stat().st_size for name in (RECORDS, SENT)):
            raise WmLiveError(f"{folder}: there are records of a log without its log.json; name another folder")
        file, sent = (opened.enter_context((folder / name).open("w+b", buffering=0)) for name in (RECORDS, SENT))
        kept = {name: value for name, value in asdict(about).items() if (name, value) != ("game", DEFAULT_GAME)}
        atomic_write_json(folder / "log.json", {"format": FORMAT, "record_bytes": about.codec.record_size} | kept)
        return Log(folder, about, [], file, sent, opened.pop_all())


def read_log(folder: Path) -> Log:
    """A log that is there, checked; it may be another's, and in use."""
    about, records = _read(folder)
    return Log(folder, about, records, None, None, ExitStack())


def open_log(folder: Path) -> Log:
    """The same, to be gone on with by this process alone. A torn record at its end is dropped."""
    with _writing(folder) as opened:
        about, records = _read(folder)
        file = opened.enter_context((folder / RECORDS).open("r+b", buffering=0))
        file.truncate(len(records) * about.codec.record_size)
        path = folder / SENT
        sent = opened.enter_context(path.open("r+b" if path.exists() else "w+b", buffering=0))
        return Log(folder, about, records, file, sent, opened.pop_all())


@contextmanager
def _writing(folder: Path) -> Iterator[ExitStack]:
    """What has to end when the log is closed, or cannot be opened; the folder's only writer is in it."""
    with ExitStack() as opened:
        opened.enter_context(one_writer(folder, "play"))
        yield opened


def _read(folder: Path) -> tuple[About, list[bytes]]:
    path = folder / "log.json"
    try:
        data = json.loads(path.read_text())
        raw = (folder / RECORDS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise WmLiveError(f"{path}: cannot be read as a session's log ({error})") from None
    about = _about(path, data)
    size = about.codec.record_size
    whole = len(raw) // size
    if whole < about.slots or whole > MOST_RECORDS:
        raise WmLiveError(f"{folder}: {whole} records, expected {about.slots} to {MOST_RECORDS}")
    return about, [raw[i * size : (i + 1) * size] for i in range(whole)]


def _about(path: Path, data: object) -> About:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise WmLiveError(f"{path}: expected format {FORMAT}; another wmq's log?")
    try:
        played = find_game(str(data.get("game", DEFAULT_GAME)))
    except WmTrainError as error:
        raise WmLiveError(f"{path}: {error}") from None
    if data.get("record_bytes") != (size := Records(played).record_size):
        raise WmLiveError(f"{path}: expected format {FORMAT} with records of {size} bytes; another wmq's log?")
    texts = ("program", "model", "session", "manifest_sha256")
    ids, slots = data.get("ids"), data.get("slots")
    whole = isinstance(ids, list) and all(type(i) is int and 0 <= i < 1 << 16 for i in ids) and len(ids) <= SESSION_IDS
    if not whole or type(slots) is not int or not 1 <= slots <= 64 or not all(type(data.get(t)) is str for t in texts):
        raise WmLiveError(f"{path}: program, model, session, manifest, ids or slots are not what wmq writes")
    program, model, session, manifest = (data[text] for text in texts)
    return About(program, model, session, manifest, tuple(data["ids"]), slots, played.name)
