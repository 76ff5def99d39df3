"""Write the sBPF assembly of the kernels, and count its compute units.

    python -m wm_quant.kernels            write onchain/kernels/asm/*.s
    python -m wm_quant.kernels --check    exit 1 if a file, or a formula in src/*.rs, is out of date

Every kernel is a list of Segments: straight-line instruction lists with the number of times each one runs.
The text is the segments in order, the cost is the sum of length * runs over the same lists, so the two cannot
part. A cost counts the instructions executed inside the function, the final `exit` included, and leaves out
the caller's argument set-up and `call`. One instruction is one compute unit; `r = imm ll` is one instruction.

Registers on entry are r1..r5, the result is r0. All ten of r0..r9 may be used: the virtual machine saves
r6..r9 at a call. r10 is the top of the function's own 4,096-byte stack frame.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from wm_train.grid import WEIGHT_GRIDS, WeightGrid

HERE = Path(__file__).resolve().parent.parent / "onchain" / "kernels"
BANNER = "# Machine-written by wm_quant/kernels.py; do not edit."

MATVEC_TILE = 32
MATVEC_MAX_R = 6

GATHER_UNROLL = 8
GATHER_MAX_ROWS = 256
GATHER_WORDS = 37
GATHER_BYTES_PER_WORD = 7
GATHER_MASK = 0x00FF00FF00FF00FF

REQUANTIZE_UNROLL = 8
ARGMAX_UNROLL = 8
ARGMAX_INDEX_BITS = 30
WITHIN_INDEX_BITS = 16
WITHIN_LABEL_SHIFT = 49


@dataclass(frozen=True)
class Segment:
    """Instructions that run one after the other; `label` is a local label on the first of them, or empty."""

    lines: tuple[str, ...]
    label: str = ""

    def __len__(self) -> int:
        return len(self.lines)


def load(dst: int, base: int, offset: int, size: str = "u64") -> str:
    """Instruction that reads `size` bytes at r<base> + offset into r<dst>, zero-extended."""
    return f"r{dst} = *({size} *)(r{base} {'-' if offset < 0 else '+'} {abs(offset)})"


def store(base: int, offset: int, src: int) -> str:
    """Instruction that writes r<src> as u64 at r<base> + offset."""
    return f"*(u64 *)(r{base} {'-' if offset < 0 else '+'} {abs(offset)}) = r{src}"


# ---------------------------------------------------------------------------------------------- matvec

X_SLOT, OUT_SLOT, GROUPS_SLOT, X_END_SLOT, ACC_SLOT = -8, -16, -24, -32, -40


@dataclass(frozen=True)
class Matvec:
    """Segments of a matvec of R words a column: r0..r<R-1> accumulate, r6 is x[k], r7 a word, r8 walks w, r9 walks x or
    out."""

    entry: Segment
    group: Segment
    tile: Segment
    flush: Segment
    leave: Segment


def _matvec_tile(r: int) -> Segment:
    lines: list[str] = []
    for k in range(MATVEC_TILE):
        lines.append(load(6, 9, 8 * k))
        for i in range(r):
            lines += [load(7, 8, 8 * (k * r + i)), "r7 *= r6", f"r{i} += r7"]
    lines += [f"r8 += {8 * MATVEC_TILE * r}", f"r9 += {8 * MATVEC_TILE}", load(7, 10, X_END_SLOT)]
    return Segment((*lines, "if r9 != r7 goto 2b"), "2")


def _take_lane(acc: int, lane: int, grid: WeightGrid) -> tuple[list[str], int]:
    """(instructions, register): one lane of r<acc>. Where memory can cut lanes apart it does; else the accumulator is
    used up lane by lane."""
    if grid.lane_bits in (16, 32):
        spill = [] if lane else [store(10, ACC_SLOT, acc)]
        return [*spill, load(6, 10, ACC_SLOT + grid.lane_bits // 8 * lane, f"u{grid.lane_bits}")], 6
    shift = [f"r{acc} >>= {grid.lane_bits}"] if lane else []
    if lane == grid.lanes - 1:
        return shift, acc
    return [*shift, f"r6 = r{acc}", f"r6 &= {(1 << grid.lane_bits) - 1}"], 6


def _matvec_flush(r: int, grid: WeightGrid) -> Segment:
    """Each lane, less its bias, is added to its output."""
    lines = [load(9, 10, OUT_SLOT)]
    for row in range(r * grid.lanes):
        take, register = _take_lane(row // grid.lanes, row % grid.lanes, grid)
        add = [f"r7 += r{register}", f"r7 += {-grid.lane_bound}"]
        lines += [load(7, 9, 8 * row), *take, *add, store(9, 8 * row, 7)]
    lines += [f"r9 += {8 * grid.lanes * r}", store(10, OUT_SLOT, 9)]
    lines += [load(7, 10, GROUPS_SLOT), "r7 += -1", store(10, GROUPS_SLOT, 7), "if r7 != 0 goto 1b"]
    return Segment(tuple(lines))


def matvec_name(r: int, bits: int = 8) -> str:
    """The kernel for weights of so many bits, `r` words a column."""
    return f"matvec_r{r}" if bits == 8 else f"matvec{bits}_r{r}"


def matvec(r: int, bits: int = 8) -> Matvec:
    """Segments of matvec_name(r, bits), 1 <= r <= 6."""
    grid = WEIGHT_GRIDS[bits]
    bias = sum(grid.lane_bound << (grid.lane_bits * lane) for lane in range(grid.lanes))
    if not 1 <= r <= MATVEC_MAX_R:
        raise ValueError(f"matvec: {r} accumulators, expected 1..{MATVEC_MAX_R}")
    entry = [store(10, X_SLOT, 2), store(10, OUT_SLOT, 3), store(10, GROUPS_SLOT, 4)]
    entry += ["r5 <<= 3", "r5 += r2", store(10, X_END_SLOT, 5), "r8 = r1"]
    group = [load(9, 10, X_SLOT), f"r0 = {bias:#x} ll", *(f"r{i} = r0" for i in range(1, r))]
    return Matvec(
        Segment(tuple(entry)), Segment(tuple(group), "1"), _matvec_tile(r), _matvec_flush(r, grid), Segment(("exit",))
    )


def matvec_cu(r: int, groups: int, columns: int, bits: int = 8) -> int:
    """Compute units of matvec_name(r, bits): groups >= 1 of r words' rows, columns >= 32 and a multiple of 32."""
    if groups < 1 or columns < MATVEC_TILE or columns % MATVEC_TILE:
        raise ValueError(f"matvec: {groups} groups of {columns} columns, expected >= 1 and a multiple of {MATVEC_TILE}")
    m = matvec(r, bits)
    per_group = len(m.group) + columns // MATVEC_TILE * len(m.tile) + len(m.flush)
    return len(m.entry) + groups * per_group + len(m.leave)


