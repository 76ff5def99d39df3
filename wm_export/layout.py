"""Where every byte lies: the model's blob, the session, scratch and dispute accounts. Rust constants come from here.

    model account     header | MODEL | chunk bitmap, a bit per chunk | blob
    session account   header | SESSION | players, PLAYER each | inputs, a word per frame ahead and player | Frame
    scratch account   header | SCRATCH | peaks | work
    dispute account   header | DISPUTE | peaks | Frame | work
    work              vectors, i64 each | ids, u16 each | the first accumulator's start in this session, i64 each |
                      bounds of positions in this session, i64 each
    header            tag 8 | version u32 | 0 u32 | length u64 (of the whole account)
    Frame             i32 per field: player 0, player 1

All little-endian; accounts and sections begin at multiples of 8. A session is small, because a rollup commits it to the
base chain in one transaction; what it computes with lies in scratch, which never leaves the rollup.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wm_quant.calls import padded, vector_sizes
from wm_quant.cost import TREE_LEVELS
from wm_quant.qnet import SESSION_BIAS, QNet
from wm_train.bounds import BOUNDS
from wm_train.frames import CONTROLS, PLAYERS, STATE, Kind

ACCOUNT_VERSION = 2


def discriminator(space: str, name: str) -> bytes:
    """Eight bytes that name an instruction (`global`) or a kind of account (`account`), by Anchor's rule."""
    return hashlib.sha256(f"{space}:{name}".encode()).digest()[:8]


TAG_MODEL, TAG_SESSION, TAG_SCRATCH, TAG_DISPUTE = (
    discriminator("account", name) for name in ("Model", "Session", "Scratch", "Dispute")
)

FRAME_BYTES = 4 * PLAYERS * len(STATE)
AXES = sum(field.kind is Kind.AXIS for field in CONTROLS)
#: One player's input in an instruction: an i8 per axis, then one bit per button, lowest first.
INPUT_BYTES = AXES + 1
INPUTS_BYTES = PLAYERS * INPUT_BYTES
#: What the log says of a frame, and a leaf of the session's hash tree: both players' inputs, and the Frame they led to.
RECORD_BYTES = INPUTS_BYTES + FRAME_BYTES

#: Bytes of blob in one upload transaction; small enough for a priority fee's two instructions beside it.
CHUNK_BYTES = 960
#: Bytes of blob hashed at a time: digest = sha256(digest, piece), from 32 zero bytes on.
PIECE_BYTES = 256 * 1024
#: Frames that a player's input may come early.
LOOKAHEAD = 8
#: What an account may grow by in one instruction.
GROWTH = 10_240

#: Fields before the payload: name -> bytes, in order.
HEADER: dict[str, int] = {"tag": 8, "version": 4, "reserved": 4, "length": 8}
MODEL: dict[str, int] = HEADER | {"manifest": 32, "authority": 32, "digest": 32, "pieces": 4, "frozen": 4}
PLAYER: dict[str, int] = {"wallet": 32, "key": 32, "expires": 8}
SESSION: dict[str, int] = HEADER | {
    "manifest": 32,
    "model": 32,
    "creator": 32,
    "validator": 32,
    "start": 32,
    "root": 32,
    "id": 8,
    "ids": 8,
    "frame_number": 8,
    "step": 4,
    "status": 4,
    "bump": 4,
    "scratch_bump": 4,
}
SCRATCH: dict[str, int] = HEADER | {"session": 32, "frame_number": 8, "loaded": 8}
DISPUTE: dict[str, int] = HEADER | {
    "session": 32,
    "disputer": 32,
    "validator": 32,
    "leaves": 8,
    "frame_number": 8,
    "loaded": 8,
    "step": 4,
    "verdict": 4,
}

#: A session account must be small enough to be delegated to a rollup.
SESSION_MAX = 10_240
#: Largest Solana account.
ACCOUNT_MAX = 10 * 1024 * 1024


def offsets(fields: Mapping[str, int]) -> dict[str, int]:
    """Offset of every field, and `end`."""
    out, at = {}, 0
    for name, size in fields.items():
        out[name] = at
        at += size
    return out | {"end": at}


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

    model     sections `chunks` and `blob`
    session   sections `players`, `inputs` and `frame`
    work      sections of the work area, from its own first byte
    """

    model: Mapping[str, Section]
    session: Mapping[str, Section]
    work: Mapping[str, Section]

    @property
    def model_bytes(self) -> int:
        """Size of a model account."""
        return self.model["blob"].end

    @property
    def session_bytes(self) -> int:
        """Size of a session account."""
        return self.session["frame"].end

    @property
    def work_bytes(self) -> int:
        """Size of a work area."""
        return list(self.work.values())[-1].end

    @property
    def scratch_bytes(self) -> int:
        """Size of a scratch account."""
        return SCRATCH_WORK + self.work_bytes

    @property
    def dispute_bytes(self) -> int:
        """Size of a dispute account."""
        return DISPUTE_WORK + self.work_bytes


PEAKS_BYTES = 32 * TREE_LEVELS
#: Where peaks, Frame and work area begin.
SCRATCH_PEAKS = offsets(SCRATCH)["end"]
SCRATCH_WORK = SCRATCH_PEAKS + PEAKS_BYTES
DISPUTE_PEAKS = offsets(DISPUTE)["end"]
DISPUTE_FRAME = DISPUTE_PEAKS + PEAKS_BYTES
DISPUTE_WORK = padded(DISPUTE_FRAME + FRAME_BYTES, 8)


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


def layout(net: QNet, blob_bytes: int = 0) -> Layout:
    """The Layout of a QNet's accounts; that of the model account holds only for the true size of the blob."""
    sizes = vector_sizes(net)
    ids = len(list(net.world.encoding.id_fields()))
    start = next(op.out for op in net.ops if op.init == SESSION_BIAS)
    work = [(name, 8, size) for name, size in sizes.items()]
    work += [("ids", 2, padded(ids, 8)), ("bias", 8, sizes[start]), ("bounds", 8, BOUNDS)]
    session = [
        ("players", offsets(PLAYER)["end"], PLAYERS),
        ("inputs", 8, LOOKAHEAD * PLAYERS),
        ("frame", 4, FRAME_BYTES // 4),
    ]
    model = [("chunks", 1, padded(chunks(blob_bytes), 8) // 8), ("blob", 1, blob_bytes)]
    return Layout(sections(offsets(MODEL)["end"], model), sections(offsets(SESSION)["end"], session), sections(0, work))
