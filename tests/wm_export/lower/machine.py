"""A lowered program run in plain numpy, on the bytes of its blob and of its work area: what each kernel computes is
written down here a second time, call by call. World rules are left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.lowered_program import (
    Call,
    Groups,
    Lifetime,
    Load,
    Picked,
    Pointer,
    Program,
    Rows,
    numpy_type,
)
from wm_export.lower.placement import place
from wm_export.solana.blob import pack
from wm_train.grid.arithmetic import WEIGHT_GRIDS

Ints = NDArray[Any]
#: What results of the requantize kernels are kept inside.
ENDS = {
    "requantize_relu": (0, 127),
    "requantize_code": (-127, 127),
    "requantize_fine": (-2047, 2047),
    "requantize_wide": (1 - (1 << 20), (1 << 20) - 1),
    "requantize_add": (1 - (1 << 20), (1 << 20) - 1),
}
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


def _lanes_of_21(words: Ints) -> Ints:
    """(3, N) what was added up in lanes of 21 bits."""
    first = ((words + (1 << 20)) & 0x1F_FFFF) - (1 << 20)
    rest = (words - first) >> 21
    second = ((rest + (1 << 20)) & 0x1F_FFFF) - (1 << 20)
    return np.stack([first, second, (rest - second) >> 21])


def _normed(values: Ints, table: Ints, shift: int) -> Ints:
    """Values over their root mean square."""
    eps, *roots = table.tolist()
    total = int((values * values).sum()) + eps
    half = next(half for half in range(-4, 23) if (total << 8) >> (2 * half + 8) < 1024)
    shift, root = shift + half, roots[((total << 8) >> (2 * half + 8)) - 256]
    return (values * root + (1 << (shift - 1))) >> shift


@dataclass
class Machine:
    """The memory of one program."""

    program: Program
    work: bytearray = field(init=False)
    given: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._slots = place(self.program)
        # What a frame has not written yet must not matter; what lasts longer lies in an account that began as zeros.
        self.work = bytearray(np.random.default_rng(0).bytes(max(slot.end for slot in self._slots.values())))
        self._blob = pack(self.program)
        for name, buffer in self.program.buffers.items():
            if buffer.lifetime is not Lifetime.FRAME:
                self.vector(name)[:] = buffer.zeros()

    def vector(self, name: str, first: int = 0, count: int | None = None) -> Ints:
        """Elements of a buffer, in place; all of them without `count`."""
        buffer = self.program.buffers[name]
        count = buffer.count - first if count is None else count
        assert first >= 0 and first + count <= buffer.count, f"{name}[{first}:{first + count}] of {buffer.count}"
        start = self._slots[name].start + buffer.width * first
        return np.frombuffer(self.work, numpy_type(buffer.dtype), count, start)

    def values(self, name: str, length: int) -> Ints:
        """(length,) a buffer's integers as the interpreter has them."""
        return self.program.buffers[name].unpack(self.vector(name), length)

    def put(self, name: str, values: Ints) -> None:
        """A vector of the interpreter into its buffer; what is behind it stays."""
        buffer = self.program.buffers[name]
        if buffer.lifetime is Lifetime.MEMORY:
            self.vector(name)[:] = buffer.pack(values)
        else:
            self.vector(name)[: len(values)] = values

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
            self.put(name, value)
        for routine in self.program.routines:
            for call in () if routine.is_rule else routine.calls:
                self.call(call)

    def call(self, call: Call) -> None:
        """One call."""
        numbers: list[Any] = [self.found(it) for it in call.operands]
        if call.gives:
            self.given[call.gives] = int(self.at(*numbers).argmax())
        elif call.function == "core::ptr::copy_nonoverlapping":
            source, out, count = numbers
            self.at(out, count)[:] = self.at(source, count)
        elif made := re.fullmatch(r"matvec_(\d)x(\d+)_(\d+)(?:of(\d+))?_?([a-z]*)", call.function):
            r, bits, tile = (int(made[i]) for i in (1, 2, 3))
            if whole := made[4]:
                assert numbers[4] == int(whole)
            self._matvec((r, bits, int(whole or tile)), made[5], numbers, -(-int(whole) // tile) if whole else 1)
        else:
            getattr(self, f"_{call.function.split('_')[0]}")(numbers, call.function)

    def found(self, operand: Any) -> Any:
        """An operand as a number, or as what points at values by itself."""
        if isinstance(operand, Picked):
            return Load(operand.name, operand.first + self.given[operand.by] * operand.step)
        return operand.count if isinstance(operand, Groups) else operand

    def _matvec(self, shape: tuple[int, int, int], finish: str, numbers: Sequence[Any], flushes: int) -> None:
        r, bits, tile = shape
        words, source, out, groups, columns = numbers
        assert groups >= 1 and columns % tile == 0 and columns >= tile
        more = 1 + 2 * r * LANES[bits] if finish else 0
        held = self.at(words, groups * (columns * r + more)).reshape(groups, -1)
        weights = lanes_of(held[:, : columns * r].reshape(groups, columns, r), LANES[bits])
        rows = weights.transpose(0, 2, 3, 1).reshape(-1, columns)
        sums, results = rows @ self.at(source, columns), self.at(out, len(rows))
        if not finish:
            results += sums
            return
        shift, factors = held[:, columns * r :][:, :1].view(np.int64), held[:, columns * r + 1 :].view(np.int64)
        mult, constant = factors.reshape(-1, 2).T
        lanes = sums + flushes * (1 << (64 // LANES[bits] - 1))
        scaled = (lanes * mult + constant) >> np.repeat(shift, len(rows) // groups)
        scaled += results if finish == "add" else 0
        results[:] = scaled if finish == "scale" else np.clip(scaled, *ENDS[f"requantize_{finish}"])

    def _gather(self, numbers: Sequence[Any], _: str) -> None:
        rows, k, out, count, blocks = numbers
        assert isinstance(rows, Rows) and count == len(rows.firsts) and count % 8 == 0 and rows.row == 37 * blocks
        picked = self.at(rows.ids, count) + np.array(rows.firsts)
        words = np.stack([self.constant(rows.table.name, rows.row * row, rows.row) for row in picked.tolist()])
        entries = words.view(np.uint8).reshape(count, -1, 8)[..., :7].reshape(count, -1).astype(np.int64) - 128
        self.at(out, 259 * blocks)[:] += entries.sum(0) * self.at(k, 259 * blocks)

    def _requantize(self, numbers: Sequence[Any], kernel: str) -> None:
        source, mult, out, count, shift = numbers
        assert count % 8 == 0
        scaled = (self.at(source, count) * self.at(mult, count).astype(np.int64) + (1 << (shift - 1))) >> shift
        scaled += self.at(out, count) if kernel == "requantize_add" else 0
        self.at(out, count)[:] = np.clip(scaled, *ENDS[kernel]) if kernel in ENDS else scaled

    def _conv(self, numbers: Sequence[Any], kernel: str) -> None:
        """Lane by lane; a word of memory has the newest code lowest."""
        source, filters, memory, out, count = numbers
        looks_up = kernel != "conv"
        front, words = (1025, 4) if looks_up else (0, 3)
        held = self.at(filters, front + words * count).view(np.int64)
        older, newest, *rest = held[front:].reshape(count, words).T
        kept, x = self.at(memory, count), self.at(source, count)
        codes = _lanes_of_21(kept.view(np.int64) >> 1)
        sums = (_lanes_of_21(older) * codes[::-1]).sum(0) + newest * x
        kept[:] = (2 * (x + (codes[0] << 21) + (codes[1] << 42))).view(np.uint64)
        if looks_up:
            place = (sums * rest[0] + rest[1]) >> int(held[1024])
            entries = held[:1024].view(np.uint16).astype(np.int64) - (1 << 15)
            self.at(out, count)[:] = entries[np.clip(place, 0, 4095)]
        else:
            self.at(out, count)[:] = sums + rest[0]

    def _lut(self, numbers: Sequence[Any], _: str) -> None:
        codes, table, out, count = numbers
        self.at(out, count)[:] = self.at(table, 4096)[self.at(codes, count) + 2048].astype(np.int64) - (1 << 15)

    def _gated(self, numbers: Sequence[Any], _: str) -> None:
        acc, codes, scales, out, count = numbers
        held = self.at(scales, 1795 + count)
        norm_shift, shift, *mult = held[1793:].astype(np.int64).tolist()
        wide = np.clip((self.at(acc, count) * mult + (1 << (shift - 1))) >> shift, *ENDS["requantize_wide"])
        factor = held[:1024].view(np.uint16)[self.at(codes, count) + 2048].astype(np.int64) - (1 << 15)
        self.at(out, count)[:] = _normed((wide * factor + (1 << 10)) >> 11, held[1024:1793].view(np.int64), norm_shift)

    def _gate(self, numbers: Sequence[Any], _: str) -> None:
        values, by, out, count, shift = numbers
        assert count % 8 == 0
        self.at(out, count)[:] = (self.at(values, count) * self.at(by, count) + (1 << (shift - 1))) >> shift

    def _ssm(self, numbers: Sequence[Any], kernel: str) -> None:
        if kernel.startswith("ssm_chunked"):
            self._chunked(numbers, kernel)
            return
        places, heads, channels = numbers
        x, bc, dt, tables, memory, out = places.pointers
        cells, rows = int(kernel.removeprefix("ssm_")), heads * channels
        words = (cells + 1) // 2
        table = self.at(tables, 257 * heads).view(np.int64).reshape(heads, 257)
        picked = np.repeat(table[np.arange(heads), self.at(dt, heads) + 128], channels)
        decay, gain, skip = picked.astype(np.int32), picked >> 32, np.repeat(table[:, -1] >> 32, channels)
        b, c = self.at(bc, 2 * cells).reshape(2, cells)
        kept = self.at(memory, rows * 2 * words).reshape(rows, 2 * words)
        w = (self.at(x, rows) * gain + (1 << 15)) >> 16
        h = ((kept[:, :cells].astype(np.int64) - 65536) * decay[:, None] + w[:, None] * b + (1 << 14)) >> 15
        kept[:, :cells] = h + 65536
        self.at(out, rows)[:] = (h * c).sum(1) + skip * self.at(x, rows)

    def _chunked(self, numbers: Sequence[Any], kernel: str) -> None:
        """Head by head: words of states are in groups of six."""
        places, heads = numbers
        x, bc, dt, tables, memory, out = places.pointers
        cells, channels, every = map(int, re.findall(r"\d+", kernel))
        f = int(np.log2((2**31 - 1 - every * 2047 / 2) / (65536 * 127 * cells)))
        record, front = 2 + every + every % 2 + every * channels + channels * cells, 2 + every * cells
        kept = self.at(memory, front + heads * record)
        values = kept.astype(np.int64) - 65536
        (t, _), ring = values[:2], values[2:front].reshape(every, cells)
        b, c = self.at(bc, 2 * cells).reshape(2, cells)
        ring[t], values[0] = b, (t + 1) % every
        table = self.at(tables, 257 * heads).view(np.int64).reshape(heads, 257)
        for head, own in enumerate(values[front:].reshape(heads, record)):
            picked, place = int(table[head, self.at(dt, heads)[head] + 128]), (int(t) - head) % every
            decay, gain, skip = picked & 0xFFFF_FFFF, picked >> 32, int(table[head, 256]) >> 32
            gains, rows = own[2 : 2 + every], own[2 + every + every % 2 :][: every * channels].reshape(every, channels)
            states, codes = own[record - channels * cells :], self.at(x, heads * channels)[head * channels :][:channels]
            keeps = ((32768 - own[0]) * decay) >> 15
            gains[:] = (gains * decay) >> 15
            gains[place], rows[place] = gain, codes
            mine = ring[(head + np.arange(every)) % every]
            counts = ((mine @ c) * gains + (1 << (30 - f))) >> (31 - f)
            whole = self._unpacked(states, channels, cells)
            y = (keeps * (whole @ c) + ((counts @ rows) << (15 - f)) + (1 << 14)) >> 15
            self.at(out, heads * channels)[head * channels :][:channels] = y + skip * codes
            own[0] = 32768 - keeps
            if place == every - 1:
                w = (rows * gains[:, None] + (1 << 15)) >> 16
                whole[:] = (whole * keeps + w.T @ mine + (1 << 14)) >> 15
                self._unpacked(states, channels, cells, whole)
                own[0], gains[:] = 0, 0
        kept[:] = values + 65536

    @staticmethod
    def _unpacked(states: Ints, channels: int, cells: int, new: Ints | None = None) -> Ints:
        """(channels, cells) of a head's states; `new` ones in their place."""
        whole = np.zeros((channels, cells), np.int64)
        for first in range(0, channels, 12):
            group = states[first * cells : min(first + 12, channels) * cells].reshape(cells, -1)
            if new is not None:
                group[:] = new[first : first + 12].T
            whole[first : first + 12] = group.T
        return whole

    def _rmsnorm(self, numbers: Sequence[Any], _: str) -> None:
        values, table, out, count, shift = numbers
        self.at(out, count)[:] = _normed(self.at(values, count), self.at(table, 769), shift)
