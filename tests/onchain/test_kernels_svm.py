"""Every kernel of onchain/kernels in LiteSVM: the same integers as numpy, and exactly the compute units of its formula.

The harness program (onchain/kernels/harness) runs the kernel that account 0 asks for; account 1 holds read-only
tables. Addresses are absolute, so this file knows how the runtime lays out a program's input.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from tests.builds import build_program
from tests.wm_export.lower.chunked_frames import FRAMES, Frames
from tests.wm_export.lower.convolutions import convolution
from tests.wm_export.lower.ends import ENDS
from tests.wm_export.lower.gates import gated
from tests.wm_export.lower.products import GROUPS, PRODUCTS, Product
from tests.wm_export.lower.recurrences import RECURRENCES, Recurrence
from wm_export.lower.asm.conv_asm import conv_lut
from wm_export.lower.asm.gate_asm import gated_norm
from wm_export.lower.asm.listing import Kernel
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R, matvec
from wm_export.lower.asm.ssm_asm import ssm
from wm_export.lower.asm.table_asm import TABLE_BIAS, TABLE_ENTRIES
from wm_export.lower.conv_lowering import lut_words, pack_filters, pack_lut_filters
from wm_export.lower.kernel_files import changes, committed, counted, sizes_text
from wm_export.lower.kernels import FAMILIES, KERNELS
from wm_export.schema.sbpf import Arch
from wm_export.solana.rust_kernels import kernel_sources
from wm_export.solana.toolchain import Toolchain
from wm_export.solana.virtual_machine import Cluster, virtual_machine
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.grid.integer_mamba2 import WIDE_MAX

CRATE = Path(__file__).resolve().parents[2] / "onchain" / "kernels"
#: What the harness calls, by number.
OWN = ["wmq_nothing", "choices", "copy"]
RECURRENT = [*(ssm(case.cells) for case in RECURRENCES), *(case.kernel for case in FRAMES)]
#: What takes other numbers of values at a time than the kernels that are committed.
MORE = [*map(conv_lut, (1, 64)), *map(gated_norm, (1, 32))]
STRAIGHT = [case.kernel for case in PRODUCTS]
EVERY = {kernel.name: kernel for kernel in (*KERNELS.values(), *RECURRENT, *MORE, *STRAIGHT)}
NAMES = [*OWN, *EVERY]
#: Words a column of the matvec kernels.
R = range(1, MATVEC_MAX_R + 1)

INPUT = 0x4_0000_0000
FIRST_DATA = INPUT + 96
CALL_BYTES = 56
GROWTH_BYTES = 10_240

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Run:
    """What one call left behind: compute units of the kernel alone, its result, and account 0 after the call."""

    cost_cu: int
    result: int
    data: bytes


class Harness:
    """The harness program in LiteSVM, with a compute limit no test reaches."""

    def __init__(self, program: bytes) -> None:
        self.svm = virtual_machine(Cluster.ROLLUP, cu_limit=100_000_000)
        self.payer, self.program_id = Keypair(), Pubkey.new_unique()
        self.svm.airdrop(self.payer.pubkey(), 10**10)
        self.svm.add_program(self.program_id, program)
        # `wmq_nothing` is a single exit, so what is left is the runtime and the harness around a kernel
        self.overhead_cu = self._metered("wmq_nothing", [], b"", b"").cost_cu - 1

    def call(self, name: str, args: list[int], data: bytes, table: bytes = b"") -> Run:
        """Run a kernel on account 0 (the call, then `data`) and account 1 (`table`)."""
        run = self._metered(name, args, data, table)
        return Run(run.cost_cu - self.overhead_cu, run.result, run.data)

    def _metered(self, name: str, args: list[int], data: bytes, table: bytes) -> Run:
        call = [NAMES.index(name), *args, *[0] * (6 - len(args))]
        words = np.array([word & (2**64 - 1) for word in call], "<u8").tobytes()
        keys = [Pubkey.new_unique(), Pubkey.new_unique()]
        for key, content in zip(keys, (words + data, table), strict=True):
            self.svm.set_account(key, Account(10**12, content, self.program_id))
        metas = [AccountMeta(keys[0], False, True), AccountMeta(keys[1], False, False)]
        message = Message.new_with_blockhash(
            [Instruction(self.program_id, b"", metas)], self.payer.pubkey(), self.svm.latest_blockhash()
        )
        outcome = self.svm.send_transaction(Transaction([self.payer], message, self.svm.latest_blockhash()))
        assert not isinstance(outcome, FailedTransactionMetadata), f"{name}: {outcome}"
        account = self.svm.get_account(keys[0])
        assert account is not None
        result = int.from_bytes(account.data[48:CALL_BYTES], "little")
        return Run(outcome.compute_units_consumed(), result, account.data[CALL_BYTES:])


def table_rs() -> str:
    """`table.rs` of the harness."""
    paths = [f"crate::{name}" for name in OWN] + [f"crate::kernels::{name}" for name in EVERY]
    rows = "".join(f"    transmute::<*const (), Kernel>({path} as *const ()),\n" for path in paths)
    return (
        "use crate::Kernel;\nuse core::mem::transmute;\n\n"
        "// SAFETY: on this target every argument is one 64-bit register, r1 to r5, and the result is r0, so a\n"
        "// function of fewer arguments, of pointers or without a result can be called as one of five numbers.\n"
        f"pub static KERNELS: [Kernel; {len(paths)}] = unsafe {{[\n{rows}]}};\n"
    )


def harness_crate(folder: Path) -> Path:
    """A copy of the harness that declares and holds every kernel."""
    crate = folder / "harness"
    shutil.copytree(CRATE / "harness", crate, ignore=shutil.ignore_patterns("target"))
    manifest = crate / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('path = ".."', f'path = "{CRATE}"'))
    (crate / "asm").mkdir()
    for name, text in {**kernel_sources(list(EVERY.values())), "src/table.rs": table_rs()}.items():
        (crate / name).write_text(text)
    return crate


@pytest.fixture(scope="module", params=list(Arch))
def harness(sbpf: Toolchain, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """The harness program, built here, in each version of sBPF."""
    folder = tmp_path_factory.mktemp("harness")
    program = folder / "harness.so"
    build_program(harness_crate(folder), program, arch=request.param)
    return Harness(program.read_bytes())


def data_address(offset: int) -> int:
    """Address of byte `offset` of what a test puts in account 0."""
    return FIRST_DATA + CALL_BYTES + offset


def table_address(data_bytes: int) -> int:
    """Address of account 1's data, when account 0 carries `data_bytes` after the call."""
    end = FIRST_DATA - INPUT + CALL_BYTES + data_bytes + GROWTH_BYTES
    return INPUT + (end + 7) // 8 * 8 + 8 + 88


