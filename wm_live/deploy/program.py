"""Instructions of a world program, by name, from the one table that its IDL is made of."""

from collections.abc import Sequence
from typing import Any

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from wm_export.schema.instruction_set import INSTRUCTIONS, encode
from wm_export.schema.seeds import FIXED
from wm_live.errors import WmLiveError

#: Accounts that are the same in every instruction.
_FIXED = {name: Pubkey.from_string(address) for name, address in FIXED.items()}


def instruction(
    program: Pubkey, name: str, accounts: dict[str, Pubkey], shards: Sequence[Pubkey] = (), **args: Any
) -> Instruction:
    """One instruction. `accounts` by the table's names, without those of the platform, which are known.

    shards  further model accounts of an instruction that ends with `model`, where the weights lie in several

    An optional account at the end may be missing. WmLiveError for accounts that the instruction does not have.
    """
    about, given = INSTRUCTIONS[name], _FIXED | {"owner_program": program} | accounts
    missing = {role.name for role in about.accounts if not role.optional} - given.keys()
    names = [role.name for role in about.accounts]
    if missing or not accounts.keys() <= set(names):
        raise WmLiveError(f"{name}: got accounts {sorted(accounts)}, expected {names}")
    metas = [AccountMeta(given[role.name], role.signer, role.writable) for role in about.accounts if role.name in given]
    metas += [AccountMeta(shard, False, False) for shard in shards]
    return Instruction(program, encode(name, **args), metas)
