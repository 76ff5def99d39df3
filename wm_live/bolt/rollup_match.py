"""A match on a rollup: made through World on the base chain, delegated, played, and given back.

base chain   registry, world, entity, components, window, weights; each component and the window is delegated
rollup       the match begins; then a frame in one transaction, every system applied through World
base chain   components come back with the last frame, the window without the match
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.crates import WEIGHTS
from wm_export.bolt.match_instructions import HEADER_BYTES, MatchInstructions
from wm_export.bolt.program_addresses import registry_address
from wm_export.bolt.world_client import Scene, bytes_argument, worlds_so_far
from wm_export.schema.limits import PIECE_BYTES, TRANSACTION_BUDGET
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import ROLLUP_BYTES, Sender
from wm_live.chain.upload import PlannedTransaction, send_all
from wm_live.errors import WmLiveError
from wm_live.session.lifecycle import until
from wm_train.grid.arithmetic import Ints

LIMIT = set_compute_unit_limit(TRANSACTION_BUDGET)
#: Bytes of weights in a transaction, and pieces that one hashes.
CHUNK_BYTES, PIECES_AT_ONCE = 800, 8

#: Gets transactions of an upload: done, and in all.
Uploaded = Callable[[int, int], None]


@dataclass(frozen=True)
class Spent:
    """What a frame took: compute units, and seconds from its sending until it was confirmed."""

    cu: int
    seconds: float


class RollupMatch:
    """A match of a built export; `payer` pays, signs, and alone may have components written.

    Programs and World are on the base chain already. `on_base` and `on_rollup` send what the payer signs. Every method
    raises WmLiveError.
    """

    def __init__(self, base: Rpc, rollup: Rpc, export: BoltExport, payer: Keypair) -> None:
        if keeps := [one.key for one, _, _ in export.sliced.remembering]:
            raise WmLiveError(
                f"rollup: the networks of {', '.join(keeps)} keep something from frame to frame, and that is not "
                "delegated yet; next: wmq parity, which plays such a match in LiteSVM"
            )
        self.base, self.rollup, self.export = base, rollup, export
        self.on_base, self.on_rollup = Sender(base, payer), Sender(rollup, payer)
        self.on_rollup.most_bytes = ROLLUP_BYTES
        self._payer = payer
        self._place(Scene(payer.pubkey()))

    def _place(self, scene: Scene, weights: Mapping[str, Pubkey] | None = None) -> None:
        crates = [package.name for package in self.export.workspace.packages]
        self.match = MatchInstructions(self.export.sliced, self.export.network, crates, scene)
        self.match.weights = dict(weights or {})

    # --- on the base chain ---

    async def open(self, progress: Uploaded = lambda done, total: None) -> None:
        """Make a world, and the accounts of the weights."""
        if await self.base.account(registry_address()) is None:
            await self.on_base.send([self.match.scene.registry()])
        registry = await self.base.account(registry_address())
        if registry is None:
            raise WmLiveError(f"{self.base.url}: World has no registry at {registry_address()}; is World there?")
        self._place(replace(self.match.scene, world_number=worlds_so_far(registry.data)))
        await self.on_base.send([self.match.scene.world_made()])
        made = {one.key: (Keypair(), network.weights) for one, _, network in self.export.sliced.learned}
        self.match.weights = {key: account.pubkey() for key, (account, _) in made.items()}
        written = [self._written(account.pubkey(), data) for account, data in made.values()]
        total, done = sum(map(len, written)), 0
        for (account, data), jobs in zip(made.values(), written, strict=True):
            await self.on_base.send(self._begun(account.pubkey(), data), account)
            await send_all(self.on_base, jobs, landed=partial(_added, progress, done, total))
            done += len(jobs)
            for hashes in self._hashed(account.pubkey(), data):
                await self.on_base.send([LIMIT, *hashes])

    def _begun(self, account: Pubkey, data: bytes) -> list[Instruction]:
        space = HEADER_BYTES + len(data)
        made = CreateAccountParams(
            from_pubkey=self._payer.pubkey(),
            to_pubkey=account,
            lamports=rent_exempt(space),
            space=space,
            owner=self.match.programs[WEIGHTS],
        )
        return [create_account(made), self.match.of_weights("begin", account)]

    def _written(self, account: Pubkey, data: bytes) -> list[PlannedTransaction]:
        def chunk(at: int) -> bytes:
            return at.to_bytes(4, "little") + bytes_argument(data[at : at + CHUNK_BYTES])

        every = range(0, len(data), CHUNK_BYTES)
        return [PlannedTransaction((self.match.of_weights("write", account, chunk(at)),)) for at in every]

    def _hashed(self, account: Pubkey, data: bytes) -> Iterator[list[Instruction]]:
        pieces = -(-len(data) // PIECE_BYTES)
        for first in range(0, pieces, PIECES_AT_ONCE):
            yield [self.match.of_weights("hash", account)] * min(PIECES_AT_ONCE, pieces - first)

    async def make(self, number: int) -> None:
        """Make entity `number` of the world, one after the other from 0 on, with its components and its window."""
        self._place(replace(self.match.scene, entity_number=number), self.match.weights)
        await self.on_base.send([self.match.scene.entity_made()])
        for instruction in self.match.making():
            await self.on_base.send([instruction])

    async def delegate(self) -> None:
        """Give all that is the entity's to the rollup, and wait until it has it."""
        validator = Pubkey.from_string((await self.rollup.call("getIdentity"))["identity"])
        for account, program in self.match.owned:
            await self.on_base.send([LIMIT, self.match.scene.delegate(program, account, validator)])
        for account, program in self.match.owned:
            await until(f"delegation of {account}", partial(_owned, self.rollup, account, program))

    # --- on the rollup ---

    async def begin(self, session: Ints, frame: NDArray[np.int32]) -> None:
        """Begin the match with a Frame (2, fields) in a session with these ids."""
        await self.on_rollup.send([LIMIT, self.match.begins(session, frame)], preflight=False)

    async def frame(self, following: NDArray[np.int8]) -> Spent:
        """Apply every system, in one transaction, with the inputs (2, controls) of the frame."""
        begun = time.monotonic()
        sent = await self.on_rollup.send([LIMIT, *self.match.frame_of(following)], preflight=False)
        seconds = time.monotonic() - begun
        landed = await self.rollup.transaction(sent.signature)
        return Spent(landed.cu if landed else 0, seconds)

    async def components(self, node: Rpc) -> dict[str, bytes]:
        """Data of each component's account, as a node has it."""
        found = await node.accounts(list(self.match.accounts.values()))
        return {
            name: b"" if account is None else account.data
            for name, account in zip(self.match.accounts, found, strict=True)
        }

    async def end(self) -> None:
        """Have every account given back, and wait until the base chain has it."""
        for account, program in self.match.owned:
            await self.on_rollup.send([self.match.scene.undelegate(program, account)], preflight=False)
            await until(f"undelegation of {account}", partial(_owned, self.base, account, program))


async def _owned(node: Rpc, account: Pubkey, program: Pubkey) -> bool:
    """Whether a node has an account as a program's."""
    found = await node.account(account)
    return found is not None and found.owner == program


def _added(progress: Uploaded, before: int, total: int, done: int) -> None:
    progress(before + done, total)
