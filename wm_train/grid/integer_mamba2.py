"""A Mamba2's parameters as integers: norms' gains folded, weights quantized, functions as tables. numpy only.

Training (fake_quant_mamba2) and conversion (wm_quant.convert) both call `integer_mamba2`. Letters are those of
wm_train/nets/mamba2.py; `unit` is what one step of an integer is worth. Of one block, per frame:

    u       codes = rms_norm(residual)                               norm's gain lies in in_proj
    acc     in_proj @ u                 codes: z, x, B_, C before the convolution; dt
    pre     codes = conv(x, B_, C)      xBC = silu[pre], gate = silu[z]: tables of 4096
    w       (x * gain[dt] + 2^15) >> 16                 gain, decay: tables of 256 for each head
    h       (h * decay[dt] + w * B_ + 2^14) >> 15       or written every few frames only: chunked.py
    y       wide = C h + skip * x
    v       (y * gate) >> 11
    n       codes = rms_norm(v)                                      its gain lies in out_proj
    residual += out_proj @ n

Codes are -2047..2047, those of C and dt -127..127; wide values and the residual stream have 21 bits, states 17. Codes
behind a norm are not cut off: what bounds them is that their squares add up to a constant. A head's unit of h is such
that no sequence of inputs can take it out of -65535..65535, the fixed point of |h| over every entry of its table; and
such that the skip fits into what states anywhere in that range leave of y's 32 bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.config import Mamba2Config
from wm_train.grid.arithmetic import (
    CODE_MAX,
    EXACT_BITS,
    FRAC_BITS,
    HEAD_BOUND,
    Codes,
    Floats,
    Ints,
    round_half_up,
    row_ratios,
)
from wm_train.grid.integer_mlp import HEAD_MOST, IntegerDense, IntegerInput, dense_layer, first_layer
from wm_train.shapes import BLOCK_SCALES, D_CONV

#: Codes of twelve bits, for which a table has an entry each.
FINE_BITS = 12
FINE_MAX = (1 << (FINE_BITS - 1)) - 1
#: The largest code of each activation of a block, by the name of its scale. C is multiplied with every cell: 2^7 of it
#: leave a quarter of 32 bits where there are 192 cells of 17.
CODE_ENDS = {name: FINE_MAX for name in BLOCK_SCALES if name != "y"} | {"C": CODE_MAX, "dt": CODE_MAX}
WIDE_MAX = (1 << 20) - 1
STATE_MAX = 65535
DECAY_BITS = 15
GAIN_BITS = 16
#: y * mult must be exact in float64.
Y_MULT_BITS = 21
GATE_SHIFT = FINE_BITS - 1
NORM_EPS = 1e-5
#: Past it in magnitude, float64 has no exponential.
EXP_MAX = 700.0
#: No unit is finer: none of a network with float32 weights needs to be.
FINEST_UNIT = 2.0**-126
#: What one code behind a norm is worth. Cut off at 127 codes, a well-trained network loses more here than everywhere
#: else together (docs/training.md).
NORM_UNIT = 2.0**-6
#: Mantissas of a sum of squares: 256..1023, for even exponents.
NORM_MANTISSAS = (256, 1024)
#: Columns between two flushes of a matvec's lanes: as many as let nearly all rows of a trained network keep the scale
#: that suits them; of 5 and 10 bits a fifth and three fifths of the rows get a coarser one (docs/training.md).
BLOCK = {8: 512, 4: 64, 5: 32, 10: 64, 16: 2048}
#: What picks an entry of a table, by its place: codes of dt, and all others.
DT_CODES = np.arange(-CODE_MAX - 1, CODE_MAX + 1, dtype=np.float64)
FINE_CODES = np.arange(-FINE_MAX - 1, FINE_MAX + 1, dtype=np.float64)

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class IntegerNorm:
    """RMS norm to codes worth NORM_UNIT each: table (768,) of the reciprocal root for each mantissa, `eps` added to the
    sum of squares.

    code = requantize(value, table[m - 256], shift + e / 2), m = (sum of squares + eps) / 2^e in 256..1023, e even
    """

    table: Floats
    eps: int
    shift: int


@dataclass(frozen=True)
class IntegerBlock:
    """One block; E channels of z and x, H heads, N cells. Integers are held in float64.

    in_proj   mult and shift make codes of z, x, B_, C (2E + 2N rows); dt_mult, dt_shift those of dt (H rows)
    conv      rows (E + 2N, D_CONV); silu (3, 4096) its tables for x, B_ and C; gate (4096,) that of z
    decay, gain (H, 256); skip (H,); y_mult (E,), y_shift
    h_unit, y_unit (H,) what one step of h and of y's accumulator is worth
    """

    norm: IntegerNorm
    in_proj: IntegerDense
    dt_mult: Ints
    dt_shift: int
    conv: IntegerDense
    silu: Floats
    gate: Floats
    decay: Floats
    gain: Floats
    skip: Floats
    y_mult: Ints
    y_shift: int
    gated_norm: IntegerNorm
    out_proj: IntegerDense
    h_unit: Floats
    y_unit: Floats


@dataclass(frozen=True)
class IntegerMamba2(IntegerInput):
    """All of it; `layer1` makes the residual stream."""

    blocks: tuple[IntegerBlock, ...]
    norm: IntegerNorm
    heads: IntegerDense


def norm_codes(table: Floats, shift: int, width: int) -> Codes:
    """What a norm over `width` values can give. The values' squares add up to less than (m + 1) 2^e, so the codes
    before rounding lie in a ball, and rounding moves each by half at most."""
    mantissas = np.arange(*NORM_MANTISSAS, dtype=np.float64)
    radius = float((np.abs(table) * np.sqrt(mantissas + 1)).max()) / 2.0**shift
    most = np.floor(radius + 0.5)
    return Codes(-most, most, np.ceil((radius + np.sqrt(width) / 2) ** 2))


def norm_floor(width: int) -> float:
    """What one of `width` wide values in front of a norm is worth at least: their squares and eps add up to less than
    2^53. Finer units would resolve what eps drowns anyway."""
    room = (1 << EXACT_BITS) - width * WIDE_MAX**2 - 1024
    return float(np.sqrt(NORM_EPS * width / room))


def usable_scales(model: Mamba2Config, scales: Mapping[str, float]) -> dict[str, float]:
    """`scales` with no unit too fine for the norm that reads the integers."""
    gated, usable = norm_floor(model.d_inner), dict(scales)
    usable["residual"] = max(scales["residual"], norm_floor(model.d_model))
    for i in range(model.n_layers):
        y, gate = f"blocks.{i}.y", scales[f"blocks.{i}.gate"]
        usable[y] = max(scales[y], gated / (gate * 2**GATE_SHIFT))
    return usable


def _norm(width: int, value_unit: float) -> IntegerNorm:
    """Norm over `width` integers worth `value_unit` each, `norm_floor` or more."""
    mantissas = np.arange(*NORM_MANTISSAS, dtype=np.float64)
    real = np.sqrt(width) / NORM_UNIT / np.sqrt(mantissas + 0.5)
    shift = 15 - int(np.floor(np.log2(real[0])))
    return IntegerNorm(round_half_up(real * 2.0**shift), max(1, int(NORM_EPS * width / value_unit**2)), shift)


def _behind(
    norm: IntegerNorm, weight: Floats, bias: Floats, out: Floats | float, bits: int, most: float = np.inf
) -> IntegerDense:
    """The layer behind a norm; results are worth `out` each and stay below `most`."""
    codes = norm_codes(norm.table, norm.shift, weight.shape[1])
    return dense_layer(weight, bias, codes, NORM_UNIT, out, BLOCK[bits], bits, most=most)


def silu(value: Floats) -> Floats:
    """value * sigmoid(value)."""
    return value / (1 + np.exp(-np.maximum(value, -EXP_MAX)))


def held_most(every: int, B_: float) -> int:
    """What a head may hold at most, in 2^-15 of a state: the states, faded, and what the last `every` frames would
    write. Rounding what they write, times a code of B_ each, and the sum's own rounding leave a state inside its
    range."""
    return ((STATE_MAX + 1) << DECAY_BITS) - (1 << (DECAY_BITS - 1)) - int(np.ceil(every * B_ / 2)) - 1


def _held_unit(worth: Floats, decay: Floats, x: float, B_: float, every: int) -> Floats:
    """(H,) as `_state_unit`, of heads that are written every so many frames: what one holds fades by a frame's decay
    and grows by what the frame would write, and is never more than `held_most`."""
    one = 1 << DECAY_BITS
    # What the gain's rounding may add is taken off.
    room = held_most(every, B_) * (1 - decay / one) - x * B_ / (2 << GAIN_BITS)
    finest = worth * (2.0**GAIN_BITS * one / (HEAD_BOUND - 1))
    return np.maximum(np.maximum(one * worth * x * B_ / room, finest).max(1), FINEST_UNIT)


def _state_unit(worth: Floats, decay: Floats, x: float, B_: float) -> Floats:
    """(H,) the finest unit in which no |h| gets past STATE_MAX.

    worth  (H, 256) what one code of x times one of B_ adds to h, for each code of dt, and `decay` (H, 256)
    x, B_  the largest of such codes
    """
    one = 1 << DECAY_BITS
    # STATE_MAX * decay + |w| * B_ + half must stay below (STATE_MAX + 1) * one; B_ more for the rounding of w and gain,
    # together less than a w.
    room = (STATE_MAX + 1) * one - 1 - one // 2 - STATE_MAX * decay - B_
    # The gain, 2^16 * one * worth / unit, has 31 bits.
    finest = worth * (2.0**GAIN_BITS * one / (HEAD_BOUND - 1))
    return np.maximum(np.maximum(one * worth * x * B_ / room, finest).max(1), FINEST_UNIT)


class _Block:
    """Builds one IntegerBlock from arrays and scales by name."""

    def __init__(self, model: Mamba2Config, arrays: Arrays, scales: Mapping[str, float], index: int) -> None:
        self.model, self.name = model, f"blocks.{index}"
        self._arrays, self._scales = arrays, scales
        self.groups = np.repeat([0, 1, 2], [model.d_inner, model.d_state, model.d_state])

    def array(self, name: str) -> Floats:
        return self._arrays[f"{self.name}.{name}"].astype(np.float64)

    def unit(self, name: str) -> float:
        return self._scales[f"{self.name}.{name}"]

    def units(self, suffix: str) -> Floats:
        """(E + 2N,) units of x, B_, C."""
        return np.array([self.unit(f"{letter}{suffix}") for letter in "xBC"])[self.groups]

    def table(self, into: str, out: str) -> Floats:
        """SiLU from the codes of one activation to those of another."""
        most = CODE_ENDS[out]
        return np.clip(round_half_up(silu(FINE_CODES * self.unit(into)) / self.unit(out)), -most, most)

    def in_proj(self, norm: IntegerNorm) -> tuple[IntegerDense, Ints, int]:
        weight = self.array("in_proj.weight") * self.array("norm.weight")
        codes = np.concatenate([np.full(self.model.d_inner, self.unit("z")), self.units("_in")])
        out = np.concatenate([codes, np.full(self.model.n_heads, self.unit("dt"))])
        dense = _behind(norm, weight, np.zeros(len(weight)), out, self._bits("in_proj"))
        count = len(codes)
        bits = dense.grid.mult_bits
        mult, shift = row_ratios(dense.scale[:count] / codes, bits)
        dt_mult, dt_shift = row_ratios(dense.scale[count:] / self.unit("dt"), bits)
        return replace(dense, mult=mult, shift=shift), dt_mult, dt_shift

    def conv(self) -> IntegerDense:
        unit, bias = self.units("_in"), self.array("conv.bias")
        weight, codes = self.array("conv.weight") * unit[:, None], Codes(-FINE_MAX, FINE_MAX)
        return dense_layer(weight, bias, codes, 1.0, self.units("_pre"), D_CONV, 8)

    def out_proj(self, norm: IntegerNorm, residual: float) -> IntegerDense:
        weight = self.array("out_proj.weight") * self.array("gated_norm.weight")
        return _behind(norm, weight, np.zeros(len(weight)), residual, self._bits("out_proj"))

    def _bits(self, layer: str) -> int:
        return self.model.bits.get(f"{self.name}.{layer}", 8)

    def dt(self) -> Floats:
        """(H, 256) step size of every code."""
        return np.logaddexp(0, DT_CODES * self.unit("dt") + self.array("dt_bias")[:, None])

    def state(self, x: float, B_: float, C: float) -> tuple[Floats, Floats, Floats]:
        """(decay, gain, unit of h) when |x| and |B_| are at most so many codes, and |C| adds up to at most so many."""
        dt, one = self.dt(), 1 << DECAY_BITS
        rate = np.exp(np.minimum(self.array("A_log"), EXP_MAX))
        decay = np.minimum(round_half_up(one * np.exp(-dt * rate[:, None])), one - 1)
        worth = dt * self.unit("x") * self.unit("B")
        # What x adds to y directly, in units of h times those of C, and what the states leave for it.
        direct = np.abs(self.array("D")) * self.unit("x") / self.unit("C") * max(x, 1)
        room = HEAD_BOUND - 1 - STATE_MAX * C - max(x, 1)
        every = self.model.write_every
        if every:
            room -= C + every * max(x, 1) + 1
            finest = _held_unit(worth, decay, x, B_, every)
        else:
            finest = _state_unit(worth, decay, x, B_)
        unit = np.maximum(finest, direct / room)
        return decay, round_half_up(2.0**GAIN_BITS * one * worth / unit[:, None]), unit

    def build(self, residual: float) -> IntegerBlock:
        model = self.model
        v_unit = self.unit("y") * self.unit("gate") * 2**GATE_SHIFT
        norm, gated_norm = _norm(model.d_model, residual), _norm(model.d_inner, v_unit)
        in_proj, dt_mult, dt_shift = self.in_proj(norm)
        tables = np.stack([self.table(f"{letter}_pre", letter) for letter in "xBC"])
        x, B_, C = (float(most) for most in np.abs(tables).max(1))
        decay, gain, h_unit = self.state(x, B_, C * model.d_state)
        y_unit = h_unit * self.unit("C")
        skip = round_half_up(self.array("D") * self.unit("x") / y_unit)
        y_mult, y_shift = row_ratios(np.repeat(y_unit, model.headdim) / self.unit("y"), Y_MULT_BITS)
        return IntegerBlock(
            norm, in_proj, dt_mult, dt_shift, self.conv(), tables,
            self.table("z", "gate"), decay, gain, skip, y_mult, y_shift,
            gated_norm, self.out_proj(gated_norm, residual), h_unit, y_unit,
        )  # fmt: skip


def integer_mamba2(model: Mamba2Config, arrays: Arrays, scales: Mapping[str, float]) -> IntegerMamba2:
    """Integers of a Mamba2.

    arrays  its parameters and `gain`, by dotted name, float32
    scales  units by name (shapes.scale_names); those that `usable_scales` finds too fine count as what it makes of them
    """
    scales = usable_scales(model, scales)
    residual = scales["residual"]
    entered = first_layer(model.world, arrays, residual, model.bits.get("layer1", 8))
    blocks = [_Block(model, arrays, scales, i).build(residual) for i in range(model.n_layers)]
    weight = arrays["heads.weight"].astype(np.float64) * arrays["norm.weight"].astype(np.float64)
    bias, bits = arrays["heads.bias"].astype(np.float64), model.bits.get("heads", 8)
    norm = _norm(model.d_model, residual)
    heads = _behind(norm, weight, bias, 2.0**-FRAC_BITS, bits, HEAD_MOST)
    return IntegerMamba2(*entered, tuple(blocks), norm, heads)
