"""A pin: leaves and root that a session has committed once, kept on the base chain by anybody, whatever comes later.

A dispute is opened with one. So who pins each commit can dispute any frame of it, also when the session has been
committed again with another past, given back, or closed. A pin takes no log: the tree is asked for with the dispute.
"""

from dataclasses import dataclass

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from wm_export.errors import WmExportError
from wm_export.schema.accounts import PIN
from wm_export.schema.limits import ACCOUNT_VERSION
from wm_live.chain.addresses import pin_address
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import Sender
from wm_live.deploy.program import instruction
from wm_live.errors import WmLiveError
from wm_live.session.committed import Committed
from wm_live.session.tree import Hash


@dataclass(frozen=True)
class Pin:
    """A pin account: `pinner` saw `session` committed with `leaves` and `root` in this slot of the base chain."""

    address: Pubkey
    session: Pubkey
    pinner: Pubkey
    leaves: int
    root: Hash
    slot: int


def pin_commit(program: Pubkey, session: Pubkey, pinner: Pubkey, root: Hash) -> Instruction:
    """Pins what the session has committed, if it still is `root`; the pinner pays its rent (PIN.size bytes)."""
    accounts = {"pinner": pinner, "pin": pin_address(program, session, pinner, root), "session": session}
    return instruction(program, "pin_commit", accounts, root=root)


def close_pin(program: Pubkey, session: Pubkey, pinner: Pubkey, root: Hash) -> Instruction:
    """Returns its rent to the pinner."""
    return instruction(program, "close_pin", {"pinner": pinner, "pin": pin_address(program, session, pinner, root)})


def pin_of(address: Pubkey, account: AccountInfo, program: Pubkey) -> Pin:
    """The pin in an account; WmLiveError if it is none of this program and version."""
    if account.owner != program or len(account.data) != PIN.size or account.data[:8] != PIN.tag:
        raise WmLiveError(f"{address}: not a pin of program {program}: {len(account.data)} bytes of {account.owner}")
    try:
        head = PIN.unpack(account.data)
    except WmExportError as error:
        raise WmLiveError(f"pin {address}: {error}") from None
    if (version := head["version"]) != ACCOUNT_VERSION:
        raise WmLiveError(f"pin {address}: version {version}, expected {ACCOUNT_VERSION}; is it of another wmq?")
    who = Pubkey(head["session"]), Pubkey(head["pinner"])
    return Pin(address, *who, head["leaves"], head["root"], head["slot"])


async def read_pin(rpc: Rpc, program: Pubkey, address: Pubkey) -> Pin | None:
    """The pin at an address; None if there is nothing."""
    account = await rpc.account(address)
    return pin_of(address, account, program) if account is not None and account.data else None


async def pins_of(rpc: Rpc, program: Pubkey, session: Pubkey) -> list[Pin]:
    """Everybody's pins of a session, as the node lists them."""
    addresses = await rpc.owned(program, PIN.size, PIN.offsets["session"], bytes(session))
    accounts = await rpc.accounts(addresses)
    pins = [pin_of(at, it, program) for at, it in zip(addresses, accounts, strict=True) if it is not None]
    return [pin for pin in pins if pin.session == session]


async def pin(sender: Sender, committed: Committed) -> Pin:
    """Pin what a session has committed, unless the sender's payer has done so; the pin.

    WmLiveError if nothing has been committed; TransactionError if something else has been meanwhile (`WrongProof`).
    """
    session, root, pinner = committed.session, committed.state.root, sender.payer.pubkey()
    if not any(root):
        raise WmLiveError(f"session {session.address}: nothing has been committed yet, so there is nothing to pin")
    program = session.world.program
    address = pin_address(program, session.address, pinner, root)
    found = await read_pin(sender.rpc, program, address)
    if found is None:
        await sender.send([pin_commit(program, session.address, pinner, root)])
        found = await read_pin(sender.rpc, program, address)
    if found is None:
        raise WmLiveError(f"pin {address}: made, but {sender.rpc.url} does not show it; try again")
    return found
