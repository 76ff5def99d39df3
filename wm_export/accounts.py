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
    MODEL,
    SCRATCH,
    SESSION,
    TAG_MODEL,
    TAG_SCRATCH,
    TAG_SESSION,
    Layout,
    layout,
    offsets,
)
from wm_quant.qnet import QNet
from wm_train.frames import PLAYERS, STATE

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace


@dataclass(frozen=True)
class Keys:
    """Addresses that accounts name, 32 bytes each."""

    authority: bytes
    model: bytes
    session: bytes
    scratch: bytes


def _header(tag: bytes, length: int) -> bytes:
    return tag + struct.pack("<IIQ", ACCOUNT_VERSION, 0, length)


def model_account(blob: bytes, manifest_hash: bytes, authority: bytes, frozen: bool = True) -> bytes:
    """Data of a model account."""
    length = offsets(MODEL)["end"] + len(blob)
    return _header(TAG_MODEL, length) + manifest_hash + authority + struct.pack("<II", frozen, 0) + blob


def input_bytes(following: NDArray[np.int8]) -> bytes:
    """Both players' inputs (2, len(CONTROLS)) as an instruction carries them."""
    buttons = np.packbits(following[:, AXES:].astype(np.uint8), axis=1, bitorder="little")
    return b"".join(following[p, :AXES].tobytes() + buttons[p].tobytes() for p in range(PLAYERS))


class AccountCodec:
    """Session and scratch accounts of one QNet."""

    def __init__(self, net: QNet, manifest_hash: bytes) -> None:
        self.net, self.manifest_hash = net, manifest_hash
        self.layout: Layout = layout(net)
        self._ids = len(list(net.world.encoding.id_fields()))

    def session(self, state: "State", keys: Keys, frame_number: int = 0, step: int = 0) -> bytes:
        """Data of a session account at a State of one world."""
        where = self.layout
        data = bytearray(where.session_bytes)
        head = _header(TAG_SESSION, len(data)) + self.manifest_hash + keys.authority + keys.model + keys.scratch
        data[: offsets(SESSION)["end"]] = head + struct.pack("<QII", frame_number, step, 0)
        data[where.session_frame : where.session_frame + FRAME_BYTES] = state.frame[0].astype("<i4").tobytes()
        bias = state.bias[0].astype("<i8").tobytes()
        data[where.session_bias.offset : where.session_bias.offset + len(bias)] = bias
        return bytes(data)

    def scratch(self, state: "State", keys: Keys, frame_number: int = 0, extra: int = 0) -> bytes:
        """Data of a scratch account at a State of one world; `extra` bytes more for a metering program."""
        data = bytearray(self.layout.scratch_bytes + extra)
        head = _header(TAG_SCRATCH, len(data)) + keys.session + struct.pack("<Q", frame_number)
        data[: offsets(SCRATCH)["end"]] = head
        for name, values, dtype in (("codes", state.codes[0], "<i8"), ("ids", state.ids[0], "<u2")):
            raw = values.astype(dtype).tobytes()
            at = self.layout.scratch[name].offset
            data[at : at + len(raw)] = raw
        return bytes(data)

    def frame(self, session: bytes) -> NDArray[np.int32]:
        """(2, len(STATE)) the Frame that a session account holds."""
        raw = session[self.layout.session_frame : self.layout.session_frame + FRAME_BYTES]
        return np.frombuffer(raw, "<i4").reshape(PLAYERS, len(STATE)).astype(np.int32)

    def vector(self, scratch: bytes, name: str, size: int) -> NDArray[np.int64]:
        """(size,) a vector of a scratch account."""
        return np.frombuffer(scratch, "<i8", size, self.layout.scratch[name].offset).astype(np.int64)

    def state(self, session: bytes, scratch: bytes, before: "State") -> "State":
        """The State that the accounts hold after a frame; the session's bias is that of `before`."""
        encoding = self.net.world.encoding
        ids = np.frombuffer(scratch, "<u2", self._ids, self.layout.scratch["ids"].offset).astype(np.int64)
        codes = self.vector(scratch, "codes", encoding.slots * encoding.slot_columns)
        return type(before)(self.frame(session)[None], codes[None], ids[None], before.bias)

    def trace(self, session: bytes, scratch: bytes) -> "Trace":
        """What a frame left behind: every vector that an op wrote, and the next Frame; batch of one.

        Not in it are `codes` and `ids` as the network read them: the window has moved on, and is compared as State.
        """
        sizes = {op.out: op.size for op in self.net.ops}
        trace = {name: self.vector(scratch, name, size)[None] for name, size in sizes.items()}
        return trace | {"frame": self.frame(session).reshape(1, -1).astype(np.int64)}
