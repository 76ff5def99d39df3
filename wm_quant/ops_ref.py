"""One reference function per op: obvious, overflow checked. interp.py is its fast twin; a test holds them equal."""

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.interp import Interpreter
from wm_quant.qnet import Op
from wm_train.grid import CODE_MAX, Ints

INT64_MAX = 2**63 - 1
#: Kinds with a reference of their own.
REF_KINDS = ("matvec", "gather", "requantize_relu", "requantize")


def _fits(value: int, what: str) -> int:
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise WmQuantError(f"{what}: {value} does not fit 64 bits")
    return value


def matvec_ref(rows: NDArray[np.int8], source: Ints, out: Ints) -> Ints:
    """out + rows @ source. rows (N, K), source (K,), out (N,)."""
    sums = [_fits(sum(int(w) * int(x) for w, x in zip(row, source, strict=True)), "matvec") for row in rows]
    return out + np.array(sums, np.int64)


def gather_ref(rows: NDArray[np.int8], k: NDArray[np.int32], picks: Ints, out: Ints) -> Ints:
    """out + k * sum of the picked rows. rows (R, N), picks (I,) row numbers, k and out (N,)."""
    total = [sum(int(rows[pick, n]) for pick in picks) for n in range(rows.shape[1])]
    return out + np.array([_fits(int(k[n]) * total[n], "gather") for n in range(len(total))], np.int64)


def requantize_ref(acc: Ints, mult: NDArray[np.int32], shift: int) -> Ints:
    """floor(acc * mult / 2^shift + 1/2), by Python integers."""
    exact = [_fits(int(a) * int(m) + (1 << (shift - 1)), "requantize") >> shift for a, m in zip(acc, mult, strict=True)]
    return np.array(exact, np.int64)


def requantize_relu_ref(acc: Ints, mult: NDArray[np.int32], shift: int) -> Ints:
    """requantize_ref, kept inside 0..127."""
    return np.array([min(max(int(v), 0), CODE_MAX) for v in requantize_ref(acc, mult, shift)], np.int64)


class RefInterpreter(Interpreter):
    """The interpreter with every op done by its reference function, one world at a time: slow, for `--target ref`."""

    def _run(self, op: Op, source: Ints, out: Ints | None, by: Ints | None) -> Ints:
        if by is not None or op.kind not in REF_KINDS:
            return super()._run(op, source, out, by)
        started = source if out is None else out
        return np.stack([self._run_one(op, source[i], started[i]) for i in range(len(source))])

    def _run_one(self, op: Op, source: Ints, out: Ints) -> Ints:
        if op.kind == "matvec":
            return matvec_ref(self.net.tensor(op, "rows"), source, out)
        if op.kind == "gather":
            return gather_ref(self.net.tensor(op, "rows"), self.net.tensor(op, "k"), source + self._id_starts, out)
        function = requantize_relu_ref if op.kind == "requantize_relu" else requantize_ref
        return function(source, self.net.tensor(op, "mult"), op.shift)
