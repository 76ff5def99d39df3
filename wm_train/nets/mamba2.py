"""Mamba-2: one frame in, the heads of the next frame out, and a state that remembers the rest of the game.

The block is that of arXiv 2405.21060; letters are the paper's.

Glossary
    B       lanes (worlds) of a batch                   L   frames of a chunk, one after the other
    D       d_model, width of the residual stream       E   d_inner = expand * d_model
    H       heads, each with one decay                  P   headdim: E = H * P
    N       d_state: cells that each channel remembers
    z       gate (B, L, E)                              x   what enters the state (B, L, H, P)
    B_, C   how x is written to the cells and read from them (B, L, N), shared by all heads
    dt      step size per head (B, L, H) > 0            A   decay per head (H) < 0
    h       state (B, H, P, N)                          D_  skip per head (H)

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t (x) B_t        y_t = C_t h_t + D_ x_t

`reset` (B, L) marks frames that begin a game: nothing from before them reaches them.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wm_train.config import Mamba2Config
from wm_train.nets.device import widest
from wm_train.nets.network import FrameNet, Linear
from wm_train.shapes import D_CONV

NORM_EPS = 1e-5
#: Frames that `scan` works on at once: cost grows with it, and so does speed per frame, up to about here.
SCAN_CHUNK = 64
#: dt * A of a frame after which nothing is left: exp(-FORGOTTEN) is zero in float32.
FORGOTTEN = 120.0


class Memory(NamedTuple):
    """What one layer remembers: the last D_CONV - 1 inputs of its convolution (B, D_CONV - 1, E + 2N), and h."""

    conv: Tensor
    h: Tensor

    def detached(self) -> "Memory":
        """The same numbers, cut off from the past's gradients."""
        return Memory(self.conv.detach(), self.h.detach())


# ---------------------------------------------------------------------------------------------------- the recurrence


