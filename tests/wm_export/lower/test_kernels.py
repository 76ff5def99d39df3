"""Every kernel's assembly, run instruction by instruction in plain Python: right integers, and as many instructions as
its formula says. tests/onchain does the same in LiteSVM, where there is a toolchain."""

import re
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.wm_export.lower.chunked_frames import FRAMES, Frames
from tests.wm_export.lower.convolutions import convolution
from tests.wm_export.lower.ends import ENDS
from tests.wm_export.lower.gates import gated
from tests.wm_export.lower.products import GROUPS, PRODUCTS, Product
from tests.wm_export.lower.recurrences import RECURRENCES, Recurrence
from tests.wm_export.lower.sbpf import DATA, Machine
from wm_export.lower.asm.argmax_asm import WITHIN_INDEX_BITS
from wm_export.lower.asm.chunked_asm import BIAS
from wm_export.lower.asm.conv_asm import conv_lut
from wm_export.lower.asm.gate_asm import gated_norm
from wm_export.lower.asm.gather_asm import GATHER_BYTES_PER_WORD, GATHER_UNROLL, GATHER_WORDS
from wm_export.lower.asm.kept_asm import Value, kept
from wm_export.lower.asm.listing import Count, Fork, Kernel, Repeat, clamp, load, segment
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, matvec
from wm_export.lower.asm.ssm_asm import SSM_CELLS_MAX, ssm
from wm_export.lower.asm.straight_asm import Straight, straight
from wm_export.lower.asm.table_asm import TABLE_BIAS, TABLE_ENTRIES
from wm_export.lower.chunked_lowering import turns_kept
from wm_export.lower.conv_lowering import lut_words, pack_filters, pack_lut_filters
from wm_export.lower.kernel_files import HERE
from wm_export.lower.kernels import KERNELS, kernel_named
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, WEIGHT_GRIDS
from wm_train.grid.integer_mamba2 import WIDE_MAX

I64 = npt.NDArray[np.int64]


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


@pytest.mark.parametrize("tile", [1, 2, 49, 64])
def test_matvec_of_other_tiles(tile: int) -> None:
    rng, columns = np.random.default_rng(tile), 2 * tile
    weights, x, bias = rng.integers(-9, 10, (3, columns)), rng.integers(-128, 128, columns), rng.integers(0, 99, 3)
    words = sum(weights[lane] << (21 * lane) for lane in range(3))
    areas = [raw(words), raw(x), raw(bias)]
    out = run(matvec(1, 8, tile), [1, columns], areas, groups=1, columns=columns)[1][2]
    assert out == raw(bias + weights @ x)


