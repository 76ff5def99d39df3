"""A model account as it is on chain: how far its upload is, and whether it is what the program takes it for."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from solders.pubkey import Pubkey

from wm_export.layout import (
    ACCOUNT_VERSION,
    CHUNK_BYTES,
    MODEL,
    TAG_MODEL,
    Layout,
    chunks,
    layout,
    offsets,
    pieces,
)
from wm_export.solana import Export
from wm_live.answers import Account
from wm_live.errors import WmLiveError

_AT = offsets(MODEL)


@dataclass(frozen=True)
class ModelHead:
    """What a model account says of itself.

    digest  of the pieces hashed so far
    pieces  how many that are
    missing chunks that have not been written, ascending
    """

    lamports: int
    manifest: bytes
    authority: Pubkey
    digest: bytes
    pieces: int
    frozen: bool
    missing: Sequence[int]


@dataclass(frozen=True)
class ModelShape:
    """Sizes of an export's model account."""

    where: Layout
    blob_bytes: int

    @property
    def account_bytes(self) -> int:
        """Of the whole account."""
        return self.where.model_bytes

    @property
    def head_bytes(self) -> int:
        """Before the blob: header and bitmap."""
        return self.where.model["blob"].offset

    @property
    def chunks(self) -> int:
        """Chunks of the blob."""
        return chunks(self.blob_bytes)

    @property
    def pieces(self) -> int:
        """Pieces that the blob is hashed in."""
        return pieces(self.blob_bytes)

    def blob(self, data: bytes) -> bytes:
        """The blob in an account's data."""
        return data[self.head_bytes : self.head_bytes + self.blob_bytes]

    def read_head(self, account: Account, address: Pubkey, program: Pubkey) -> ModelHead:
        """The checked start of a model account of `program`, of which `account` has at least `head_bytes`.

        WmLiveError if it is another program's, of another kind, version or size.
        """
        raw = account.data
        if account.owner != program:
            raise WmLiveError(f"model {address}: belongs to {account.owner}, expected the program {program}")
        whole = len(raw) >= self.head_bytes and raw[:8] == TAG_MODEL
        version, _, length = struct.unpack_from("<IIQ", raw, 8) if whole else (0, 0, 0)
        if (version, length) != (ACCOUNT_VERSION, self.account_bytes):
            raise WmLiveError(
                f"model {address}: expected a model of version {ACCOUNT_VERSION} and {self.account_bytes:,} bytes, got "
                f"tag {raw[:8].hex() or 'none'}, version {version} and {length:,} bytes; is it of another export?"
            )
        hashed, frozen = struct.unpack_from("<II", raw, _AT["pieces"])
        return ModelHead(
            account.lamports,
            raw[_AT["manifest"] : _AT["manifest"] + 32],
            Pubkey(raw[_AT["authority"] : _AT["authority"] + 32]),
            raw[_AT["digest"] : _AT["digest"] + 32],
            hashed,
            frozen != 0,
            self._missing(raw),
        )

    def _missing(self, raw: bytes) -> list[int]:
        marks = np.frombuffer(raw, np.uint8, -(-self.chunks // 8), self.where.model["chunks"].offset)
        return [int(i) for i in np.flatnonzero(np.unpackbits(marks, count=self.chunks, bitorder="little") == 0)]


def shape_of(export: Export) -> ModelShape:
    """The ModelShape of an export."""
    return ModelShape(layout(export.net, len(export.blob)), len(export.blob))


def blob_chunk(blob: bytes, index: int) -> bytes:
    """Chunk `index` of a blob."""
    return blob[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


def different_chunks(blob: bytes, found: bytes) -> list[int]:
    """Chunks in which a blob on chain is not what it should be."""
    count = chunks(len(blob))
    return [i for i in range(count) if blob_chunk(blob, i) != blob_chunk(found, i)]