def i64_bytes(values: npt.ArrayLike) -> bytes:
    """Little-endian int64 of any integers."""
    return np.asarray(values, "<i8").tobytes()


def rng(*key: int) -> np.random.Generator:
    """Generator for one case."""
    return np.random.default_rng(key)


# ------------------------------------------------------------------------------------------------ matvec


def pack_weights(weights: I64, r: int, bits: int) -> bytes:
    """(groups * lanes * r, columns) int64 to the words of a matvec kernel."""
    count, width = WEIGHT_GRIDS[bits].lanes, WEIGHT_GRIDS[bits].lane_bits
    lanes = weights.reshape(-1, r, count, weights.shape[1])
    words = sum(lanes[:, :, lane] << (width * lane) for lane in range(count))
    return np.ascontiguousarray(np.asarray(words).transpose(0, 2, 1)).astype("<i8").tobytes()


def check_matvec(harness: Harness, weights: I64, x: I64, bias: I64, r: int, bits: int) -> None:
    groups, columns = weights.shape[0] // (WEIGHT_GRIDS[bits].lanes * r), weights.shape[1]
    data = i64_bytes(x) + i64_bytes(bias)
    args = [table_address(len(data)), data_address(0), data_address(8 * columns), groups, columns]
    run = harness.call(matvec(r, bits).name, args, data, pack_weights(weights, r, bits))
    np.testing.assert_array_equal(np.frombuffer(run.data, "<i8")[columns:], bias + weights @ x)
    assert run.cost_cu == matvec(r, bits).cu(groups=groups, columns=columns)


