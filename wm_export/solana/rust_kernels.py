"""`kernels.rs` and `asm/*.s`: the kernels that a generated crate calls, declared and listed."""

from collections.abc import Sequence

from wm_export.lower.asm.listing import Kernel
from wm_export.solana.rust_text import fill

BANNER = "# Machine-written by wm_export/solana/rust_kernels.py (wmq export); do not edit."


def declaration(kernel: Kernel) -> str:
    """The kernel as an item of a generated crate."""
    head = f"/// {kernel.about}\n    {kernel.name}{kernel.signature}"
    return f"wmq_kernels::kernel! {{\n    {head}\n        = wmq_kernels::{kernel.twin}\n}}"


def kernel_sources(kernels: Sequence[Kernel]) -> dict[str, str]:
    """Path inside the crate -> text: the declarations, and the assembly of each kernel."""
    declared = fill("kernels.rs", {"kernels": "\n\n".join(map(declaration, kernels))})
    return {"src/kernels.rs": declared} | {f"asm/{k.name}.s": f"{BANNER}\n{k.text}" for k in kernels}
