"""What the ops of a Mamba-2 compute, in integers, over many worlds at once; wm_train.integer_mamba2 says why.

All arrays are int64, axis 0 is worlds.
"""

import numpy as np

from wm_quant.qnet import Op, QNet
from wm_train.grid import CODE_MAX, Ints, requantize
from wm_train.integer_mamba2 import DECAY_BITS, FINE_MAX, GAIN_BITS, NORM_MANTISSAS

HALF = 1 << (DECAY_BITS - 1)


def _ints(net: QNet, op: Op, part: str) -> Ints:
    return net.tensor(op, part).astype(np.int64)


def rmsnorm(net: QNet, op: Op, values: Ints) -> Ints:
    """Codes (B, N) of values (B, N) over their root mean square."""
    total = (values * values).sum(1, keepdims=True) + _ints(net, op, "eps")
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    e = (bits - 9) // 2 * 2
    mantissa = (total << np.maximum(-e, 0)) >> np.maximum(e, 0)
    root = _ints(net, op, "table")[mantissa - NORM_MANTISSAS[0]]
    shift = op.shift + e // 2
    codes: Ints = (values * root + (np.int64(1) << (shift - 1))) >> shift
    return codes


def conv(net: QNet, op: Op, codes: Ints, before: Ints) -> tuple[Ints, Ints]:
    """Accumulators (B, N) of codes (B, N) and of those of the frames before, (B, taps - 1, N), oldest first; and the
    new `before`."""
    rows = _ints(net, op, "rows")
    seen = np.concatenate([before.reshape(len(codes), -1, op.size), codes[:, None]], 1)
    acc = _ints(net, op, "bias") + (seen * rows.T).sum(1)
    return acc, seen[:, 1:].reshape(before.shape)


def lut(net: QNet, op: Op, codes: Ints) -> Ints:
    """table[group, code + 2048] of codes (B, N)."""
    return _ints(net, op, "table")[_ints(net, op, "group"), codes + FINE_MAX + 1]


def ssm(net: QNet, op: Op, xBC: Ints, dt: Ints, h: Ints) -> tuple[Ints, Ints]:
    """Accumulators of y (B, E) from x, B and C (B, E + 2N) and dt (B, H) codes, and the new h (B, E * N)."""
    heads, cells, worlds = dt.shape[1], net.cells(op), len(dt)
    x = xBC[:, : op.size].reshape(worlds, heads, -1)
    B_, C = xBC[:, op.size : op.size + cells], xBC[:, op.size + cells :]
    at = (np.arange(heads), dt + CODE_MAX + 1)
    decay, gain = _ints(net, op, "decay")[at], _ints(net, op, "gain")[at]
    # In place: the state is the largest thing that there is.
    state = h.reshape(worlds, heads, -1, cells) * decay[..., None, None]
    state += requantize(x * gain[..., None], 1, GAIN_BITS)[..., None] * B_[:, None, None]
    state += HALF
    state >>= DECAY_BITS
    # |sum| < 2^53 (prove.py): exact in float64, and quick there.
    read = (state.astype(np.float64) @ C.astype(np.float64)[:, None, :, None])[..., 0].astype(np.int64)
    y = read + x * _ints(net, op, "skip")[:, None]
    return y.reshape(worlds, -1), state.reshape(h.shape)


def gate(op: Op, values: Ints, by: Ints) -> Ints:
    """requantize(values * by, 1, shift), all (B, N)."""
    out: Ints = requantize(values * by, 1, op.shift)
    return out