def _matvecs() -> dict[str, Matvec]:
    return {matvec_name(r, bits): matvec(r, bits) for bits in WEIGHT_GRIDS for r in range(1, MATVEC_MAX_R + 1)}


# ---------------------------------------------------------------------------------------------- gather

LIST_BYTES = 8 * GATHER_MAX_ROWS
SPILL = -(LIST_BYTES + 16 * GATHER_WORDS)
LIST_SLOT, K_SLOT, SUM_SLOT, BIAS_SLOT, BLOCKS_SLOT = (SPILL - 8 * i for i in range(1, 6))


@dataclass(frozen=True)
class Gather:
    """Segments of gather_add. Each part of a block is (clear, rows, spill); `rows` runs once per 8 rows.

    The list of row pointers is copied to the top of the frame, where its end is r10 itself and where the
    pointers can step from block to block. Up to 3 words of a row are summed at a time: r0..r2 all seven
    bytes, r3..r5 the even ones; r6 is the mask, r7 a word, r8 the row, r9 walks the list.
    """

    entry: Segment
    copy: Segment
    parts: tuple[tuple[Segment, Segment, Segment], ...]
    extract_head: Segment
    extract: Segment
    block_end: Segment
    leave: Segment


def _gather_widths() -> list[int]:
    """37 words as eleven parts of 3 and two of 2."""
    return [3] * 11 + [2] * 2


