"""The integer Mamba-2 as a torch module: integer values forward, straight-through gradients back.

Every tensor between two roundings holds the very integers of integer_mamba2.py, as floats that hold them exactly:
float32 below 2^24, float64 where products or states are larger. A rounding passes the gradient of what it rounds. Only
the recurrence is computed twice: in integers for its value, and as the float scan for its gradient.
"""

from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wm_train.config import Mamba2Config
from wm_train.grid.arithmetic import CODE_MAX, FRAC_BITS, Floats, Ints
from wm_train.grid.integer_mamba2 import (
    CODE_ENDS,
    DECAY_BITS,
    FINE_MAX,
    GAIN_BITS,
    GATE_SHIFT,
    NORM_MANTISSAS,
    NORM_UNIT,
    STATE_MAX,
    WIDE_MAX,
    IntegerBlock,
    IntegerMamba2,
    IntegerNorm,
    integer_mamba2,
    usable_scales,
)
from wm_train.grid.integer_mlp import IntegerDense
from wm_train.nets.chunked_scan import Kept, chunk_of, chunked_scan
from wm_train.nets.grid_linear import bits_of
from wm_train.nets.mamba2 import Block, Mamba2, Memory, causal_conv, scan
from wm_train.nets.matmul import exact_matmul, gradient_product
from wm_train.nets.network import to_arrays
from wm_train.nets.observers import Observer
from wm_train.nets.qat import Input, exact_dtype, starts
from wm_train.shapes import BLOCK_SCALES

__all__ = ["QuantizedMamba2", "calibrate", "gated"]

#: Lanes whose states are worked on at once.
SCAN_LANES = 8
#: float64 has the powers of two from minus this to this.
MOST_POWER = 1000


def _f32(values: Floats) -> Tensor:
    return torch.as_tensor(values.astype(np.float32))


def _f64(values: Floats | Ints) -> Tensor:
    return torch.as_tensor(values.astype(np.float64))


class _As(torch.autograd.Function):
    """The value of `exact`, the gradient of `approximate`."""

    @staticmethod
    def forward(ctx: Any, exact: Tensor, approximate: Tensor) -> Tensor:
        ctx.dtype = approximate.dtype
        return exact

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0].to(ctx.dtype)


def _as(exact: Tensor, approximate: Tensor) -> Tensor:
    out: Tensor = _As.apply(exact, approximate)
    return out


class _Requantize(torch.autograd.Function):
    """The tie rule on integers held in floats, |acc * mult| < 2^53, kept inside +-most; the gradient of acc * mult /
    2^shift where it is not cut off."""

    @staticmethod
    def forward(ctx: Any, acc: Tensor, mult: Tensor, shift: int, most: float) -> Tensor:
        # Powers of two are exact, so they may come first; and float32 holds what an end lets through, and what
        # it cuts off stays beyond the end.
        factor = mult * 2.0**-shift
        whole = acc.double().mul_(factor).add_(0.5).floor_().float()
        out = whole.clamp(-most, most)
        ctx.save_for_backward(out == whole, factor.float())
        ctx.dtype = acc.dtype
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inside, factor = ctx.saved_tensors
        return (gradients[0] * inside * factor).to(ctx.dtype), None, None, None


def _requantize(acc: Tensor, mult: Ints, shift: int, most: float) -> Tensor:
    out: Tensor = _Requantize.apply(acc, _f64(mult), shift, most)
    return out


class _Product(torch.autograd.Function):
    """codes (B, L, K) times rows (N, K), exact in `dtype`: codes behind a norm are too wide for bfloat16, which does
    for their gradients."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(codes, rows)
        with exact_matmul():
            return F.linear(codes.to(dtype), rows.to(dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        codes, rows = ctx.saved_tensors
        gradient = gradients[0].to(codes.dtype)
        flat = gradient.flatten(0, 1)
        to_codes = gradient_product(flat, rows).view_as(codes)
        return to_codes, gradient_product(flat.T, codes.flatten(0, 1)), None


def _linear(codes: Tensor, layer: IntegerDense, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Accumulators of a layer behind a norm; `weight` is the float weight, gain included."""
    scale = _f32(layer.scale)
    rows = _as(_f32(layer.rows), weight * (NORM_UNIT / scale)[:, None])
    acc: Tensor = _Product.apply(codes, rows, exact_dtype(layer.grid))
    return acc if bias is None else acc + _as(torch.as_tensor(layer.bias).to(acc.dtype), bias / scale)


