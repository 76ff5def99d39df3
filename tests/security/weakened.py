"""A program whose checks can be switched off, one error at a time, to see what harm each of them keeps away.

Every check of the program goes through `require`. The weakened one looks its error up in a list before it fails. The
list is a static of the built file, so switching a check off is a matter of a few bytes and no other build.
"""

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from wm_export.schema.program_errors import ERRORS, FIRST_ERROR

#: Marks the list in the built file.
MAGIC = 0x57_4D_51_5F_57_45_41_4B
SLOTS = 15
FEATURE = "weakened"

#: Errors of the runtime that the program's checks use, as a ProgramError's number.
RUNTIME_ERRORS = {
    "InvalidInstructionData": 3,
    "MissingRequiredSignature": 8,
    "NotEnoughAccountKeys": 11,
    "InvalidAccountOwner": 23,
    "Immutable": 25,
}

# The mark is read like the rest: what nobody reads, the compiler leaves out.
_REQUIRE = f"""
#[used]
#[no_mangle]
pub static SWITCHES: [u64; {1 + SLOTS}] = [{MAGIC:#x}{", 0" * SLOTS}];

#[inline(never)]
fn switched_off(code: u64) -> bool {{
    let mut found = false;
    for slot in &SWITCHES {{
        // SAFETY: a u64 of a static.
        found |= code == unsafe {{ core::ptr::read_volatile(slot) }};
    }}
    found
}}

pub fn require(holds: bool, error: impl Into<ProgramError>) -> ProgramResult {{
    if holds {{
        return Ok(());
    }}
    let error = error.into();
    if switched_off(u64::from(error.clone())) {{
        return Ok(());
    }}
    Err(error)
}}
"""


def code(error: str) -> int:
    """The number of an error, by the name that the program or the runtime gives it."""
    if error in RUNTIME_ERRORS:
        return RUNTIME_ERRORS[error] << 32
    return FIRST_ERROR + list(ERRORS).index(error)


def weaken(crate: Path) -> None:
    """Replace `require` in the sources of a program crate, which is then built with `FEATURE`.

    All builds share one target folder: without a feature of its own, cargo could take this crate for the true one.
    """
    manifest = crate / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("[features]\n", f"[features]\n{FEATURE} = []\n"))
    path = crate / "src" / "error.rs"
    text, found = re.subn(
        r"#\[inline\(always\)\]\npub fn require\(.*?\n}\n", lambda _: _REQUIRE, path.read_text(), flags=re.S
    )
    assert found == 1, "error.rs has no `require` that this knows"
    path.write_text(text)


def switch_off(program: bytes, errors: Iterable[str]) -> bytes:
    """The weakened program with the checks of these errors switched off."""
    codes = [code(error) for error in errors]
    magic = struct.pack("<Q", MAGIC)
    assert program.count(magic) == 1 and len(codes) <= SLOTS
    at = program.index(magic) + 8
    return program[:at] + struct.pack(f"<{len(codes)}Q", *codes) + program[at + 8 * len(codes) :]