@pytest.mark.parametrize("finish", ["", *ENDS])
@pytest.mark.parametrize("r", range(1, MATVEC_MAX_R + 1))
@pytest.mark.parametrize("bits", WEIGHT_GRIDS)
def test_matvec_that_ends_as_requantize(bits: int, r: int, finish: str) -> None:
    """Sums at the bounds of the lanes and in between, at every end; bias and rounding lie in a row's constant."""
    grid, rng, groups, columns, shift = WEIGHT_GRIDS[bits], np.random.default_rng((r, bits)), 2, 4, 9
    rows = groups * r * grid.lanes
    weights = rng.choice([-1, 0, 1], (rows, columns)) * np.array([1, 1, 0, 1])
    x = np.array([grid.lane_bound // 2 - 1, grid.lane_bound // 4, 5, 7])
    bias, mult = rng.integers(-(2**20), 2**20, rows), rng.choice([0, 1, 3, 255, 2**31 - 1], rows)
    before = rng.choice([0, 1, -1, WIDE_MAX, -WIDE_MAX], rows)
    lanes = weights.reshape(groups, r, grid.lanes, columns)
    words = np.asarray(sum(lanes[:, :, lane] << (grid.lane_bits * lane) for lane in range(grid.lanes)))
    scales = np.stack([mult, (bias - grid.lane_bound) * mult + (1 << (shift - 1))], 1).reshape(groups, -1)
    held = [words.transpose(0, 2, 1).reshape(groups, -1), np.full((groups, 1), shift), scales]
    areas = [raw(np.concatenate(held, 1)), raw(x), raw(before)]
    kernel = matvec(r, bits, columns, finish)
    out = run(kernel, [groups, columns], areas, groups=groups, columns=columns)[1][2]
    expected = ((weights @ x + bias) * mult + (1 << (shift - 1))) >> shift
    expected += before if finish == "add" else 0
    assert out == raw(np.clip(expected, *ENDS[finish]) if finish else expected)


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda case: case.kernel.name)
def test_straight_matvec(case: Product) -> None:
    areas, columns = [raw(case.words), raw(case.factors[1]), raw(case.scales[2])], case.shape.columns
    left = run(case.kernel, [GROUPS, columns], areas, groups=GROUPS)[1]
    assert left == [*areas[:2], raw(case.out)]


@pytest.mark.parametrize("order", list(product([0, 5, -128, 127, 128, 300, -127, -300], repeat=3)))
def test_values_kept_cost_three_each_and_one_whatever_they_are(order: tuple[int, ...]) -> None:
    values = [Value((load(0, 1, 8 * i),), 0, 2, 8 * i) for i in range(3)]
    kernel = Kernel("k", "", "()", "", {}, (*kept(values, -127, 127), segment(["r0 = 5", "exit"])))
    machine = Machine(raw([*order, 0, 0, 0]))
    assert machine.run(kernel.text, [DATA, DATA + 24]) == 5
    assert bytes(machine.areas[DATA]) == raw([*order, *np.clip(order, -127, 127)])
    assert machine.spent == kernel.cu() == 3 + 3 * 3 + 1 + 2


def test_a_kernel_has_one_name() -> None:
    others = [matvec(3, 8, 49), matvec(6, 16, 64, ""), matvec(1, 4, 7, "fine"), ssm(192)]
    others += [case.kernel for case in PRODUCTS]
    for kernel in (*KERNELS.values(), *others):
        assert kernel_named(kernel.name) == kernel
    names = "matvec", "matvec_6x8", "matvec_6x8_32_none", "requantize_big", "ssm", "ssm_0", "ssm_193"
    for name in (*names, "matvec_2x4_3of6", "matvec_2x4_3of6_none", "matvec_2x4_7of6_fine", "matvec_2x6_3of6_fine"):
        with pytest.raises(KeyError):
            kernel_named(name)


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


def around_ends(half: int) -> list[int]:
    """Accumulators just inside and just outside of every end."""
    sides = [(2 * most + 1) * half for most in (0, 127, 2047, WIDE_MAX)]
    return [value for side in sides for value in (side - 1, side, -side, -side - 1)]


@pytest.mark.parametrize("shift", [7, 31, 40])
@pytest.mark.parametrize("name", ["requantize", *(f"requantize_{end}" for end in ENDS)])
def test_requantize(name: str, shift: int) -> None:
    rng, n, half = np.random.default_rng(shift), 40, 1 << (shift - 1)
    acc, mult = rng.integers(-(2**30), 2**30, n), rng.integers(0, 2**31, n)
    edges = [0, half, half - 1, -half, -half - 1, *around_ends(half)]
    acc[: len(edges)], mult[: len(edges)] = edges, 1
    out = rng.choice([0, 1, -1, WIDE_MAX, -WIDE_MAX], n) if name == "requantize_add" else np.zeros(n, np.int64)
    expected = ((acc * mult + half) >> shift) + out
    expected = expected if name == "requantize" else np.clip(expected, *ENDS[name.removeprefix("requantize_")])
    areas = [raw(acc), mult.astype("<u4").tobytes(), raw(out)]
    assert run(KERNELS[name], [n, shift], areas, n=n)[1] == [*areas[:2], raw(expected)]


@pytest.mark.parametrize("value", [-(2**63), -128, -127, -1, 0, 126, 127, 128, 2**63 - 1])
def test_a_clamp_costs_four_whatever_the_value(value: int) -> None:
    parts = (segment(["r0 = r1"]), *clamp(0, 127, 0), segment(["exit"]))
    kernel = Kernel("k", "", "()", "", {}, parts)
    machine = Machine(b"")
    assert machine.run(kernel.text, [value % 2**64]) == min(max(value, -127), 127) % 2**64
    assert machine.spent == kernel.cu() == 6


@pytest.mark.parametrize("n", [1, 15, 16, 17, 24, 37])
def test_lut(n: int) -> None:
    rng, half = np.random.default_rng(n), TABLE_ENTRIES // 2
    table, codes = rng.integers(-TABLE_BIAS, TABLE_BIAS, TABLE_ENTRIES), rng.integers(-half, half, n)
    codes[: min(n, 2)] = [-half, half - 1][: min(n, 2)]
    areas = [raw(codes), (table + TABLE_BIAS).astype("<u2").tobytes(), bytes(8 * n)]
    assert run(KERNELS["lut"], [n], areas, n=n)[1] == [*areas[:2], raw(table[codes + half])]


@pytest.mark.parametrize("shift", [1, 11, 40])
def test_gate(shift: int) -> None:
    rng, n, half = np.random.default_rng(shift), 24, 1 << (shift - 1)
    values, by = rng.integers(-WIDE_MAX, WIDE_MAX + 1, n), rng.integers(-2047, 2048, n)
    values[:8], by[:8] = [half, half - 1, -half, -half - 1, WIDE_MAX, WIDE_MAX, -WIDE_MAX, -WIDE_MAX], 1
    by[4:8] = [1 << 32, -(1 << 32)] * 2
    areas = [raw(values), raw(by), bytes(8 * n)]
    expected = (values * by + half) >> shift
    assert run(KERNELS["gate"], [n, shift], areas, n=n)[1] == [*areas[:2], raw(expected)]


@pytest.mark.parametrize(("tile", "n"), [(1, 7), (16, 48), (32, 64)])
@pytest.mark.parametrize("shift", [1, 9, 31])
@pytest.mark.parametrize("way", ["inside", "above", "below", "mixed", "in turn"])
def test_gated_norm(tile: int, n: int, shift: int, way: str) -> None:
    """Of values inside of their range, above and below it, in every order: which way a value goes costs nothing."""
    case = gated(n, shift, way)
    areas = [raw(case.acc), raw(case.codes), raw(case.words), bytes(8 * n)]
    assert run(kernel_named(f"gated_norm_{tile}"), [n], areas, n=n)[1] == [*areas[:3], raw(case.out)]


@pytest.mark.parametrize("tile", [0, 33])
def test_there_are_no_other_gates(tile: int) -> None:
    with pytest.raises(ValueError, match=f"{tile} values at a time, expected 1..32"):
        gated_norm(tile)


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


@pytest.mark.parametrize("n", [1, 15, 16, 17, 37])
@pytest.mark.parametrize("ends", [False, True])
def test_conv(n: int, ends: bool) -> None:
    case, memory = convolution(n, ends), bytes(8 * n)
    for x, sums, after in case.frames(7):
        areas = [raw(x), raw(pack_filters(case.taps, case.bias).view(np.int64)), memory, bytes(8 * n)]
        memory = raw(after)
        assert run(KERNELS["conv"], [n], areas, n=n)[1] == [*areas[:2], memory, raw(sums)]


@pytest.mark.parametrize(("tile", "n"), [(1, 5), (8, 24), (24, 48), (64, 128)])
@pytest.mark.parametrize("shift", [4, 31, 51])
@pytest.mark.parametrize("ends", [False, True])
def test_conv_lut(tile: int, n: int, shift: int, ends: bool) -> None:
    """Sums inside of the table and far outside of it."""
    case, memory, rng = convolution(n, ends), bytes(8 * n), np.random.default_rng(shift)
    bias, mult = case.bias >> 9, rng.integers(0, 2 ** min(max(shift - 8, 3), 31), n)
    table = rng.integers(-TABLE_BIAS, TABLE_BIAS, TABLE_ENTRIES)
    words = pack_lut_filters(case.taps, bias, mult, shift).view(np.int64).reshape(-1)
    held = np.concatenate([lut_words(table).view(np.int64), [shift], words])
    for x, sums, after in case.frames(7):
        codes = np.clip(((sums - case.bias + bias) * mult + (1 << (shift - 1))) >> shift, -2047, 2047)
        areas = [raw(x), raw(held), memory, bytes(8 * n)]
        memory = raw(after)
        assert run(kernel_named(f"conv_lut_{tile}"), [n], areas, n=n)[1] == [
            *areas[:2],
            memory,
            raw(table[codes + 2048]),
        ]


def test_conv_lut_around_ties_and_ends() -> None:
    """The last sum of a code and the first of the next, about zero and both ends; then places that are in no table."""
    shift, codes = 12, np.array([-4000, -2049, -2048, -2047, -1, 0, 1, 2046, 2047, 2048, 4000])
    places = [*(((codes + 2048) << shift) + [[-1], [0]]).ravel(), 2**63 - 1, -(2**63), 2**62]
    n, table = len(places), np.arange(-2048, 2048)
    words = np.pad(np.array(places)[:, None], ((0, 0), (3, 0))).ravel()
    areas = [bytes(8 * n), raw(np.concatenate([lut_words(table).view(np.int64), [shift], words])), bytes(8 * n)]
    _, left = run(kernel_named("conv_lut_1"), [n], [*areas, bytes(8 * n)], n=n)
    ends = np.clip([*codes - 1, *codes, 2**20, -(2**20), 2**20], -2047, 2047)
    assert left == [*areas, raw(ends)]


@pytest.mark.parametrize("tile", [0, 65, 99])
def test_there_are_no_other_convolutions(tile: int) -> None:
    with pytest.raises(ValueError, match=f"{tile} channels at a time, expected 1..64"):
        conv_lut(tile)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 37])
