"""What a network keeps from frame to frame, as bytes: a region of the work area, and the digest that stands for it.

The region holds the buffers of lifetime MEMORY, one after the other, each padded to 8 bytes with zeros; a session
begins with a region that holds zeros, which need not be zero bytes (Buffer.bias). Its digest is committed with each
frame's record: a leaf of the session's hash tree is

    sha256(0 | inputs | Frame | sha256(region))      of a network that keeps something
    sha256(0 | inputs | Frame)                       of one that keeps nothing: its region and digest have no bytes
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Buffer, Lifetime, Program, numpy_type, padded
from wm_export.lower.placement import place
from wm_export.schema.limits import MEMORY_CHUNK_BYTES
from wm_quant.ops.base import KEPT

#: Bytes of a sha256.
HASH_BYTES = 32
Values = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Memory:
    """The region of one program.

    start    where it begins in the work area
    size     bytes; 0 for a network that keeps nothing
    buffers  with the first byte of each inside the region
    """

    start: int
    size: int
    buffers: tuple[tuple[int, Buffer], ...]

    @property
    def digest_size(self) -> int:
        """Bytes of its digest."""
        return HASH_BYTES if self.size else 0

    @property
    def chunks(self) -> int:
        """Transactions that load it whole."""
        return padded(self.size, MEMORY_CHUNK_BYTES) // MEMORY_CHUNK_BYTES

    def whole(self, slots: int) -> int:
        """`loaded` of a scratch account that has a window of so many records, and the memory."""
        return slots + bool(self.size)

    @cached_property
    def empty_region(self) -> bytes:
        """What a session begins with: as if every integer that is kept were zero."""
        return self._joined(buffer.zeros() for _, buffer in self.buffers)

    @cached_property
    def empty(self) -> bytes:
        """Digest of what a session begins with."""
        return self.digest(self.empty_region)

    def digest(self, region: bytes) -> bytes:
        """Of a region, `digest_size` bytes."""
        assert len(region) == self.size
        return hashlib.sha256(region).digest() if self.size else b""

    def pack(self, values: Values, world: int = 0) -> bytes:
        """The region of one of B worlds, of what each op keeps, (B, length) int64, by the op's name."""
        return self._joined(buffer.pack(values[_op(buffer)][world]) for _, buffer in self.buffers)

    def unpack(self, region: bytes, lengths: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
        """(1, length) int64 of what each op keeps, by the op's name; WmExportError for a region that no values give."""
        found = {
            _op(buffer): buffer.unpack(
                np.frombuffer(region, numpy_type(buffer.dtype).newbyteorder("<"), buffer.count, start),
                lengths[_op(buffer)],
            )[None]
            for start, buffer in self.buffers
        }
        if self.pack(found) != region:
            raise WmExportError("memory: a kernel has written where what its op keeps has no place")
        return found

    def _joined(self, parts: Iterable[NDArray[Any]]) -> bytes:
        region = bytearray(self.size)
        for (start, _), part in zip(self.buffers, parts, strict=True):
            raw = part.tobytes()
            region[start : start + len(raw)] = raw
        return bytes(region)


def _op(buffer: Buffer) -> str:
    """The op that a buffer of its lifetime belongs to."""
    return buffer.name.removesuffix(KEPT)


#: Of a network that keeps nothing.
NOTHING = Memory(0, 0, ())


def memory(program: Program) -> Memory:
    """The region of a program."""
    buffers = [buffer for buffer in program.buffers.values() if buffer.lifetime is Lifetime.MEMORY]
    if not buffers:
        return NOTHING
    slots = place(program)
    kept = [(slots[buffer.name], buffer) for buffer in buffers]
    start, end = min(slot.start for slot, _ in kept), max(slot.end for slot, _ in kept)
    assert end - start == sum(slot.end - slot.start for slot, _ in kept), "what ops keep lies together"
    return Memory(start, end - start, tuple((slot.start - start, buffer) for slot, buffer in kept))


def chunk(region: bytes, index: int) -> bytes:
    """Chunk `index` of a region; the last may be shorter."""
    return region[index * MEMORY_CHUNK_BYTES : (index + 1) * MEMORY_CHUNK_BYTES]


def differing(there: bytes, region: bytes) -> list[int]:
    """The chunks of a region that are not there yet."""
    count = padded(len(region), MEMORY_CHUNK_BYTES) // MEMORY_CHUNK_BYTES
    return [index for index in range(count) if chunk(there, index) != chunk(region, index)]
