"""Every change of a base chain, in an append-only file.

    magic   8 bytes, then the chain's seed (32) and its genesis' digest (32)
    record  length u32 | crc32 u32 | kind u8 | slot u64 | height u64 | milliseconds since 1970 u64 | payload

Length and checksum cover everything from `kind` on. A process that is killed leaves a torn last record, which the next
one drops. Records are not forced to the disk: a machine that loses power may lose the last ones.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wm_live.errors import WmLiveError

MAGIC = b"wmqbase1"
SEED_BYTES = DIGEST_BYTES = 32
_HEAD_BYTES = len(MAGIC) + SEED_BYTES + DIGEST_BYTES
_FRAME = struct.Struct("<II")
_WHEN = struct.Struct("<BQQQ")

TRANSACTION, AIRDROP = 1, 2


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
    """The file; opened for adding after `records` has been read to its end."""

    def __init__(self, path: Path, digest: bytes) -> None:
        """Open or begin the ledger at `path`; `digest` is its genesis'. WmLiveError if it has another one."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 (lives as long as the chain)
        if path.stat().st_size < _HEAD_BYTES:
            self._file.truncate(0)
            self._file.write(MAGIC + os.urandom(SEED_BYTES) + digest)
        self._file.seek(0)
        head = self._file.read(_HEAD_BYTES)
        if head[: len(MAGIC)] != MAGIC or head[-DIGEST_BYTES:] != digest:
            self._file.close()
            raise WmLiveError(
                f"{path}: begun with other programs or accounts, or by another version; "
                "expected the genesis of today. Remove the folder to begin a new chain"
            )
        self.seed = head[len(MAGIC) : -DIGEST_BYTES]

    def records(self) -> Iterator[LedgerRecord]:
        """Every whole record, oldest first; cuts off a torn tail."""
        raw, at = self.path.read_bytes(), _HEAD_BYTES
        while body := _whole(raw, at):
            kind, *when = _WHEN.unpack_from(body)
            yield LedgerRecord(kind, Moment(*when), body[_WHEN.size :])
            at += _FRAME.size + len(body)
        self._file.truncate(at)

    def add(self, record: LedgerRecord) -> None:
        """Append one record. Raises OSError."""
        when = record.when
        body = _WHEN.pack(record.kind, when.slot, when.height, when.milliseconds) + record.payload
        self._file.write(_FRAME.pack(len(body), zlib.crc32(body)) + body)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole(raw: bytes, at: int) -> bytes:
    """The body of the record at `at`; empty if it is torn, damaged or absent."""
    if at + _FRAME.size > len(raw):
        return b""
    length, crc = _FRAME.unpack_from(raw, at)
    body = raw[at + _FRAME.size : at + _FRAME.size + length]
    return body if len(body) == length >= _WHEN.size and zlib.crc32(body) == crc else b""