@pytest.mark.parametrize("bits", WEIGHT_GRIDS)
@pytest.mark.parametrize("r", R)
@pytest.mark.parametrize(("groups", "columns"), [(1, 32), (2, 64), (3, 608)])
def test_matvec(harness: Harness, r: int, groups: int, columns: int, bits: int) -> None:
    g = rng(r, groups, columns)
    grid, spread = WEIGHT_GRIDS[bits], {8: 20, 4: 0.5, 5: 0.5, 10: 20, 16: 9000}[bits]
    most, rows = grid.weight_max, groups * grid.lanes * r
    weights = np.clip(np.round(g.normal(0, spread, (rows, columns))), -most, most).astype(np.int64)
    x = np.clip(np.round(g.normal(0, 40, columns)), -128, 127).astype(np.int64)
    check_matvec(harness, weights, x, g.integers(-(2**31), 2**31, rows), r, bits)


@pytest.mark.parametrize("r", R)
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, -1), (1, -1, 1), (-1, 1, -1)])
def test_matvec_at_the_lane_bound(harness: Harness, r: int, signs: tuple[int, int, int]) -> None:
    """Sums of 64 * 127 * 128 = 1,040,384, the most that 64 INT8 columns can reach; the bound is 1,048,575."""
    weights = np.repeat(np.tile(np.array(signs) * 127, r)[:, None], 64, axis=1).astype(np.int64)
    check_matvec(harness, weights, np.full(64, -128), np.zeros(3 * r, np.int64), r, 8)


@pytest.mark.parametrize("r", R)
@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (-1, -1, -1, -1), (1, -1, 1, -1), (-1, 1, -1, 1), (-1, 1, 1, -1)])
def test_matvec4_at_the_lane_bound(harness: Harness, r: int, signs: tuple[int, ...]) -> None:
    """Sums of 32767 = 255 * 128 + 127 and of -32768 = -256 * 128, the last that fit: 37 columns of 7 or less."""
    columns = np.concatenate([np.full(36, 7), [4], np.zeros(27)]).astype(np.int64)  # 256 in all
    x = np.full(64, -128)
    weights = np.tile(np.array(signs), r)[:, None] * columns
    weights[weights.sum(1) < 0, 36] += 1  # +256 * 128 would be 32768: one too far
    x[37], weights[:, 37] = 127, np.where(weights.sum(1) < 0, 1, 0)
    check_matvec(harness, weights, x, np.zeros(4 * r, np.int64), r, 4)
    assert {int(v) for v in weights @ x} <= {32767, -32768}


@pytest.mark.parametrize("r", R)
@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (1, -1), (-1, 1)])
def test_matvec16_at_the_lane_bound(harness: Harness, r: int, signs: tuple[int, int]) -> None:
    """Sums of 2^31 - 1 and of -2^31, the last that fit: codes behind a norm are far wider than INT8."""
    x, columns = np.zeros(32, np.int64), np.zeros(32, np.int64)
    x[:2], columns[:2] = [65538, 1], [32767, 1]  # 32767 * 65538 + 1 = 2^31 - 1
    weights = np.tile(np.array(signs), r)[:, None] * columns
    weights[weights[:, 0] < 0, 1] = -2
    check_matvec(harness, weights, x, np.zeros(2 * r, np.int64), r, 16)
    assert {int(v) for v in weights @ x} <= {2**31 - 1, -(2**31)}


