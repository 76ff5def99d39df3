"""Accounts as bytes: a model, a session and a scratch account from a QNet and a State, and back.

The harness prepares accounts with these; the program checks every header byte that is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.lowered_program import Program, numpy_type
from wm_export.lower.placement import remaining
from wm_export.lower.world_lowering import HASHES
from wm_export.schema.accounts import MODEL, PLAYER, SCRATCH, SESSION
from wm_export.schema.limits import NEVER
from wm_export.solana.layout import Layout, chunks, digest, layout, pieces
from wm_quant.qnet import QNet
from wm_train.world.fields import PLAYERS

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace


@dataclass(frozen=True)
class Keys:
    """Addresses that accounts name, 32 bytes each; `authority` is creator, both players, and their session key."""

    authority: bytes
    model: bytes
    session: bytes
    scratch: bytes


def _put(data: bytearray, at: int, raw: bytes) -> None:
    data[at : at + len(raw)] = raw


def model_accounts(
    program: Program, shards: Sequence[bytes], manifest_hash: bytes, authority: bytes, frozen: bool = True
) -> list[bytes]:
    """Data of the model account of each shard, which was uploaded, hashed and, if so, frozen."""
    where = layout(program, tuple(map(len, shards)))
    return [_model_account(where, k, shard, manifest_hash, authority, frozen) for k, shard in enumerate(shards)]


def _model_account(
    where: Layout, number: int, blob: bytes, manifest_hash: bytes, authority: bytes, frozen: bool
) -> bytes:
    data = bytearray(where.model_bytes[number])
    head = MODEL.head(
        len(data),
        shard=number,
        manifest=manifest_hash,
        authority=authority,
        digest=digest(blob),
        pieces=pieces(len(blob)),
        frozen=frozen,
    )
    marks = np.packbits(np.ones(chunks(len(blob)), np.uint8), bitorder="little").tobytes()
    _put(data, 0, head)
    _put(data, where.model["chunks"].offset, marks)
    _put(data, where.model["blob"].offset, blob)
    return bytes(data)


class AccountCodec:
    """Session and scratch accounts of one program, lowered from `net`."""

    def __init__(self, net: QNet, program: Program, manifest_hash: bytes) -> None:
        self.net, self.manifest_hash = net, manifest_hash
        self.layout: Layout = layout(program)
        self._buffers = program.buffers
        self.records = self.layout.records
        self._ids = len(list(net.world.encoding.id_fields()))
        left = remaining(program)
        self._traced = {name: size for name, size in program.vectors.items() if name in left}

    def session(self, state: "State", keys: Keys, frame_number: int = 0, step: int = 0) -> bytes:
        """Data of the account of a session that has started, at a State of one world; its root is zero."""
        where = self.layout.session
        data = bytearray(self.layout.session_bytes)
        head = SESSION.head(
            len(data),
            manifest=self.manifest_hash,
            model=keys.model,
            creator=keys.authority,
            frame_number=frame_number,
            step=step,
            status="started",
        )
        player = PLAYER.pack({"wallet": keys.authority, "key": keys.authority, "expires": NEVER})
        _put(data, 0, head)
        _put(data, where["players"].offset, player * PLAYERS)
        _put(data, where["frame"].offset, self.records.frame_bytes(state.frame[0]))
        _put(data, where["memory"].offset, self.layout.memory.digest(self.region(state)))
        return bytes(data)

    def scratch(self, state: "State", keys: Keys, frame_number: int = 0, extra: int = 0) -> bytes:
        """Data of a scratch account at a State of one world; `extra` bytes more for a metering program."""
        data = bytearray(self.layout.scratch_bytes + extra)
        whole = self.layout.memory.whole(self.net.world.encoding.slots)
        _put(data, 0, SCRATCH.head(len(data), session=keys.session, frame_number=frame_number, loaded=whole))
        parts = {"codes": state.codes[0], "ids": state.ids[0], "bias": state.bias[0], "bounds": state.bounds[0]}
        for name, values in parts.items():
            _put(data, self._work(name), self._buffers[name].pack(values).tobytes())
        region = self.region(state)
        _put(data, self._region_start, region)
        if self.layout.memory.in_turn:
            _put(data, self._work(HASHES), self.layout.memory.hashes(region))
        return bytes(data)

    def region(self, state: "State") -> bytes:
        """What ops keep, as the work area holds it: of a State of one world."""
        return self.layout.memory.pack(state.memory)

    @property
    def _region_start(self) -> int:
        return self.layout.scratch_work + self.layout.memory.start

    def _work(self, name: str) -> int:
        """Where a section of the work area begins in a scratch account."""
        return self.layout.scratch_work + self.layout.work[name].offset

    def frame(self, session: bytes) -> NDArray[np.int32]:
        """(2, len(game.state)) the Frame that a session account holds."""
        at = self.layout.session["frame"].offset
        return self.records.frame_of(session[at : at + self.records.frame_size])

    def vector(self, scratch: bytes, name: str, size: int) -> NDArray[np.int64]:
        """(size,) a vector of a scratch account, as the interpreter has it."""
        buffer = self._buffers[name]
        elements = np.frombuffer(scratch, numpy_type(buffer.dtype).newbyteorder("<"), buffer.count, self._work(name))
        return buffer.unpack(elements, size)

    def state(self, session: bytes, scratch: bytes, before: "State") -> "State":
        """The State that the accounts hold after a frame; bias and bounds are those of `before`. WmExportError where a
        kernel has written beyond what its op keeps."""
        encoding = self.net.world.encoding
        ids = self.vector(scratch, "ids", self._ids)
        codes = self.vector(scratch, "codes", encoding.slots * encoding.slot_columns)
        region = scratch[self._region_start : self._region_start + self.layout.memory.size]
        memory = self.layout.memory.unpack(region, self.net.memories)
        return type(before)(self.frame(session)[None], codes[None], ids[None], before.bias, before.bounds, memory)

    def trace(self, session: bytes, scratch: bytes) -> "Trace":
        """What a frame left behind: every vector that an op wrote, what ops keep, and the next Frame; batch of one.

        Not in it are `codes` and `ids` as the network read them: the window has moved on, and is compared as State. Of
        a compact program those vectors are missing whose bytes a later one has taken.
        """
        trace = {name: self.vector(scratch, name, size)[None] for name, size in self._traced.items()}
        return trace | {"frame": self.frame(session).reshape(1, -1).astype(np.int64)}
