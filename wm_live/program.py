"""Instructions of a world program, by name, from the one table that its IDL is made of."""

from typing import Any

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from wm_export.idl import INSTRUCTIONS, encode
from wm_live.addresses import DELEGATION_PROGRAM, EPHEMERAL_VAULT, MAGIC_CONTEXT, MAGIC_PROGRAM, SYSTEM_PROGRAM
from wm_live.errors import WmLiveError

#: Accounts that are the same in every instruction.
_FIXED = {
    "system_program": SYSTEM_PROGRAM,
    "delegation_program": DELEGATION_PROGRAM,
    "magic_program": MAGIC_PROGRAM,
    "magic_context": MAGIC_CONTEXT,
    "vault": EPHEMERAL_VAULT,
}


def instruction(program: Pubkey, name: str, accounts: dict[str, Pubkey], **args: Any) -> Instruction:
    """One instruction. `accounts` by the table's names, without those of the platform, which are known.

    An optional account at the end may be missing. WmLiveError for accounts that the instruction does not have.
    """
    about, given = INSTRUCTIONS[name], _FIXED | {"owner_program": program} | accounts
    left_out = [label for label, _ in about.accounts if label not in given]
    optional = [label for label, _ in about.accounts[len(about.accounts) - about.optional :]]
    unknown = accounts.keys() - {label for label, _ in about.accounts}
    if unknown or not set(left_out) <= set(optional):
        raise WmLiveError(f"{name}: got accounts {sorted(accounts)}, expected {[label for label, _ in about.accounts]}")
    metas = [AccountMeta(given[label], "s" in role, "w" in role) for label, role in about.accounts if label in given]
    return Instruction(program, encode(name, **args), metas)
