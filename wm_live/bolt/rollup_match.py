"""A match on a rollup: made through World on the base chain, delegated, played, and given back.

base chain   registry, world, entity, components, window, memories, weights; all but the weights is delegated
rollup       memories grow, the match begins; then a frame in as few transactions as hold it, every system applied
             through World
base chain   components come back with the last frame, window and memories without the match
"""

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.match_instructions import MatchInstructions
from wm_export.bolt.program_addresses import WORLD, registry_address
from wm_export.bolt.slices import STEP_BYTES, Network, Slice
from wm_export.bolt.world_client import Scene, worlds_so_far
from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_live.bolt.match_accounts import WINDOW_BEGUN, MatchState, match_state
from wm_live.bolt.match_weights import MatchWeights, Uploaded
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import ROLLUP_BYTES, Confirmed, Sender
from wm_live.errors import WmLiveError
from wm_live.session.lifecycle import GROWTHS_AT_ONCE, until
from wm_live.session.spending import delegation
from wm_train.grid.arithmetic import Ints
from wm_train.world.fields import PLAYERS

LIMIT = set_compute_unit_limit(TRANSACTION_BUDGET)
#: Of a transaction's budget: what a frame may take more than those that were measured.
SPARE_UNITS = 20_000
#: More bytes than World's accounts of a match have: registry, world, entity.
WORLD_BYTES = 10_240


@dataclass(frozen=True)
class Spent:
    """What a frame took: compute units, seconds from its sending until it was confirmed, and transactions."""

    cu: int
    seconds: float
    transactions: int


class Groups:
    """Which systems of a frame go into one transaction.

    All `whole` from the start on; or each by itself while two frames are measured, as networks that keep something make
    more in a match's first, and then as many together as the budget of a transaction holds.

    now  the systems of each transaction
    """

    def __init__(self, systems: int, whole: bool) -> None:
        self.now = [slice(systems)] if whole else [slice(i, i + 1) for i in range(systems)]
        self._left = 0 if whole else 2

    def took(self, units: Sequence[int]) -> None:
        """Take note of what each transaction of a frame took."""
        if self._left == 0:
            return
        self._left -= 1
        if self._left == 0:
            self.now = together(units, TRANSACTION_BUDGET - SPARE_UNITS)


def together(units: Sequence[int], most: int) -> list[slice]:
    """Neighbours that take `most` units at most; what takes more is by itself."""
    groups, spent = [slice(0, 0)], 0
    for i, one in enumerate(units):
        if groups[-1].stop > groups[-1].start and spent + one > most:
            groups.append(slice(i, i))
            spent = 0
        groups[-1], spent = slice(groups[-1].start, i + 1), spent + one
    return groups


