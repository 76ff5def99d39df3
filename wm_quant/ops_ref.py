"""One reference function per op: obvious, overflow checked. interp.py is its fast twin; a test holds them equal."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.interp import Interpreter, Trace
from wm_quant.qnet import CLAMPS, Op
from wm_train.grid import CODE_MAX, AnyInts, Ints
from wm_train.integer_mamba2 import DECAY_BITS, FINE_MAX, GAIN_BITS, NORM_MANTISSAS

INT64_MAX = 2**63 - 1


def _fits(value: int, what: str) -> int:
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise WmQuantError(f"{what}: {value} does not fit 64 bits")
    return value


def matvec_ref(rows: AnyInts, source: Ints, out: Ints) -> Ints:
    """out + rows @ source. rows (N, K), source (K,), out (N,)."""
    sums = [_fits(sum(int(w) * int(x) for w, x in zip(row, source, strict=True)), "matvec") for row in rows]
    return out + np.array(sums, np.int64)


def gather_ref(rows: NDArray[np.int8], k: NDArray[np.int32], picks: Ints, out: Ints) -> Ints:
    """out + k * sum of the picked rows. rows (R, N), picks (I,) row numbers, k and out (N,)."""
    total = [sum(int(rows[pick, n]) for pick in picks) for n in range(rows.shape[1])]
    return out + np.array([_fits(int(k[n]) * total[n], "gather") for n in range(len(total))], np.int64)


def requantize_ref(acc: Ints, mult: AnyInts, shift: int) -> Ints:
    """floor(acc * mult / 2^shift + 1/2), by Python integers."""
    exact = [_fits(int(a) * int(m) + (1 << (shift - 1)), "requantize") >> shift for a, m in zip(acc, mult, strict=True)]
    return np.array(exact, np.int64)


def requantize_relu_ref(acc: Ints, mult: AnyInts, shift: int) -> Ints:
    """requantize_ref, kept inside 0..127."""
    return clamp_ref(requantize_ref(acc, mult, shift), *CLAMPS["requantize_relu"])


def clamp_ref(values: Ints, low: int, high: int) -> Ints:
    """Each value, or the end of low..high that it is beyond."""
    return np.array([min(max(int(v), low), high) for v in values], np.int64)


def rmsnorm_ref(values: Ints, table: AnyInts, eps: int, shift: int) -> Ints:
    """Codes of values (N,) over their root mean square; `table` says what to multiply by for each mantissa."""
    total = _fits(sum(int(v) * int(v) for v in values) + eps, "rmsnorm")
    low, high = NORM_MANTISSAS
    mantissa, more = total, shift
    while mantissa >= high:
        mantissa, more = mantissa >> 2, more + 1
    while mantissa < low:
        mantissa, more = mantissa << 2, more - 1
    root = np.full(len(values), table[mantissa - low], np.int64)
    return requantize_ref(values, root, more)


def conv_ref(rows: NDArray[np.int8], bias: AnyInts, codes: Ints, before: Ints) -> tuple[Ints, Ints]:
    """bias + rows (N, taps) times the last codes of each channel; codes (N,), `before` (taps - 1, N), oldest first; and
    the new `before`."""
    seen = [*before, codes]
    acc = [int(bias[n]) + sum(int(rows[n, k]) * int(seen[k][n]) for k in range(len(seen))) for n in range(len(codes))]
    return np.array(acc, np.int64), np.array(seen[1:], np.int64)


def lut_ref(table: NDArray[np.int16], group: NDArray[np.int8], codes: Ints) -> Ints:
    """The entry for each code (N,), of the table of its group."""
    if not all(abs(code) <= FINE_MAX for code in codes):
        raise WmQuantError(f"lut: codes {codes.min()}..{codes.max()}, expected {-FINE_MAX}..{FINE_MAX}")
    return np.array([table[g, code + FINE_MAX + 1] for g, code in zip(group, codes, strict=True)], np.int64)


def ssm_ref(decay: AnyInts, gain: AnyInts, skip: AnyInts, x: Ints, dt: Ints, B_: Ints, C: Ints, h: Ints
            ) -> tuple[Ints, Ints]:  # fmt: skip
    """One frame of the recurrence, cell by cell.

    decay, gain (H, 256), skip and dt (H,), x (H * P,), B_ and C (N,), h (H * P, N)
    returns accumulators of y (H * P,), and h
    """
    after, y = np.empty_like(h), np.empty_like(x)
    width, half = len(x) // len(dt), 1 << (DECAY_BITS - 1)
    for channel in range(len(x)):
        head = channel // width
        at, now = int(dt[head]) + CODE_MAX + 1, int(x[channel])
        w = now * int(gain[head, at]) + (1 << (GAIN_BITS - 1)) >> GAIN_BITS
        for cell in range(len(B_)):
            kept = int(h[channel, cell]) * int(decay[head, at])
            after[channel, cell] = _fits(kept + w * int(B_[cell]) + half, "ssm") >> DECAY_BITS
        read = sum(int(a) * int(c) for a, c in zip(after[channel], C, strict=True))
        y[channel] = _fits(read + now * int(skip[head]), "ssm")
    return y, after


def gate_ref(values: Ints, by: Ints, shift: int) -> Ints:
    """requantize(values * by, 1, shift)."""
    return requantize_ref(values, by, shift)


class RefInterpreter(Interpreter):
    """The interpreter with every op done by its reference function, one world at a time: slow, for `--target ref`."""

    def _run(self, op: Op, source: Ints, out: Ints | None, by: Ints | None) -> Ints:
        started, second = (source if other is None else other for other in (out, by))
        return np.stack([self._run_one(op, source[i], started[i], second[i]) for i in range(len(source))])

    def _run_one(self, op: Op, source: Ints, out: Ints, by: Ints) -> Ints:
        tensor = partial(self.net.tensor, op)
        if op.kind == "matvec":
            return matvec_ref(tensor("rows"), source, out)
        if op.kind == "gather":
            return gather_ref(tensor("rows"), tensor("k"), source + self._id_starts, out)
        if op.kind == "rmsnorm":
            return rmsnorm_ref(source, tensor("table"), int(tensor("eps")[0]), op.shift)
        if op.kind == "lut":
            return lut_ref(tensor("table"), tensor("group"), source)
        if op.kind == "gate":
            return gate_ref(source, by, op.shift)
        scaled = requantize_ref(source, tensor("mult"), op.shift)
        added = out + scaled if op.kind == "add" else scaled
        return clamp_ref(added, *CLAMPS[op.kind]) if op.kind in CLAMPS else added

    def _remember(self, op: Op, values: Trace, memory: Ints) -> tuple[Ints, Ints]:
        function = self._conv_one if op.kind == "conv" else self._ssm_one
        pairs = [function(op, {k: v[i] for k, v in values.items()}, memory[i]) for i in range(len(memory))]
        return np.stack([out for out, _ in pairs]), np.stack([kept.ravel() for _, kept in pairs])

    def _conv_one(self, op: Op, values: Trace, memory: Ints) -> tuple[Ints, Ints]:
        codes = values[op.source][op.first : op.first + op.size]
        return conv_ref(self.net.tensor(op, "rows"), self.net.tensor(op, "bias"), codes, memory.reshape(-1, op.size))

    def _ssm_one(self, op: Op, values: Trace, memory: Ints) -> tuple[Ints, Ints]:
        cells = self.net.cells(op)
        x, B_, C = np.split(values[op.source], [op.size, op.size + cells])
        decay, gain, skip = (self.net.tensor(op, part) for part in ("decay", "gain", "skip"))
        return ssm_ref(decay, gain, skip, x, values[op.by], B_, C, memory.reshape(op.size, cells))
