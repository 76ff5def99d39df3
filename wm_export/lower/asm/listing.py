"""A kernel as a list of sBPF instructions, from which its text, its compute units and their formula follow.

A kernel is a row of Segments (straight lines of instructions), Repeats (counted loops of them), Forks (two ways of
equal cost, of which a run takes one) and what stands Apart. The text is the segments in order, those that stand apart
behind all others; the cost is the sum of instructions * runs over the same list, so the two cannot part. A cost counts
the instructions executed inside the function, the final `exit` included, and leaves out the caller's argument set-up
and `call`. One instruction is one compute unit; `r = imm ll` is one instruction.

Registers on entry are r1..r5, the result is r0. All ten of r0..r9 may be used: the virtual machine saves r6..r9 at a
call. r10 is the top of the function's own 4,096-byte stack frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

#: No size of a call reaches it.
UNBOUNDED = 1 << 32
#: Bytes of a kernel's frame, and what an instruction's offset reaches.
FRAME_BYTES, REACH = 4096, 1 << 15
#: An instruction that changes nothing, for a way that would else be cheaper than the other.
NOTHING = "r0 = r0"
#: Labels of conditional moves count from here, two for each.
_MOVES = 100


@dataclass(frozen=True)
class Segment:
    """Instructions that run one after the other.

    label   local label of the first of them, or empty
    runs    how often in a row they run, where that does not depend on a call's sizes
    """

    lines: tuple[str, ...]
    label: str = ""
    runs: int = 1


@dataclass(frozen=True)
class Count:
    """How often a loop runs: size / step, rounded down, or the remainder of that division."""

    size: str
    step: int = 1
    remainder: bool = False

    def of(self, sizes: Mapping[str, int]) -> int:
        """Runs in a call of these sizes."""
        return sizes[self.size] % self.step if self.remainder else sizes[self.size] // self.step

    def __str__(self) -> str:
        return self.size if self.step == 1 else f"{self.size} {'%' if self.remainder else '/'} {self.step}"


@dataclass(frozen=True)
class Times:
    """How often a loop runs, where that does not depend on a call's sizes."""

    count: int

    def of(self, sizes: Mapping[str, int]) -> int:
        """Runs in any call."""
        return self.count

    def __str__(self) -> str:
        return str(self.count)


@dataclass(frozen=True)
class Repeat:
    """A loop: its body runs `count` times."""

    count: Count | Times
    body: tuple[Part, ...]


@dataclass(frozen=True)
class Fork:
    """Two ways, in the order of the text, of which a run takes one; ValueError unless both cost the same.

    That a run takes one of them, and all of it, is what its jumps must see to.

    apart   the second stands behind the end of the kernel, where the first need not jump over it
    """

    first: tuple[Part, ...]
    second: tuple[Part, ...]
    apart: bool = False

    def __post_init__(self) -> None:
        first, second = _Units().add(self.first), _Units().add(self.second)
        if first != second:
            raise ValueError(f"the ways of a fork cost {first} and {second}, expected the same")


@dataclass(frozen=True)
class Apart:
    """Ways that stand behind the end of the kernel. A run that goes one of them leaves out as many instructions as it
    finds there, so they add nothing to a cost; that it does is what their jumps must see to."""

    parts: tuple[Part, ...]


Part = Segment | Repeat | Fork | Apart


@dataclass
class _Units:
    """Compute units of a list of parts: `fixed`, and for each count what one run of its loops costs."""

    fixed: int = 0
    each: dict[Count | Times, _Units] = field(default_factory=dict)

    def add(self, parts: Iterable[Part]) -> _Units:
        for part in parts:
            if isinstance(part, Segment):
                self.fixed += len(part.lines) * part.runs
            elif isinstance(part, Fork):
                self.add(part.first)
            elif isinstance(part, Repeat):
                self.each.setdefault(part.count, _Units()).add(part.body)
        return self

    def of(self, sizes: Mapping[str, int]) -> int:
        return self.fixed + sum(count.of(sizes) * units.of(sizes) for count, units in self.each.items())

    def __str__(self) -> str:
        inner = ((count, f"({units})" if units.each else str(units)) for count, units in self.each.items())
        return " + ".join([str(self.fixed), *(f"{count} * {units}" for count, units in inner)])