class RollupMatch:
    """A match of a built export; `payer` pays, signs, and alone may have components written.

    Programs and World are on the base chain already. `on_base` and `on_rollup` send what the payer signs. Every method
    raises WmLiveError.
    """

    def __init__(self, base: Rpc, rollup: Rpc, export: BoltExport, payer: Keypair) -> None:
        self.base, self.rollup, self.export = base, rollup, export
        self.on_base, self.on_rollup = Sender(base, payer), Sender(rollup, payer)
        self.on_rollup.most_bytes = ROLLUP_BYTES
        self._payer = payer
        self._weights = MatchWeights(self.on_base, export)
        self.place(Scene(payer.pubkey()))

    def place(self, scene: Scene) -> None:
        """Take the match of an entity, whether or not it is there."""
        crates = [package.name for package in self.export.workspace.packages]
        self.match = MatchInstructions(self.export.sliced, self.export.network, crates, scene)
        self.match.weights = self._weights.addresses
        self._groups = Groups(len(self.export.sliced.systems), whole=not self.match.memories)

    # --- on the base chain ---

    async def need_programs(self) -> None:
        """WmLiveError unless World and every program of the export are on the base chain."""
        wanted = {"World": WORLD} | self.match.programs
        found = await self.base.accounts(list(wanted.values()), 0, 0)
        missing = [name for name, one in zip(wanted, found, strict=True) if one is None or not one.executable]
        if missing:
            folder = shlex.quote(str(self.export.folder))
            raise WmLiveError(
                f"{self.base.url}: the programs of {folder} are not there ({', '.join(missing)}); a base chain that "
                f"begins with them, next: wmq localnet --bolt {folder}"
            )

    async def cost(self) -> int:
        """Lamports that a new match takes at most: rent and fees of weights that are not there yet, of its accounts,
        and of their delegation."""
        of_components = [len(one.tag) + one.size for one in self.export.sliced.components.every]
        of_memories = [made.memory_bytes for _, _, made in self.export.sliced.remembering]
        sizes = [*of_components, *of_memories, self.export.sliced.window_bytes, WORLD_BYTES]
        delegated = len(sizes) * delegation().at_most
        return sum(map(rent_exempt, sizes)) + delegated + await self._weights.cost()

    async def open(self, progress: Uploaded = lambda done, total: None) -> None:
        """Make a world, and have all weights in their accounts."""
        if await self.base.account(registry_address()) is None:
            await self.on_base.send([self.match.scene.registry()])
        registry = await self.base.account(registry_address())
        if registry is None:
            raise WmLiveError(f"{self.base.url}: World has no registry at {registry_address()}; is World there?")
        self.place(replace(self.match.scene, world_number=worlds_so_far(registry.data)))
        await self.on_base.send([self.match.scene.world_made()])
        await self._weights.upload(progress)

    async def make(self, number: int) -> None:
        """Make entity `number` of the world, one after the other from 0 on, with its components and its window."""
        self.place(replace(self.match.scene, entity_number=number))
        await self.on_base.send([self.match.scene.entity_made()])
        for instruction in self.match.making():
            await self.on_base.send([instruction])
        for one, _, made in self.export.sliced.remembering:
            await self.on_base.send(self._memory_made(one, made))

    def _memory_made(self, one: Slice, made: Network) -> list[Instruction]:
        """The beginning of a memory, and the rent of all of it: on the rollup, where it grows, nobody has lamports."""
        opened, *_ = self.match.opening(one, made, self.match.scene.entity)
        lamports = rent_exempt(made.memory_bytes) - rent_exempt(min(STEP_BYTES, made.memory_bytes))
        to = self.match.memories[one.key]
        payer = self._payer.pubkey()
        return [opened, transfer(TransferParams(from_pubkey=payer, to_pubkey=to, lamports=lamports))]

    async def delegate(self) -> None:
        """Give all that is the entity's to the rollup, and wait until it has it."""
        validator = Pubkey.from_string((await self.rollup.call("getIdentity"))["identity"])
        for account, program in self.match.owned:
            await self.on_base.send([LIMIT, self.match.scene.delegate(program, account, validator)])
        for account, program in self.match.owned:
            await until(f"delegation of {account}", partial(_owned, self.rollup, account, program))

    # --- on the rollup ---

    async def begin(self, session: Ints, frame: NDArray[np.int32]) -> None:
        """Begin the match with a Frame (2, fields) in a session with these ids; memories grow to their size first."""
        for one, _, made in self.export.sliced.remembering:
            _, *growths = self.match.opening(one, made, self.match.scene.entity)
            for first in range(0, len(growths), GROWTHS_AT_ONCE):
                await self._on_rollup(*growths[first : first + GROWTHS_AT_ONCE])
        await self._on_rollup(self.match.begins(session, frame))

    async def frame(self, following: NDArray[np.int8]) -> Spent:
        """Apply every system with the inputs (2, controls) of the frame, in as few transactions as hold them."""
        begun, systems = time.monotonic(), self.match.frame_of(following)
        sent = [(await self._on_rollup(*systems[group])).signature for group in self._groups.now]
        seconds = time.monotonic() - begun
        landed = [await self.rollup.transaction(signature) for signature in sent]
        units = [one.cu if one else 0 for one in landed]
        self._groups.took(units)
        return Spent(sum(units), seconds, len(units))

    async def complete(self, turn: int) -> None:
        """Apply the systems of a frame that was begun, from this turn on."""
        nothing = np.zeros((PLAYERS, len(self.export.net.world.game.controls)), np.int8)
        for system in self.match.frame_of(nothing)[turn:]:
            await self._on_rollup(system)

    async def _on_rollup(self, *instructions: Instruction) -> Confirmed:
        return await self.on_rollup.send([LIMIT, *instructions], preflight=False)

    async def components(self, node: Rpc) -> dict[str, bytes]:
        """Data of each component's account, as a node has it."""
        return await _data(node, self.match.accounts)

    async def memories(self, node: Rpc) -> dict[str, bytes]:
        """Data of the account of what each network keeps, by system, as a node has it."""
        return await _data(node, self.match.memories)

    async def state(self) -> MatchState:
        """The match as the rollup has it."""
        where = f"{self.rollup.url}: match {self.match.scene.entity}"
        return match_state(where, self.export.sliced.components, await self.components(self.rollup))

    async def begun(self) -> bool:
        """Whether the match has begun on the rollup."""
        window = await self.rollup.account(self.match.window)
        return window is not None and any(window.data[WINDOW_BEGUN])

    async def end(self) -> None:
        """Have every account given back that is not back yet, and wait until the base chain has it."""
        for account, program in self.match.owned:
            if await _owned(self.base, account, program):
                continue
            await self.on_rollup.send([self.match.scene.undelegate(program, account)], preflight=False)
            await until(f"undelegation of {account}", partial(_owned, self.base, account, program))


async def _data(node: Rpc, accounts: Mapping[str, Pubkey]) -> dict[str, bytes]:
    """Data of each account; of one that is not there no bytes."""
    found = await node.accounts(list(accounts.values()))
    return {name: account.data if account else b"" for name, account in zip(accounts, found, strict=True)}


async def _owned(node: Rpc, account: Pubkey, program: Pubkey) -> bool:
    """Whether a node has an account as a program's."""
    found = await node.account(account)
    return found is not None and found.owner == program
