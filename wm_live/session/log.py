"""A session's log: what anyone needs to compute the session again, and to dispute a frame of it.

    log.json        program, session, what was agreed, manifest, ids, slots, record size; of a match, its place in World
    records.bin     one record after the other: both inputs, the Frame they led to, and the digest of what the network
                    keeps after it, if it keeps anything; first the window it began with
    sent.bin        both inputs of each frame, by its number, written before they are sent
    committed.json  what the base chain had last (last_commit.py)
    commits.json    each commit, as a fraud proof names it (commitments.py)

Records are only ever appended. A torn one at the end is dropped when the log is opened. A player who dies at once
leaves frames behind that were sent and are in no record yet: from what was sent they are computed again.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from solders.pubkey import Pubkey

from wm_export.errors import WmExportError
from wm_export.schema.limits import SESSION_IDS
from wm_export.schema.records import Records
from wm_live.chain.addresses import session_address
from wm_live.errors import WmLiveError
from wm_live.session.last_commit import NAME as COMMITTED
from wm_live.session.terms import Terms
from wm_live.session.tree import Tree, root_of
from wm_train import json_schema as js
from wm_train.artifact import check_folder, foreign
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_json, naming, open_to_write, write_whole
from wm_train.reading import Artifact, JsonArtifact, read_json
from wm_train.world.registry import DEFAULT_GAME, find_game
from wm_train.writer import one_writer

FORMAT = "wmq-log-1"
#: Of log.json: what is not written.
_UNSAID = {"game": DEFAULT_GAME, "terms": "", "agreed": None, "empty_memory": "", "match": None}
_AGREED = js.record(
    {name: js.text() for name in ("creator", "opponent", "validator")} | {"number": js.text(re.compile("[0-9]{1,20}"))}
)
_MATCH = js.record({name: js.integer(0, (1 << 64) - 1) for name in ("world", "entity")} | {"authority": js.text()})
RECORDS, SENT, COMMITS = "records.bin", "sent.bin", "commits.json"
#: A day at 60 frames a second.
MOST_RECORDS = 60 * 86_400
LOG_JSON = JsonArtifact(
    WmLiveError,
    "not a session's log of this wmq",
    max_bytes=1 << 16,
    format=FORMAT,
    schema=js.record(
        {
            "format": js.text(),
            "record_bytes": js.integer(1),
            "program": js.text(),
            "model": js.text(),
            "session": js.text(),
            "manifest_sha256": js.text(),
            "ids": js.list_of(js.integer(0, (1 << 16) - 1), most=SESSION_IDS),
            "slots": js.integer(1, 64),
        },
        {
            "game": js.text(),
            "terms": js.text(re.compile("([0-9a-f]{64})?")),
            "agreed": _AGREED,
            "empty_memory": js.text(js.SHA256),
            "match": _MATCH,
        },
    ),
)


@dataclass(frozen=True)
class Agreed:
    """Of a session's Terms, beside ids and first window: addresses as base58, the number in decimal."""

    creator: str
    number: str
    opponent: str
    validator: str


@dataclass(frozen=True)
class MatchPlace:
    """Of a match of components and systems: number of its world, of its entity in that, and who alone may have its
    components written, as base58."""

    world: int
    entity: int
    authority: str


