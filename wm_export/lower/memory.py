"""What a network keeps from frame to frame, as bytes: a region of the work area, and the digest that stands for it.

The region holds the buffers of lifetime MEMORY, one after the other, each padded to 8 bytes with zeros; a session
begins with a region that holds zeros, which need not be zero bytes (Buffer.bias). Its digest is committed with each
frame's record: a leaf of the session's hash tree is

    sha256(0 | inputs | Frame | digest)      of a network that keeps something
    sha256(0 | inputs | Frame)               of one that keeps nothing: its region and digest have no bytes

What frames write in turn (Turns) is hashed by itself, turn by turn, and a frame hashes that of its own turn alone: the
hashes of the others, which lie behind the region in the work area, are still true.

    hash     sha256(stretches of one turn of one op)
    digest   sha256(what is in no turn | hashes, op by op and turn by turn)
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
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
#: Most stretches of a turn, and of what is in no turn: a program lists them where 4096 bytes are all it has.
STRETCHES_MAX = 128
Values = Mapping[str, NDArray[np.int64]]
#: Bytes of a region: (first, how many).
Stretch = tuple[int, int]


@dataclass(frozen=True)
class TurnBytes:
    """What one op writes in turn, in bytes of the region.

    next   the first of the u32 that says whose turn it is before a frame, plus `bias`
    turns  the stretches of each
    """

    next: int
    bias: int
    turns: tuple[tuple[Stretch, ...], ...]


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

    @cached_property
    def in_turn(self) -> tuple[TurnBytes, ...]:
        """Of each op that writes in turn."""
        return tuple(_turn_bytes(start, buffer) for start, buffer in self.buffers if buffer.turns)

    @cached_property
    def always(self) -> tuple[Stretch, ...]:
        """What is in no turn."""
        return tuple(_between(sorted(chain(*(stretches for op in self.in_turn for stretches in op.turns))), self.size))

    @property
    def hashed(self) -> list[list[int]]:
        """Bytes of each part of each sha256 that a frame takes of the region."""
        own = [[length for _, length in op.turns[0]] for op in self.in_turn]
        hashes = [HASH_BYTES * self.turns] if own else []
        return [*own, [length for _, length in self.always] + hashes] if self.size else []

    @property
    def turns(self) -> int:
        """Of all ops: the hashes that lie behind the region."""
        return sum(len(op.turns) for op in self.in_turn)

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
        return _sha256(region, self.always, self.hashes(region)) if self.size else b""

    def hashes(self, region: bytes) -> bytes:
        """Of a region, those of every turn of every op."""
        assert len(region) == self.size
        return b"".join(_sha256(region, stretches) for op in self.in_turn for stretches in op.turns)

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


def _sha256(region: bytes, stretches: Iterable[Stretch], behind: bytes = b"") -> bytes:
    return hashlib.sha256(b"".join(region[at : at + length] for at, length in stretches) + behind).digest()


def _turn_bytes(start: int, buffer: Buffer) -> TurnBytes:
    """What a buffer's op writes in turn."""
    assert buffer.turns and buffer.dtype == "u32", buffer
    turns = tuple(tuple((start + 4 * at, 4 * count) for at, count in turn) for turn in buffer.turns.stretches)
    assert len({tuple(sorted(length for _, length in turn)) for turn in turns}) == 1, "turns cost the same"
    return TurnBytes(start + 4 * buffer.turns.next, buffer.bias, turns)


def _between(taken: Sequence[Stretch], size: int) -> Iterator[Stretch]:
    """The stretches of `size` bytes that are left between those in ascending order."""
    at = 0
    for start, length in [*taken, (size, 0)]:
        if start > at:
            yield at, start - at
        at = start + length


def _op(buffer: Buffer) -> str:
    """The op that a buffer of its lifetime belongs to."""
    return buffer.name.removesuffix(KEPT)


#: Of a network that keeps nothing.
NOTHING = Memory(0, 0, ())


def memory(program: Program) -> Memory:
    """The region of a program. WmExportError for more stretches than a program lists."""
    buffers = [buffer for buffer in program.buffers.values() if buffer.lifetime is Lifetime.MEMORY]
    if not buffers:
        return NOTHING
    slots = place(program)
    kept = [(slots[buffer.name], buffer) for buffer in buffers]
    start, end = min(slot.start for slot, _ in kept), max(slot.end for slot, _ in kept)
    assert end - start == sum(slot.end - slot.start for slot, _ in kept), "what ops keep lies together"
    found = Memory(start, end - start, tuple((slot.start - start, buffer) for slot, buffer in kept))
    if (most := max(map(len, found.hashed))) > STRETCHES_MAX:
        raise WmExportError(
            f"memory: {most} stretches to hash, expected {STRETCHES_MAX} at most: wider heads, or model.write_every: 0"
        )
    return found


def chunk(region: bytes, index: int) -> bytes:
    """Chunk `index` of a region; the last may be shorter."""
    return region[index * MEMORY_CHUNK_BYTES : (index + 1) * MEMORY_CHUNK_BYTES]


def differing(there: bytes, region: bytes) -> list[int]:
    """The chunks of a region that are not there yet."""
    count = padded(len(region), MEMORY_CHUNK_BYTES) // MEMORY_CHUNK_BYTES
    return [index for index in range(count) if chunk(there, index) != chunk(region, index)]