@pytest.mark.parametrize("finish", ["", *ENDS])
@pytest.mark.parametrize("bits", WEIGHT_GRIDS)
def test_matvec_that_ends_as_requantize(harness: Harness, bits: int, finish: str) -> None:
    """Lanes next to their bounds, multipliers of 31 bits, and sums at every end."""
    grid, g, groups, columns, shift = WEIGHT_GRIDS[bits], rng(bits), 3, 32, 9
    rows = groups * MATVEC_MAX_R * grid.lanes
    weights = g.choice([-1, 0, 1], (rows, columns)) * (np.arange(columns) < 3)
    x = np.array([grid.lane_bound // 2 - 1, grid.lane_bound // 4, 5, *[7] * (columns - 3)])
    bias, mult = g.integers(-(2**20), 2**20, rows), g.choice([0, 1, 3, 255, 2**31 - 1], rows)
    before = g.choice([0, 1, -1, WIDE_MAX, -WIDE_MAX], rows)
    words = np.frombuffer(pack_weights(weights, MATVEC_MAX_R, bits), "<i8").reshape(groups, -1)
    scales = np.stack([mult, (bias - grid.lane_bound) * mult + (1 << (shift - 1))], 1).reshape(groups, -1)
    data, table = i64_bytes(x) + i64_bytes(before), np.concatenate([words, np.full((groups, 1), shift), scales], 1)
    kernel = matvec(MATVEC_MAX_R, bits, finish=finish)
    args = [table_address(len(data)), data_address(0), data_address(8 * columns), groups, columns]
    run = harness.call(kernel.name, args, data, i64_bytes(table))
    expected = ((weights @ x + bias) * mult + (1 << (shift - 1))) >> shift
    expected += before if finish == "add" else 0
    expected = np.clip(expected, *ENDS[finish]) if finish else expected
    np.testing.assert_array_equal(np.frombuffer(run.data, "<i8")[columns:], expected)
    assert run.cost_cu == kernel.cu(groups=groups, columns=columns)


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda case: case.kernel.name)
def test_straight_matvec(harness: Harness, case: Product) -> None:
    x, before = case.factors[1], case.scales[2]
    data = i64_bytes(x) + i64_bytes(before)
    args = [table_address(len(data)), data_address(0), data_address(8 * len(x)), GROUPS, len(x)]
    run = harness.call(case.kernel.name, args, data, i64_bytes(case.words))
    np.testing.assert_array_equal(np.frombuffer(run.data, "<i8")[len(x) :], case.out)
    assert run.cost_cu == case.kernel.cu(groups=GROUPS)


# ------------------------------------------------------------------------------------------------ gather


def pack_rows(entries: I64) -> U64:
    """(rows, 7 * words) int64 in -128..127 to (rows, words) uint64."""
    seven = (entries + 128).astype(np.uint64).reshape(entries.shape[0], -1, 7)
    return (seven << (8 * np.arange(7, dtype=np.uint64))).sum(axis=2, dtype=np.uint64)


def check_gather(harness: Harness, entries: I64, picks: I64, k: I64, bias: I64) -> None:
    n, blocks = len(picks), entries.shape[1] // 259
    table = pack_rows(entries).astype("<u8")
    k_bytes = k.astype("<u4").tobytes()
    k_bytes += bytes(-len(k_bytes) % 8)
    out_offset = 8 * n + len(k_bytes)
    base = table_address(out_offset + 8 * len(bias))
    rows = (base + picks * table.shape[1] * 8).astype("<u8").tobytes()
    data = rows + k_bytes + i64_bytes(bias)
    args = [data_address(0), data_address(8 * n), data_address(out_offset), n, blocks]
    run = harness.call("gather_add", args, data, table.tobytes())
    np.testing.assert_array_equal(np.frombuffer(run.data[out_offset:], "<i8"), bias + entries[picks].sum(axis=0) * k)
    assert run.data[:out_offset] == data[:out_offset]
    assert run.cost_cu == KERNELS["gather_add"].cu(n=n, blocks=blocks)


@pytest.mark.parametrize(("n", "blocks"), [(8, 1), (16, 3), (120, 2), (256, 1)])
def test_gather(harness: Harness, n: int, blocks: int) -> None:
    g = rng(n, blocks)
    size = 259 * blocks
    entries = g.integers(-128, 128, (20, size))
    check_gather(harness, entries, g.integers(0, 20, n), g.integers(0, 2**32, size), g.integers(-(2**40), 2**40, size))


@pytest.mark.parametrize("value", [-128, 127])
def test_gather_extremes(harness: Harness, value: int) -> None:
    """All 256 rows at one end of the range: the fullest and the emptiest lanes."""
    entries = np.full((1, 259), value, np.int64)
    check_gather(harness, entries, np.zeros(256, np.int64), np.full(259, 2**32 - 1), np.zeros(259, np.int64))


# -------------------------------------------------------------------------------------------- requantize


def requantize_cases(n: int, shift: int) -> tuple[I64, I64]:
    """Accumulators and multipliers: random ones, and products just around ties, zero and 127."""
    g = rng(n, shift)
    acc, mult = g.integers(-(2**30), 2**30, n), g.integers(0, 2**32, n)
    edges = [0, -1, 1, 1 << (shift - 1), -(1 << (shift - 1)), (1 << (shift - 1)) - 1, (255 << (shift - 1)) - 1]
    edges += [255 << (shift - 1), -(1 << (shift - 1)) - 1, (127 << shift), (128 << shift), 2**62 - 1, -(2**62)]
    count = min(n, len(edges))
    acc[:count], mult[:count] = edges[:count], 1
    return acc, mult


@pytest.mark.parametrize("name", ["requantize", *(f"requantize_{end}" for end in ENDS)])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(("n", "shift"), [(8, 20), (24, 31), (512, 40), (64, 7)])
def test_requantize(harness: Harness, name: str, in_place: bool, n: int, shift: int) -> None:
    acc, mult = requantize_cases(n, shift)
    before = rng(n).choice([0, 1, -1, WIDE_MAX, -WIDE_MAX], n) if name == "requantize_add" else np.zeros(n, np.int64)
    data = i64_bytes(acc) + mult.astype("<u4").tobytes() + i64_bytes(before)
    out_offset = 0 if in_place else 12 * n
    run = harness.call(name, [data_address(0), data_address(8 * n), data_address(out_offset), n, shift], data)
    expected = (acc * mult + (1 << (shift - 1))) >> shift
    expected += (acc if in_place else before) if name == "requantize_add" else 0
    expected = expected if name == "requantize" else np.clip(expected, *ENDS[name.removeprefix("requantize_")])
    np.testing.assert_array_equal(np.frombuffer(run.data[out_offset : out_offset + 8 * n], "<i8"), expected)
    assert run.cost_cu == KERNELS[name].cu(n=n)


# -------------------------------------------------------------------------------------------------- conv


def convolved(harness: Harness, kernel: Kernel, words: bytes, x: I64, memory: bytes) -> tuple[bytes, bytes]:
    """(memory, out) after a frame; it costs what it should."""
    n = len(x)
    args = [data_address(0), table_address(24 * n), data_address(8 * n), data_address(16 * n), n]
    run = harness.call(kernel.name, args, i64_bytes(x) + memory + bytes(8 * n), words)
    assert run.cost_cu == kernel.cu(n=n)
    return run.data[8 * n : 16 * n], run.data[16 * n :]


@pytest.mark.parametrize("n", [1, 8, 19])
@pytest.mark.parametrize("ends", [False, True])
def test_conv(harness: Harness, n: int, ends: bool) -> None:
    """Frame after frame; at the ends, what the words of a filter and the codes can be at most."""
    case, memory = convolution(n, ends), bytes(8 * n)
    for x, sums, after in case.frames(6):
        memory, out = convolved(harness, KERNELS["conv"], pack_filters(case.taps, case.bias).tobytes(), x, memory)
        assert (memory, out) == (i64_bytes(after), i64_bytes(sums))


@pytest.mark.parametrize("tile", [1, 8, 64])
@pytest.mark.parametrize("shift", [4, 31, 51])
@pytest.mark.parametrize("ends", [False, True])
def test_conv_lut(harness: Harness, tile: int, shift: int, ends: bool) -> None:
    n, g = 2 * tile, rng(tile, shift)
    case, memory, kernel = convolution(n, ends), bytes(8 * n), conv_lut(tile)
    bias, mult = case.bias >> 9, g.integers(0, 2 ** min(max(shift - 8, 3), 31), n)
    table = g.integers(-TABLE_BIAS, TABLE_BIAS, TABLE_ENTRIES)
    words = lut_words(table).tobytes() + i64_bytes([shift])
    words += pack_lut_filters(case.taps, bias, mult, shift).tobytes()
    for x, sums, after in case.frames(6):
        memory, out = convolved(harness, kernel, words, x, memory)
        codes = np.clip(((sums - case.bias + bias) * mult + (1 << (shift - 1))) >> shift, -2047, 2047)
        assert (memory, out) == (i64_bytes(after), i64_bytes(table[codes + 2048]))


# ----------------------------------------------------------------------------------------------- rmsnorm


@pytest.mark.parametrize("n", [1, 8, 37])
def test_rmsnorm(harness: Harness, n: int) -> None:
    """Sums of squares of all sizes, from 1 to the largest below 2^53."""
    g = rng(n)
    roots = g.integers(0, 2**16, 768)
    for bits in range(53):
        values = g.integers(-(1 << (bits // 2)), (1 << (bits // 2)) + 1, n) // (n + 1)
        total = max(1 << bits, int((values * values).sum()) + 1)
        table = i64_bytes([total - (values * values).sum(), *roots])
        args = [data_address(0), table_address(16 * n), data_address(8 * n), n, 20]
        run = harness.call("rmsnorm", args, i64_bytes(values) + bytes(8 * n), table)
        half = next(half for half in range(-4, 23) if (total << 8) >> (2 * half + 8) < 1024)
        m, shift = (total << 8) >> (2 * half + 8), 20 + half
        want = (values * roots[m - 256] + (1 << (shift - 1))) >> shift
        np.testing.assert_array_equal(np.frombuffer(run.data[8 * n :], "<i8"), want)
        assert run.cost_cu == KERNELS["rmsnorm"].cu(n=n)


# --------------------------------------------------------------------------------------------------- ssm


@pytest.mark.parametrize("case", RECURRENCES, ids=str)
def test_ssm(harness: Harness, case: Recurrence) -> None:
    memory, tables = case.zeros, case.tables
    kernel, sizes = ssm(case.cells), {"heads": case.heads, "channels": case.channels}
    for frame in case.frames(12):
        parts = [i64_bytes(frame.x), i64_bytes(frame.bc), i64_bytes(frame.dt), memory, bytes(8 * case.rows)]
        at = np.cumsum([48, *map(len, parts)]).tolist()
        x, bc, dt, kept, out = map(data_address, at[:-1])
        places = i64_bytes([x, bc, dt, table_address(at[-1]), kept, out])
        run = harness.call(kernel.name, [data_address(0), *sizes.values()], places + b"".join(parts), tables)
        memory = case.memory(frame.h)
        assert run.data[at[3] :] == memory + i64_bytes(frame.out)
        assert run.cost_cu == kernel.cu(**sizes)


@pytest.mark.parametrize("case", FRAMES, ids=str)
def test_ssm_chunked(harness: Harness, case: Frames) -> None:
    for codes, dt, before, out, after in case.frames(2 * case.shape.every + 3):
        kept, wanted = (case.buffer.pack(memory).tobytes() for memory in (before, after))
        more = bytes(-len(kept) % 8)
        parts = [i64_bytes(codes), i64_bytes(dt), kept + more, bytes(8 * len(out))]
        at = np.cumsum([48, *map(len, parts)]).tolist()
        x, codes_of_dt, memory, y = map(data_address, at[:-1])
        places = i64_bytes([x, x + 8 * len(out), codes_of_dt, table_address(at[-1]), memory, y])
        run = harness.call(case.kernel.name, [data_address(0), case.shape.heads], places + b"".join(parts), case.packed)
        assert run.data[at[2] :] == wanted + more + i64_bytes(out)
        assert run.cost_cu == case.kernel.cu(heads=case.shape.heads)


# ----------------------------------------------------------------------------------------- table and gate


@pytest.mark.parametrize("n", [1, 7, 8, 9, 500])
def test_lut(harness: Harness, n: int) -> None:
    g, half = rng(n), TABLE_ENTRIES // 2
    table, codes = g.integers(-TABLE_BIAS, TABLE_BIAS, TABLE_ENTRIES), g.integers(-half, half, n)
    codes[:1], codes[-1:] = -half, half - 1
    data = i64_bytes(codes) + bytes(8 * n)
    args = [data_address(0), table_address(len(data)), data_address(8 * n), n]
    run = harness.call("lut", args, data, (table + TABLE_BIAS).astype("<u2").tobytes())
    np.testing.assert_array_equal(np.frombuffer(run.data[8 * n :], "<i8"), table[codes + half])
    assert run.cost_cu == KERNELS["lut"].cu(n=n)


@pytest.mark.parametrize(("n", "shift"), [(8, 1), (24, 11), (512, 40)])
def test_gate(harness: Harness, n: int, shift: int) -> None:
    g, half = rng(n, shift), 1 << (shift - 1)
    values, by = g.integers(-WIDE_MAX, WIDE_MAX + 1, n), g.integers(-2047, 2048, n)
    values[:8], by[:8] = [half, half - 1, -half, -half - 1, WIDE_MAX, WIDE_MAX, -WIDE_MAX, -WIDE_MAX], 1
    by[4:8] = [1 << 32, -(1 << 32)] * 2
    data = i64_bytes(values) + i64_bytes(by) + bytes(8 * n)
    args = [data_address(0), data_address(8 * n), data_address(16 * n), n, shift]
    run = harness.call("gate", args, data)
    np.testing.assert_array_equal(np.frombuffer(run.data[16 * n :], "<i8"), (values * by + half) >> shift)
    assert run.cost_cu == KERNELS["gate"].cu(n=n)


@pytest.mark.parametrize(("tile", "n", "shift"), [(1, 16, 1), (8, 48, 9), (32, 512, 31)])
@pytest.mark.parametrize("way", ["above", "below", "mixed", "in turn"])
def test_gated_norm(harness: Harness, tile: int, n: int, shift: int, way: str) -> None:
    case, kernel = gated(n, shift, way), gated_norm(tile)
    data = i64_bytes(case.acc) + i64_bytes(case.codes) + bytes(8 * n)
    args = [data_address(0), data_address(8 * n), table_address(len(data)), data_address(16 * n), n]
    run = harness.call(kernel.name, args, data, i64_bytes(case.words))
    np.testing.assert_array_equal(np.frombuffer(run.data[16 * n :], "<i8"), case.out)
    assert run.cost_cu == kernel.cu(n=n)


# ------------------------------------------------------------------------------------------------ argmax


def check_argmax(harness: Harness, values: I64) -> None:
    run = harness.call("argmax", [data_address(0), len(values)], i64_bytes(values))
    assert run.result == int(np.argmax(values))
    assert run.cost_cu == KERNELS["argmax"].cu(n=len(values))


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 400, 1000])
def test_argmax(harness: Harness, n: int) -> None:
    g = rng(n)
    check_argmax(harness, g.integers(-(2**31), 2**31, n))
    check_argmax(harness, g.integers(-2, 2, n))


@pytest.mark.parametrize("order", [[0, 0, 0], [-(2**31), 2**31 - 1], [2**31 - 1, -(2**31), 2**31 - 1], [-(2**31)] * 9])
def test_argmax_extremes_and_ties(harness: Harness, order: list[int]) -> None:
    check_argmax(harness, np.array(order, np.int64))
    check_argmax(harness, np.array([*order, *order[::-1]] * 5, np.int64))


def check_argmax_within(harness: Harness, values: I64, labels: npt.NDArray[np.uint8], label: int) -> None:
    args = [data_address(0), len(values), data_address(8 * len(values)), label]
    run = harness.call("argmax_within", args, i64_bytes(values) + labels.tobytes())
    assert run.result == int(np.argmax(np.where(labels == label, values, -(2**40))))
    assert run.cost_cu == KERNELS["argmax_within"].cu(n=len(values))


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 400, 1000])
def test_argmax_within(harness: Harness, n: int) -> None:
    g = rng(n, 1)
    for span, kinds in ((2**31, 20), (2, 3), (2**31, 256)):
        values, labels = g.integers(-span, span, n), g.integers(0, kinds, n).astype(np.uint8)
        check_argmax_within(harness, values, labels, int(labels[g.integers(n)]))


