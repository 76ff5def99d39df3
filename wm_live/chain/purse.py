"""A purse: the key that pays for, and signs, what a wallet has a program of others do.

A program can take everything from whoever pays for a transaction that names them in a call of it, and what a node says
of the program may be a lie. So a wallet never does: it sends what was announced to a purse, in a transaction that calls
nothing but the system program, and the purse pays. Where the wallet itself has to sign, because it is the player, it
does so beside the purse, and nothing can be taken from it: its account is not writable then.

What is left comes back in the end. The key of a purse follows from the wallet's, so that after an interruption the same
is found again, with what it holds.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from wm_live.chain.fees import SIGNATURE_FEE, rent_exempt
from wm_live.chain.guard import Budget, GuardedSender
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import CheckedProgram
from wm_live.errors import WmLiveError

#: What a payer must keep as long as it is one.
RESERVE = rent_exempt(0)


def purse_key(wallet: Keypair, program: Pubkey) -> Keypair:
    """The key of a wallet's purse for a program."""
    signature = wallet.sign_message(b"wmq purse " + bytes(program))
    return Keypair.from_seed(hashlib.sha256(bytes(signature)).digest())


def filling(budget: Budget) -> Budget:
    """What a purse for a Budget takes from the wallet: that, the purse's reserve, and the fee of filling it."""
    return Budget(budget.at_most + RESERVE + SIGNATURE_FEE, 1)


@asynccontextmanager
async def purse(rpc: Rpc, wallet: Keypair, program: CheckedProgram, budget: Budget) -> AsyncIterator[GuardedSender]:
    """A sender for calls of a checked program that a purse pays for; the wallet gives it `filling(budget)` at most.

    What is left goes back to the wallet at the end, also after an error.
    """
    key, needed = purse_key(wallet, program.address), filling(budget)
    missing = needed.lamports - await rpc.balance(key.pubkey())
    if missing > 0:
        pay = TransferParams(from_pubkey=wallet.pubkey(), to_pubkey=key.pubkey(), lamports=missing)
        await GuardedSender(rpc, wallet, needed).send([transfer(pay)])
    try:
        yield GuardedSender(rpc, key, budget, {program.address})
    except Exception:
        with suppress(WmLiveError):  # the error before says more
            await _empty(rpc, key, wallet.pubkey())
        raise
    await _empty(rpc, key, wallet.pubkey())


async def _empty(rpc: Rpc, key: Keypair, to: Pubkey) -> None:
    """Send all that a purse holds to the wallet."""
    rest = await rpc.balance(key.pubkey()) - SIGNATURE_FEE
    if rest > 0:
        pay = TransferParams(from_pubkey=key.pubkey(), to_pubkey=to, lamports=rest)
        await GuardedSender(rpc, key, Budget(rest, 1)).send([transfer(pay)])
