"""Every kernel by name."""

from collections.abc import Mapping

from wm_export.lower.asm.argmax_asm import argmax_family
from wm_export.lower.asm.chunked_asm import chunked_family, chunked_named
from wm_export.lower.asm.conv_asm import conv_family, conv_lut_family, conv_lut_named
from wm_export.lower.asm.gate_asm import gate_family, gated_norm_family, gated_norm_named
from wm_export.lower.asm.gather_asm import gather_family
from wm_export.lower.asm.listing import Kernel
from wm_export.lower.asm.matvec_asm import matvec_family, matvec_named
from wm_export.lower.asm.norm_asm import norm_family
from wm_export.lower.asm.requantize_asm import requantize_family
from wm_export.lower.asm.ssm_asm import ssm_family, ssm_named
from wm_export.lower.asm.straight_asm import straight_family, straight_named
from wm_export.lower.asm.table_asm import table_family

FAMILIES = (
    matvec_family(),
    straight_family(),
    gather_family(),
    requantize_family(),
    norm_family(),
    conv_family(),
    conv_lut_family(),
    ssm_family(),
    chunked_family(),
    table_family(),
    gate_family(),
    gated_norm_family(),
    argmax_family(),
)
#: Those whose compute units are committed.
KERNELS: Mapping[str, Kernel] = {kernel.name: kernel for family in FAMILIES for kernel in family.kernels}


def kernel_named(name: str) -> Kernel:
    """The kernel of this name, KeyError if there is none: of KERNELS, or one like those in there: a matvec, a
    convolution, a gate, or a recurrence."""
    if name in KERNELS:
        return KERNELS[name]
    families = {"ssm_chunked": chunked_named, "ssm": ssm_named}
    families |= {"conv_lut": conv_lut_named, "gated_norm": gated_norm_named}
    matvec = straight_named if "of" in name else matvec_named
    return next((named for start, named in families.items() if name.startswith(start)), matvec)(name)