@pytest.mark.parametrize(("inside", "outside"), [(-(2**31), 2**31 - 1), (2**31 - 1, -(2**31)), (0, 0)])
@pytest.mark.parametrize(("label", "other"), [(0, 1), (1, 0), (255, 254), (0, 255), (255, 0), (19, 18)])
def test_argmax_within_extremes(harness: Harness, inside: int, outside: int, label: int, other: int) -> None:
    """The least value of the wanted label comes before the greatest of any other."""
    for at in (0, 5, 16):
        labels = np.full(17, other, np.uint8)
        labels[[at, 16]] = label
        check_argmax_within(harness, np.where(labels == label, inside, outside), labels, label)


# --------------------------------------------------------------------------------------- Rust primitives

EDGES = [0, 1, -1, 63, 127, 128, -128, 2**31 - 1, -(2**31), 2**61, -(2**61)]


def expected_choices(a: int, b: int, c: int) -> list[int]:
    """What `choices` writes for these three, but for the last value."""
    masks = [-int(yes) for yes in (a < b, a > b, a >= b, a == b, a != b)]
    return [-int(a < 0), b if a < 0 else c, *masks, min(a, b), max(a, b), min(max(a, b), c)]


def test_choices_cost_the_same_for_all_data(harness: Harness) -> None:
    costs: set[int] = set()
    for a in EDGES:
        for b, c in [(0, 127), (-128, 127), (a, a), (-(2**61), 2**61)]:
            run = harness.call("choices", [a, b, c, data_address(0), 20], bytes(88))
            assert np.frombuffer(run.data, "<i8")[:10].tolist() == expected_choices(a, b, c), (a, b, c)
            costs.add(run.cost_cu)
    assert len(costs) == 1, costs


