#!/usr/bin/env python3
"""Write golden/kernels.txt: what the kernels must compute, worked out in plain Python integers.

    python onchain/kernels/gen_golden.py            write the file
    python onchain/kernels/gen_golden.py --check    exit 1 if it is out of date

A line is `kernel sizes... seed : outputs...`. Inputs are not stored: both sides draw them, in the order of the
functions below, from the generator `Lcg` started with the line's seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden" / "kernels.txt"
BANNER = "# Machine-written by python onchain/kernels/gen_golden.py; do not edit. Lines: kernel sizes seed : outputs"
#: Name of the function below, its sizes, and the seed. What kernels round sizes up to is not known here.
CASES = [
    *(("matvec", 8, r, 3 * r, 32, 10 + r) for r in range(1, 7)),
    ("matvec", 8, 6, 36, 64, 17),
    ("matvec", 8, 5, 8, 33, 18),
    *(("matvec", 4, r, 4 * r, 32, 50 + r) for r in range(1, 7)),
    ("matvec", 4, 5, 40, 32, 57),
    ("matvec", 4, 6, 25, 7, 58),
    *(("matvec", 16, r, 2 * r, 32, 60 + r) for r in range(1, 7)),
    ("matvec", 16, 4, 16, 64, 67),
    ("matvec", 16, 3, 1, 40, 68),
    *(("matvec", 5, r, 4 * r, 32, 90 + r) for r in range(1, 7)),
    ("matvec", 5, 6, 25, 7, 97),
    *(("matvec", 10, r, 3 * r, 32, 100 + r) for r in range(1, 7)),
    ("matvec", 10, 5, 8, 64, 107),
    ("matvec_scale", 8, 6, 18, 37, 31, 80),
    ("matvec_relu", 4, 2, 8, 32, 20, 81),
    ("matvec_code", 16, 1, 2, 98, 17, 82),
    ("matvec_fine", 8, 3, 18, 64, 14, 83),
    ("matvec_wide", 4, 6, 24, 9, 9, 84),
    ("matvec_add", 8, 2, 12, 40, 9, 85),
    ("matvec_blocks_fine", 4, 7, 28, 23, 14, 86),
    ("matvec_blocks_add", 8, 3, 9, 14, 9, 87),
    ("matvec_blocks_scale", 4, 2, 8, 5, 20, 88),
    ("matvec_blocks_add", 5, 7, 28, 14, 9, 98),
    ("matvec_blocks_fine", 10, 4, 12, 23, 14, 108),
    ("gather_add", 8, 259, 20),
    ("gather_add", 120, 518, 21),
    ("gather_add", 13, 300, 22),
    ("requantize", 16, 31, 30),
    ("requantize_relu", 16, 31, 31),
    ("requantize_relu", 24, 8, 32),
    ("requantize_code", 16, 31, 33),
    ("requantize_fine", 16, 9, 34),
    ("requantize_wide", 16, 1, 35),
    ("requantize_add", 16, 9, 36),
    ("requantize_add", 24, 31, 37),
    ("lut", 8, 70),
    ("lut", 13, 71),
    ("gated_norm", 16, 31, 74),
    ("gated_norm", 48, 40, 75),
    ("gate", 16, 11, 72),
    ("gate", 8, 24, 73),
    ("argmax", 1, 40),
    ("argmax", 13, 41),
    ("argmax", 400, 42),
    ("argmax_within", 13, 3, 43),
    ("argmax_within", 400, 20, 44),
    ("conv", 1, 5, 70),
    ("conv", 8, 6, 71),
    ("conv", 19, 7, 72),
    ("conv_lut", 1, 5, 20, 76),
    ("conv_lut", 16, 6, 31, 77),
    ("rmsnorm", 1, 9, 90),
    ("rmsnorm", 8, 9, 91),
    ("rmsnorm", 37, 12, 92),
    ("ssm", 1, 1, 1, 5, 80),
    ("ssm", 2, 3, 5, 6, 81),
    ("ssm", 2, 2, 32, 4, 82),
    ("ssm", 1, 2, 69, 3, 83),
    ("ssm_chunked", 2, 4, 4, 2, 7, 84),
    ("ssm_chunked", 6, 14, 6, 3, 8, 85),
]
VOCABULARY = 10
WIDE_MAX = 2**20 - 1


class Lcg:
    """Linear congruential generator of 64 bits, of which the upper 31 are used."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def draw(self, low: int, high: int) -> int:
        """Integer in low..high, both included."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return low + (self.state >> 33) % (high - low + 1)

    def draws(self, count: int, low: int, high: int) -> list[int]:
        """The next `count` integers in low..high."""
        return [self.draw(low, high) for _ in range(count)]


def matvec(lcg: Lcg, bits: int, _words: int, rows: int, columns: int) -> list[int]:
    """Weights row by row, then x, then the bias. How many words a column the kernel takes changes nothing."""
    most = 2 ** (bits - 1) - 1
    weights = [lcg.draws(columns, -most, most) for _ in range(rows)]
    x = lcg.draws(columns, -128, 127)
    bias = lcg.draws(rows, -(2**30), 2**30 - 1)
    return [b + sum(w * v for w, v in zip(row, x, strict=True)) for row, b in zip(weights, bias, strict=True)]


def finished(lcg: Lcg, finish: str, sizes: tuple[int, ...]) -> list[int]:
    """As matvec, then multipliers, then what is added to; the sums multiplied down and finished. Whether a kernel sums
    up by blocks of columns changes nothing."""
    bits, words, rows, columns, shift = sizes
    sums = matvec(lcg, bits, words, rows, columns)
    mult, out = lcg.draws(rows, 0, 2 ** max(shift - 13, 1)), lcg.draws(rows, -WIDE_MAX, WIDE_MAX)
    values = [(a * m + (1 << (shift - 1))) >> shift for a, m in zip(sums, mult, strict=True)]
    end = finish.rsplit("_", 1)[1]
    if end == "add":
        values = [a + b for a, b in zip(values, out, strict=True)]
    low, high = {
        "scale": (-(2**63), 2**63 - 1),
        "relu": (0, 127),
        "code": (-127, 127),
        "fine": (-2047, 2047),
    }.get(end, (-WIDE_MAX, WIDE_MAX))
    return [min(max(value, low), high) for value in values]


def gather_add(lcg: Lcg, n: int, size: int) -> list[int]:
    """Ten rows, then the n picks, then k, then the bias."""
    rows = [lcg.draws(size, -128, 127) for _ in range(VOCABULARY)]
    picks, k = lcg.draws(n, 0, VOCABULARY - 1), lcg.draws(size, 0, 2**31 - 1)
    bias = lcg.draws(size, -(2**30), 2**30 - 1)
    return [bias[e] + k[e] * sum(rows[pick][e] for pick in picks) for e in range(size)]


def requantize(lcg: Lcg, n: int, shift: int) -> list[int]:
    """Accumulators, then multipliers; ties toward +inf."""
    acc, mult = lcg.draws(n, -(2**20), 2**20 - 1), lcg.draws(n, 0, 2 ** max(shift - 13, 1))
    return [(a * m + (1 << (shift - 1))) >> shift for a, m in zip(acc, mult, strict=True)]


def requantize_relu(lcg: Lcg, n: int, shift: int) -> list[int]:
    """As requantize, then clamped to 0..127."""
    return [min(max(value, 0), 127) for value in requantize(lcg, n, shift)]


def within(values: list[int], most: int) -> list[int]:
    """Each value kept inside -most..most."""
    return [min(max(value, -most), most) for value in values]


def requantize_code(lcg: Lcg, n: int, shift: int) -> list[int]:
    """As requantize, then clamped to codes of 8 bits."""
    return within(requantize(lcg, n, shift), 127)


def requantize_fine(lcg: Lcg, n: int, shift: int) -> list[int]:
    """As requantize, then clamped to codes of 12 bits."""
    return within(requantize(lcg, n, shift), 2047)


def requantize_wide(lcg: Lcg, n: int, shift: int) -> list[int]:
    """As requantize, then clamped to 21 bits."""
    return within(requantize(lcg, n, shift), WIDE_MAX)


def requantize_add(lcg: Lcg, n: int, shift: int) -> list[int]:
    """What is added to, then as requantize; the sums clamped to 21 bits."""
    out = lcg.draws(n, -WIDE_MAX, WIDE_MAX)
    return within([a + b for a, b in zip(out, requantize(lcg, n, shift), strict=True)], WIDE_MAX)


def lut(lcg: Lcg, n: int) -> list[int]:
    """The table, then codes."""
    table = lcg.draws(4096, -(2**15), 2**15 - 1)
    return [table[code + 2048] for code in lcg.draws(n, -2048, 2047)]


def gated_norm(lcg: Lcg, n: int, shift: int) -> list[int]:
    """The table, the roots of all mantissas, accumulators, codes, multipliers, and what is added to the squares of wide
    values times what the table makes of the codes, which are then normed."""
    table, roots = lcg.draws(4096, -2047, 2047), lcg.draws(768, 0, 2**16)
    acc, codes = lcg.draws(n, -(2**30), 2**30), lcg.draws(n, -2048, 2047)
    mult, eps = lcg.draws(n, 0, 2**21 - 1), lcg.draw(1, 2**30)
    wide = within([(a * m + (1 << (shift - 1))) >> shift for a, m in zip(acc, mult, strict=True)], WIDE_MAX)
    values = [(w * table[code + 2048] + 1024) >> 11 for w, code in zip(wide, codes, strict=True)]
    return _normed(values, eps, roots, 10)


def gate(lcg: Lcg, n: int, shift: int) -> list[int]:
    """Two vectors; ties toward +inf."""
    values, by = lcg.draws(n, -WIDE_MAX, WIDE_MAX), lcg.draws(n, -2047, 2047)
    return [(a * b + (1 << (shift - 1))) >> shift for a, b in zip(values, by, strict=True)]


def argmax(lcg: Lcg, n: int) -> list[int]:
    """Few distinct values, so that there are ties; the lowest index wins."""
    values = lcg.draws(n, -20, 20)
    return [values.index(max(values))]


def argmax_within(lcg: Lcg, n: int, kinds: int) -> list[int]:
    """Values as in argmax, then labels; the first `kinds` labels in order. The answer for every label."""
    values = lcg.draws(n, -20, 20)
    labels = [*range(kinds), *lcg.draws(n - kinds, 0, kinds - 1)]
    picked = [[i for i in range(n) if labels[i] == label] for label in range(kinds)]
    return [max(ids, key=lambda i: (values[i], -i)) for ids in picked]


def conv(lcg: Lcg, n: int, frames: int) -> list[int]:
    """Taps channel by channel, then biases, then codes frame by frame; what is before the first frame is zero."""
    taps = [lcg.draws(4, -128, 127) for _ in range(n)]
    return _convolved(lcg, taps, lcg.draws(n, -(2**30), 2**30 - 1), frames)


def _convolved(lcg: Lcg, taps: list[list[int]], bias: list[int], frames: int) -> list[int]:
    n = len(taps)
    codes = [[0] * n] * 3 + [lcg.draws(n, -2048, 2047) for _ in range(frames)]
    return [
        bias[c] + sum(tap * codes[frame + i][c] for i, tap in enumerate(taps[c]))
        for frame in range(frames)
        for c in range(n)
    ]


def conv_lut(lcg: Lcg, n: int, frames: int, shift: int) -> list[int]:
    """The table, taps, biases, multipliers, and codes frame by frame; what the table makes of codes of the sums."""
    table, taps = lcg.draws(4096, -(2**15), 2**15 - 1), [lcg.draws(4, -128, 127) for _ in range(n)]
    bias, mult = lcg.draws(n, -(2**18), 2**18 - 1), lcg.draws(n, 0, 2 ** (shift - 7))
    sums = _convolved(lcg, taps, bias, frames)
    codes = within([(a * mult[i % n] + (1 << (shift - 1))) >> shift for i, a in enumerate(sums)], 2047)
    return [table[code + 2048] for code in codes]


def rmsnorm(lcg: Lcg, n: int, shift: int) -> list[int]:
    """The roots of all mantissas; then sixteen times how many bits values have, the values, and what is added to their
    squares."""
    roots, out = lcg.draws(768, 0, 2**16), []
    for _ in range(16):
        most = 2 ** lcg.draw(0, 20) - 1
        values = lcg.draws(n, -most, most)
        out += _normed(values, lcg.draw(1, 2**30), roots, shift)
    return out


def _normed(values: list[int], eps: int, roots: list[int], shift: int) -> list[int]:
    total, e = eps + sum(value * value for value in values), 0
    while not 256 * 4**e <= total * 4**10 < 1024 * 4**e:
        e += 1
    places, root = shift + e - 10, roots[total * 4**10 // 4**e - 256]
    return [(value * root + 2 ** (places - 1)) >> places for value in values]


def ssm(lcg: Lcg, heads: int, channels: int, cells: int, frames: int) -> list[int]:
    """Decays, signs of gains, and skips; then frame by frame x, B, C and codes of dt. Gains are
    what a state can just bear from codes of 7 bits."""
    decay = [lcg.draws(256, 0, 2**15 - 1) for _ in range(heads)]
    gain = [[lcg.draw(-1, 1) * min(_gain_most(d), 2**31 - 1) for d in row] for row in decay]
    skip, rows = lcg.draws(heads, -(2**20), 2**20), heads * channels
    h, out = [[0] * cells for _ in range(rows)], []
    for _ in range(frames):
        x, b, c = lcg.draws(rows, -127, 127), lcg.draws(cells, -127, 127), lcg.draws(cells, -127, 127)
        at = [code + 128 for code in lcg.draws(heads, -127, 127)]
        for row, value in enumerate(x):
            head = row // channels
            w = (value * gain[head][at[head]] + 2**15) >> 16
            h[row] = [(s * decay[head][at[head]] + w * v + 2**14) >> 15 for s, v in zip(h[row], b, strict=True)]
            out.append(sum(s * v for s, v in zip(h[row], c, strict=True)) + value * skip[head])
    return out


def ssm_chunked(lcg: Lcg, heads: int, channels: int, cells: int, every: int, frames: int) -> list[int]:
    """As ssm, but with gains of 0 or more, and a head's states written every so many frames: where (t - head) mod every
    is every - 1. Three places of what a frame counts for, and codes of 7 bits."""
    decay = [lcg.draws(256, 0, 2**15 - 1) for _ in range(heads)]
    gain = [[lcg.draw(0, 1) * min(_held_most(d, every), 2**31 - 1) for d in row] for row in decay]
    skip = lcg.draws(heads, -(2**20), 2**20)
    states = [[[0] * cells for _ in range(channels)] for _ in range(heads)]
    # Of each head what is left of its states, and (gain, x, B) of each frame since they were written.
    kept, late, out = [2**15] * heads, [[] for _ in range(heads)], []
    for frame in range(frames):
        x = [lcg.draws(channels, -127, 127) for _ in range(heads)]
        b, c = lcg.draws(cells, -127, 127), lcg.draws(cells, -127, 127)
        for head, code in enumerate(lcg.draws(heads, -127, 127)):
            d = decay[head][code + 128]
            kept[head] = kept[head] * d >> 15
            late[head] = [(g * d >> 15, *rest) for g, *rest in late[head]] + [(gain[head][code + 128], x[head], b)]
            counts = [(sum(map(int.__mul__, c, own)) * g + 2**27) >> 28 for g, _, own in late[head]]
            for i, state in enumerate(states[head]):
                given = sum(k * codes[i] for k, (_, codes, _) in zip(counts, late[head], strict=True))
                read = kept[head] * sum(map(int.__mul__, c, state))
                out.append(((read + (given << 12) + 2**14) >> 15) + skip[head] * x[head][i])
            if (frame - head) % every == every - 1:
                for i, state in enumerate(states[head]):
                    w = [(codes[i] * g + 2**15) >> 16 for g, codes, _ in late[head]]
                    sums = [sum(v * own[n] for v, (_, _, own) in zip(w, late[head], strict=True)) for n in range(cells)]
                    states[head][i] = [(s * kept[head] + v + 2**14) >> 15 for s, v in zip(state, sums, strict=True)]
                kept[head], late[head] = 2**15, []
    return out


def _held_most(decay: int, every: int) -> int:
    return (2**31 - 2**14 - every * 64) * (2**15 - decay) // 2**15 * 2**16 // 127**2


def _gain_most(decay: int) -> int:
    return (2**31 - 2**14 - 65535 * decay) // 127 * 2**16 // 127 - 2**16


def text() -> str:
    """The whole file."""
    requantized = (requantize, requantize_relu, requantize_code, requantize_fine, requantize_wide, requantize_add)
    small = (gather_add, lut, gate, gated_norm, argmax, argmax_within, conv, conv_lut, rmsnorm)
    every = (matvec, *requantized, *small, ssm, ssm_chunked)
    functions = {f.__name__: f for f in every}
    lines = [BANNER]
    for name, *sizes, seed in CASES:
        lcg, numbers = Lcg(int(seed)), tuple(int(size) for size in sizes)
        make = functions.get(str(name))
        outputs = make(lcg, *numbers) if make else finished(lcg, str(name), numbers)
        lines.append(" ".join(map(str, [name, *sizes, seed, ":", *outputs])))
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Write the file, or with --check compare it."""
    if argv not in ([], ["--check"]):
        print(f"gen_golden.py: unknown arguments {argv}, expected nothing or --check", file=sys.stderr)
        return 2
    if argv:
        same = GOLDEN.exists() and GOLDEN.read_text() == text()
        if not same:
            print(f"out of date: {GOLDEN}; run python onchain/kernels/gen_golden.py", file=sys.stderr)
        return 0 if same else 1
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
