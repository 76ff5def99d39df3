"""A built program says whom to tell of a fault, in the form that explorers look for: security.txt, version 1."""

import struct
import tomllib

from tests.wm_export.conftest import Built
from wm_export.solana.sources import ONCHAIN

BEGIN, END = b"=======BEGIN SECURITY.TXT V1=======\0", b"=======END SECURITY.TXT V1=======\0"
NEEDED = {"name", "project_url", "contacts", "policy"}
OPTIONAL = {"preferred_languages", "source_code", "source_release", "source_revision", "encryption", "auditors"}
CONTACTS = {"email", "link", "discord", "telegram", "twitter", "other"}
LOAD = 1  # type of a segment that the loader maps


def security_txt(elf: bytes) -> dict[str, str]:
    """Names and values, as a tool finds them that reads the whole file."""
    assert (elf.count(BEGIN), elf.count(END)) == (1, 1)
    words = elf[elf.index(BEGIN) + len(BEGIN) : elf.index(END)].decode().split("\0")
    assert words.pop() == "" and len(words) % 2 == 0
    names, values = words[::2], words[1::2]
    assert len(set(names)) == len(names)
    return dict(zip(names, values, strict=True))


def loaded(elf: bytes) -> list[range]:
    """Bytes of an ELF file that its segments load."""
    start, size, count = struct.unpack_from("<32xQ14xHH", elf)
    headers = (struct.unpack_from("<IIQQQQ", elf, start + i * size) for i in range(count))
    return [range(offset, offset + length) for kind, _, offset, _, _, length in headers if kind == LOAD]


def test_a_program_says_whom_to_tell_of_a_fault(small: Built) -> None:
    elf = small.export.program.read_bytes()
    text = security_txt(elf)
    assert NEEDED <= text.keys() <= NEEDED | OPTIONAL
    assert all(text.values())
    kinds = {contact.partition(":")[0].strip() for contact in text["contacts"].split(",")}
    assert kinds <= CONTACTS and "SECURITY.md" in text["policy"]
    version = tomllib.loads((ONCHAIN / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert text["source_release"] == version
    # What a chain keeps of a file is the whole of it; what is not loaded a tool that rewrites the file could drop.
    assert any(elf.index(BEGIN) in part and elf.index(END) + len(END) - 1 in part for part in loaded(elf))