@pytest.mark.parametrize("acc", [0, 1, -1, 511, 512, -512, -513, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize(("mult", "shift"), [(1, 10), (2**30, 40), (2**32 - 1, 31)])
def test_requantize1(harness: Harness, acc: int, mult: int, shift: int) -> None:
    run = harness.call("choices", [acc, 0, 1, data_address(0), shift + (mult << 8)], bytes(88))
    assert np.frombuffer(run.data, "<i8")[10] == (acc * mult + (1 << (shift - 1))) >> shift


def test_copy_uses_the_syscalls(harness: Harness) -> None:
    source = bytes(range(1, 201))
    run = harness.call("copy", [data_address(0), data_address(200), 200], bytes(200) + source)
    assert (run.result, run.data) == (1, source + bytes(200))


# --------------------------------------------------------------------------------- machine-written files


@pytest.mark.parametrize("script", [["-m", "wm_export.lower.kernel_files"], [str(CRATE / "gen_golden.py")]])
def test_machine_written_files_are_up_to_date(script: list[str], python: str) -> None:
    done = subprocess.run([python, *script, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# -------------------------------------------------------------------------------- the table of compute units

ROWS = [call for family in FAMILIES for call in family.metered_calls()]


def still(kernel: Kernel, sizes: dict[str, int]) -> tuple[list[int], bytes]:
    """(arguments, data) of a call of these sizes on zeros: all but `out` points to the first byte of data."""
    half = 8 * 1024 * 16
    names = [argument.split(": ") for argument in kernel.signature[1 : kernel.signature.index(")")].split(", ")]
    values = {"out": data_address(half), "shift": 7, "label": 0, **sizes}
    return [values.get(name, data_address(0)) for name, _ in names], bytes(2 * half)


@pytest.mark.parametrize(("kernel", "sizes"), ROWS, ids=[f"{k.name}-{sizes_text(s)}" for k, s in ROWS])
def test_committed_compute_units_are_metered(harness: Harness, kernel: Kernel, sizes: dict[str, int]) -> None:
    args, data = still(kernel, sizes)
    if kernel.name.startswith("ssm"):  # what it reads is zero, behind the addresses; what it writes lies further on
        read, written = data_address(64), data_address(len(data) // 2)
        data = i64_bytes([read] * 4 + [written] * 2) + data[48:] + bytes(1 << 17)
    if kernel.name == "rmsnorm":  # its sum of squares is never zero
        data = i64_bytes(1) + data[8:]
    if kernel.name == "gather_add":  # follows addresses too
        data = np.full(len(data) // 8, data_address(0), "<u8").tobytes()
    assert harness.call(kernel.name, args, data).cost_cu == committed()[kernel.name, sizes_text(sizes)]


def test_a_change_of_compute_units_is_shown() -> None:
    old = counted()
    row = ("gather_add", "n 120, blocks 2")
    assert changes(old, old) == []
    assert changes(old | {row: 50_000}, old) == [
        "gather_add, n 120, blocks 2: 50,000 -> 44,541 compute units (-5,459, -10.9%)"
    ]
    assert changes({}, old) == []
