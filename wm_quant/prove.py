"""Range proofs: no lane, accumulator, product or head of a QNet can overflow, whatever its inputs.

Intervals are followed from the codes (-128..127) to the heads. What is proved of every row:

    lanes       |partial sum| < 2^20 between two flushes (21-bit lanes that start at 2^20); of 4-bit weights 2^15, of
                16-bit weights 2^31
    gather      at most 256 rows, so that 16-bit sums of bytes cannot spill
    acc         |accumulator| < 2^22, of 16-bit weights 2^31, and |acc * mult| < 2^53: float64 rounds it as the integers
                do
    heads       inside int32, so that requantized heads need no saturation
    ssm         no sequence of inputs takes a state out of 17 bits: the fixed point of |h| over every entry of every
                head's table; |y| < 2^31; |y * mult| < 2^53
    rmsnorm     sum of squares and value * root < 2^53; its shift stays below 63 for the largest sum; |code| < 2^15,
                and the codes lie in a ball, which bounds the lanes and accumulators behind it
    tables      what picks an entry is inside -2047..2047 (lut's codes) or -127..127 (ssm's dt)
"""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from wm_quant.errors import WmQuantError
from wm_quant.qnet import CLAMPS, SESSION_BIAS, SHIFT_MAX, Op, QNet
from wm_train.frames import Field
from wm_train.grid import (
    CODE_MAX,
    CODE_MIN,
    EXACT_BITS,
    INT8,
    WEIGHT_GRIDS,
    Codes,
    Floats,
    lane_reach,
    requantize,
)
from wm_train.integer import table_starts
from wm_train.integer_mamba2 import DECAY_BITS, FINE_MAX, GAIN_BITS, STATE_MAX, norm_codes

GATHER_ROWS_MAX = 256
HEAD_BOUND = 1 << 31
#: Codes behind a norm are kept in 16 bits.
NORM_CODE_BOUND = 1 << 15
#: Integers below this are exact in float64.
EXACT_BOUND = 1 << EXACT_BITS

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
    codes = _codes(net, op, source)
    proofs = [_below(op.name, "a lane", lane_reach(rows, blocks, codes), WEIGHT_GRIDS[op.bits].lane_bound)]
    plus, minus, reach = np.maximum(rows, 0), np.maximum(-rows, 0), codes.reach(rows)
    low, high = plus @ source[0] - minus @ source[1], plus @ source[1] - minus @ source[0]
    return (np.maximum(low, -reach), np.minimum(high, reach)), proofs


def _codes(net: QNet, op: Op, source: Interval) -> Codes:
    """What a matvec reads; behind a norm, what that norm gives."""
    for other in net.ops:
        if (other.kind, other.out) == ("rmsnorm", op.source):
            return _norm_codes(net, other)
    return Codes(float(source[0].min()), float(source[1].max()))


def _norm_codes(net: QNet, op: Op) -> Codes:
    return norm_codes(net.tensor(op, "table").astype(np.float64), op.shift, op.size)


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
    reach, mult = _reach(source), net.tensor(op, "mult").astype(np.int64)
    proofs = []
    if (bound := _acc_bound(net, op.source)) is not None:
        proofs.append(_below(op.name, f"the accumulator {op.source}", reach, bound))
    proofs.append(_below(op.name, f"the product of {op.source} and its multiplier", reach * mult, EXACT_BOUND))
    low, high = (requantize(end.astype(np.int64), mult, op.shift).astype(np.float64) for end in source)
    if op.kind in CLAMPS:
        return (np.clip(low, *CLAMPS[op.kind]), np.clip(high, *CLAMPS[op.kind])), proofs
    proofs.append(_below(op.name, "the result", np.maximum(np.abs(low), np.abs(high)), HEAD_BOUND))
    return (low, high), proofs


def _acc_bound(net: QNet, name: str) -> int | None:
    """What the accumulator `name` stays below, so that the products which make it are exact; None of those of an ssm,
    which are held in float64 throughout."""
    adding = [op for op in net.ops if op.out == name]
    if any(op.kind == "ssm" for op in adding):
        return None
    return max((WEIGHT_GRIDS[op.bits].acc_bound for op in adding if op.kind == "matvec"), default=INT8.acc_bound)


def _reach(source: Interval) -> Floats:
    return np.maximum(np.abs(source[0]), np.abs(source[1]))


