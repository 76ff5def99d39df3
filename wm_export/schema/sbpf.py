"""Versions of sBPF, the instruction set of Solana's programs: which one a program is in, and which ones wmq builds."""

import struct
from enum import StrEnum

from wm_export.errors import WmExportError

_MAGIC = b"\x7fELF\x02\x01"
#: Where an ELF file of 64 bits has its flags, a u32: sBPF's version.
_FLAGS_AT = 48


class Arch(StrEnum):
    """A version of sBPF that programs are built for."""

    V3 = "v3"
    V0 = "v0"


#: What is built unless somebody says otherwise.
DEFAULT_ARCH = Arch.V3
#: Solana's features that say which versions new programs may be in: each allows one, and the last (SIMD-0500) forbids
#: all but v3. v0 needs none. A program that is there already runs on.
ONLY_V3 = "only v3"
FEATURES = {
    "v1": "JE86WkYvTrzW8HgNmrHY7dFYpCmSptUpKupbo2AdQ9cG",
    "v2": "F6UVKh1ujTEFK3en2SyAL3cdVnqko1FVEXWhmdLRu6WP",
    "v3": "5cC3foj77CWun58pC51ebHFUWavHWKarWyR5UUik7dnC",
    ONLY_V3: "B8JJXCy5amZyWG9r7EnUYLwzXSXTxG7GZ1qZ1qggo83g",
}


def version_of(elf: bytes) -> str:
    """The version of sBPF that a program is in, as v0; WmExportError if it is no program."""
    if not elf.startswith(_MAGIC) or len(elf) < _FLAGS_AT + 4:
        raise WmExportError(f"expected a program, an ELF file, got {len(elf):,} bytes that begin with {elf[:4].hex()}")
    return f"v{struct.unpack_from('<I', elf, _FLAGS_AT)[0]}"


def arch_of(elf: bytes) -> Arch | None:
    """The version that a program is in, None if wmq builds no such program."""
    try:
        return Arch(version_of(elf))
    except (ValueError, WmExportError):
        return None
