"""Recordings of a game, and what reads them: one `Reader` a game, which turns a file's bytes into columns.

A file is hostile until it is read. A reader raises RecordingError and nothing else, with a reason for tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_train.errors import WmTrainError
from wm_train.reading import UnreadableError, read_file

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 256 << 20


class RecordingError(WmTrainError):
    """A file is not a usable recording. `reason` is one word for tables, `detail` says more; md5 if it was read."""

    def __init__(self, reason: str, detail: str, md5: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.md5 = reason, detail, md5

    def __reduce__(self) -> tuple[type, tuple[str, str, str | None]]:
        return RecordingError, (self.reason, self.detail, self.md5)


@dataclass(frozen=True)
class Recording:
    """One game of two players.

    md5: of the file's bytes, hex. match: the recording's own name of the match, "" if it has none; seed: what chance
    began with, the same in every recording of the match (match.py). about: facts of the whole game, those of
    Game.facts. table: one row per frame, `frame` contiguous, columns and types as `dataset.stored_types`, without
    nulls; floats are finite. missing: columns (without the player's prefix) that the file's version does not record,
    absent from the table.
    """

    md5: str
    about: Mapping[str, Any]
    table: "pa.Table"
    missing: tuple[str, ...]
    match: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Reader:
    """What reads a game's recordings. parser: its name and version, kept in a dataset; suffix: of the files.

    parse   (bytes of a file, their md5) -> Recording; raises RecordingError
    """

    parser: str
    suffix: str
    parse: Callable[[bytes, str], Recording]


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most MAX_BYTES. Raises RecordingError (unreadable, not_a_file, too_large)."""
    try:
        return read_file(path, MAX_BYTES, linked=True)
    except UnreadableError as error:
        raise RecordingError(error.reason, error.detail) from None
