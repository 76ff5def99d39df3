"""Every kernel's assembly, run instruction by instruction in plain Python: right integers, and as many instructions as
its formula says. tests/onchain does the same in LiteSVM, where there is a toolchain."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wm_export.lower.asm.argmax_asm import WITHIN_INDEX_BITS
from wm_export.lower.asm.gather_asm import GATHER_BYTES_PER_WORD, GATHER_UNROLL, GATHER_WORDS
from wm_export.lower.asm.listing import Count, Fork, Kernel, Repeat, segment
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, matvec
from wm_export.lower.kernel_files import HERE
from wm_export.lower.kernels import KERNELS
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, WEIGHT_GRIDS

I64 = npt.NDArray[np.int64]
WORD = 2**64 - 1
#: Where memory and the frame's end are; everything else is out of bounds.
DATA, FRAME_END = 0x1000, 0x9_0000_0000
FRAME_BYTES = 4096


def signed(value: int) -> int:
    """The same 64 bits as a signed number."""
    return value - (1 << 64) if value >> 63 else value


ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "=": lambda a, b: b,
    "+=": lambda a, b: a + b,
    "-=": lambda a, b: a - b,
    "*=": lambda a, b: a * b,
    "&=": lambda a, b: a & b,
    "|=": lambda a, b: a | b,
    "^=": lambda a, b: a ^ b,
    "<<=": lambda a, b: a << b,
    ">>=": lambda a, b: a >> b,
    "s>>=": lambda a, b: signed(a) >> b,
}
LOAD = re.compile(r"r(\d) = \*\(u(\d+) \*\)\(r(\d+) ([+-]) (\d+)\)")
STORE = re.compile(r"\*\(u64 \*\)\(r(\d+) ([+-]) (\d+)\) = r(\d)")
JUMP = re.compile(r"(?:if r(?P<left>\d+) (?P<test>==|!=|s?>) (?P<right>r?\d+) )?goto (?P<label>\d+)(?P<way>[fb])")
TESTS: Mapping[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "s>": lambda a, b: signed(a) > signed(b),
}
ALU = re.compile(r"r(\d) (=|s?[-+*&|^<>]+=) (r?)(-?\w+)( ll)?")


class Machine:
    """Registers, data and a stack frame."""

    def __init__(self, data: bytes) -> None:
        self.registers = [0] * 10 + [FRAME_END]
        self.areas = {DATA: bytearray(data), FRAME_END - FRAME_BYTES: bytearray(FRAME_BYTES)}
        self.spent = 0

    def place(self, base: int, offset: int, width: int) -> tuple[bytearray, slice]:
        """The bytes at r<base> + offset; an assertion where there are none."""
        address = self.registers[base] + offset
        start, area = max((start, area) for start, area in self.areas.items() if start <= address)
        assert address + width <= start + len(area), hex(address)
        return area, slice(address - start, address - start + width)

    def run(self, text: str, arguments: list[int]) -> int:
        """What a function returns; `spent` counts its instructions."""
        lines = [line for line in text.splitlines() if not line.startswith(("#", "."))]
        self.registers[1 : 1 + len(arguments)] = arguments
        at = 0
        while lines[at] != "exit":
            counted = not lines[at].endswith(":")
            self.spent += counted
            at = self.step(lines, at) if counted else at + 1
        self.spent += 1
        return self.registers[0]

    def jumps(self, jump: re.Match[str]) -> bool:
        """Does a jump leave the straight line?"""
        if jump["test"] is None:
            return True
        other = self.registers[int(jump["right"][1:])] if jump["right"][0] == "r" else int(jump["right"])
        return TESTS[jump["test"]](self.registers[int(jump["left"])], other)

    def step(self, lines: list[str], at: int) -> int:
        """Run the instruction on line `at`; the number of the next line."""
        r, line = self.registers, lines[at]
        if found := LOAD.fullmatch(line):
            area, where = self.place(int(found[3]), int(found[4] + found[5]), int(found[2]) // 8)
            r[int(found[1])] = int.from_bytes(area[where], "little")
        elif found := STORE.fullmatch(line):
            area, where = self.place(int(found[1]), int(found[2] + found[3]), 8)
            area[where] = r[int(found[4])].to_bytes(8, "little")
        elif found := JUMP.fullmatch(line):
            if self.jumps(found):
                step = 1 if found["way"] == "f" else -1
                ways = range(at, len(lines) if step > 0 else -1, step)
                return next(i for i in ways if lines[i] == f"{found['label']}:")
        else:
            found = ALU.fullmatch(line)
            assert found, line
            other = r[int(found[4])] if found[3] else int(found[4], 0)
            r[int(found[1])] = ARITHMETIC[found[2]](r[int(found[1])], other) & WORD
        return at + 1


def run(kernel: Kernel, arguments: list[int], areas: list[bytes], **sizes: int) -> tuple[int, list[bytes]]:
    """(result, areas afterwards) of a call whose first arguments are the areas' addresses; its cost is checked."""
    starts = np.cumsum([0, *(-(-len(area) // 8) * 8 for area in areas)])
    machine = Machine(b"".join(area + bytes(-len(area) % 8) for area in areas))
    result = machine.run(kernel.text, [*(DATA + int(start) for start in starts[:-1]), *arguments])
    assert machine.spent == kernel.cu(**sizes), kernel.name
    data = bytes(machine.areas[DATA])
    return result, [data[start : start + len(area)] for start, area in zip(starts, areas, strict=False)]


def raw(values: Any) -> bytes:
    """Little-endian int64."""
    return np.asarray(values, "<i8").tobytes()


@pytest.mark.parametrize("bits", WEIGHT_GRIDS)
@pytest.mark.parametrize("r", range(1, MATVEC_MAX_R + 1))
def test_matvec(r: int, bits: int) -> None:
    grid, rng, groups, columns = WEIGHT_GRIDS[bits], np.random.default_rng((r, bits)), 2, 64
    rows = groups * r * grid.lanes
    # Every code at its largest would leave the lanes: these sums stay inside.
    most = min(grid.weight_max, (grid.lane_bound - 1) // (64 * 128))
    weights, x = rng.integers(-most, most + 1, (rows, columns)), rng.integers(-128, 128, columns)
    bias = rng.integers(-(2**31), 2**31, rows)
    lanes = weights.reshape(groups, r, grid.lanes, columns)
    words = sum(lanes[:, :, lane] << (grid.lane_bits * lane) for lane in range(grid.lanes))
    areas = [raw(np.asarray(words).transpose(0, 2, 1)), raw(x), raw(bias)]
    _, (*inputs, out) = run(matvec(r, bits), [groups, columns], areas, groups=groups, columns=columns)
    assert inputs == areas[:2]
    assert out == raw(bias + weights @ x)


@pytest.mark.parametrize(("n", "blocks"), [(8, 1), (16, 2), (GATHER_ROWS_MAX, 1)])
def test_gather(n: int, blocks: int) -> None:
    rng, entries = np.random.default_rng(n), blocks * GATHER_WORDS * GATHER_BYTES_PER_WORD
    rows = np.concatenate([rng.integers(-128, 128, (4, entries)), np.full((1, entries), 127)])
    picks, k = rng.integers(0, 5, n) if n < GATHER_ROWS_MAX else np.full(n, 4), rng.integers(0, 2**32, entries)
    bias = rng.integers(-(2**40), 2**40, entries)
    packed = np.zeros((5, entries // GATHER_BYTES_PER_WORD, 8), np.uint8)
    packed[..., :GATHER_BYTES_PER_WORD] = (rows + 128).reshape(5, -1, GATHER_BYTES_PER_WORD)
    table = DATA + 8 * n + (4 * entries + 7) // 8 * 8 + 8 * entries
    addresses = raw(table + picks * packed[0].size)
    areas = [addresses, k.astype("<u4").tobytes(), raw(bias), packed.tobytes()]
    starts = [DATA, DATA + 8 * n, table - 8 * entries]
    machine = Machine(b"".join(area + bytes(-len(area) % 8) for area in areas))
    machine.run(KERNELS["gather_add"].text, [*starts, n, blocks])
    out = machine.areas[DATA][starts[2] - DATA : table - DATA]
    assert bytes(out) == raw(bias + rows[picks].sum(0) * k)
    assert machine.spent == KERNELS["gather_add"].cu(n=n, blocks=blocks)


@pytest.mark.parametrize("shift", [7, 31, 40])
@pytest.mark.parametrize("name", ["requantize", "requantize_relu"])
def test_requantize(name: str, shift: int) -> None:
    rng, n, half = np.random.default_rng(shift), 24, 1 << (shift - 1)
    acc, mult = rng.integers(-(2**30), 2**30, n), rng.integers(0, 2**31, n)
    acc[:7], mult[:7] = [0, half, half - 1, -half, -half - 1, 255 * half - 1, 255 * half], 1
    expected = (acc * mult + half) >> shift
    expected = np.clip(expected, 0, 127) if name == "requantize_relu" else expected
    areas = [raw(acc), mult.astype("<u4").tobytes(), bytes(8 * n)]
    assert run(KERNELS[name], [n, shift], areas, n=n)[1] == [*areas[:2], raw(expected)]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 24, 37])
def test_argmax(n: int) -> None:
    rng = np.random.default_rng(n)
    for span in (1, 2, 2**31, 2**63 - 1):
        values = rng.integers(-span, span, n)
        for order in (values, np.sort(values), np.sort(values)[::-1], np.full(n, -(2**63))):
            assert run(KERNELS["argmax"], [n], [raw(order)], n=n)[0] == np.argmax(order)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 24, 37])
def test_argmax_within(n: int) -> None:
    rng = np.random.default_rng(n)
    for span, kinds in ((2, 3), (2**31, 256)):
        values, labels = rng.integers(-span, span, n), rng.integers(0, kinds, n).astype(np.uint8)
        label = int(labels[n // 2])
        machine = Machine(raw(values) + labels.tobytes())
        found = machine.run(KERNELS["argmax_within"].text, [DATA, n, DATA + 8 * n, label])
        assert found == np.argmax(np.where(labels == label, values, -(2**40)))
        assert machine.spent == KERNELS["argmax_within"].cu(n=n)


def test_formulas_are_the_costs() -> None:
    sizes = {"groups": 5, "columns": 1024, "n": 64, "blocks": 3}
    for kernel in KERNELS.values():
        own = {
            name: size + (3 if "argmax" in kernel.name else 0) for name, size in sizes.items() if name in kernel.sizes
        }
        assert eval(kernel.formula.replace(" / ", " // "), dict(own)) == kernel.cu(**own), kernel.name


BAD: list[tuple[str, dict[str, int], str]] = [
    ("matvec_6x8", {"groups": 0, "columns": 32}, "groups in 1.., columns in 32.., a multiple of 32"),
    ("matvec_6x8", {"groups": 1, "columns": 0}, "columns in 32.."),
    ("matvec_6x8", {"groups": 1, "columns": 33}, "a multiple of 32"),
    ("matvec_6x8", {"groups": 1}, "groups in 1.."),
    ("gather_add", {"n": 0, "blocks": 1}, "n in 8..256, a multiple of 8"),
    ("gather_add", {"n": 264, "blocks": 1}, "n in 8..256"),
    ("gather_add", {"n": 12, "blocks": 1}, "n in 8..256"),
    ("gather_add", {"n": 8, "blocks": 0}, "blocks in 1.."),
    ("requantize", {"n": 0}, "n in 8.., a multiple of 8"),
    ("requantize_relu", {"n": 12}, "a multiple of 8"),
    ("argmax", {"n": 0}, "n in 1.."),
    ("argmax_within", {"n": 1 << WITHIN_INDEX_BITS}, "n in 1..65535"),
]


@pytest.mark.parametrize(("name", "sizes", "expected"), BAD)
def test_what_a_kernel_cannot_do_has_no_cost(name: str, sizes: dict[str, int], expected: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*expected .*{re.escape(expected)}"):
        KERNELS[name].cu(**sizes)


@pytest.mark.parametrize("r", [0, MATVEC_MAX_R + 1])
def test_there_are_no_other_matvecs(r: int) -> None:
    with pytest.raises(ValueError, match=f"{r} words a column, expected 1..{MATVEC_MAX_R}"):
        matvec(r, 8)


def test_a_listing_is_its_parts_in_order() -> None:
    inner = Repeat(Count("n", 8), (segment(["r1 += 1", "r2 += 1"], "1"),))
    rest = Repeat(Count("n", 8, remainder=True), (segment(["r3 += 1"]),))
    loop = Repeat(Count("groups"), (inner, segment(["r4 += 1"], runs=3)))
    sizes = {"n": range(1, 100), "groups": range(1, 9)}
    kernel = Kernel("k", "", "()", "", sizes, (segment(["r0 = 0"]), loop, rest, segment(["exit"])))
    assert kernel.formula == "2 + groups * (3 + n / 8 * 2) + n % 8 * 1"
    assert kernel.cu(n=20, groups=5) == 2 + 5 * (3 + 2 * 2) + 4
    assert kernel.text.splitlines()[1:] == [
        ".globl wmq_k", ".type wmq_k,@function", "wmq_k:",
        "r0 = 0", "1:", "r1 += 1", "r2 += 1", "r4 += 1", "r3 += 1", "exit", ".size wmq_k, .-wmq_k",
    ]  # fmt: skip


def test_a_fork_costs_what_either_way_does() -> None:
    loop = Repeat(Count("n"), (segment(["r1 += 1", "if r1 != r2 goto 1b"], "1"),))
    fork = Fork((segment(["r0 = 1"]), loop), (loop, segment(["r0 = 2"], "2")))
    kernel = Kernel("k", "", "()", "", {"n": range(1, 9)}, (segment(["if r1 > 3 goto 2f"]), fork, segment(["exit"])))
    assert kernel.formula == "3 + n * 2"
    assert kernel.text.splitlines()[4:-1] == [
        "if r1 > 3 goto 2f", "r0 = 1", "1:", "r1 += 1", "if r1 != r2 goto 1b", "1:", "r1 += 1", "if r1 != r2 goto 1b",
        "2:", "r0 = 2", "exit",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"cost 1 and 0 \+ n \* 2, expected the same"):
        Fork((segment(["r0 = 1"]),), (loop,))


@pytest.mark.parametrize("bits", WEIGHT_GRIDS)
def test_rust_draws_the_words_as_they_are(bits: int) -> None:
    grid = WEIGHT_GRIDS[bits]
    lanes = [f"(w{lane} << {lane * grid.lane_bits})" for lane in range(1, grid.lanes)]
    drawn = re.sub(" +", " ", (HERE / "src" / "matvec.rs").read_text())
    assert f"//! matvec_<R>x{bits} w[(g * columns + k) * R + r] = {' + '.join(['w0', *lanes])}\n" in drawn


def test_rust_states_the_sizes_of_a_row_as_they_are() -> None:
    entries = GATHER_WORDS * GATHER_BYTES_PER_WORD
    text = (HERE / "src" / "gather.rs").read_text()
    assert f"A row is `blocks` blocks of {GATHER_WORDS} words, {entries} entries" in text
    assert f"With at most {GATHER_ROWS_MAX} rows no lane overflows" in text
    assert f"`n` is a multiple of {GATHER_UNROLL} in `{GATHER_UNROLL}..={GATHER_ROWS_MAX}`" in text
