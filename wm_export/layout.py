"""Where every byte lies: the model's blob, the session and the scratch account. Rust constants come from here.

    model account     header | manifest hash 32 | authority 32 | frozen u32 | 0 u32 | blob
    session account   header | manifest hash 32 | authority 32 | model 32 | scratch 32 | frame u64 | step u32 | 0 u32
                      | Frame, i32 per field: player 0, player 1 | first accumulator's start, i64 each
    scratch account   header | session 32 | window's frame u64 | vectors, i64 each | ids, u16 each
    header            tag 8 | version u32 | 0 u32 | length u64 (of the whole account)

All little-endian; every offset is a multiple of 8 but for fields inside a record.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wm_quant.calls import padded, vector_sizes
from wm_quant.qnet import QNet
from wm_train.frames import CONTROLS, PLAYERS, STATE, Kind

ACCOUNT_VERSION = 1


def discriminator(space: str, name: str) -> bytes:
    """Eight bytes that name an instruction (`global`) or a kind of account (`account`), by Anchor's rule."""
    return hashlib.sha256(f"{space}:{name}".encode()).digest()[:8]


TAG_MODEL, TAG_SESSION, TAG_SCRATCH = (discriminator("account", name) for name in ("Model", "Session", "Scratch"))

#: Fields before the payload: name -> bytes, in order.
HEADER: dict[str, int] = {"tag": 8, "version": 4, "reserved": 4, "length": 8}
MODEL: dict[str, int] = HEADER | {"manifest": 32, "authority": 32, "frozen": 4, "pad": 4}
SESSION: dict[str, int] = HEADER | {
    "manifest": 32,
    "authority": 32,
    "model": 32,
    "scratch": 32,
    "frame_number": 8,
    "step": 4,
    "pad": 4,
}
SCRATCH: dict[str, int] = HEADER | {"session": 32, "frame_number": 8}

#: A session account must be small enough to be delegated to a rollup.
SESSION_MAX = 10_240
#: Largest Solana account.
ACCOUNT_MAX = 10 * 1024 * 1024

FRAME_BYTES = 4 * PLAYERS * len(STATE)
AXES = sum(field.kind is Kind.AXIS for field in CONTROLS)
#: One player's input in an instruction: an i8 per axis, then one bit per button, lowest first.
INPUT_BYTES = AXES + 1


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
    """Offsets inside the accounts of one QNet."""

    scratch: Mapping[str, Section]
    session_frame: int
    session_bias: Section
    session_bytes: int
    scratch_bytes: int


def layout(net: QNet) -> Layout:
    """The Layout of a QNet's session and scratch accounts."""
    sizes = vector_sizes(net)
    vectors = sections(offsets(SCRATCH)["end"], [(name, 8, size) for name, size in sizes.items()])
    last = list(vectors.values())[-1].end
    ids = len(list(net.world.encoding.id_fields()))
    scratch = vectors | sections(last, [("ids", 2, padded(ids, 8))])
    frame = offsets(SESSION)["end"]
    bias = sections(frame + FRAME_BYTES, [("bias", 8, sizes[net.ops[0].out])])["bias"]
    return Layout(scratch, frame, bias, bias.end, scratch["ids"].end)
