"""Programs of others: what lies on the chain is held against what was built here, before anything is signed for it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from solders.pubkey import Pubkey

from wm_live.chain.addresses import FINAL_LOADER
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.chain.upgradeable import ProgramData, check_program, program_data_address, read_program_data
from wm_live.errors import WmLiveError


@dataclass(frozen=True)
class Trust:
    """What the user has said of a program of others.

    program      sha256 of its code, in hexadecimal, that is trusted whatever was built here (`--trust-program`)
    upgradeable  it may be one that somebody can replace (`--allow-upgradeable`)
    """

    program: str | None = None
    upgradeable: bool = False


@dataclass(frozen=True)
class CheckedProgram:
    """A program that may be called. authority: who can replace it, None if nobody ever can."""

    address: Pubkey
    sha256: str
    authority: Pubkey | None


def code_hash(code: bytes) -> str:
    """sha256 of a program's bytes, in hexadecimal; zeros at their end, which a chain pads with, do not count."""
    return hashlib.sha256(code.rstrip(b"\0")).hexdigest()


async def read_code(rpc: Rpc, program: Pubkey) -> ProgramData:
    """The code of a program on a chain; WmLiveError if there is none."""
    address = program_data_address(program)
    account, data = await rpc.accounts([program, address])
    if account is not None and account.owner == FINAL_LOADER and account.executable:
        return ProgramData(0, None, account.data)
    check_program(_there(account, program), program)
    return read_program_data(_there(data, address), address)


def _there(account: AccountInfo | None, address: Pubkey) -> AccountInfo:
    if account is None:
        raise WmLiveError(f"account {address}: does not exist, expected a program or its code")
    return account


async def check_code(
    rpc: Rpc, program: Pubkey, built: Callable[[], bytes], own: Pubkey, trust: Trust
) -> CheckedProgram:
    """The program on the chain, if it is the one built here or one that is trusted knowingly.

    built  the ELF that was built here; asked for if no other program is trusted
    own    the wallet's address: what it can replace itself needs no `--allow-upgradeable`

    WmLiveError for another program, and for one that others can replace.
    """
    code = await read_code(rpc, program)
    found, wanted = code_hash(code.code), trust.program or code_hash(built())
    if found != wanted:
        expected = "--trust-program names" if trust.program else "the one built here has"
        raise WmLiveError(
            f"program {program}: the code on {rpc.url} has sha256 {found}, {expected} {wanted}; nothing was signed. "
            f"Next: another export, or, if you know that program: --trust-program {found}"
        )
    if code.authority not in (None, own) and not trust.upgradeable:
        raise WmLiveError(
            f"program {program}: {code.authority} can replace it at any time, also while you use it; nothing was "
            "signed. Next: a final one, or, if you trust them: --allow-upgradeable"
        )
    return CheckedProgram(program, found, code.authority)
