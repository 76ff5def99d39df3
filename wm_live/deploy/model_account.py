"""A model account on chain: progress of its upload, and validation of its header."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from solders.pubkey import Pubkey

from wm_export.schema.accounts import MODEL
from wm_export.schema.limits import ACCOUNT_VERSION, CHUNK_BYTES
from wm_export.solana.export import Export
from wm_export.solana.layout import Layout, chunks, pieces
from wm_live.chain.answers import AccountInfo
from wm_live.errors import WmLiveError


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
    """Sizes of the model account of one of an export's shards."""

    where: Layout
    shard: int

    @property
    def blob_bytes(self) -> int:
        """Of the shard."""
        return self.where.shards[self.shard]

    @property
    def account_bytes(self) -> int:
        """Of the whole account."""
        return self.where.model_bytes[self.shard]

    @property
    def head_bytes(self) -> int:
        """Before the blob: header and bitmap."""
        return self.where.model["blob"].offset

    @property
    def chunks(self) -> int:
        """Chunks of the shard."""
        return chunks(self.blob_bytes)

    @property
    def pieces(self) -> int:
        """Pieces that the shard is hashed in."""
        return pieces(self.blob_bytes)

    def blob(self, data: bytes) -> bytes:
        """The shard in an account's data."""
        return data[self.head_bytes : self.head_bytes + self.blob_bytes]

    def read_head(self, account: AccountInfo, address: Pubkey, program: Pubkey) -> ModelHead:
        """The checked start of a model account of `program`, of which `account` has at least `head_bytes`.

        WmLiveError if it is another program's, of another kind, version or size.
        """
        raw = account.data
        if account.owner != program:
            raise WmLiveError(f"model {address}: belongs to {account.owner}, expected the program {program}")
        whole = len(raw) >= self.head_bytes and raw[:8] == MODEL.tag
        version, length = (MODEL.read(raw, name) if whole else 0 for name in ("version", "length"))
        if (version, length) != (ACCOUNT_VERSION, self.account_bytes):
            raise WmLiveError(
                f"model {address}: expected a model of version {ACCOUNT_VERSION} and {self.account_bytes:,} bytes, got "
                f"tag {raw[:8].hex() or 'none'}, version {version} and {length:,} bytes; is it of another export?"
            )
        head = MODEL.unpack(raw)
        if head["shard"] != self.shard:
            raise WmLiveError(f"model {address}: expected shard {self.shard} of the weights, got {head['shard']}")
        return ModelHead(
            lamports=account.lamports,
            manifest=head["manifest"],
            authority=Pubkey(head["authority"]),
            digest=head["digest"],
            pieces=head["pieces"],
            frozen=head["frozen"],
            missing=self._missing(raw),
        )

    def _missing(self, raw: bytes) -> list[int]:
        marks = np.frombuffer(raw, np.uint8, -(-self.chunks // 8), self.where.model["chunks"].offset)
        return [int(i) for i in np.flatnonzero(np.unpackbits(marks, count=self.chunks, bitorder="little") == 0)]


def shapes_of(export: Export) -> list[ModelShape]:
    """The ModelShape of each shard of an export."""
    return [ModelShape(export.layout, shard) for shard in range(len(export.shards))]


def blob_chunk(blob: bytes, index: int) -> bytes:
    """Chunk `index` of a blob."""
    return blob[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


def different_chunks(blob: bytes, found: bytes) -> list[int]:
    """Chunks in which a blob on chain is not what it should be."""
    count = chunks(len(blob))
    return [i for i in range(count) if blob_chunk(blob, i) != blob_chunk(found, i)]