def _gather_row(i: int, first_word: int, width: int, step: bool) -> list[str]:
    """Add `width` words of row i to the accumulators; `step` moves the pointer to the next block first."""
    lines = [load(8, 9, 8 * i)]
    base = 8 * first_word
    if step:
        lines += [f"r8 += {8 * GATHER_WORDS}", store(9, 8 * i, 8)]
        base -= 8 * GATHER_WORDS
    for w in range(width):
        lines += [load(7, 8, base + 8 * w), f"r{w} += r7", "r7 &= r6", f"r{3 + w} += r7"]
    return lines


def _gather_part(first_word: int, width: int) -> tuple[Segment, Segment, Segment]:
    clear = [f"r{w} = 0" for w in range(width)] + [f"r{3 + w} = 0" for w in range(width)]
    step = first_word + width == GATHER_WORDS
    rows = [line for i in range(GATHER_UNROLL) for line in _gather_row(i, first_word, width, step)]
    rows += [f"r9 += {8 * GATHER_UNROLL}", "if r9 != r10 goto 3b"]
    spill: list[str] = []
    for w in range(width):
        slot = SPILL + 16 * (first_word + w)
        spill += [f"r{w} -= r{3 + w}", store(10, slot, w), store(10, slot + 8, 3 + w)]
    label = "" if first_word else "2"
    return Segment((*clear, load(9, 10, LIST_SLOT)), label), Segment(tuple(rows), "3"), Segment(tuple(spill))


def _gather_extract() -> Segment:
    """One word: byte b is a u16 lane, at 1, 3, 5 of the first spilled word and 0, 2, 4, 6 of the second."""
    lines: list[str] = []
    for b in range(GATHER_BYTES_PER_WORD):
        lines += [load(4, 9, b if b % 2 else 8 + b, "u16"), "r4 -= r3", load(5, 1, 4 * b, "u32"), "r4 *= r5"]
        lines += [load(5, 2, 8 * b), "r5 += r4", store(2, 8 * b, 5)]
    lines += ["r9 += 16", f"r1 += {4 * GATHER_BYTES_PER_WORD}", f"r2 += {8 * GATHER_BYTES_PER_WORD}"]
    return Segment((*lines, "if r9 != r8 goto 4b"), "4")


def _gather_entry() -> tuple[Segment, Segment]:
    entry = [store(10, K_SLOT, 2), store(10, SUM_SLOT, 3), store(10, BLOCKS_SLOT, 5)]
    entry += ["r5 = r4", "r5 <<= 7", store(10, BIAS_SLOT, 5)]
    entry += ["r4 <<= 3", "r9 = r10", "r9 -= r4", store(10, LIST_SLOT, 9), f"r6 = {GATHER_MASK:#x} ll"]
    copy = [line for i in range(GATHER_UNROLL) for line in (load(7, 1, 8 * i), store(9, 8 * i, 7))]
    copy += [f"r1 += {8 * GATHER_UNROLL}", f"r9 += {8 * GATHER_UNROLL}", "if r9 != r10 goto 1b"]
    return Segment(tuple(entry)), Segment(tuple(copy), "1")


def gather() -> Gather:
    """Segments of gather_add."""
    entry, copy = _gather_entry()
    parts: list[tuple[Segment, Segment, Segment]] = []
    first = 0
    for width in _gather_widths():
        parts.append(_gather_part(first, width))
        first += width
    head = ["r9 = r10", f"r9 += {SPILL}", "r8 = r10", f"r8 += {-LIST_BYTES}"]
    head += [load(1, 10, K_SLOT), load(2, 10, SUM_SLOT), load(3, 10, BIAS_SLOT)]
    end = [store(10, K_SLOT, 1), store(10, SUM_SLOT, 2)]
    end += [load(4, 10, BLOCKS_SLOT), "r4 += -1", store(10, BLOCKS_SLOT, 4), "if r4 != 0 goto 2b"]
    return Gather(
        entry, copy, tuple(parts), Segment(tuple(head)), _gather_extract(), Segment(tuple(end)), Segment(("exit",))
    )