def step(x: Tensor, dt: Tensor, A: Tensor, B_: Tensor, C: Tensor, D_: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """One frame. x (B, H, P), dt (B, H), B_ and C (B, N), h (B, H, P, N) -> y (B, H, P), h."""
    h = torch.exp(dt * A)[..., None, None] * h + (dt[..., None] * x)[..., None] * B_[:, None, None, :]
    return (h * C[:, None, None, :]).sum(-1) + D_[:, None] * x, h


def scan_ref(
    x: Tensor, dt: Tensor, A: Tensor, B_: Tensor, C: Tensor, D_: Tensor, h: Tensor, reset: Tensor
) -> tuple[Tensor, Tensor]:
    """Frame after frame: what `scan` must equal. Arguments as there."""
    out = []
    for t in range(x.shape[1]):
        h = torch.where(reset[:, t, None, None, None], 0.0, h)
        y, h = step(x[:, t], dt[:, t], A, B_[:, t], C[:, t], D_, h)
        out.append(y)
    return torch.stack(out, 1), h


def scan(
    x: Tensor, dt: Tensor, A: Tensor, B_: Tensor, C: Tensor, D_: Tensor, h: Tensor, reset: Tensor,
    chunk: int = SCAN_CHUNK,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """State-space duality: matrix products within chunks, the recurrence between them.

    x (B, L, H, P), dt (B, L, H), A and D_ (H), B_ and C (B, L, N), h (B, H, P, N), reset (B, L) bool
    returns y (B, L, H, P) and h after the last frame
    """
    out = []
    for start in range(0, x.shape[1], chunk):
        part = slice(start, start + chunk)
        y, h = _scan_chunk(x[:, part], dt[:, part], A, B_[:, part], C[:, part], D_, h, reset[:, part])
        out.append(y)
    return torch.cat(out, 1) if len(out) > 1 else out[0], h


def _scan_chunk(
    x: Tensor, dt: Tensor, A: Tensor, B_: Tensor, C: Tensor, D_: Tensor, h: Tensor, reset: Tensor
) -> tuple[Tensor, Tensor]:
    """One chunk as an attention with decay, plus what the state from before still says. Factors of a frame go to what
    is narrow, so that x, which is wide, is only multiplied as a matrix; and the skip is its weight for itself."""
    lanes, frames = reset.shape
    game = reset.cumsum(1)
    # (B, H, L), log. What lies between two frames is a difference of two sums, to which each frame that forgets all, in
    # this game or one before, adds FORGOTTEN: float32 would keep little of the rest.
    decay = (dt * A).clamp(min=-FORGOTTEN).to(widest(dt.device.type)).cumsum(1).transpose(1, 2)
    apart = (decay[..., :, None] - decay[..., None, :]).to(x.dtype)
    same = (game[:, :, None] == game[:, None, :]).tril_()[:, None]
    size, skip = dt.transpose(1, 2), D_[:, None, None] * torch.eye(frames)
    weight = apart.masked_fill(~same, -torch.inf).exp() * (C @ B_.mT)[:, None] * size[..., None, :] + skip
    old = torch.where((game == 0)[:, None], decay.exp().to(x.dtype), 0.0)  # (B, H, L)
    kept = torch.where((game == game[:, -1:])[:, None], (decay[..., -1:] - decay).exp().to(x.dtype), 0.0)
    read, write = old[..., None] * C[:, None], (kept * size)[..., None] * B_[:, None]  # (B, H, L, N)
    every, before = x.transpose(1, 2).flatten(0, 1), h.flatten(0, 1)
    y = (weight.flatten(0, 1) @ every).baddbmm_(read.flatten(0, 1), before.mT)
    after = (old[..., -1, None, None] * h).flatten(0, 1).baddbmm_(every.mT, write.flatten(0, 1))
    return y.unflatten(0, (lanes, -1)).transpose(1, 2), after.unflatten(0, (lanes, -1))


class _Taps(torch.autograd.Function):
    """Sums over the taps of a convolution over `seen` (B, L + D_CONV - 1, channels); what `ours` (D_CONV, B, L, 1)
    leaves out of a tap, if it is given, is of another game. With a gradient that is written out: autograd's own takes
    three times as many passes."""

    @staticmethod
    def forward(ctx: Any, seen: Tensor, weight: Tensor, bias: Tensor, ours: Tensor | None) -> Tensor:
        taps = weight.T.contiguous()  # what is multiplied elementwise lies side by side
        ctx.save_for_backward(seen, taps, ours)
        frames = seen.shape[1] - D_CONV + 1
        out = torch.addcmul(bias, taps[-1], seen[:, D_CONV - 1 :])
        for tap in reversed(range(D_CONV - 1)):
            past = seen[:, tap : tap + frames]
            out.addcmul_(taps[tap], past if ours is None else torch.where(ours[tap], past, 0.0))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (seen, taps, ours) = gradients, ctx.saved_tensors
        frames = gradient.shape[1]
        to_seen, to_taps = torch.zeros_like(seen), torch.empty_like(taps)
        for tap in range(D_CONV):
            here, at = gradient if ours is None else gradient * ours[tap], slice(tap, tap + frames)
            to_seen[:, at].addcmul_(here, taps[tap])
            to_taps[tap] = (here * seen[:, at]).sum((0, 1))
        return to_seen, to_taps.T, gradient.sum((0, 1)), None


def causal_conv(xBC: Tensor, weight: Tensor, bias: Tensor, before: Tensor, reset: Tensor) -> tuple[Tensor, Tensor]:
    """Depthwise convolution over the last D_CONV frames of the same game.

    xBC (B, L, channels), weight (channels, D_CONV) newest tap last, before (B, D_CONV - 1, channels)
    returns the same shape as xBC, and the new `before`
    """
    seen = torch.cat([before, xBC], 1)
    last = seen[:, -(D_CONV - 1) :]
    if not reset.any():  # most chunks begin no game
        out: Tensor = _Taps.apply(seen, weight, bias, None)
        return out, last.contiguous()
    game = F.pad(reset.cumsum(1), (D_CONV - 1, 0))
    ours = torch.stack([game[:, tap : tap + reset.shape[1]] == game[:, D_CONV - 1 :] for tap in range(D_CONV)])
    out = _Taps.apply(seen, weight, bias, ours[..., None])
    return out, torch.where((game[:, -(D_CONV - 1) :] == game[:, -1:])[..., None], last, 0.0)


# ------------------------------------------------------------------------------------------------------- the network


class _Scaled(torch.autograd.Function):
    """x / rms(x) * weight, with a gradient that is written out: autograd's own takes twice as many passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        scale = x.square().mean(-1, keepdim=True).add_(NORM_EPS).rsqrt_()
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        return unit * weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,), (unit, scale, weight) = gradients, ctx.saved_tensors
        along = gradient * unit
        share = (along @ weight / len(weight))[..., None]
        to_x = torch.addcmul(gradient * weight, unit, share, value=-1).mul_(scale)
        return to_x, along.flatten(0, -2).sum(0)


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        scaled: Tensor = _Scaled.apply(x, self.weight)
        return scaled


class Block(nn.Module):
    """norm, in_proj, convolution, SSM, gated norm, out_proj; added to the residual stream."""

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.config = config
        passed, heads = config.d_conv_in, config.n_heads
        self.norm = RMSNorm(config.d_model)
        self.in_proj = Linear(config.d_model, config.d_inner + passed + heads, bias=False)
        self.conv = nn.ParameterDict(
            {"weight": torch.empty(passed, D_CONV).uniform_(-0.5, 0.5), "bias": torch.zeros(passed)}
        )
        # The paper's start: dt between 1/1000 and 1/10, A between -1 and -16.
        dt = torch.exp(torch.empty(heads).uniform_(-6.9, -2.3))
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.gated_norm = RMSNorm(config.d_inner)
        self.dropout = nn.Dropout(config.dropout)
        self.out_proj = Linear(config.d_inner, config.d_model, bias=False)

    def split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(z, xBC, dt before its bias) of what in_proj gives."""
        c = self.config
        z, xBC, dt = projected.split([c.d_inner, c.d_conv_in, c.n_heads], -1)
        return z, xBC, dt

    def split_conv(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(x (B, L, H, P), B_ (B, L, N), C (B, L, N))."""
        c = self.config
        x, B_, C = xBC.split([c.d_inner, c.d_state, c.d_state], -1)
        return x.unflatten(-1, (c.n_heads, c.headdim)), B_, C

    def forward(
        self, u: Tensor, memory: Memory, reset: Tensor, seen: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, Memory]:
        """u (B, L, D) -> the same shape, and the memory after the last frame.

        seen    takes what passes by, under the names of shapes.BLOCK_SCALES
        """
        z, xBC, dt = self.split(self.in_proj(self.norm(u)))
        pre, conv = causal_conv(xBC, self.conv["weight"], self.conv["bias"], memory.conv, reset)
        x, B_, C = self.split_conv(F.silu(pre))
        step_size = F.softplus(dt + self.dt_bias)
        y, h = scan(x, step_size, -torch.exp(self.A_log), B_, C, self.D, memory.h, reset)
        gated = y.flatten(2) * F.silu(z)
        if seen is not None:
            seen |= {"z": z, "gate": F.silu(z), "dt": dt, "x": x, "B": B_, "C": C}
            seen |= {f"{name}_in": part for name, part in zip("xBC", self.split_conv(xBC), strict=True)}
            seen |= {f"{name}_pre": part for name, part in zip("xBC", self.split_conv(pre), strict=True)}
            seen["y"] = y
        return u + self.out_proj(self.dropout(self.gated_norm(gated))), Memory(conv, h)


class Mamba2(FrameNet):
    """The float network. The inputs of the frame to be predicted enter with the frame, before the state."""

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__(config.world, config.d_model, config.d_model)
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.d_model)

    def start(self, lanes: int) -> list[Memory]:
        """Memory of worlds that have seen nothing."""
        c = self.config
        conv, h = (lanes, D_CONV - 1, c.d_conv_in), (lanes, c.n_heads, c.headdim, c.d_state)
        here = self.gain.device
        return [Memory(torch.zeros(conv, device=here), torch.zeros(h, device=here)) for _ in self.blocks]

    def entered(self, dense: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """The residual stream (B, L, D) before the first block; arguments as in `forward`."""
        flat = self.layer1(self.inputs(dense.flatten(0, 1), ids.flatten(0, 1), session.flatten(0, 1)))
        return flat.unflatten(0, dense.shape[:2])

    def forward(
        self,
        dense: Tensor,
        ids: Tensor,
        session: Tensor,
        memory: list[Memory],
        reset: Tensor,
        seen: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, list[Memory]]:
        """Heads (B, L, outputs) and the memory after the last frame.

        dense (B, L, dense_columns), ids (B, L, slot_ids), session (B, L, S), reset (B, L) bool
        seen  takes what passes by, under the names of shapes.scale_names
        """
        u = self.entered(dense, ids, session)
        after, streams = [], [u]
        for i, (block, before) in enumerate(zip(self.blocks, memory, strict=True)):
            inner: dict[str, Tensor] | None = None if seen is None else {}
            u, now = block(u, before, reset, inner)
            after.append(now)
            if seen is not None and inner is not None:
                streams.append(u)
                seen |= {f"blocks.{i}.{name}": part for name, part in inner.items()}
        if seen is not None:
            seen["residual"] = torch.stack(streams)
        return self.heads(self.norm(u)), after
