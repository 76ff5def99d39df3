"""Matvec kernels of a fixed number of columns, one behind the other without a loop, that multiply their sums down.

What the loops of matvec_asm cannot do: empty the lanes between blocks of columns, and keep x in the function's own
frame. The first is for sums that fit a lane only block by block; what a lane had at the end of each waits in the frame,
and a row's lanes are added up when all are done. The second frees the register that would walk x for one more word a
column, so that seven share the load of an x; for a call of many groups, as x is copied first.

Words of weights, and proof of the lanes: onchain/kernels/src/matvec.rs. A kernel is
`matvec_<words a column>x<bits>_<columns of a block>of<columns>_<how it ends>`; the last block may be smaller.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from wm_export.lower.asm.finish_asm import FINISHES
from wm_export.lower.asm.kept_asm import Value
from wm_export.lower.asm.listing import (
    FRAME_BYTES,
    REACH,
    UNBOUNDED,
    Count,
    Family,
    Kernel,
    Part,
    Repeat,
    load,
    segment,
    store,
    store_number,
)
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, cut_lane, finished, lane_starts, scaled, scaled_twin
from wm_train.grid.arithmetic import WEIGHT_GRIDS, WeightGrid

#: Most words of a column: r0..r5, and r9 where x is in the frame.
STRAIGHT_MAX_R = MATVEC_MAX_R + 1
#: Lanes that can be added up over blocks, by their bits.
ADDED_LANES = (16, 21)
#: No jump leads further.
_JUMP = 1 << 15
_OUT, _X, _END, _LANE, _SIXTH, _SEVENTH = range(-8, -56, -8)
_SLOTS = 6
_NAME = re.compile(r"matvec_(\d)x(\d+)_(\d+)of(\d+)_([a-z]+)")


@dataclass(frozen=True)
class Straight:
    """The shape of a kernel: words a column, bits of a weight, columns in all and of a block."""

    r: int
    bits: int
    block: int
    columns: int

    @property
    def grid(self) -> WeightGrid:
        """What its weights are."""
        return WEIGHT_GRIDS[self.bits]

    @property
    def blocks(self) -> list[int]:
        """Columns of each block."""
        return [min(self.block, self.columns - at) for at in range(0, self.columns, self.block)]

    @property
    def group_bytes(self) -> int:
        """Of a group's words: its columns', the shift, and two for each row."""
        return 8 * (self.r * self.columns + 1 + 2 * self.r * self.grid.lanes)

    @property
    def in_frame(self) -> bool:
        """Whether x is copied into the frame."""
        return self.r > MATVEC_MAX_R

    @property
    def parts_kept(self) -> int:
        """What waits of each word: its lanes at the end of each block, if there are several."""
        return len(self.blocks) if len(self.blocks) > 1 else 0

    @property
    def step(self) -> int:
        """Bytes from one of those to the next: lanes of 16 bits are also read from their second one on, with a zero
        behind the last."""
        return 16 if self.grid.lane_bits == 16 else 8

    @property
    def frame_x(self) -> int:
        """Where x lies in the frame."""
        return -8 * (_SLOTS + (self.columns if self.in_frame else 0))

    def kept(self, word: int, block: int) -> int:
        """Where a word's lanes of a block wait in the frame."""
        return self.frame_x - self.step * (1 + word * self.parts_kept + block)

    @property
    def frame_bytes(self) -> int:
        """Of the function's frame."""
        return -self.kept(self.r - 1, self.parts_kept - 1) if self.parts_kept else -self.frame_x

    @property
    def possible(self) -> bool:
        """Whether there is a kernel of this shape."""
        if not (1 <= self.r <= STRAIGHT_MAX_R and 1 <= self.block <= self.columns):
            return False
        adds = not self.parts_kept or self.grid.lane_bits in ADDED_LANES
        reached = max(8 * self.r * self.block, 8 * self.columns, 8 * (1 + 2 * self.r * self.grid.lanes)) < REACH
        near = (1 + 3 * self.r) * self.columns < _JUMP * 3 // 4
        return adds and reached and near and self.frame_bytes <= FRAME_BYTES

    def name(self, finish: str) -> str:
        """The kernel of this shape that ends this way, a name in FINISHES."""
        return f"matvec_{self.r}x{self.bits}_{self.block}of{self.columns}_{finish or 'scale'}"


