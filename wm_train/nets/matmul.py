"""Which arithmetic torch multiplies matrices in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wm_train.nets.device import CPU, CUDA


def use_fast_matmul(threads: int) -> None:
    """Training may multiply in bfloat16 where the processor has it: INT8 values are exact there, sums stay float32."""
    torch.set_num_threads(threads)
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]


def use_exact_matmul() -> None:
    """Evaluation multiplies in plain float32 on every device, exact for integers below 2^24."""
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]
    use_tensor_cores(exact=True)


@contextmanager
def exact_matmul() -> Iterator[None]:
    """Plain float32 for a while, where integers are multiplied that bfloat16 does not hold."""
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before  # type: ignore[attr-defined]


def use_tensor_cores(exact: bool) -> None:
    """On CUDA training in float multiplies in TF32; integers stay in float32, which holds them below 2^24."""
    torch.backends.cuda.matmul.fp32_precision = "ieee" if exact else "tf32"


def training_dtype() -> torch.dtype:
    """What layers of which only gradients matter, or whose values may be rounded, compute in: half the memory to move,
    where the device multiplies bfloat16 itself."""
    if (kind := torch.get_default_device().type) != CPU:
        return torch.bfloat16 if kind == CUDA and torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if _multiplies_bfloat16() else torch.float32


@cache
def _multiplies_bfloat16() -> bool:
    """Whether this processor does."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def gradient_product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in float32, of float32 matrices of which one is a gradient. Where the processor multiplies bfloat16 and
    training may (`use_fast_matmul`), both are made so: half the time of having float32 multiplied as bfloat16."""
    fast = a.is_cpu and torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
    return (a.bfloat16() @ b.bfloat16()).float() if fast and _multiplies_bfloat16() else a @ b


class _Linear(torch.autograd.Function):
    """A linear layer with the gradients of `gradient_product`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        flat, needs = gradient.flatten(0, -2), ctx.needs_input_grad
        to_x = gradient_product(flat, weight).view_as(x) if needs[0] else None
        return to_x, gradient_product(flat.T, x.flatten(0, -2)), flat.sum(0) if needs[2] else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., K) times weight (N, K), and bias (N,), float32."""
    out: Tensor = _Linear.apply(x, weight, bias)
    return out
