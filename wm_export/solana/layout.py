"""Where every byte lies: the model's blob, the session, scratch and dispute accounts. Rust constants come from here.

    model account     header | MODEL | chunk bitmap, a bit per chunk | a shard of the blob
    session account   header | SESSION | players, PLAYER each | inputs, a word per frame ahead and player | Frame
    scratch account   header | SCRATCH | peaks | work
    dispute account   header | DISPUTE | peaks | Frame | work
    work              the program's buffers (lower/lowered_program.py): what ops keep from frame to frame (memory.py),
                      window, what the session's ids give, vectors of a frame
    header            tag 8 | version u32 | 0 u32 | length u64 (of the whole account)
    Frame             i32 per field: player 0, player 1

All little-endian; accounts and sections begin at multiples of 8. A session is small, because a rollup commits it to the
base chain in one transaction; what it computes with lies in scratch, which never leaves the rollup.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wm_export.lower.lowered_program import Program, padded
from wm_export.lower.memory import Memory, memory
from wm_export.lower.placement import place
from wm_export.schema.accounts import DISPUTE, MODEL, SCRATCH, SESSION, Account
from wm_export.schema.limits import ACCOUNT_MAX, CHUNK_BYTES, PIECE_BYTES
from wm_export.schema.records import Records
from wm_export.schema.types import elements
from wm_quant.qnet import QNet

#: Most of a blob that one model account holds: it leaves room for the header and a bit for each chunk.
SHARD_MAX = ACCOUNT_MAX - 4096


@dataclass(frozen=True)
class Section:
    """A stretch of bytes: `count` elements of `width` bytes at `offset`."""

    name: str
    offset: int
    width: int
    count: int

    @property
    def end(self) -> int:
        """First byte after it, padded to 8."""
        return padded(self.offset + self.width * self.count, 8)


def sections(start: int, parts: Sequence[tuple[str, int, int]]) -> dict[str, Section]:
    """Sections one after the other from `start`; parts are (name, element bytes, elements)."""
    out: dict[str, Section] = {}
    at = padded(start, 8)
    for name, width, count in parts:
        out[name] = Section(name, at, width, count)
        at = out[name].end
    return out


@dataclass(frozen=True)
class Layout:
    """Offsets inside the accounts of one QNet.

    model     sections `chunks` and `blob`, large enough for every shard
    shards    bytes of each shard of the blob
    session   sections `players`, `inputs` and `frame`
    scratch   section `peaks`; the work area follows
    dispute   sections `peaks` and `frame`; the work area follows
    work      sections of the work area, from its own first byte
    memory    the region of the work area that holds what ops keep from frame to frame
    records   what inputs, Frames and records are as bytes
    """

    model: Mapping[str, Section]
    shards: tuple[int, ...]
    session: Mapping[str, Section]
    scratch: Mapping[str, Section]
    dispute: Mapping[str, Section]
    work: Mapping[str, Section]
    memory: Memory
    records: Records

    @property
    def model_bytes(self) -> tuple[int, ...]:
        """Size of the model account of each shard."""
        return tuple(padded(self.model["blob"].offset + size, 8) for size in self.shards)

    @property
    def session_bytes(self) -> int:
        """Size of a session account."""
        return _end(self.session)

    @property
    def work_bytes(self) -> int:
        """Size of a work area."""
        return _end(self.work)

    @property
    def scratch_work(self) -> int:
        """Where the work area begins in a scratch account."""
        return _end(self.scratch)

    @property
    def dispute_work(self) -> int:
        """Where the work area begins in a dispute account."""
        return _end(self.dispute)

    @property
    def scratch_bytes(self) -> int:
        """Size of a scratch account."""
        return self.scratch_work + self.work_bytes

    @property
    def dispute_bytes(self) -> int:
        """Size of a dispute account."""
        return self.dispute_work + self.work_bytes


def _end(parts: Mapping[str, Section]) -> int:
    return max(section.end for section in parts.values())


def account_sections(account: Account, sizes: Mapping[str, int]) -> dict[str, Section]:
    """Sections of an account whose sizes no network decides, after its fixed fields; `sizes` as in Records."""
    parts = [(part.name, *elements(part.type.sized(sizes))) for part in account.sections]
    return sections(account.size, parts)


def chunks(blob_bytes: int) -> int:
    """Chunks that a blob is uploaded in; the last may be shorter."""
    return padded(blob_bytes, CHUNK_BYTES) // CHUNK_BYTES


def pieces(blob_bytes: int) -> int:
    """Pieces that a blob is hashed in; the last may be shorter."""
    return padded(blob_bytes, PIECE_BYTES) // PIECE_BYTES


def digest(blob: bytes) -> bytes:
    """The hash that a program takes of a blob in its account, piece by piece: 32 bytes."""
    state = bytes(32)
    for start in range(0, len(blob), PIECE_BYTES):
        state = hashlib.sha256(state + blob[start : start + PIECE_BYTES]).digest()
    return state


def session_vocab(net: QNet) -> list[int]:
    """Size of the table of each session id, in order."""
    return [field.vocab for _, field in net.world.encoding.session_fields()]


def layout(program: Program, shards: Sequence[int] = (0,)) -> Layout:
    """The Layout of a program's accounts; that of model accounts holds only for the true sizes of the shards."""
    model = [("chunks", 1, padded(chunks(max(shards)), 8) // 8), ("blob", 1, max(shards))]
    kept = memory(program)
    records = Records(program.game, kept.empty)
    session, scratch, dispute = (account_sections(account, records.sizes) for account in (SESSION, SCRATCH, DISPUTE))
    return Layout(sections(MODEL.size, model), tuple(shards), session, scratch, dispute, work(program), kept, records)


def work(program: Program) -> dict[str, Section]:
    """The sections of the work area: the program's buffers, in their places."""
    slots = place(program)
    return {
        name: Section(name, slots[name].start, buffer.width, buffer.count) for name, buffer in program.buffers.items()
    }