def straight_named(name: str) -> Kernel:
    """The kernel of this name; KeyError if there is none."""
    if not (found := _NAME.fullmatch(name)) or (finish := found[5].removesuffix("scale")) not in FINISHES:
        raise KeyError(name)
    try:
        return straight(Straight(*(int(found[i]) for i in range(1, 5))), finish)
    except (KeyError, ValueError) as error:
        raise KeyError(name) from error


@cache
def straight(shape: Straight, finish: str) -> Kernel:
    """out = W x multiplied down, of a shape; ValueError for one that there is no kernel of.

    Registers: r0..r5 and r9 accumulate, r6 is x[k], r7 a word, r8 walks w; r9 is x where it is not in the frame. When
    all columns are done r5 is the shift, and r9 points at what is written.
    """
    if not shape.possible:
        raise ValueError(f"{shape.name(finish)}: expected no more than a kernel's registers, frame and jumps hold")
    rows = shape.r * shape.grid.lanes
    group = [part for number in range(len(shape.blocks)) for part in _block(shape, number)]
    group += [*_finish(shape, finish), segment(_next_group(shape))]
    blocks = f", in blocks of {shape.block}" if shape.parts_kept else ""
    does = f"`out = W x` of {shape.columns} columns{blocks}, multiplied down{FINISHES[finish].about}"
    return Kernel(
        name=shape.name(finish),
        about=f"{does}, for groups of {rows} rows of INT{shape.bits} weights, {shape.r} words a column.",
        signature="(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)",
        twin=scaled_twin(shape.r, shape.bits, str(shape.block), finish),
        sizes={"groups": range(1, UNBOUNDED)},
        parts=(segment(_entry(shape)), Repeat(Count("groups"), tuple(group)), segment(["exit"])),
    )


def straight_family() -> Family:
    """A small one, to be read; those of a Mamba-2's widest products."""
    small = Straight(2, 4, 3, 6)
    wide = Straight(7, 8, 256, 256), Straight(7, 4, 64, 384)
    shapes = [(small, "fine"), *((shape, "fine") for shape in wide), (Straight(6, 4, 64, 768), "add")]
    kernels = tuple(straight(*shape) for shape in shapes)
    return Family(kernels, listing=kernels[0].name, metered=((1,), (3,)))


def _entry(shape: Straight) -> list[str]:
    lines = [store(10, _OUT, 3), f"r4 *= {shape.group_bytes}", "r4 += r1", store(10, _END, 4), "r8 = r1"]
    if shape.in_frame:
        for k in range(shape.columns):
            lines += [load(6, 2, 8 * k), store(10, shape.frame_x + 8 * k, 6)]
    else:
        lines.append(store(10, _X, 2))
    if shape.parts_kept and shape.step == 16:
        lines += [store_number(10, shape.kept(word, block) + 8, 0) for word, block in _all_kept(shape)]
    return lines


def _all_kept(shape: Straight) -> list[tuple[int, int]]:
    return [(word, block) for word in range(shape.r) for block in range(shape.parts_kept)]


def _register(word: int) -> int:
    """The one that accumulates a word of each column."""
    return 9 if word == MATVEC_MAX_R else word


def _block(shape: Straight, number: int) -> Iterator[Part]:
    """Lanes from the middle of their range on, the block's columns, and where several are, what the lanes have then."""
    lines = [f"r0 = {lane_starts(shape.grid):#x} ll", *(f"r{_register(i)} = r0" for i in range(1, shape.r))]
    if not shape.in_frame and not number:
        lines.append(load(9, 10, _X))
    first, count = number * shape.block, shape.blocks[number]
    for k in range(count):
        at = first + k
        lines.append(load(6, 10, shape.frame_x + 8 * at) if shape.in_frame else load(6, 9, 8 * at))
        for i in range(shape.r):
            lines += [load(7, 8, 8 * (k * shape.r + i)), "r7 *= r6", f"r{_register(i)} += r7"]
    lines.append(f"r8 += {8 * shape.r * count}")
    if shape.parts_kept:
        lines += [store(10, shape.kept(i, number), _register(i)) for i in range(shape.r)]
    yield segment(lines, "" if number else "1")