def _gather_counts() -> tuple[int, int, int, int]:
    """(once, once per 8 rows, per block, per block and 8 rows)."""
    g = gather()
    fixed = sum(len(clear) + len(spill) for clear, _, spill in g.parts)
    per_block = fixed + len(g.extract_head) + GATHER_WORDS * len(g.extract) + len(g.block_end)
    return len(g.entry) + len(g.leave), len(g.copy), per_block, sum(len(rows) for _, rows, _ in g.parts)


def gather_cu(rows: int, blocks: int) -> int:
    """Compute units of gather_add: rows a multiple of 8 in 8..256, blocks >= 1 of 37 words (259 entries)."""
    if not (GATHER_UNROLL <= rows <= GATHER_MAX_ROWS) or rows % GATHER_UNROLL or blocks < 1:
        raise ValueError(f"gather: {rows} rows, {blocks} blocks, expected a multiple of 8 in 8..256, and >= 1")
    once, once_rows, per_block, per_block_rows = _gather_counts()
    eights = rows // GATHER_UNROLL
    return once + eights * once_rows + blocks * (per_block + eights * per_block_rows)


# ------------------------------------------------------------------------------------------ requantize


@dataclass(frozen=True)
class Loop:
    """Segments of a kernel that is one counted loop."""

    entry: Segment
    body: Segment
    leave: Segment


def _clamp_0_127() -> list[str]:
    """r7 = clamp(r7, 0, 127) for |r7| < 2^57: the top seven bits of a small negative number are 127."""
    over = ["r8 = 127", "r8 -= r7", "r8 >>= 57"]
    not_negative = ["r9 = r7", "r9 ^= -1", "r9 >>= 57"]
    return [*over, *not_negative, "r7 |= r8", "r7 &= r9"]


def requantize(relu: bool) -> Loop:
    """Segments of requantize (relu False) or requantize_relu: r1 acc, r2 mult, r3 out, r4 end, r5 shift, r6 half."""
    entry = ["r4 <<= 3", "r4 += r1", "r7 = r5", "r7 += -1", "r6 = 1", "r6 <<= r7"]
    body: list[str] = []
    for i in range(REQUANTIZE_UNROLL):
        body += [load(7, 1, 8 * i), load(8, 2, 4 * i, "u32"), "r7 *= r8", "r7 += r6", "r7 s>>= r5"]
        body += [*(_clamp_0_127() if relu else []), store(3, 8 * i, 7)]
    n = REQUANTIZE_UNROLL
    body += [f"r1 += {8 * n}", f"r2 += {4 * n}", f"r3 += {8 * n}", "if r1 != r4 goto 1b"]
    return Loop(Segment(tuple(entry)), Segment(tuple(body), "1"), Segment(("exit",)))


def _loop_cu(loop: Loop, n: int) -> int:
    if n < REQUANTIZE_UNROLL or n % REQUANTIZE_UNROLL:
        raise ValueError(f"requantize: {n} elements, expected a positive multiple of {REQUANTIZE_UNROLL}")
    return len(loop.entry) + n // REQUANTIZE_UNROLL * len(loop.body) + len(loop.leave)


def requantize_cu(n: int) -> int:
    """Compute units of requantize: n a positive multiple of 8."""
    return _loop_cu(requantize(relu=False), n)


def requantize_relu_cu(n: int) -> int:
    """Compute units of requantize_relu: n a positive multiple of 8."""
    return _loop_cu(requantize(relu=True), n)


# ---------------------------------------------------------------------------------------------- argmax


@dataclass(frozen=True)
class Argmax:
    """Segments of argmax: r3 is -2^30, r4 the smallest key so far, r1 walks, r5 the end, r2 values left over. Of
    argmax_within: r3 walks the labels, r4 is the wanted one, r9 the smallest key so far."""

    entry: Segment
    eights: Segment
    between: Segment
    ones: Segment
    leave: Segment