@dataclass(frozen=True)
class About:
    """What a log is of; addresses as base58, hashes as hexadecimal.

    program, model, session   of a match: World, the world that it is in, its entity
    terms   hash of what was agreed, which leads to the session's address; empty where it was not kept
    agreed  who has made the session, and of the Terms what the log does not say otherwise; None where it was not kept
    empty_memory  digest of what the network keeps before the first frame; empty of one that keeps nothing
    match   where it is played; None of a session of a program
    """

    program: str
    model: str
    session: str
    manifest_sha256: str
    ids: tuple[int, ...]
    slots: int
    game: str = DEFAULT_GAME
    terms: str = ""
    agreed: Agreed | None = None
    empty_memory: str = ""
    match: MatchPlace | None = None

    @property
    def codec(self) -> Records:
        """What inputs, Frames and records of its game are as bytes."""
        return Records(find_game(self.game), bytes.fromhex(self.empty_memory))


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

    def agreed_address(self) -> str:
        """The address that follows from what was agreed, and from ids and first window of the log; empty if none does.

        Not of a log that does not say what was agreed.
        """
        about, agreed = self.about, self.about.agreed
        assert agreed is not None
        try:
            program, model, creator, opponent, validator = map(
                Pubkey.from_string, (about.program, about.model, agreed.creator, agreed.opponent, agreed.validator)
            )
            terms = Terms(int(agreed.number), about.ids, root_of(self.records[: about.slots]), opponent, validator)
            return str(session_address(program, model, creator, terms.hash))
        except (ValueError, WmExportError):
            return ""

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
    """An empty log; WmLiveError if one is there already, or anything else."""
    with _writing(folder) as opened:
        need_no_log(folder)
        file, sent = (opened.enter_context(_opened(folder / name)) for name in (RECORDS, SENT))
        kept = {name: value for name, value in asdict(about).items() if value != _UNSAID.get(name)}
        atomic_write_json(folder / "log.json", {"format": FORMAT, "record_bytes": about.codec.record_size} | kept)
        return Log(folder, about, [], file, sent, opened.pop_all())


def need_no_log(folder: Path) -> None:
    """WmLiveError if a new log cannot be begun in a folder, because it holds a log or anything else."""
    if (folder / "log.json").exists():
        raise WmLiveError(f"{folder}: there is a log already; name another folder")
    if any((folder / name).is_file() and (folder / name).stat().st_size for name in (RECORDS, SENT)):
        raise WmLiveError(f"{folder}: there are records of a log without its log.json; name another folder")
    if (held := foreign(folder, (RECORDS, SENT, COMMITTED, COMMITS))) is not None:
        raise WmLiveError(f"{folder}: holds {held}, which is no part of a log; name another folder with --log")


def read_log(folder: Path) -> Log:
    """A log that is there, checked; it may be another's, and in use."""
    about, records = _read(folder)
    return Log(folder, about, records, None, None, ExitStack())


def open_log(folder: Path) -> Log:
    """The same, to be gone on with by this process alone. A torn record at its end is dropped."""
    with _writing(folder) as opened:
        about, records = _read(folder)
        file, sent = (opened.enter_context(_opened(folder / name)) for name in (RECORDS, SENT))
        file.truncate(len(records) * about.codec.record_size)
        return Log(folder, about, records, file, sent, opened.pop_all())


def _opened(path: Path) -> FileIO:
    try:
        return open_to_write(path)
    except OSError as error:
        raise WmLiveError(f"{path}: cannot be written ({error.strerror}); name another folder with --log") from None


@contextmanager
def _writing(folder: Path) -> Iterator[ExitStack]:
    """What has to end when the log is closed, or cannot be opened; the folder's only writer is in it."""
    with ExitStack() as opened:
        opened.enter_context(one_writer(folder, "play"))
        check_folder(folder, WmLiveError)
        yield opened


def _read(folder: Path) -> tuple[About, list[bytes]]:
    check_folder(folder, WmLiveError)
    about = _about(folder / "log.json")
    size = about.codec.record_size
    raw = Artifact(WmLiveError, LOG_JSON.again, max_bytes=(MOST_RECORDS + 1) * size).read(folder / RECORDS)
    whole = len(raw) // size
    if whole < about.slots or whole > MOST_RECORDS:
        raise WmLiveError(f"{folder}: {whole} records, expected {about.slots} to {MOST_RECORDS}")
    return about, [raw[i * size : (i + 1) * size] for i in range(whole)]


def _about(path: Path) -> About:
    data = read_json(path, LOG_JSON)
    try:
        game = find_game(data.get("game", DEFAULT_GAME))
    except WmTrainError as error:
        raise LOG_JSON.refuse(path, error) from None
    empty = data.get("empty_memory", "")
    if data["record_bytes"] != (size := Records(game, bytes.fromhex(empty)).record_size):
        raise LOG_JSON.refuse(path, f"records are of {data['record_bytes']} bytes, expected {size}")
    program, model, session, manifest = (data[text] for text in ("program", "model", "session", "manifest_sha256"))
    more = data.get("terms", ""), Agreed(**data["agreed"]) if "agreed" in data else None
    match = MatchPlace(**data["match"]) if "match" in data else None
    return About(program, model, session, manifest, tuple(data["ids"]), data["slots"], game.name, *more, empty, match)
