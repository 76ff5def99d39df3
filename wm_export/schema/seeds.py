"""Addresses: those of the platform, and those that are derived from seeds (PDAs)."""

from collections.abc import Mapping
from dataclasses import dataclass

SYSTEM_PROGRAM = "11111111111111111111111111111111"
#: DLP, the delegation program, on the base chain.
DELEGATION_PROGRAM = "DELeGGvXpWV2fqJUhqcF5ZSYMS4JTLjteaAMARRSaeSh"
#: The rollup's own program, its context, and the vault that holds the rent of ephemeral accounts.
MAGIC_PROGRAM = "Magic11111111111111111111111111111111111111"
MAGIC_CONTEXT = "MagicContext1111111111111111111111111111111"
EPHEMERAL_VAULT = "MagicVau1t999999999999999999999999999999999"

#: Accounts of instructions that are the same in each: by name.
FIXED: Mapping[str, str] = {
    "system_program": SYSTEM_PROGRAM,
    "delegation_program": DELEGATION_PROGRAM,
    "magic_program": MAGIC_PROGRAM,
    "magic_context": MAGIC_CONTEXT,
    "vault": EPHEMERAL_VAULT,
}


@dataclass(frozen=True)
class Derived:
    """An address from seeds: `label` as text, then `accounts` and `hashes` (32 bytes each) and `numbers` (u64 each) by
    name.

    program   in FIXED, of the program that it is derived by; empty for this one
    """

    label: str
    accounts: tuple[str, ...]
    hashes: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    program: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Of everything behind the label, in order."""
        return self.accounts + self.hashes + self.numbers

    def seeds(self, *raw: bytes, numbers: tuple[int, ...] = ()) -> list[bytes]:
        """The seeds of one, without its bump; `raw` are accounts, then hashes."""
        assert (len(raw), len(numbers)) == (len(self.accounts + self.hashes), len(self.numbers))
        return [self.label.encode(), *raw, *(number.to_bytes(8, "little") for number in numbers)]


#: By the name that the account has in instructions.
DERIVED: Mapping[str, Derived] = {
    "session": Derived("session", ("model", "creator"), hashes=("terms",)),
    "scratch": Derived("scratch", ("session",), numbers=("nonce",)),
    "pin": Derived("pin", ("session", "pinner"), hashes=("root",)),
    "buffer": Derived("buffer", ("session",)),
    "record": Derived("delegation", ("session",), program="delegation_program"),
    "metadata": Derived("delegation-metadata", ("session",), program="delegation_program"),
    "undelegate_buffer": Derived("undelegate-buffer", ("session",), program="delegation_program"),
}
