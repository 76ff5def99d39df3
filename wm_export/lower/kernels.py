"""Every kernel by name."""

from collections.abc import Mapping

from wm_export.lower.asm.argmax_asm import argmax_family
from wm_export.lower.asm.gather_asm import gather_family
from wm_export.lower.asm.listing import Kernel
from wm_export.lower.asm.matvec_asm import matvec_family
from wm_export.lower.asm.requantize_asm import requantize_family

FAMILIES = (matvec_family(), gather_family(), requantize_family(), argmax_family())
KERNELS: Mapping[str, Kernel] = {kernel.name: kernel for family in FAMILIES for kernel in family.kernels}