def _finish(shape: Straight, finish: str) -> Iterator[Part]:
    """Each lane, multiplied down and finished, becomes its output."""
    waiting = [] if shape.parts_kept else [(5, _SIXTH), (9, _SEVENTH)][: max(shape.r - 5, 0)]
    lines = [store(10, slot, register) for register, slot in waiting]
    lines += [load(9, 10, _OUT), load(5, 8, 0)]
    if shape.parts_kept and shape.grid.lane_bits == 16:
        lines.append(f"r4 = {_EVEN_LANES:#x} ll")
    yield segment(lines)
    values: list[Value] = []
    for word in range(shape.r):
        lanes = _added_up(shape, word) if shape.parts_kept else _lanes(shape, word)
        for lines, register in lanes:
            values.append(scaled(lines, register, len(values), 8, finish))
    yield from finished(values, finish)
    yield segment([f"r8 += {8 * (1 + 2 * shape.r * shape.grid.lanes)}"])


def _lanes(shape: Straight, word: int) -> Iterator[tuple[list[str], int]]:
    """(instructions, register) of each lane of a word, in order."""
    slot = {5: _SIXTH, 6: _SEVENTH}.get(word)
    for lane in range(shape.grid.lanes):
        again = [load(0, 10, slot)] if slot and not lane else []
        take, register = cut_lane(0 if slot else word, lane, shape.grid, _LANE)
        yield [*again, *take], register


#: The first and the third of four lanes.
_EVEN_LANES = 0x0000_FFFF_0000_FFFF


def _added_up(shape: Straight, word: int) -> Iterator[tuple[list[str], int]]:
    """The same of sums over all blocks, which have more bits than a lane; the first instructions make all of a word."""
    places = [shape.kept(word, block) for block in range(shape.parts_kept)]
    lines = _of_16_bits(places) if shape.grid.lane_bits == 16 else _of_21_bits(places)
    for lane in range(shape.grid.lanes):
        yield ([] if lane else lines), lane


def _of_16_bits(places: list[int]) -> list[str]:
    """r0..r3 = the sums of lanes 0..3. In r0 those of lanes 0 and 2 are added up; in r1 those of 1, 2 and 3, which lie
    across each other until the second is taken off."""
    lines: list[str] = []
    for number, at in enumerate(places):
        even, odd = (7, 6) if number else (0, 1)
        lines += [load(even, 10, at), f"r{even} &= r4", load(odd, 10, at + 2)]
        lines += ["r0 += r7", "r1 += r6"] if number else []
    second = ["r2 = r0", "r2 >>= 32", "r3 = r2", "r3 <<= 16", "r1 -= r3"]
    return [*lines, *second, "r3 = r1", "r3 >>= 32", "r0 <<= 32", "r0 >>= 32", "r1 <<= 32", "r1 >>= 32"]


def _of_21_bits(places: list[int]) -> list[str]:
    """r0..r2 = the sums of lanes 0..2. In r1 those of 1 and 2 are added up, across each other."""
    lines: list[str] = []
    for number, at in enumerate(places):
        take = ["r6 = r7", f"r6 &= {(1 << 21) - 1}", "r0 += r6", "r7 >>= 21", "r1 += r7", "r7 >>= 21", "r2 += r7"]
        first = ["r0 = r7", f"r0 &= {(1 << 21) - 1}", "r7 >>= 21", "r1 = r7", "r7 >>= 21", "r2 = r7"]
        lines += [load(7, 10, at), *(take if number else first)]
    return [*lines, "r7 = r2", "r7 <<= 21", "r1 -= r7"]


def _next_group(shape: Straight) -> list[str]:
    end = [load(7, 10, _END), "if r8 != r7 goto 1b"]
    return [f"r9 += {8 * shape.r * shape.grid.lanes}", store(10, _OUT, 9), *end]