def _argmax_step(i: int) -> list[str]:
    """Lower r4 to the key i - (value << 30) of value i of the stretch, if that is smaller."""
    key = [load(6, 1, 8 * i), "r6 *= r3", *([f"r6 += {i}"] if i else [])]
    return [*key, "r6 -= r4", "r7 = r6", "r7 s>>= 63", "r6 &= r7", "r4 += r6"]


def argmax() -> Argmax:
    """Segments of argmax. Indices count from the stretch's start: after each stretch r4 steps back by its length."""
    entry = [f"r3 = {-(1 << ARGMAX_INDEX_BITS)}", f"r4 = {1 << 62:#x} ll", "r0 = r2", "r5 = r2", "r2 &= 7"]
    entry += ["r5 -= r2", "r5 <<= 3", "r5 += r1", "if r1 == r5 goto 2f"]
    eights = [line for i in range(ARGMAX_UNROLL) for line in _argmax_step(i)]
    eights += [f"r1 += {8 * ARGMAX_UNROLL}", f"r4 += {-ARGMAX_UNROLL}", "if r1 != r5 goto 1b"]
    ones = [*_argmax_step(0), "r1 += 8", "r4 += -1", "r2 += -1", "if r2 != 0 goto 3b"]
    leave = ["r0 += r4", f"r0 &= {(1 << ARGMAX_INDEX_BITS) - 1}", "exit"]
    return Argmax(
        Segment(tuple(entry)),
        Segment(tuple(eights), "1"),
        Segment(("if r2 == 0 goto 4f",), "2"),
        Segment(tuple(ones), "3"),
        Segment(tuple(leave), "4"),
    )


def _within_step(i: int) -> list[str]:
    """Lower r9 to the key of value i of the stretch, if that is smaller: i - (value << 16), with its label's distance
    from the wanted one above all of that."""
    key = [load(6, 1, 8 * i), f"r6 *= {-(1 << WITHIN_INDEX_BITS)}", *([f"r6 += {i}"] if i else [])]
    away = [load(7, 3, i, "u8"), "r7 ^= r4", f"r7 <<= {WITHIN_LABEL_SHIFT}", "r6 += r7"]
    return [*key, *away, "r6 -= r9", "r7 = r6", "r7 s>>= 63", "r6 &= r7", "r9 += r6"]


def argmax_within() -> Argmax:
    """Segments of argmax_within; indices count as in argmax."""
    entry = [f"r9 = {1 << 62:#x} ll", "r0 = r2", "r5 = r2", "r2 &= 7"]
    entry += ["r5 -= r2", "r5 <<= 3", "r5 += r1", "if r1 == r5 goto 2f"]
    eights = [line for i in range(ARGMAX_UNROLL) for line in _within_step(i)]
    eights += [f"r1 += {8 * ARGMAX_UNROLL}", f"r3 += {ARGMAX_UNROLL}", f"r9 += {-ARGMAX_UNROLL}"]
    ones = [*_within_step(0), "r1 += 8", "r3 += 1", "r9 += -1", "r2 += -1", "if r2 != 0 goto 3b"]
    leave = ["r0 += r9", f"r0 &= {(1 << WITHIN_INDEX_BITS) - 1}", "exit"]
    return Argmax(
        Segment(tuple(entry)),
        Segment((*eights, "if r1 != r5 goto 1b"), "1"),
        Segment(("if r2 == 0 goto 4f",), "2"),
        Segment(tuple(ones), "3"),
        Segment(tuple(leave), "4"),
    )


def _argmax_cu(a: Argmax, n: int, bits: int) -> int:
    if not 1 <= n < 1 << bits:
        raise ValueError(f"argmax: {n} values, expected 1..2^{bits}-1")
    eights, ones = divmod(n, ARGMAX_UNROLL)
    return len(a.entry) + eights * len(a.eights) + len(a.between) + ones * len(a.ones) + len(a.leave)


