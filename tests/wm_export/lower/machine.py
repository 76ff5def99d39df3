"""A lowered program run in plain numpy, on the bytes of its blob and of its work area: what each kernel computes is
written down here a second time, call by call. World rules are left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.lowered_program import Call, Groups, Lifetime, Load, Pointer, Program, Rows, numpy_type
from wm_export.lower.placement import place
from wm_export.solana.blob import pack
from wm_train.grid.arithmetic import WEIGHT_GRIDS

Ints = NDArray[Any]
LANES = {bits: grid.lanes for bits, grid in WEIGHT_GRIDS.items()}


def lanes_of(words: Ints, lanes: int) -> Ints:
    """(..., lanes) int64 the signed weights in words of that many lanes."""
    bits, rest = 64 // lanes, words.view(np.int64).copy()
    half, out = 1 << (bits - 1), []
    for _ in range(lanes):
        low = ((rest + half) & ((1 << bits) - 1)) - half if bits < 64 else rest
        out.append(low)
        rest = (rest - low) >> bits
    return np.stack(out, -1)


@dataclass
class Machine:
    """The memory of one program."""

    program: Program
    work: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self._slots = place(self.program)
        # What a frame has not written yet must not matter; what lasts longer lies in an account that began as zeros.
        self.work = bytearray(np.random.default_rng(0).bytes(max(slot.end for slot in self._slots.values())))
        self._blob = pack(self.program)
        for name, buffer in self.program.buffers.items():
            if buffer.lifetime is not Lifetime.FRAME:
                self.vector(name)[:] = 0

    def vector(self, name: str, first: int = 0, count: int | None = None) -> Ints:
        """Elements of a buffer, in place; all of them without `count`."""
        buffer = self.program.buffers[name]
        count = buffer.count - first if count is None else count
        assert first >= 0 and first + count <= buffer.count, f"{name}[{first}:{first + count}] of {buffer.count}"
        start = self._slots[name].start + buffer.width * first
        return np.frombuffer(self.work, numpy_type(buffer.dtype), count, start)

    def constant(self, name: str, first: int, count: int) -> Ints:
        """Elements of a section of the blob."""
        section, dtype = self._blob.sections[name], numpy_type(self.program.constants[name].dtype)
        assert first >= 0 and first + count <= section.count, f"{name}[{first}:{first + count}] of {section.count}"
        shard = self._blob.shards[self._blob.shard_of[name]]
        return np.frombuffer(shard, dtype, count, section.offset + dtype.itemsize * first)

    def at(self, place: Any, count: int) -> Ints:
        """`count` elements that an operand points at."""
        assert isinstance(place, Pointer)
        if isinstance(place, Load):
            return self.constant(place.name, place.first, count)
        return self.vector(place.name, place.first, count)

    def run(self, values: Mapping[str, Ints]) -> None:
        """Every routine of the network, from these buffers on."""
        for name, value in values.items():
            self.vector(name)[: len(value)] = value
        for routine in self.program.routines:
            for call in () if routine.is_rule else routine.calls:
                self.call(call)

    def call(self, call: Call) -> None:
        """One call."""
        numbers: list[Any] = [it.count if isinstance(it, Groups) else it for it in call.operands]
        if call.function == "core::ptr::copy_nonoverlapping":
            source, out, count = numbers
            self.at(out, count)[:] = self.at(source, count)
        elif made := re.fullmatch(r"matvec_(\d)x(\d+)", call.function):
            self._matvec(int(made[1]), int(made[2]), numbers)
        elif call.function == "gather_add":
            self._gather(numbers)
        else:
            self._requantize(numbers, call.function)

    def _matvec(self, r: int, bits: int, numbers: Sequence[Any]) -> None:
        words, source, out, groups, columns = numbers
        assert groups >= 1 and columns % 32 == 0 and columns >= 32
        weights = lanes_of(self.at(words, groups * columns * r).reshape(groups, columns, r), LANES[bits])
        rows = weights.transpose(0, 2, 3, 1).reshape(-1, columns)
        self.at(out, len(rows))[:] += rows @ self.at(source, columns)

    def _gather(self, numbers: Sequence[Any]) -> None:
        rows, k, out, count, blocks = numbers
        assert isinstance(rows, Rows) and count == len(rows.firsts) and count % 8 == 0 and rows.row == 37 * blocks
        picked = self.at(rows.ids, count) + np.array(rows.firsts)
        words = np.stack([self.constant(rows.table.name, rows.row * row, rows.row) for row in picked.tolist()])
        entries = words.view(np.uint8).reshape(count, -1, 8)[..., :7].reshape(count, -1).astype(np.int64) - 128
        self.at(out, 259 * blocks)[:] += entries.sum(0) * self.at(k, 259 * blocks)

    def _requantize(self, numbers: Sequence[Any], kernel: str) -> None:
        source, mult, out, count, shift = numbers
        assert kernel in ("requantize", "requantize_relu") and count % 8 == 0
        scaled = (self.at(source, count) * self.at(mult, count).astype(np.int64) + (1 << (shift - 1))) >> shift
        self.at(out, count)[:] = np.clip(scaled, 0, 127) if kernel == "requantize_relu" else scaled
