"""Range proofs: no lane, accumulator, product or head of a QNet can overflow, whatever its inputs.

Intervals are followed from the codes (-128..127) to the heads. What is proved of every row:

    lanes       |partial sum| < 2^20 between two flushes (21-bit lanes that start at 2^20); of 4-bit weights 2^15
    gather      at most 256 rows, so that 16-bit sums of bytes cannot spill
    acc         |accumulator| < 2^22, so that |acc * mult| < 2^53: float64 rounds it as the integers do
    heads       inside int32, so that requantized heads need no saturation
"""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from wm_quant.errors import WmQuantError
from wm_quant.qnet import SESSION_BIAS, Op, QNet
from wm_train.frames import Field
from wm_train.grid import ACC_BOUND, CODE_MAX, CODE_MIN, WEIGHT_GRIDS, Floats, lane_reach, requantize
from wm_train.integer import table_starts

GATHER_ROWS_MAX = 256
HEAD_BOUND = 1 << 31

Interval = tuple[Floats, Floats]


@dataclass(frozen=True)
class Proof:
    """The widest value found and the bound it stays below, for one op."""

    op: str
    what: str
    row: int
    value: int
    bound: int

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def _below(op: str, what: str, values: Floats, bound: int) -> Proof:
    row = int(np.argmax(values))
    proof = Proof(op, what, row, int(values[row]), bound)
    if not proof.value < bound:
        raise WmQuantError(
            f'proof failed: op "{op}": {what} of row {row} reaches {proof.value}, '
            f"must stay below {bound}; "
            "train this network again with --qat (a row like this has a runaway weight or bias)"
        )
    return proof


def _matvec(net: QNet, op: Op, source: Interval) -> tuple[Interval, list[Proof]]:
    rows = net.tensor(op, "rows").astype(np.float64)
    blocks = [slice(start, start + op.block) for start in range(0, rows.shape[1], op.block)]
    low, high = int(source[0].min()), int(source[1].max())
    bound = WEIGHT_GRIDS[op.bits].lane_bound
    proofs = [_below(op.name, "a lane", lane_reach(rows, blocks, low, high), bound)]
    plus, minus = np.maximum(rows, 0), np.maximum(-rows, 0)
    return (plus @ source[0] - minus @ source[1], plus @ source[1] - minus @ source[0]), proofs


def _gather(net: QNet, op: Op) -> tuple[Interval, list[Proof]]:
    fields = [f for _, _, f in net.world.encoding.id_fields()]
    proofs = [_below(op.name, "the number of rows", np.array([float(len(fields))]), GATHER_ROWS_MAX + 1)]
    return _picked(net, op, "rows", fields, net.tensor(op, "k").astype(np.float64)), proofs


def _picked(net: QNet, op: Op, part: str, fields: list[Field], k: Floats | float) -> Interval:
    """Interval of the sum of one row out of each field's table."""
    table, starts = net.tensor(op, part).astype(np.float64), table_starts(fields)
    low, high = np.zeros(op.size), np.zeros(op.size)
    for first, last in pairwise(starts):
        low, high = low + table[first:last].min(0), high + table[first:last].max(0)
    return low * k, high * k


def _start(net: QNet, op: Op) -> Interval:
    bias = net.tensor(op, "bias").astype(np.float64) if op.init else np.zeros(op.size)
    if op.init != SESSION_BIAS:
        return bias, bias
    low, high = _picked(net, op, "session", [f for _, f in net.world.encoding.session_fields()], 1.0)
    return bias + low, bias + high


def _requantize(net: QNet, op: Op, source: Interval) -> tuple[Interval, list[Proof]]:
    reach = np.maximum(np.abs(source[0]), np.abs(source[1]))
    proofs = [_below(op.name, f"the accumulator {op.source}", reach, ACC_BOUND)]
    mult = net.tensor(op, "mult").astype(np.int64)
    low, high = (requantize(end.astype(np.int64), mult, op.shift).astype(np.float64) for end in source)
    if op.kind == "requantize_relu":
        return (np.clip(low, 0, CODE_MAX), np.clip(high, 0, CODE_MAX)), proofs
    proofs.append(_below(op.name, "the result", np.maximum(np.abs(low), np.abs(high)), HEAD_BOUND))
    return (low, high), proofs


def prove(net: QNet) -> list[Proof]:
    """Every proof, in the order of the ops; WmQuantError at the first that fails, with the row and the number."""
    columns = net.world.encoding.dense_columns
    values: dict[str, Interval] = {"codes": (np.full(columns, float(CODE_MIN)), np.full(columns, float(CODE_MAX)))}
    proofs: list[Proof] = []
    for op in net.ops:
        if op.kind.startswith("requantize"):
            values[op.out], found = _requantize(net, op, values[op.source])
        else:
            added, found = _gather(net, op) if op.kind == "gather" else _matvec(net, op, values[op.source])
            before = _start(net, op) if op.init else values[op.out]
            values[op.out] = before[0] + added[0], before[1] + added[1]
        proofs += found
    return proofs