def argmax_cu(n: int) -> int:
    """Compute units of argmax over n values, 1 <= n < 2^30."""
    return _argmax_cu(argmax(), n, ARGMAX_INDEX_BITS)


def argmax_within_cu(n: int) -> int:
    """Compute units of argmax_within over n values, 1 <= n < 2^16."""
    return _argmax_cu(argmax_within(), n, WITHIN_INDEX_BITS)


# ----------------------------------------------------------------------------------------------- files


def formulas() -> dict[str, str]:
    """Closed form of each kernel's compute units, as the module documentation in src/ states it."""
    forms: dict[str, str] = {}
    for name, m in _matvecs().items():
        once, group = len(m.entry) + len(m.leave), len(m.group) + len(m.flush)
        forms[name] = f"{once} + groups * ({group} + columns / {MATVEC_TILE} * {len(m.tile)})"
    once, once_rows, block, block_rows = _gather_counts()
    forms["gather_add"] = f"{once} + n / 8 * {once_rows} + blocks * ({block} + n / 8 * {block_rows})"
    for name, loop in (("requantize", requantize(relu=False)), ("requantize_relu", requantize(relu=True))):
        forms[name] = f"{len(loop.entry) + len(loop.leave)} + n / 8 * {len(loop.body)}"
    for name, a in (("argmax", argmax()), ("argmax_within", argmax_within())):
        fixed = len(a.entry) + len(a.between) + len(a.leave)
        forms[name] = f"{fixed} + n / 8 * {len(a.eights)} + n % 8 * {len(a.ones)}"
    return forms


def _text(name: str, segments: list[Segment]) -> str:
    lines = [f".globl wmq_{name}", f".type wmq_{name},@function", f"wmq_{name}:"]
    for segment in segments:
        lines += [f"{segment.label}:"] if segment.label else []
        lines += segment.lines
    return "\n".join([*lines, f".size wmq_{name}, .-wmq_{name}", ""])


def kernels() -> dict[str, list[Segment]]:
    """Name of each kernel and its segments in program order."""
    out = {name: [m.entry, m.group, m.tile, m.flush, m.leave] for name, m in _matvecs().items()}
    g = gather()
    parts = [segment for part in g.parts for segment in part]
    out["gather_add"] = [g.entry, g.copy, *parts, g.extract_head, g.extract, g.block_end, g.leave]
    for name, loop in (("requantize", requantize(relu=False)), ("requantize_relu", requantize(relu=True))):
        out[name] = [loop.entry, loop.body, loop.leave]
    for name, a in (("argmax", argmax()), ("argmax_within", argmax_within())):
        out[name] = [a.entry, a.eights, a.between, a.ones, a.leave]
    return out


def files() -> dict[Path, str]:
    """Path and text of every machine-written file."""
    forms = formulas()
    head = {name: f"{BANNER}\n# {name}: {forms[name]} compute units\n" for name in forms}
    return {HERE / "asm" / f"{name}.s": head[name] + _text(name, segs) for name, segs in kernels().items()}


def stale() -> list[str]:
    """What does not match the generator: files in asm/, and formulas missing from the text of src/*.rs."""
    bad = [str(path) for path, text in files().items() if not path.exists() or path.read_text() != text]
    known = {path for path in files()}
    bad += [f"{path} (no such kernel)" for path in sorted((HERE / "asm").glob("*.s")) if path not in known]
    docs = "\n".join(path.read_text() for path in sorted((HERE / "src").glob("*.rs")))
    bad += [
        f"src/: formula of {name}, expected `{form}`" for name, form in formulas().items() if f"`{form}`" not in docs
    ]
    return bad


def main(argv: list[str]) -> int:
    """Write the files, or with --check name what is out of date."""
    if argv not in ([], ["--check"]):
        print(f"kernels: unknown arguments {argv}, expected nothing or --check", file=sys.stderr)
        return 2
    if argv:
        bad = stale()
        for line in bad:
            print(f"out of date: {line}; run python -m wm_quant.kernels", file=sys.stderr)
        return 1 if bad else 0
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
