"""Every change of a base chain, in an append-only file.

    magic   8 bytes, then the chain's seed (32) and its genesis' digest (32)
    record  length u32 | crc32 u32 | kind u8 | slot u64 | height u64 | milliseconds since 1970 u64 | payload

Length and checksum cover everything from `kind` on. A process that is killed leaves a torn last record, which the next
one drops. Where a record is damaged the ledger ends, and what followed is kept in a file beside it. Records are not
forced to the disk: a machine that loses power may lose the last ones.
"""

import fcntl
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.ids import PACKET_BYTES
from wm_train.artifact import check_folder
from wm_train.files import open_to_write, write_whole

MAGIC = b"wmqbase1"
SEED_BYTES = DIGEST_BYTES = 32
_HEAD_BYTES = len(MAGIC) + SEED_BYTES + DIGEST_BYTES
_FRAME = struct.Struct("<II")
_WHEN = struct.Struct("<BQQQ")

TRANSACTION, AIRDROP = 1, 2
#: What follows a damaged record is kept up to this size.
MOST_KEPT = 1 << 30
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """A point in the chain's time: slot, block height, milliseconds since 1970."""

    slot: int
    height: int
    milliseconds: int


@dataclass(frozen=True)
class LedgerRecord:
    """Something that changed the chain. payload: a transaction's bytes, or an airdrop's address and lamports."""

    kind: int
    when: Moment
    payload: bytes


class Ledger:
    """The file; opened for adding after `records` has been read to its end. One process has it at a time."""

    def __init__(self, path: Path, digest: bytes) -> None:
        """Open or begin the ledger at `path`; `digest` is its genesis'. WmLiveError if it has another one."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        check_folder(path.parent, WmLiveError)
        self._file = _opened(path)
        self._end = path.stat().st_size
        try:
            self.seed = self._open(digest)
        except BaseException:
            self._file.close()
            raise

    def _open(self, digest: bytes) -> bytes:
        """The seed, after the lock is taken and the head checked."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WmLiveError(f"{self.path}: another base chain has it; end that one, or name another folder") from None
        if self.path.stat().st_size < _HEAD_BYTES:
            self._file.truncate(0)
            self._end = 0
            self._append(MAGIC + os.urandom(SEED_BYTES) + digest)
        self._file.seek(0)
        head = self._file.read(_HEAD_BYTES)
        if head[: len(MAGIC)] != MAGIC or head[-DIGEST_BYTES:] != digest:
            raise WmLiveError(
                f"{self.path}: begun with other programs or accounts, or by another version; "
                "expected the genesis of today. Remove the folder to begin a new chain"
            )
        return head[len(MAGIC) : -DIGEST_BYTES]

    def records(self) -> Iterator[LedgerRecord]:
        """Every whole record, oldest first; cuts off a torn tail. What is damaged is kept in a file beside it."""
        at = _HEAD_BYTES
        with self.path.open("rb") as file:
            file.seek(at)
            while body := _next_body(file):
                kind, *when = _WHEN.unpack_from(body)
                yield LedgerRecord(kind, Moment(*when), body[_WHEN.size :])
                at += _FRAME.size + len(body)
            file.seek(at)
            self._cut(file, at)
        self._file.truncate(at)
        self._end = at

    def _cut(self, file: BinaryIO, at: int) -> None:
        """Keep what follows the last good record if it is more than a process that was killed leaves behind."""
        size = self.path.stat().st_size - at
        if size < _FRAME.size + _WHEN.size + PACKET_BYTES and not _is_whole(file.read(size)):
            return
        beside = self.path.with_suffix(".damaged")
        if size > MOST_KEPT:
            raise WmLiveError(f"{self.path}: is damaged at byte {at}, and {size:,} bytes follow; move it away")
        file.seek(at)
        with _opened(beside) as kept:
            kept.seek(0, os.SEEK_END)
            shutil.copyfileobj(file, kept)
        log.warning("%s: stops at byte %d, where a record is damaged; what followed is in %s", self.path, at, beside)

    def add(self, record: LedgerRecord) -> None:
        """Append one record, or nothing: WmLiveError if the file does not take all of it."""
        when = record.when
        body = _WHEN.pack(record.kind, when.slot, when.height, when.milliseconds) + record.payload
        self._append(_FRAME.pack(len(body), zlib.crc32(body)) + body)

    def _append(self, raw: bytes) -> None:
        try:
            write_whole(self._file, self._end, raw)
        except OSError as error:
            raise WmLiveError(f"{self.path}: cannot be written ({error.strerror}); is the disk full?") from None
        self._end += len(raw)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _opened(path: Path) -> FileIO:
    try:
        return open_to_write(path)
    except OSError as error:
        raise WmLiveError(f"{path}: cannot be written ({error.strerror}); name another folder") from None


def _next_body(file: BinaryIO) -> bytes:
    """The body of the record that follows; empty if it is torn, damaged or absent."""
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return b""
    length, crc = _FRAME.unpack(frame)
    if not _WHEN.size <= length <= _WHEN.size + PACKET_BYTES:
        return b""
    body = file.read(length)
    return body if len(body) == length and zlib.crc32(body) == crc else b""


def _is_whole(tail: bytes) -> bool:
    """Whether a record that is damaged is all there: then it was not torn."""
    return len(tail) >= _FRAME.size and len(tail) - _FRAME.size >= _FRAME.unpack_from(tail)[0]
