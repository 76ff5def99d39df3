"""Accounts as bytes: a model, a session and a scratch account from a QNet and a State, and back.

The harness prepares accounts with these; the program checks every header byte that is written here.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_export.layout import (
    ACCOUNT_VERSION,
    AXES,
    FRAME_BYTES,
    INPUT_BYTES,
    MODEL,
    PLAYER,
    SCRATCH_PEAKS,
    SCRATCH_WORK,
    SESSION,
    TAG_MODEL,
    TAG_SCRATCH,
    TAG_SESSION,
    Layout,
    chunks,
    digest,
    layout,
    offsets,
    pieces,
)
from wm_quant.qnet import QNet
from wm_train.frames import CONTROLS, PLAYERS, STATE

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace

#: What a session goes through, in order; the program's own list is in state.rs.
STATUSES = ("open", "joined", "started", "ended")
STARTED = STATUSES.index("started")


@dataclass(frozen=True)
class Keys:
    """Addresses that accounts name, 32 bytes each; `authority` is creator, both players, and their session key."""

    authority: bytes
    model: bytes
    session: bytes
    scratch: bytes


def _header(tag: bytes, length: int) -> bytes:
    return tag + struct.pack("<IIQ", ACCOUNT_VERSION, 0, length)


def model_account(net: QNet, blob: bytes, manifest_hash: bytes, authority: bytes, frozen: bool = True) -> bytes:
    """Data of a model account whose blob was uploaded, hashed and, if so, frozen."""
    where = layout(net, len(blob))
    data = bytearray(where.model_bytes)
    head = _header(TAG_MODEL, len(data)) + manifest_hash + authority + digest(blob)
    data[: offsets(MODEL)["end"]] = head + struct.pack("<II", pieces(len(blob)), frozen)
    marks = np.packbits(np.ones(chunks(len(blob)), np.uint8), bitorder="little").tobytes()
    data[where.model["chunks"].offset : where.model["chunks"].offset + len(marks)] = marks
    data[where.model["blob"].offset : where.model["blob"].offset + len(blob)] = blob
    return bytes(data)


def input_bytes(following: NDArray[np.int8]) -> bytes:
    """Both players' inputs (2, len(CONTROLS)) as an instruction carries them."""
    buttons = np.packbits(following[:, AXES:].astype(np.uint8), axis=1, bitorder="little")
    return b"".join(following[p, :AXES].tobytes() + buttons[p].tobytes() for p in range(PLAYERS))


def inputs_of(record: bytes) -> NDArray[np.int8]:
    """(2, len(CONTROLS)) the inputs that `input_bytes` wrote."""
    return unpack_inputs(np.frombuffer(record, np.uint8))


def unpack_inputs(raw: NDArray[np.uint8]) -> NDArray[np.int8]:
    """(..., 2, len(CONTROLS)) the inputs in bytes (..., INPUTS_BYTES); nothing is checked."""
    pads = raw.reshape(*raw.shape[:-1], PLAYERS, INPUT_BYTES)
    buttons = np.unpackbits(pads[..., AXES:], axis=-1, count=len(CONTROLS) - AXES, bitorder="little")
    return np.concatenate([pads[..., :AXES].view(np.int8), buttons.view(np.int8)], axis=-1)


def frame_bytes(frame: NDArray[np.int32]) -> bytes:
    """A Frame (2, len(STATE)) as accounts and records hold it."""
    return frame.astype("<i4").tobytes()


def frame_of(raw: bytes) -> NDArray[np.int32]:
    """(2, len(STATE)) the Frame that `frame_bytes` wrote."""
    return np.frombuffer(raw, "<i4").reshape(PLAYERS, len(STATE)).astype(np.int32)


class AccountCodec:
    """Session and scratch accounts of one QNet."""

    def __init__(self, net: QNet, manifest_hash: bytes) -> None:
        self.net, self.manifest_hash = net, manifest_hash
        self.layout: Layout = layout(net)
        self._ids = len(list(net.world.encoding.id_fields()))

    def session(self, state: "State", keys: Keys, frame_number: int = 0, step: int = 0) -> bytes:
        """Data of the account of a session that has started, at a State of one world; its root is zero."""
        where = self.layout.session
        data = bytearray(self.layout.session_bytes)
        names = self.manifest_hash + keys.model + keys.authority
        head = _header(TAG_SESSION, len(data)) + names + bytes(3 * 32 + 8 + 8)
        data[: offsets(SESSION)["end"]] = head + struct.pack("<QIIII", frame_number, step, STARTED, 0, 0)
        player = (keys.authority * 2 + struct.pack("<q", 2**63 - 1)) * PLAYERS
        data[where["players"].offset : where["players"].offset + PLAYERS * offsets(PLAYER)["end"]] = player
        data[where["frame"].offset : where["frame"].offset + FRAME_BYTES] = frame_bytes(state.frame[0])
        return bytes(data)

    def scratch(self, state: "State", keys: Keys, frame_number: int = 0, extra: int = 0) -> bytes:
        """Data of a scratch account at a State of one world; `extra` bytes more for a metering program."""
        data = bytearray(self.layout.scratch_bytes + extra)
        head = _header(TAG_SCRATCH, len(data)) + keys.session
        data[:SCRATCH_PEAKS] = head + struct.pack("<QQ", frame_number, self.net.world.encoding.slots)
        parts = [("codes", state.codes[0], "<i8"), ("ids", state.ids[0], "<u2"), ("bias", state.bias[0], "<i8")]
        parts.append(("bounds", state.bounds[0], "<i8"))
        for name, values, dtype in parts:
            raw = values.astype(dtype).tobytes()
            at = SCRATCH_WORK + self.layout.work[name].offset
            data[at : at + len(raw)] = raw
        return bytes(data)

    def frame(self, session: bytes) -> NDArray[np.int32]:
        """(2, len(STATE)) the Frame that a session account holds."""
        at = self.layout.session["frame"].offset
        return frame_of(session[at : at + FRAME_BYTES])

    def vector(self, scratch: bytes, name: str, size: int) -> NDArray[np.int64]:
        """(size,) a vector of a scratch account."""
        return np.frombuffer(scratch, "<i8", size, SCRATCH_WORK + self.layout.work[name].offset).astype(np.int64)

    def state(self, session: bytes, scratch: bytes, before: "State") -> "State":
        """The State that the accounts hold after a frame; bias and bounds are those of `before`."""
        encoding = self.net.world.encoding
        at = SCRATCH_WORK + self.layout.work["ids"].offset
        ids = np.frombuffer(scratch, "<u2", self._ids, at).astype(np.int64)
        codes = self.vector(scratch, "codes", encoding.slots * encoding.slot_columns)
        return type(before)(self.frame(session)[None], codes[None], ids[None], before.bias, before.bounds)

    def trace(self, session: bytes, scratch: bytes) -> "Trace":
        """What a frame left behind: every vector that an op wrote, and the next Frame; batch of one.

        Not in it are `codes` and `ids` as the network read them: the window has moved on, and is compared as State.
        """
        sizes = {op.out: op.size for op in self.net.ops}
        trace = {name: self.vector(scratch, name, size)[None] for name, size in sizes.items()}
        return trace | {"frame": self.frame(session).reshape(1, -1).astype(np.int64)}