@cache
def _powers(device: torch.device) -> Tensor:
    """(2 MOST_POWER + 1,) powers of two, float64."""
    return torch.as_tensor(np.ldexp(1.0, np.arange(-MOST_POWER, MOST_POWER + 1)), device=device)


def _power_of_two(e: Tensor) -> Tensor:
    """2^e in float64, |e| <= MOST_POWER: looked up, as what a device makes of `pow` may be off in the last bit."""
    return _powers(e.device)[e.long() + MOST_POWER]


def _rms_codes(values: Tensor, norm: IntegerNorm) -> Tensor:
    """Codes of the RMS norm over the last dimension."""
    with torch.no_grad():
        wide = values.double()
        total = wide.square().sum(-1, keepdim=True).add_(norm.eps)
        # 2^(bits - 1) <= total < 2^bits
        bits = torch.frexp(total).exponent
        e = torch.div(bits - 9, 2, rounding_mode="floor") * 2
        mantissa = (total * _power_of_two(-e)).floor_().long()
        shift = e // 2 + norm.shift
        scaled = wide * _f64(norm.table)[mantissa - NORM_MANTISSAS[0]]
        exact = (scaled + _power_of_two(shift - 1)).mul_(_power_of_two(-shift)).floor_().float()
    eps = norm.eps / values.shape[-1]
    return _as(exact, F.rms_norm(values, values.shape[-1:], eps=eps) / NORM_UNIT)


def gated(y: Tensor, gate: Tensor) -> Tensor:
    """v of wide integers y and codes of the gate: their products have 32 bits, more than float32 holds."""
    return _requantize(y.double() * gate, np.ones(1, np.int64), GATE_SHIFT, torch.inf)


def _silu_codes(codes: Tensor, table: Tensor, unit_in: float, unit_out: float) -> Tensor:
    place = (codes.detach() + (FINE_MAX + 1)).int()
    exact = table.index_select(0, place.flatten()).view_as(codes)
    return _as(exact, F.silu(codes * unit_in) / unit_out)


