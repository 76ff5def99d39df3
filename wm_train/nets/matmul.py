"""Which arithmetic torch multiplies matrices in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
    has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has else torch.float32
