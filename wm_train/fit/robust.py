"""What a wrong number costs: robust losses of a continuous head, all alike for large errors, unlike near zero.

`error` has any shape and unit; `scale` is in the same unit. Where |error| is far above `scale`, all grow like |error|,
but for `barron` with an alpha other than 1.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

#: Below it in magnitude, an alpha needs no more than the first two terms of a series.
FLAT = 1e-6
#: Steepness -> loss of one error; arguments error, scale, alpha.
Robust = Callable[[Tensor, float, float], Tensor]


def _l1(error: Tensor, scale: float, alpha: float) -> Tensor:
    return error.abs()


def _huber(error: Tensor, scale: float, alpha: float) -> Tensor:
    return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=scale)


def _charbonnier(error: Tensor, scale: float, alpha: float) -> Tensor:
    return (error.square() + scale**2).sqrt() - scale


def _barron(error: Tensor, scale: float, alpha: float) -> Tensor:
    """Barron's general loss (arXiv 1701.03077) times `scale`: alpha 2 is squared, 1 Charbonnier, 0 Cauchy, -2
    Geman-McClure."""
    half = 0.5 * (error / scale).square()
    if alpha == 2:
        return scale * half
    bend = abs(alpha - 2)
    rise = torch.log1p(2 * half / bend)
    # ((2 half / bend + 1)^(alpha / 2) - 1) / alpha: near 0 the power is 1 but for a rounding, and its series is not.
    if abs(alpha) < FLAT:
        return scale * bend * (rise / 2) * (1 + alpha / 4 * rise)
    return scale * bend / alpha * torch.expm1(alpha / 2 * rise)


ROBUST: Mapping[str, Robust] = {"l1": _l1, "huber": _huber, "charbonnier": _charbonnier, "barron": _barron}