def _segments(parts: Iterable[Part], behind: list[Part]) -> Iterator[Segment]:
    """In the order of the text; ways that stand apart are added to `behind`."""
    for part in parts:
        if isinstance(part, Segment):
            yield part
        elif isinstance(part, Repeat):
            yield from _segments(part.body, behind)
        elif isinstance(part, Apart):
            behind += part.parts
        else:
            behind += part.second if part.apart else ()
            yield from _segments(part.first if part.apart else (*part.first, *part.second), behind)


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    name        function name in Rust; its symbol is `wmq_<name>`
    about       what it computes, in a line of Rust documentation
    signature   arguments and result in Rust; they arrive in r1..r5 and leave in r0
    twin        the portable function of crate wmq_kernels that computes the same
    sizes       what a call's sizes may be, by the name they have in the formula
    parts       its instructions
    """

    name: str
    about: str
    signature: str
    twin: str
    sizes: Mapping[str, range]
    parts: tuple[Part, ...]

    def cu(self, **sizes: int) -> int:
        """Compute units of a call of these sizes; ValueError for sizes that the kernel does not take."""
        if sizes.keys() != self.sizes.keys() or any(sizes[name] not in self.sizes[name] for name in sizes):
            raise ValueError(f"{self.name}: {sizes}, expected {', '.join(map(_size_text, self.sizes.items()))}")
        return _Units().add(self.parts).of(sizes)

    @property
    def formula(self) -> str:
        """Compute units in closed form, `/` rounding down."""
        return str(_Units().add(self.parts))

    @property
    def segments(self) -> Iterator[Segment]:
        """Its straight lines in the order of the text, once each."""
        behind: list[Part] = []
        # What stands apart is found on the way, so it is walked after the rest.
        return chain(_segments(self.parts, behind), _segments(behind, []))

    @property
    def bytes(self) -> int:
        """Of its instructions: 8 each, 16 of one that loads 64 bits at once."""
        return sum(16 if line.endswith(" ll") else 8 for segment in self.segments for line in segment.lines)

    @property
    def text(self) -> str:
        """The assembly, in the dialect of LLVM's BPF target."""
        lines = [f"# {self.name}: {self.formula} compute units"]
        lines += [f".globl wmq_{self.name}", f".type wmq_{self.name},@function", f"wmq_{self.name}:"]
        for segment in self.segments:
            lines += [f"{segment.label}:"] if segment.label else []
            lines += segment.lines
        return "\n".join([*lines, f".size wmq_{self.name}, .-wmq_{self.name}", ""])


@dataclass(frozen=True)
class Family:
    """Kernels that one module writes.

    kernels   all of them
    listing   name of the one whose text the repository keeps, to be read
    metered   sizes of calls, in the order of Kernel.sizes, at which each one's compute units are committed
    """

    kernels: tuple[Kernel, ...]
    listing: str
    metered: tuple[tuple[int, ...], ...]

    def metered_calls(self) -> Iterator[tuple[Kernel, dict[str, int]]]:
        """Each kernel with each of the sizes, by name."""
        for kernel in self.kernels:
            for sizes in self.metered:
                yield kernel, dict(zip(kernel.sizes, sizes, strict=True))


def _size_text(size: tuple[str, range]) -> str:
    name, allowed = size
    most = "" if allowed.stop >= UNBOUNDED else str(allowed[-1])
    return f"{name} in {allowed.start}..{most}" + (f", a multiple of {allowed.step}" if allowed.step > 1 else "")


def load(dst: int, base: int, offset: int, size: str = "u64") -> str:
    """Instruction that reads `size` bytes at r<base> + offset into r<dst>, zero-extended."""
    return f"r{dst} = *({size} *)(r{base} {'-' if offset < 0 else '+'} {abs(offset)})"


def store(base: int, offset: int, src: int, size: str = "u64") -> str:
    """Instruction that writes the low `size` bytes of r<src> at r<base> + offset."""
    return f"*({size} *)(r{base} {'-' if offset < 0 else '+'} {abs(offset)}) = r{src}"


def store_number(base: int, offset: int, value: int) -> str:
    """Instruction that writes a number of 32 bits, as 64, at r<base> + offset."""
    return f"*(u64 *)(r{base} {'-' if offset < 0 else '+'} {abs(offset)}) = {value}"


def unrolled(
    size: str, unroll: int, left: str, one: Callable[[int], list[str]], step: Callable[[int], list[str]], label: int = 1
) -> tuple[Part, ...]:
    """What `one` does for each value: for `unroll` of them between two jumps, then for those left over, one by one.

    size    what the loop's length is called in the formula
    left    the register that holds how many values are left; `step` takes so many off, and moves on
    label   of the first loop; the next three are taken too, the last of them by what comes behind
    """
    many = [line for i in range(unroll) for line in one(i)]
    many += [*step(unroll), f"if {left} > {unroll - 1} goto {label}b"]
    single = [*one(0), *step(1), f"if {left} != 0 goto {label + 2}b"]
    return (
        Repeat(Count(size, unroll), (segment(many, str(label)),)),
        segment([f"if {left} == 0 goto {label + 3}f"], str(label + 1)),
        Repeat(Count(size, unroll, remainder=True), (segment(single, str(label + 2)),)),
    )


def half(out: int, shift: int, spare: int) -> list[str]:
    """Instructions that make r<out> half of 2^r<shift>; r<spare> is lost."""
    return [f"r{spare} = r{shift}", f"r{spare} += -1", f"r{out} = 1", f"r{out} <<= r{spare}"]


def segment(lines: Sequence[str], label: str = "", runs: int = 1) -> Segment:
    """A Segment of any sequence of instructions."""
    return Segment(tuple(lines), label, runs)


def unless(test: str, move: str, number: int) -> tuple[Part, ...]:
    """The instruction `move` unless `test` holds, for two units either way.

    number   0 and up, one that no other move of the kernel has
    """
    far, back = str(_MOVES + 2 * number), str(_MOVES + 2 * number + 1)
    stay, jump = segment([f"goto {back}b"], far), segment([f"if {test} goto {far}f"])
    return jump, Fork((segment([move]),), (stay,), apart=True), segment([], back)


def move_unless(test: str, register: int, value: int, number: int) -> tuple[Part, ...]:
    """r<register> = value unless `r<register> <test> value` holds; number as for `unless`."""
    return unless(f"r{register} {test} {value}", f"r{register} = {value}", number)


def clamp(register: int, most: int, number: int) -> tuple[Part, ...]:
    """r<register> kept inside -most..most, for four units.

    number   0 and up, one that no other clamp of the kernel has
    """
    return (*move_unless("s<=", register, most, 2 * number), *move_unless("s>=", register, -most, 2 * number + 1))