def _rmsnorm(net: QNet, op: Op, source: Interval) -> tuple[Interval, list[Proof]]:
    total = np.array([np.square(_reach(source)).sum() + float(net.tensor(op, "eps")[0])])
    widest = _reach(source) * np.abs(net.tensor(op, "table").astype(np.float64)).max()
    # The sum's mantissa has 9 or 10 bits; half of the others are shifted out on top of op.shift.
    shift = op.shift + np.maximum(np.frexp(total)[1] - 9, 0) // 2
    proofs = [_below(op.name, "the sum of squares", total, EXACT_BOUND),
              _below(op.name, "a value times the root", widest, EXACT_BOUND),
              _below(op.name, "the shift", shift.astype(np.float64), SHIFT_MAX + 1)]  # fmt: skip
    codes = _norm_codes(net, op)
    proofs.append(_below(op.name, "a code", np.array([codes.high]), NORM_CODE_BOUND))
    return (np.full(op.size, codes.low), np.full(op.size, codes.high)), proofs


def _conv(net: QNet, op: Op, source: Interval) -> tuple[Interval, list[Proof]]:
    rows, bias = (net.tensor(op, part).astype(np.float64) for part in ("rows", "bias"))
    # What it keeps begins as zeros.
    reach = np.abs(rows).sum(1) * _reach(source)
    return (bias - reach, bias + reach), []


def _index(op: Op, name: str, codes: Interval, most: int) -> Proof:
    """Codes that pick an entry of a table, which has one for each of -most..most."""
    return _below(op.name, f"an index of {name}", _reach(codes), most + 1)


def _lut(net: QNet, op: Op, source: Interval) -> tuple[Interval, list[Proof]]:
    proofs = [_index(op, op.source, source, FINE_MAX)]
    tables = net.tensor(op, "table")[net.tensor(op, "group")].astype(np.float64)
    return (tables.min(1), tables.max(1)), proofs


def _ssm(net: QNet, op: Op, source: Interval, dt: Interval) -> tuple[Interval, list[Proof]]:
    reach, cells = _reach(source), net.cells(op)
    x, B_, C = reach[: op.size], reach[op.size : op.size + cells].max(), reach[op.size + cells :]
    decay, gain, skip = (net.tensor(op, part).astype(np.float64) for part in ("decay", "gain", "skip"))
    x = x.reshape(len(skip), -1).max(1)
    w = requantize((np.abs(gain) * x[:, None]).astype(np.int64), 1, GAIN_BITS)
    # h goes to at most (|h| * decay + |w| |B| + half) / one: below the bound if it was.
    widest = STATE_MAX * np.abs(decay) + w * B_ + (1 << (DECAY_BITS - 1))
    proofs = [_index(op, op.by, dt, CODE_MAX),
              _below(op.name, "a state times its decay", widest.max(1), (STATE_MAX + 1) << DECAY_BITS)]  # fmt: skip
    y = np.repeat(STATE_MAX * C.sum() + np.abs(skip) * x, op.size // len(skip))
    proofs.append(_below(op.name, "the accumulator of y", y, HEAD_BOUND))
    return (-y, y), proofs


def _gate(net: QNet, op: Op, source: Interval, by: Interval) -> tuple[Interval, list[Proof]]:
    reach = (_reach(source) * _reach(by)).astype(np.int64)
    out = requantize(reach, 1, op.shift).astype(np.float64)
    return (-out - 1, out), [_below(op.name, "the product", reach.astype(np.float64), EXACT_BOUND)]


def _follow(net: QNet, op: Op, values: dict[str, Interval]) -> tuple[Interval, list[Proof]]:
    """The interval of an op's result and what was proved on the way."""
    if op.kind == "gather":
        return _added(net, op, values, _gather(net, op))
    whole = values[op.source]
    if op.kind == "matvec":
        return _added(net, op, values, _matvec(net, op, whole))
    if op.kind == "ssm":
        return _ssm(net, op, whole, values[op.by])
    source = whole[0][op.first : op.first + op.size], whole[1][op.first : op.first + op.size]
    if op.kind == "gate":
        return _gate(net, op, source, values[op.by])
    return {"rmsnorm": _rmsnorm, "conv": _conv, "lut": _lut}.get(op.kind, _requantize)(net, op, source)


def _added(
    net: QNet, op: Op, values: dict[str, Interval], found: tuple[Interval, list[Proof]]
) -> tuple[Interval, list[Proof]]:
    (low, high), proofs = found
    before = _start(net, op) if op.init else values[op.out]
    return (before[0] + low, before[1] + high), proofs


def prove(net: QNet) -> list[Proof]:
    """Every proof, in the order of the ops; WmQuantError at the first that fails, with the row and the number."""
    columns = net.world.encoding.dense_columns
    values: dict[str, Interval] = {"codes": (np.full(columns, float(CODE_MIN)), np.full(columns, float(CODE_MAX)))}
    proofs: list[Proof] = []
    for op in net.ops:
        values[op.out], found = _follow(net, op, values)
        proofs += found
    return proofs