@torch.no_grad()
def exact_scan(
    x: Tensor, dt: Tensor, B_: Tensor, C: Tensor, ints: IntegerBlock, h: Tensor, reset: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence in integers, frame after frame, all in float64; a few lanes at a time, whose states stay in cache.

    x (B, L, H, P), B_, C (B, L, N), dt (B, L, H) codes; h (B, H, P, N)
    returns the accumulators of y (B, L, H, P), and h
    """
    index, heads = dt.long() + CODE_MAX + 1, torch.arange(dt.shape[-1])
    # Powers of two are exact, and multiplying by them beforehand saves a pass over the states.
    decay = _f64(ints.decay * 2.0**-DECAY_BITS)[heads, index][..., None].expand_as(x)
    written = x.double().mul_(_f64(ints.gain * 2.0**-GAIN_BITS)[heads, index][..., None])
    written.add_(0.5).floor_().mul_(2.0**-DECAY_BITS)
    decay, written = (part.flatten(2)[..., None] for part in (decay, written))
    B_, C, h = B_.double()[:, :, None], C.double()[..., None], h.flatten(1, 2).clone()
    y = torch.empty_like(written)
    for first in range(0, len(x), SCAN_LANES):
        lanes = slice(first, first + SCAN_LANES)
        state, borders = h[lanes], reset[lanes].any(0).tolist()
        for t in range(x.shape[1]):
            if borders[t]:
                state[reset[lanes, t]] = 0
            state.mul_(decay[lanes, t]).addcmul_(written[lanes, t], B_[lanes, t]).add_(0.5).floor_()
            y[lanes, t] = state @ C[lanes, t]
    return y.view_as(x) + x.double() * _f64(ints.skip)[:, None], h.unflatten(1, x.shape[2:])


class QuantizedMamba2(nn.Module):
    """A Mamba2 seen through the grid; door.py makes it.

    scales  units by name; made by `calibrate`, kept in the checkpoint
    """

    def __init__(self, net: Mamba2, scales: dict[str, float]) -> None:
        super().__init__()
        self.net, self.scales = net, scales
        places = list(net.world.encoding.dense_fields())
        self.worth = _f32(np.array([field.scale * field.step for _, _, field in places]))
        encoding = net.world.encoding
        self.id_starts = starts([f for _, _, f in encoding.id_fields()])
        self.session_starts = starts([f for _, f in encoding.session_fields()])
        self._frozen: IntegerMamba2 | None = None

    @cached_property
    def _config(self) -> Mamba2Config:
        """The network's, with the bits that its layers were prepared for."""
        return replace(self.net.config, bits=bits_of(self.net))

    def _integers(self) -> IntegerMamba2:
        return integer_mamba2(self._config, to_arrays(self.net), self.scales)

    def freeze(self) -> "QuantizedMamba2":
        """Keep the integers of the present parameters: for evaluation, where they do not change."""
        self._frozen = self._integers()
        return self

    def present(self) -> "QuantizedMamba2":
        """A twin that keeps the integers of the present parameters, for the passes of one training step."""
        return QuantizedMamba2(self.net, self.scales).freeze()

    def start(self, lanes: int) -> list[Memory]:
        """Memory of worlds that have seen nothing: codes, and h in its real unit; or, where heads are written now and
        then, all that is kept of a layer's recurrence (chunked.py), states and gains in units of h."""
        chunk = chunk_of(self.net.config)
        began = self.net.start(lanes)
        if chunk:
            return [Memory(conv, torch.zeros(lanes, chunk.size, device=h.device).double()) for conv, h in began]
        return [Memory(conv, h.double()) for conv, h in began]

    def _accumulators(
        self, codes: Tensor, ids: Tensor, session: Tensor, memory: list[Memory], reset: Tensor, ints: IntegerMamba2
    ) -> tuple[Tensor, list[Memory]]:
        net, unit = self.net, usable_scales(self.net.config, self.scales)["residual"]
        with torch.no_grad():
            rows = (ids + self.id_starts).flatten(0, 1), (session + self.session_starts).flatten(0, 1)
            acc = Input.of(ints, rows[0]).accumulate(codes.flatten(0, 1), *rows).unflatten(0, codes.shape[:2])
            exact = _requantize(acc, ints.layer1.mult, ints.layer1.shift, WIDE_MAX)
        u, after = _as(exact, net.entered(codes * self.worth, ids, session) / unit), []
        for i, block in enumerate(net.blocks):
            assert isinstance(block, Block)
            own = {name: self.scales[f"blocks.{i}.{name}"] for name in BLOCK_SCALES}
            u, now = _block(block, ints.blocks[i], own, u, memory[i], reset)
            after.append(now)
        n = _rms_codes(u, ints.norm)
        return _linear(n, ints.heads, net.heads.weight * net.norm.weight, net.heads.bias), after

    def forward(
        self, codes: Tensor, ids: Tensor, session: Tensor, memory: list[Memory], reset: Tensor
    ) -> tuple[Tensor, list[Memory]]:
        """Heads (B, L, outputs) float32 in their own units, on the grid, and the memory; arguments as Mamba2.forward,
        with INT8 codes for the dense columns."""
        ints = self._frozen or self._integers()
        acc, after = self._accumulators(codes, ids, session, memory, reset, ints)
        return _requantize(acc, ints.heads.mult, ints.heads.shift, torch.inf) * 2.0**-FRAC_BITS, after

    @torch.no_grad()
    def heads(
        self, codes: Tensor, ids: Tensor, session: Tensor, memory: list[Memory], reset: Tensor
    ) -> tuple[Tensor, list[Memory]]:
        """Integer heads in float64, FRAC_BITS fractional bits: what the QNet computes; and the memory."""
        ints = self._frozen or self._integers()
        acc, after = self._accumulators(codes, ids, session, memory, reset, ints)
        exact = acc.double() * _f64(ints.heads.mult) + 2.0 ** (ints.heads.shift - 1)
        return (exact * 2.0**-ints.heads.shift).floor(), after


def _block(
    block: Block, ints: IntegerBlock, unit: dict[str, float], u: Tensor, memory: Memory, reset: Tensor
) -> tuple[Tensor, Memory]:
    """One block on the residual stream u (B, L, D) of wide integers."""
    c = block.config
    n = _rms_codes(u, ints.norm)
    acc = _linear(n, ints.in_proj, block.in_proj.weight * block.norm.weight)
    entered, dt = acc[..., : -c.n_heads], acc[..., -c.n_heads :]
    entered = _requantize(entered, ints.in_proj.mult, ints.in_proj.shift, FINE_MAX)
    dt = _requantize(dt, ints.dt_mult, ints.dt_shift, CODE_MAX)
    z, xBC = entered[..., : c.d_inner], entered[..., c.d_inner :]
    pre, conv = _conv(block, ints.conv, unit, xBC, memory.conv, reset)
    tables = _f32(ints.silu)
    x, B_, C = (
        _silu_codes(part, table, unit[f"{name}_pre"], unit[name])
        for name, part, table in zip("xBC", pre.split([c.d_inner, c.d_state, c.d_state], -1), tables, strict=True)
    )
    y, h = _ssm(block, ints, unit, x.unflatten(-1, (c.n_heads, c.headdim)), dt, B_, C, memory.h, reset)
    wide = _requantize(y.flatten(2), ints.y_mult, ints.y_shift, WIDE_MAX)
    gate = _silu_codes(z, _f32(ints.gate), unit["z"], unit["gate"])
    out = _rms_codes(gated(wide, gate), ints.gated_norm)
    acc = _linear(out, ints.out_proj, block.out_proj.weight * block.gated_norm.weight)
    added = _requantize(acc, ints.out_proj.mult, ints.out_proj.shift, torch.inf)
    return (u + added).clamp(-WIDE_MAX, WIDE_MAX), Memory(conv, h)


def _conv(
    block: Block, layer: IntegerDense, unit: dict[str, float], xBC: Tensor, before: Tensor, reset: Tensor
) -> tuple[Tensor, Tensor]:
    """Codes before SiLU, and the convolution's memory of codes."""
    c = block.config
    units = torch.tensor([unit[f"{name}_in"] for name in "xBC"]).repeat_interleave(
        torch.tensor([c.d_inner, c.d_state, c.d_state])
    )
    scale = _f32(layer.scale)
    rows = _as(_f32(layer.rows), block.conv["weight"] * (units / scale)[:, None])
    bias = _as(_f32(layer.bias), block.conv["bias"] / scale)
    acc, conv = causal_conv(xBC, rows, bias, before, reset)
    return _requantize(acc, layer.mult, layer.shift, FINE_MAX), conv.detach()


def _ssm(
    block: Block, ints: IntegerBlock, unit: dict[str, float], x: Tensor, dt: Tensor, B_: Tensor, C: Tensor,
    h: Tensor, reset: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Accumulators of y (B, L, H, P) in float64, and what is kept, h in its real unit."""
    chunk, h_unit = chunk_of(block.config), _f64(ints.h_unit)
    if chunk:
        kept = Kept.of(chunk, h, h_unit)
        h = kept.states(h_unit)
        exact, after = chunked_scan(x, dt, B_, C, ints, kept, reset), kept.vector(h_unit)
    else:
        worth = h_unit[:, None, None]
        whole = torch.floor(h / worth + 0.5).clamp(-STATE_MAX, STATE_MAX)
        exact, after = exact_scan(x, dt, B_, C, ints, whole, reset)
        after = after * worth
    size = F.softplus(dt * unit["dt"] + block.dt_bias)
    real, _ = scan(
        x * unit["x"], size, -torch.exp(block.A_log), B_ * unit["B"], C * unit["C"], block.D, h.float(), reset
    )
    return _as(exact, real / _f32(ints.y_unit)[:, None]), after


@torch.no_grad()
def calibrate(
    net: Mamba2, dense: Tensor, ids: Tensor, session: Tensor, reset: Tensor, observe: Observer
) -> dict[str, float]:
    """Units by name from a stretch of training frames (B, L, ·): of codes as the observer finds them; of wide integers
    so that twice what was seen fits."""
    seen: dict[str, Tensor] = {}
    net(dense, ids, session, net.start(len(dense)), reset, seen)
    wide = {name for name in seen if name == "residual" or name.endswith(".y")}
    units = {
        name: 2 * float(values.abs().max()) / WIDE_MAX
        if name in wide
        else observe(name, values, CODE_ENDS[name.rpartition(".")[2]])
        for name, values in seen.items()
    }
    return usable_scales(net.config, units)
