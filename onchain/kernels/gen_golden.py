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
    ("gather_add", 8, 259, 20),
    ("gather_add", 120, 518, 21),
    ("gather_add", 13, 300, 22),
    ("requantize", 16, 31, 30),
    ("requantize_relu", 16, 31, 31),
    ("requantize_relu", 24, 8, 32),
    ("argmax", 1, 40),
    ("argmax", 13, 41),
    ("argmax", 400, 42),
    ("argmax_within", 13, 3, 43),
    ("argmax_within", 400, 20, 44),
]
VOCABULARY = 10


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


def text() -> str:
    """The whole file."""
    every = (matvec, gather_add, requantize, requantize_relu, argmax, argmax_within)
    functions = {f.__name__: f for f in every}
    lines = [BANNER]
    for name, *sizes, seed in CASES:
        outputs = functions[str(name)](Lcg(int(seed)), *(int(size) for size in sizes))
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