def test_rmsnorm(n: int) -> None:
    """With roots that say their mantissa: sums of squares at both ends of every power of two, and at the largest."""
    rng, roots = np.random.default_rng(n), np.arange(256, 1024)
    for total in [end for bits in range(53) for end in (1 << bits, (2 << bits) - 1)]:
        most = min(int((total // n) ** 0.5), WIDE_MAX)
        values = rng.integers(-most, most + 1, n) if total > n else np.zeros(n, np.int64)
        eps = total - int((values * values).sum())
        if eps < 1:
            continue
        half = next(half for half in range(-4, 23) if (total << 8) >> (2 * half + 8) < 1024)
        m, shift = (total << 8) >> (2 * half + 8), 20 + half
        areas = [raw(values), raw([eps, *roots]), bytes(8 * n)]
        _, left = run(KERNELS["rmsnorm"], [n, 20], areas, n=n)
        assert left == [*areas[:2], raw((values * m + (1 << (shift - 1))) >> shift)]


@pytest.mark.parametrize("case", RECURRENCES, ids=str)
def test_ssm(case: Recurrence) -> None:
    memory, kernel, sizes = case.zeros, ssm(case.cells), {"heads": case.heads, "channels": case.channels}
    for frame in case.frames(4):
        parts = [raw(frame.x), raw(frame.bc), raw(frame.dt), case.tables, memory, bytes(8 * case.rows)]
        starts = np.cumsum([DATA + 48, *map(len, parts)]).tolist()
        machine = Machine(b"".join([raw(starts[:-1]), *parts]))
        machine.run(kernel.text, [DATA, *sizes.values()])
        assert machine.spent == kernel.cu(**sizes)
        left = [bytes(machine.areas[DATA][a - DATA : b - DATA]) for a, b in pairwise(starts)]
        memory = case.memory(frame.h)
        assert left == [*parts[:4], memory, raw(frame.out)]


def chunked_frame(case: Frames, codes: I64, dt: I64, memory: bytes) -> tuple[bytes, bytes]:
    """(memory, out) after a frame; nothing else is written, and it costs what it should."""
    width = case.shape.heads * case.shape.channels
    parts = [raw(codes), raw(dt), case.packed, memory + bytes(-len(memory) % 8), bytes(8 * width)]
    starts = np.cumsum([DATA + 48, *map(len, parts)]).tolist()
    places = [starts[0], starts[0] + 8 * width, *starts[1:5]]
    machine = Machine(b"".join([raw(places), *parts]))
    machine.run(case.kernel.text, [DATA, case.shape.heads])
    assert machine.spent == case.kernel.cu(heads=case.shape.heads)
    left = [bytes(machine.areas[DATA][a - DATA : b - DATA]) for a, b in pairwise(starts)]
    assert left[:3] == parts[:3]
    return left[3][: len(memory)], left[4]


@pytest.mark.parametrize("case", FRAMES, ids=str)
def test_ssm_chunked(case: Frames) -> None:
    shape, buffer, count = case.shape, case.buffer, 2 * case.shape.every + 1 if case.shape.cells < 32 else 9
    for codes, dt, before, out, after in case.frames(count):
        left = chunked_frame(case, codes, dt, buffer.pack(before).tobytes())
        assert left == (buffer.pack(after).tobytes(), raw(out)), shape


@pytest.mark.parametrize("case", FRAMES, ids=str)
@pytest.mark.parametrize("said", [-(2**16), -1, 0, 1, 2**16, None])
def test_ssm_chunked_writes_the_turn_that_its_memory_names_and_no_other(case: Frames, said: int | None) -> None:
    """Whatever else the memory holds: what is in the other turns is not hashed again (memory.py)."""
    shape, rng = case.shape, np.random.default_rng(0)
    codes, dt, *_ = next(case.frames(1))
    before = np.frombuffer(rng.bytes(4 * case.buffer.count), "<u4").copy()
    if said is not None:
        before[0] = said + BIAS
    turn = int(np.clip(int(before[0]) - BIAS, 0, shape.every - 1))
    after = np.frombuffer(chunked_frame(case, codes, dt, before.tobytes())[0], "<u4")
    turns = turns_kept(shape)
    assert after[turns.next] == (turn + 1) % shape.every + BIAS
    others = [one for number, stretches in enumerate(turns.stretches) if number != turn for one in stretches]
    assert all((after[at : at + count] == before[at : at + count]).all() for at, count in others)


def test_formulas_are_the_costs() -> None:
    sizes = {"groups": 5, "columns": 1024, "n": 64, "blocks": 3}
    sizes |= {"heads": 24, "channels": 5}
    for kernel in KERNELS.values():
        over = 3 if kernel.name in ("argmax", "argmax_within", "lut") else 0
        own = {name: size + over for name, size in sizes.items() if name in kernel.sizes}
        assert eval(kernel.formula.replace(" / ", " // "), dict(own)) == kernel.cu(**own), kernel.name


BAD: list[tuple[str, dict[str, int], str]] = [
    ("matvec_6x8_32", {"groups": 0, "columns": 32}, "groups in 1.., columns in 32.., a multiple of 32"),
    ("matvec_6x8_32", {"groups": 1, "columns": 0}, "columns in 32.."),
    ("matvec_6x8_32", {"groups": 1, "columns": 33}, "a multiple of 32"),
    ("matvec_6x8_32", {"groups": 1}, "groups in 1.."),
    ("gather_add", {"n": 0, "blocks": 1}, "n in 8..256, a multiple of 8"),
    ("gather_add", {"n": 264, "blocks": 1}, "n in 8..256"),
    ("gather_add", {"n": 12, "blocks": 1}, "n in 8..256"),
    ("gather_add", {"n": 8, "blocks": 0}, "blocks in 1.."),
    ("requantize", {"n": 0}, "n in 8.., a multiple of 8"),
    ("requantize_relu", {"n": 12}, "a multiple of 8"),
    ("conv", {"n": 0}, "n in 1.."),
    ("rmsnorm", {"n": 0}, "n in 1.."),
    ("ssm_32", {"heads": 0, "channels": 1}, "heads in 1.., channels in 1.."),
    ("requantize_add", {"n": 4}, "a multiple of 8"),
    ("lut", {"n": 0}, "n in 1.."),
    ("gate", {"n": 12}, "a multiple of 8"),
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
    with pytest.raises(ValueError, match=r"tiles of 65 columns, expected 1\.\.64"):
        matvec(1, 8, 65)


@pytest.mark.parametrize(
    "shape",
    [
        Straight(0, 8, 4, 8), Straight(8, 8, 4, 4), Straight(6, 8, 9, 8), Straight(6, 8, 0, 8),
        Straight(6, 16, 4, 8), Straight(7, 8, 507, 507), Straight(7, 4, 1, 128), Straight(1, 8, 4096, 4096),
    ],
    ids=str,
)  # fmt: skip
def test_there_are_no_other_straight_matvecs(shape: Straight) -> None:
    with pytest.raises(ValueError, match=r"expected no more than a kernel's registers, frame and jumps hold"):
        straight(shape, "fine")


@pytest.mark.parametrize("cells", [0, SSM_CELLS_MAX + 1])
def test_there_are_no_other_recurrences(cells: int) -> None:
    with pytest.raises(ValueError, match=f"{cells} cells a channel, expected 1..{SSM_CELLS_MAX}"):
        ssm(cells)


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
    apart = replace(kernel, parts=(segment(["if r1 > 3 goto 2f"]), replace(fork, apart=True), segment(["exit"])))
    assert apart.formula == kernel.formula
    assert apart.text.splitlines()[4:-1] == [
        "if r1 > 3 goto 2f", "r0 = 1", "1:", "r1 += 1", "if r1 != r2 goto 1b", "exit",
        "1:", "r1 += 1", "if r1 != r2 goto 1b", "2:", "r0 = 2",
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
