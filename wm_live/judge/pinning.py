"""Pins that a wallet pays for: of what a session has committed now, or of every commit of it that is seen.

The world's program is another's, so a purse pays for a pin and is its pinner (wm_live/chain/purse.py). Its key follows
from the wallet's, so that the wallet finds its pins again, and takes their rent back.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema.accounts import PIN, SESSION
from wm_live.chain.addresses import pin_address
from wm_live.chain.fees import rent_exempt
from wm_live.chain.guard import SPARE_SIGNATURES, Budget
from wm_live.chain.purse import filling, purse, purse_key
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import TransactionError
from wm_live.chain.trust import CheckedProgram
from wm_live.errors import WmLiveError
from wm_live.judge.pin import Pin, close_pin, pin, read_pin
from wm_live.session.committed import Committed, read_session
from wm_live.session.instructions import DeployedWorld
from wm_live.session.tree import Hash

#: Seconds between looks at a session on the base chain: one of its slots.
LOOK_S = 0.4
#: Attempts to pin a commit of a session before somebody is asked again: each may take a pin's rent.
MOST_PINS = 32
HASH_BYTES = 32
#: The program's error for a root that the session does not have any more.
OVERTAKEN = "WrongProof"


def _unpin_budget() -> Budget:
    """What closing a pin takes at most: fees."""
    return Budget(0, 1 + SPARE_SIGNATURES)


def pin_budget() -> Budget:
    """What a pin takes at most: its rent, which comes back with it, and fees."""
    return Budget(rent_exempt(PIN.size), 1 + SPARE_SIGNATURES)


#: Lamports that one pin takes from the wallet at most; all but fees come back.
PIN_COST = filling(pin_budget()).at_most
#: The same of closing one, which then returns its rent.
UNPIN_COST = filling(_unpin_budget()).at_most


@dataclass(frozen=True)
class Pinner:
    """A wallet that pins commits of sessions of one checked program."""

    rpc: Rpc
    wallet: Keypair
    program: CheckedProgram

    @property
    def key(self) -> Pubkey:
        """The pinner of its pins: its purse."""
        return purse_key(self.wallet, self.program.address).pubkey()

    async def pin(self, committed: Committed) -> Pin:
        """Pin what a session has committed, unless this wallet has done so; takes PIN_COST lamports at most."""
        address = pin_address(self.program.address, committed.session.address, self.key, committed.state.root)
        found = await read_pin(self.rpc, self.program.address, address)
        if found is not None:
            return found
        async with purse(self.rpc, self.wallet, self.program, pin_budget()) as sender:
            return await pin(sender, committed)

    async def unpin(self, kept: Pin) -> None:
        """Close a pin; its rent goes back to the wallet, and UNPIN_COST lamports are taken at most.

        WmLiveError for one of another pinner.
        """
        if kept.pinner != self.key:
            raise WmLiveError(f"pin {kept.address}: {kept.pinner} has made it, not this wallet's {self.key}")
        async with purse(self.rpc, self.wallet, self.program, _unpin_budget()) as sender:
            await sender.send([close_pin(self.program.address, kept.session, kept.pinner, kept.root)])

    async def follow(
        self, world: DeployedWorld, session: Pubkey, seen: Callable[[Pin], None], most: int = MOST_PINS
    ) -> None:
        """Pin each commit that is seen, until the session is closed; `seen` is told of each pin.

        After `most` attempts it ends as well: also one that comes too late may cost fees.
        """
        pinned: set[Hash] = set()
        attempts = 0
        while attempts < most:
            root = await self._root(session)
            if root is None:
                return
            if any(root) and root not in pinned:
                attempts += 1
                if (made := await self._once(world, session)) is not None:
                    pinned.add(made.root)
                    seen(made)
            await asyncio.sleep(LOOK_S)

    async def _root(self, session: Pubkey) -> Hash | None:
        account = await self.rpc.account(session, SESSION.offsets["root"], HASH_BYTES)
        return None if account is None or not account.lamports else account.data

    async def _once(self, world: DeployedWorld, session: Pubkey) -> Pin | None:
        """The pin of what is committed now; None if it was committed again meanwhile."""
        try:
            return await self.pin(await read_session(self.rpc, world, session))
        except TransactionError as error:
            if error.name != OVERTAKEN:
                raise
            return None
