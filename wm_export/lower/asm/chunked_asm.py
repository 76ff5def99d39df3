"""The ssm_chunked kernels: a recurrence whose states are written every few frames, head by head in turn.

Layout of the memory and proof of the lanes: onchain/kernels/src/chunked.rs.

A kernel is `ssm_chunked_<cells of a channel>x<channels of a head>_<frames between two writes>`. Two channels share a
word. GROUP words have an accumulator each; those that are left over are a smaller group. As many heads as there are
frames between two writes make a round: of a round one head is written in each frame, and its places among the frames
since a head's last write are every place once, so a round costs the same in each frame.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from wm_export.lower.asm.listing import (
    FRAME_BYTES,
    NOTHING,
    REACH,
    UNBOUNDED,
    Apart,
    Count,
    Family,
    Kernel,
    Part,
    Repeat,
    Segment,
    Times,
    load,
    segment,
    store,
    unless,
)
from wm_export.lower.asm.ssm_asm import BOTH, HEAD_WORDS, STATE_BIAS, STATES
from wm_train.grid.chunked import Chunk
from wm_train.grid.integer_mamba2 import DECAY_BITS, DT_CODES, GAIN_BITS

#: Words of states, of two channels each, that are worked on at once.
GROUP = 6
#: Cells of all frames since a head's last write that are written without a loop; else group by group.
UNROLLED = 1024
#: Labels of frames before a head's newest count from here; as many more for the way there.
_OLDER = 1000
#: What is added to every integer of the memory.
BIAS = STATE_BIAS
#: Where the addresses of vectors lie in `places`.
X, B, DT_CODE, TABLES, MEMORY, OUT = range(0, 48, 8)
ONE = 1 << DECAY_BITS
HALF_LANE = 1 << 31
#: Of each frame since a head's last write: where its codes of x lie, its gain, and what rounds x times it.
RECORD = 24
_NAME = re.compile(r"ssm_chunked_(\d{1,3})x(\d{1,3})_(\d{1,2})")


def chunked_name(shape: Chunk) -> str:
    """The kernel of this shape, of any number of heads."""
    return f"ssm_chunked_{shape.cells}x{shape.channels}_{shape.every}"


def chunked_named(name: str) -> Kernel:
    """The kernel of this name; KeyError if there is none."""
    if not (found := _NAME.fullmatch(name)):
        raise KeyError(name)
    cells, channels, every = map(int, found.groups())
    try:
        return chunked(Chunk(every, channels, cells, every))
    except ValueError as error:
        raise KeyError(name) from error


@dataclass(frozen=True)
class Layout:
    """Where things lie: bytes from the start of the memory, from that of a head's record in it, and from r10."""

    shape: Chunk

    @property
    def ring(self) -> int:
        """B of each frame, behind t."""
        return 8

    @property
    def heads(self) -> int:
        """The first head's record."""
        return self.ring + 4 * self.shape.every * self.shape.cells

    @property
    def gains(self) -> int:
        """In a record, behind `lost`."""
        return 8

    @property
    def row(self) -> int:
        """Bytes of one frame's x."""
        return 4 * self.shape.channels

    @property
    def rows(self) -> int:
        """In a record, x of each place."""
        return self.gains + 8 * ((self.shape.every + 1) // 2)

    @property
    def states(self) -> int:
        """In a record, group by group, cell by cell."""
        return self.rows + self.row * self.shape.every

    @property
    def record(self) -> int:
        """Bytes of a head's record."""
        return self.states + self.row * self.shape.cells

    @property
    def groups(self) -> list[tuple[int, int]]:
        """(words, how many of them) of the groups that a head's words make."""
        full, rest = divmod(self.shape.channels // 2, GROUP)
        return [(GROUP, full)] * (full > 0) + [(rest, 1)] * (rest > 0)

    @cached_property
    def frame(self) -> dict[str, int]:
        """Places in the frame, by name."""
        cells, every = self.shape.cells, self.shape.every
        sizes = {"C": cells, "PAIRS": cells // 2, "DOTS": 2 * every, "K": every, "READ": GROUP, "LATE": GROUP}
        sizes |= {"W": every, "FRAMES": RECORD // 8 * every}
        names = (
            "HEADS DT TABLE X TO_OUT RECORD RING RING_END PHASE PLACE DOT START KEPT ROUND SKIP NOW LATE0 STATES ROW "
            "FIRST FIRST_END WRITE PAIR PAIRS_END CONSTANT"
        )
        at, places = 0, {}
        for name, words in (sizes | dict.fromkeys(names.split(), 1)).items():
            at -= 8 * words
            places[name] = at
        return places


@cache
def chunked(shape: Chunk) -> Kernel:
    """The kernel of a shape, whose number of heads says nothing. ValueError for one that there is none of."""
    at = Layout(shape)
    even = shape.cells % 2 == 0 and shape.channels % 2 == 0 and min(shape.cells, shape.channels, shape.every) > 0
    fits = min(at.frame.values()) >= -FRAME_BYTES and max(at.heads, at.states, 8 * GROUP * shape.cells) < REACH
    if not (even and fits):
        expected = "expected even numbers of cells and channels, and no more than a kernel's frame holds"
        raise ValueError(f"{chunked_name(shape)}: {expected}")
    f = shape.places
    return Kernel(
        name=chunked_name(shape),
        about=f"`ssm`, a head written every {shape.every} frames; {shape.cells} cells, {shape.channels} channels.",
        signature="(places: *const u64, heads: u64)",
        twin=f"chunked::ssm_chunked_ref::<{shape.cells}, {shape.channels}, {shape.every}, {f}>",
        sizes={"heads": range(shape.every, UNBOUNDED, shape.every)},
        parts=(*_Writer(at).pack(), Repeat(Count("heads", shape.every), tuple(_Writer(at).round())), segment(["exit"])),
    )


def chunked_family() -> Family:
    """A small one, to be read, and that of 1.2 million parameters."""
    shapes = Chunk(2, 4, 4, 2), Chunk(8, 64, 32, 8)
    return Family(kernels=tuple(map(chunked, shapes)), listing=chunked_name(shapes[0]), metered=((8,), (16,)))


def _both(spare: int, value: int) -> list[str]:
    """r<value> in both lanes; r<spare> is lost."""
    return [f"r{spare} = r{value}", f"r{spare} <<= 32", f"r{value} += r{spare}"]


def _dispatch(register: int, labels: list[int], times: Times, number: int) -> tuple[Part, ...]:
    """To the label of the number in r<register>, from 0 on, in as many units for each: all of them stand further on.

    number   labels from here on, one for each number, are for the way there
    """
    units = (len(labels) - 1).bit_length() + 1

    def way(low: int, high: int, left: int) -> tuple[list[str], list[Segment]]:
        """(instructions in line, those that stand apart) for the numbers low..high - 1, in `left` units."""
        if high - low == 1:
            return [*[NOTHING] * (left - 1), f"goto {labels[low]}{'b' if low else 'f'}"], []
        middle = (low + high + 1) // 2
        below, apart = way(low, middle, left - 1)
        above, further = way(middle, high, left - 1)
        test = f"if r{register} > {middle - 1} goto {number + middle}f"
        return [test, *below], [*apart, segment(above, str(number + middle)), *further]

    lines, apart = way(0, len(labels), units)
    return Repeat(times, (segment(lines),)), Apart(tuple(apart))


class _Writer:
    """Writes the parts of one kernel."""

    def __init__(self, at: Layout) -> None:
        self.at, self.shape = at, at.shape
        self._moves = 0

    def get(self, register: int, name: str, more: int = 0, size: str = "u64") -> str:
        """Load from the frame."""
        return load(register, 10, self.at.frame[name] + more, size)

    def put(self, name: str, register: int, more: int = 0) -> str:
        """Store to the frame."""
        return store(10, self.at.frame[name] + more, register)

    def address(self, register: int, name: str, more: int = 0) -> list[str]:
        """r<register> at a place of the frame."""
        return [f"r{register} = r10", f"r{register} += {self.at.frame[name] + more}"]

    def unless(self, test: str, move: str) -> tuple[Part, ...]:
        """A conditional move with labels of its own."""
        self._moves += 1
        return unless(test, move, self._moves)

    # ------------------------------------------------------------------------------------------------- a frame

    def pack(self) -> Iterator[Part]:
        """t moves on; B joins its ring; C, and what each frame's B makes of it, into the frame."""
        shape, at = self.shape, self.at
        every, cells = shape.every, shape.cells
        yield segment([self.put("HEADS", 2), load(8, 1, B), load(6, 1, MEMORY), load(7, 6, 0, "u32"), f"r7 += {-BIAS}"])
        # A memory that was loaded may say anything.
        yield from self.unless(f"r7 s<= {every - 1}", f"r7 = {every - 1}")
        yield from self.unless("r7 s>= 0", "r7 = 0")
        yield segment([self.put("PHASE", 7), "r4 = r7", "r4 += 1"])
        yield from self.unless(f"r4 != {every}", "r4 = 0")
        yield segment([f"r4 += {BIAS}", store(6, 0, 4, "u32"), *self._ring(), *self._codes(), *self._starts()])
        yield Repeat(Times(every), (segment(self._dot(), "1"),))
        walk = [load(8, 1, X), load(4, 1, OUT), "r4 -= r8", self.put("TO_OUT", 4), self.put("X", 8)]
        walk += [load(4, 1, DT_CODE), self.put("DT", 4), load(4, 1, TABLES), self.put("TABLE", 4)]
        ring = ["r4 = r6", f"r4 += {at.ring}", self.put("RING", 4), f"r4 += {4 * GROUP * (cells // GROUP)}"]
        yield segment([*walk, *ring, self.put("RING_END", 4), f"r6 += {at.heads}", self.put("RECORD", 6)])

    def _ring(self) -> list[str]:
        """r9 at this frame's row; two codes a word."""
        lines = ["r9 = r7", f"r9 *= {4 * self.shape.cells}", "r9 += r6", f"r5 = {BIAS * BOTH:#x} ll"]
        for i in range(self.shape.cells // 2):
            pair = [load(3, 8, 16 * i), load(4, 8, 16 * i + 8), "r4 <<= 32", "r3 += r4", "r3 += r5"]
            lines += [*pair, store(9, self.at.ring + 8 * i, 3)]
        return lines

    def _codes(self) -> list[str]:
        """C, cell by cell and in pairs, the first cell's above; r0 sums all."""
        lines, first = ["r0 = 0"], 8 * self.shape.cells
        for i in range(self.shape.cells // 2):
            lines += [load(3, 8, first + 16 * i), load(4, 8, first + 16 * i + 8)]
            lines += [self.put("C", 3, 16 * i), self.put("C", 4, 16 * i + 8), "r0 += r3", "r0 += r4"]
            lines += ["r3 <<= 32", "r3 += r4", self.put("PAIRS", 3, 8 * i)]
        return lines

    def _starts(self) -> list[str]:
        """What sums of C times something biased start from: r4 of the dots; in the frame, of the states."""
        lines = [f"r0 *= {-BIAS}", f"r5 = {HALF_LANE:#x} ll", "r4 = r0", "r4 <<= 32", "r4 += r5", "r0 += r5"]
        lines += [*_both(3, 0), self.put("START", 0), "r9 = r6", f"r9 += {self.at.ring}", *self.address(7, "DOTS")]
        return lines

    def _dot(self) -> list[str]:
        """A frame's B times C, twice: heads begin at different frames, and none has to wrap around."""
        every, cells, lines = self.shape.every, self.shape.cells, ["r0 = r4"]
        for i in range(cells // 2):
            lines += [load(2, 9, 8 * i), self.get(5, "PAIRS", 8 * i), "r2 *= r5", "r0 += r2"]
        lines += ["r0 s>>= 32", store(7, 0, 0), store(7, 8 * every, 0), "r7 += 8", f"r9 += {4 * cells}"]
        return [*lines, *self.address(2, "DOTS", 8 * every), "if r7 != r2 goto 1b"]

    # ------------------------------------------------------------------------------------------------- a round

    def round(self) -> Iterator[Part]:
        """As many heads as there are frames between two writes."""
        self._moves = 10
        every = self.shape.every
        older = every * (every - 1) // 2
        first = [self.get(1, "PHASE"), self.put("PLACE", 1), *self.address(1, "DOTS"), self.put("DOT", 1)]
        yield segment(first, "2")
        yield Repeat(Times(every), (segment([*self._enter(), *self._kept(), *self._walk_gains()], "3"),))
        yield Repeat(Times(older), (segment(self._fade(), "4"),))
        yield Repeat(Times(every), (segment([*self._newest(), *self._rows()], "5"),))
        for number, (words, count) in enumerate(self.at.groups):
            label = 30 + 10 * number
            times = Times(every * count)
            end = [self.get(1, "FIRST"), f"r1 += {8 * words * count}", self.put("FIRST_END", 1)]
            yield Repeat(Times(every), (segment(end),))
            yield Repeat(times, (segment([*self._read(words), *self._late(words)], str(label)),))
            # A head with so many frames before it goes to the last of them, and from there on through all others.
            olders = _OLDER + 2 * every * number
            yield from _dispatch(7, [label + 2, *range(olders, olders + every - 1)], times, olders + every)
            for frame in reversed(range(every - 1)):
                heads = Times((every - 1 - frame) * count)
                yield Repeat(heads, (segment(self._older(words, frame), str(olders + frame)),))
            yield Repeat(times, (segment([*self._finish(words), f"if r2 != r1 goto {label}b"], str(label + 2)),))
        yield Repeat(Times(every), (segment([self.get(1, "PLACE"), f"if r1 != {every - 1} goto 8f"]),))
        yield from self._write()
        yield Repeat(Times(every), (segment([self.get(1, "PLACE"), "r1 += -1"], "8"), *self._next_head()))
        left = [self.get(4, "HEADS"), f"r4 += {-every}", self.put("HEADS", 4), "if r4 != 0 goto 2b"]
        yield segment(left)

    def _enter(self) -> list[str]:
        """r6 at the head's record; the entry that dt picks: r5 the decay, r3 the gain."""
        code = [self.get(6, "RECORD"), self.get(1, "DT"), load(4, 1, 0), "r1 += 8", self.put("DT", 1)]
        entry = [self.get(1, "TABLE"), "r4 <<= 3", "r4 += r1", load(5, 4, 8 * len(DT_CODES) // 2)]
        skip = [f"r1 += {8 * HEAD_WORDS}", self.put("TABLE", 1), load(1, 1, -8), "r1 s>>= 32", self.put("SKIP", 1)]
        return [*code, *entry, *skip, "r3 = r5", "r3 >>= 32", "r5 <<= 32", "r5 >>= 32"]

    def _kept(self) -> list[str]:
        """What is left of the states; then what rounds y, less what its two sums have too much."""
        rounds = ONE // 2 - (HALF_LANE << (DECAY_BITS - self.shape.places))
        fade = [f"r0 = {ONE + BIAS}", load(1, 6, 0, "u32"), "r0 -= r1", "r0 *= r5", f"r0 s>>= {DECAY_BITS}"]
        lost = [self.put("KEPT", 0), f"r1 = {ONE + BIAS}", "r1 -= r0", store(6, 0, 1, "u32")]
        return [*fade, *lost, f"r1 = {rounds % (1 << 64):#x} ll", "r0 <<= 31", "r1 -= r0", self.put("ROUND", 1)]

    def _walk_gains(self) -> list[str]:
        """r2 walks gains up to r1, r7 dots, r9 what each frame counts for; r0 sums that."""
        walk = ["r2 = r6", f"r2 += {self.at.gains}", self.get(7, "DOT"), *self.address(9, "K"), "r0 = 0"]
        return [*walk, self.get(1, "PLACE"), "r1 <<= 2", "r1 += r2", "if r2 == r1 goto 5f"]

    def _product(self, register: int) -> list[str]:
        """A gain times a dot, at r7, in r<register>: what the frame's x counts for."""
        places = GAIN_BITS + DECAY_BITS - self.shape.places
        half = 1 << (places - 1)
        return [load(8, 7, 0), f"r{register} *= r8", f"r{register} += {half}", f"r{register} s>>= {places}"]

    def _fade(self) -> list[str]:
        """One of the frames before."""
        gain = [load(4, 2, 0, "u32"), f"r4 += {-BIAS}", "r4 *= r5", f"r4 >>= {DECAY_BITS}"]
        kept = ["r8 = r4", f"r8 += {BIAS}", store(2, 0, 8, "u32")]
        step = [store(9, 0, 4), "r0 += r4", "r2 += 4", "r7 += 8", "r9 += 8", "if r2 != r1 goto 4b"]
        return [*gain, *kept, *self._product(4), *step]

    def _newest(self) -> list[str]:
        """This frame: what its x counts for in all, before the shift; then what sums of the others start from."""
        gain = ["r8 = r3", f"r8 += {BIAS}", store(2, 0, 8, "u32"), *self._product(3)]
        skip = [self.get(1, "SKIP"), f"r1 <<= {DECAY_BITS}", f"r3 <<= {DECAY_BITS - self.shape.places}", "r3 += r1"]
        start = [f"r0 *= {-BIAS}", f"r1 = {HALF_LANE:#x} ll", "r0 += r1", *_both(1, 0), self.put("LATE0", 0)]
        return [*gain, *skip, self.put("NOW", 3), *start]

    def _rows(self) -> list[str]:
        """Where this frame's x goes, where that of the first one lies, and the states."""
        at = self.at
        first = ["r2 = r6", f"r2 += {at.rows}", self.put("FIRST", 2)]
        row = [self.get(1, "PLACE"), f"r1 *= {at.row}", "r1 += r2", self.put("ROW", 1)]
        return [*first, *row, f"r2 += {at.states - at.rows}", self.put("STATES", 2)]

    def _read(self, words: int) -> list[str]:
        """C times the states of a group."""
        lines = [self.get(8, "STATES")]
        for cell in range(self.shape.cells):
            lines.append(self.get(6, "C", 8 * cell))
            for i in range(words):
                at = 8 * (words * cell + i)
                lines += [load(7, 8, at), "r7 *= r6", f"r{i} += r7"] if cell else [load(i, 8, at), f"r{i} *= r6"]
        lines += [self.get(7, "START"), *(f"r{i} += r7" for i in range(words))]
        lines += [f"r8 += {8 * words * self.shape.cells}", self.put("STATES", 8)]
        return [*lines, *(self.put("READ", i, 8 * i) for i in range(words))]

    def _late(self, words: int) -> list[str]:
        """x of this frame joins its rows; what each frame before counts for times its x is summed up from here on."""
        lines = [self.get(8, "X"), self.get(9, "ROW"), f"r6 = {BIAS * BOTH:#x} ll"]
        for i in range(words):
            lines += [load(i, 8, 16 * i), load(7, 8, 16 * i + 8), "r7 <<= 32", f"r{i} += r7", f"r{i} += r6"]
            lines.append(store(9, 8 * i, i))
        lines += [self.get(0, "LATE0"), *(f"r{i} = r0" for i in range(1, words))]
        return [*lines, self.get(8, "FIRST"), self.get(7, "PLACE")]

    def _older(self, words: int, frame: int) -> list[str]:
        """One of the frames before, by its place."""
        lines = [self.get(6, "K", 8 * frame)]
        for i in range(words):
            lines += [load(7, 8, self.at.row * frame + 8 * i), "r7 *= r6", f"r{i} += r7"]
        return lines

    def _finish(self, words: int) -> list[str]:
        """y of a group's channels; r2 and r1 say whether there is another one."""
        lines = [self.put("LATE", i, 8 * i) for i in range(words)]
        lines += [self.get(3, "NOW"), self.get(4, "ROUND"), self.get(5, "KEPT"), self.get(8, "X")]
        lines += [self.get(9, "TO_OUT"), "r9 += r8"]
        for i in range(2 * words):
            read = [self.get(1, "READ", 4 * i, "u32"), "r1 *= r5"]
            late = [self.get(2, "LATE", 4 * i, "u32"), f"r2 <<= {DECAY_BITS - self.shape.places}", "r1 += r2"]
            direct = [load(2, 8, 8 * i), "r2 *= r3", "r1 += r2"]
            lines += [*read, *late, *direct, "r1 += r4", f"r1 s>>= {DECAY_BITS}", store(9, 8 * i, 1)]
        row = [self.get(1, "ROW"), f"r1 += {8 * words}", self.put("ROW", 1)]
        first = [self.get(2, "FIRST"), f"r2 += {8 * words}", self.put("FIRST", 2), self.get(1, "FIRST_END")]
        return [*lines, f"r8 += {16 * words}", self.put("X", 8), *row, *first]

    def _next_head(self) -> Iterator[Part]:
        """The place of the next head is one less, of the first one the last."""
        yield from self.unless("r1 s>= 0", f"r1 = {self.shape.every - 1}")
        record = [self.get(6, "RECORD"), f"r6 += {self.at.record}", self.put("RECORD", 6)]
        dots = [self.get(1, "DOT"), "r1 += 8", self.put("DOT", 1), *self.address(2, "DOTS", 8 * self.shape.every)]
        yield segment([self.put("PLACE", 1), *record, *dots, "if r1 != r2 goto 3b"])

    # ------------------------------------------------------------------------------------------------- a write

    def _write(self) -> Iterator[Part]:
        """The states of the one head of a round that is due."""
        every = self.shape.every
        yield segment(self._start_write())
        body = segment(self._frames(), "20"), *self.unless("r9 != r3", "r9 = r7"), segment(["if r2 != r8 goto 20b"])
        yield Repeat(Times(every), body)
        yield segment(self._constants())
        done = 0
        for number, (words, count) in enumerate(self.at.groups):
            yield from self._write_groups(words, count, done, 60 + 10 * number)
            done += words * count

    def _start_write(self) -> list[str]:
        """r1 walks rows of x, r2 gains up to r8, r9 the frames in the order of B's ring, from r7 to r3 and round."""
        at = self.at
        rows = [self.get(6, "RECORD"), "r1 = r6", f"r1 += {at.rows}", "r2 = r6", f"r2 += {at.gains}"]
        end = ["r8 = r2", f"r8 += {4 * self.shape.every}"]
        frames = [*self.address(3, "FRAMES", RECORD * self.shape.every), *self.address(7, "FRAMES")]
        # The head's first frame is as far from the ring's as its first dot from the first one.
        first = [self.get(9, "DOT"), "r9 -= r10", f"r9 += {-at.frame['DOTS']}", f"r9 *= {RECORD // 8}", "r9 += r7"]
        return [*rows, *end, *frames, *first, f"r5 = {BIAS}", store(6, 0, 5, "u32")]

    def _frames(self) -> list[str]:
        """Where a frame's x lies, its gain, which is used up, and what rounds their product."""
        gain = [load(4, 2, 0, "u32"), f"r4 += {-BIAS}", store(9, 0, 1), store(9, 8, 4), store(2, 0, 5, "u32")]
        rounds = [f"r4 *= {-BIAS}", f"r4 += {1 << (GAIN_BITS - 1)}", store(9, 16, 4)]
        return [*gain, *rounds, f"r1 += {self.at.row}", "r2 += 4", f"r9 += {RECORD}"]

    def _constants(self) -> list[str]:
        """A half, and what keeps a lane from being negative, less the bias that the states lose; the first word."""
        lines = [self.get(1, "KEPT"), f"r1 *= {-BIAS}", f"r2 = {HALF_LANE + ONE // 2:#x} ll", "r1 += r2", *_both(2, 1)]
        lines += [self.put("CONSTANT", 1), "r1 = 0", self.put("PAIR", 1)]
        return [*lines, "r1 = r6", f"r1 += {self.at.states}", self.put("STATES", 1)]

    def _write_groups(self, words: int, count: int, done: int, label: int) -> Iterator[Part]:
        """Groups of so many words, word by word; `done` words stand before them."""
        cells = self.shape.cells
        blocks, rest = divmod(cells, GROUP)
        end = [self.get(1, "STATES"), f"r1 += {8 * words}", self.put("PAIRS_END", 1)]
        yield Repeat(Times(count), (segment(end, str(label)),))
        times = Times(count * words)
        yield Repeat(times, (segment(self._weights(), str(label + 1)),))
        last = self._block(words, rest) if rest else []
        if blocks and cells * self.shape.every > UNROLLED:
            block = [*self._block(words, GROUP), f"r8 += {8 * words * GROUP}", f"r9 += {4 * GROUP}"]
            block += [self.get(7, "RING_END"), f"if r9 != r7 goto {label + 2}b"]
            yield Repeat(Times(count * words * blocks), (segment(block, str(label + 2)),))
        else:
            last = [line for at in range(0, cells, GROUP) for line in self._block(words, min(GROUP, cells - at), at)]
        last += [self.get(1, "STATES"), "r1 += 8", self.put("STATES", 1), self.get(2, "PAIRS_END")]
        yield Repeat(times, (segment([*last, f"if r1 != r2 goto {label + 1}b"]),))
        # What `done` of them takes: a word is 8 bytes in a row of x, and has `cells` words of states.
        on = [f"r1 += {8 * words * (cells - 1)}", self.put("STATES", 1), self.get(1, "PAIR")]
        yield Repeat(Times(count), (segment([*on, f"if r1 != {8 * (done + words * count)} goto {label}b"]),))

    def _weights(self) -> list[str]:
        """What each frame writes to the two channels of a word; r0 sums it, as B's bias counts with all."""
        lines = [self.get(8, "PAIR"), "r0 = 0"]
        for frame in range(self.shape.every):
            record = RECORD * frame
            codes = [self.get(7, "FRAMES", record), "r7 += r8", load(1, 7, 0, "u32"), load(2, 7, 4, "u32")]
            factors = [self.get(3, "FRAMES", record + 8), self.get(4, "FRAMES", record + 16)]
            both = [line for r in (1, 2) for line in (f"r{r} *= r3", f"r{r} += r4", f"r{r} s>>= {GAIN_BITS}")]
            lines += [*codes, *factors, *both, "r2 <<= 32", "r1 += r2", self.put("W", 1, 8 * frame), "r0 += r1"]
        lines += ["r8 += 8", self.put("PAIR", 8), f"r0 *= {-BIAS}", self.get(1, "CONSTANT"), "r0 += r1"]
        return [*lines, self.put("WRITE", 0), self.get(8, "STATES"), self.get(9, "RING")]

    def _block(self, words: int, cells: int, first: int = 0) -> list[str]:
        """So many cells of a word, from the `first` on that r8 has the states of, and r9 the first frame's B."""
        states = [8 * words * (first + i) for i in range(cells)]
        lines = [load(i, 8, at) for i, at in enumerate(states)]
        lines += [self.get(6, "KEPT"), *(f"r{i} *= r6" for i in range(cells))]
        for frame in range(self.shape.every):
            lines.append(self.get(6, "W", 8 * frame))
            for i in range(cells):
                at = 4 * (self.shape.cells * frame + first + i)
                lines += [load(7, 9, at, "u32"), "r7 *= r6", f"r{i} += r7"]
        lines += [self.get(6, "WRITE"), f"r7 = {STATES:#x} ll"]
        for i, at in enumerate(states):
            lines += [f"r{i} += r6", f"r{i} >>= {DECAY_BITS}", f"r{i} &= r7", store(8, at, i)]
        return lines
