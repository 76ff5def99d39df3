"""What a node has of a match, checked: its components' bytes come from a node that is not trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from solders.pubkey import Pubkey

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.components import CLOCK, INPUT, Components
from wm_export.bolt.program_addresses import component_address, program_key, window_address
from wm_export.bolt.slices import INPUTS
from wm_export.schema.limits import SESSION_IDS
from wm_live.chain.addresses import DELEGATION_PROGRAM, delegation_record
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError
from wm_live.session.delegation import read_delegation

#: Of a window's account, behind its tag: whether the match has begun; behind a number more, the ids that stay.
WINDOW_BEGUN, _IDS = slice(8, 16), slice(24, 24 + 2 * SESSION_IDS)


@dataclass(frozen=True)
class MatchState:
    """A match between two frames. accounts: data of each component's account, by its name, as large as it must be."""

    components: Components
    accounts: Mapping[str, bytes]

    @cached_property
    def _values(self) -> dict[str, dict[str, NDArray[Any]]]:
        return {one.name: one.unpack(self.accounts[one.name]) for one in self.components.every}

    @property
    def frame_number(self) -> int:
        """Frames that are complete."""
        return int(self._values[CLOCK]["frame"])

    @property
    def turn(self) -> int:
        """Number of the system whose turn it is: 0 where all components are of the last frame."""
        return int(self._values[CLOCK]["turn"])

    @property
    def frame(self) -> NDArray[np.int32]:
        """(2, len(game.state)) the Frame."""
        return self.components.frame(self._values)

    @property
    def inputs(self) -> bytes:
        """Both players' inputs that it was made with."""
        return self._values[INPUT]["pads"].tobytes()


@dataclass(frozen=True)
class FoundMatch:
    """A match as a chain has it. validator: of the rollup that has its components; None if the chain has them."""

    state: MatchState
    validator: Pubkey | None


def component_addresses(export: BoltExport, entity: Pubkey) -> dict[str, Pubkey]:
    """Address of each component of an entity, by name."""
    every = export.sliced.components.every
    return {one.name: component_address(program_key(export.network, one.crate).pubkey(), entity) for one in every}


def match_state(where: str, components: Components, accounts: Mapping[str, bytes]) -> MatchState:
    """A match of these bytes, by component; WmLiveError, which names `where` they are from, if they are none."""
    for one in components.every:
        data, size = accounts[one.name], len(one.tag) + one.size
        if len(data) != size or data[: len(one.tag)] != one.tag:
            got = f"{len(data)} bytes that begin with {data[: len(one.tag)].hex() or 'nothing'}"
            raise WmLiveError(
                f"{where}: component {one.name}: expected {size} that begin with {one.tag.hex()}, got {got}"
            )
    return MatchState(components, accounts)


async def read_match(node: Rpc, export: BoltExport, entity: Pubkey) -> FoundMatch:
    """The match of an entity, on the base chain, delegated or not, or on a rollup.

    WmLiveError if it is not there, or a component belongs neither to its program nor, by its record, to a rollup.
    """
    components, addresses = export.sliced.components, component_addresses(export, entity)
    found = await node.accounts(list(addresses.values()))
    there = {one.name: account for one, account in zip(components.every, found, strict=True) if account is not None}
    if len(there) < len(found):
        raise WmLiveError(f"{node.url}: no match {entity} there; is it on another cluster, or of another export?")
    state = match_state(f"{node.url}: match {entity}", components, {name: one.data for name, one in there.items()})
    holders = [
        await _holder(node, program_key(export.network, one.crate).pubkey(), addresses[one.name], there[one.name])
        for one in components.every
    ]
    return FoundMatch(state, next((holder for holder in holders if holder), None))


async def _holder(node: Rpc, program: Pubkey, address: Pubkey, account: AccountInfo) -> Pubkey | None:
    """The validator that has a component of a program; None if nobody but its program has it."""
    if account.owner == program:
        return None
    if account.owner != DELEGATION_PROGRAM:
        raise WmLiveError(f"{node.url}: component {address} belongs to {account.owner}, expected {program}")
    delegation = read_delegation(await node.account(delegation_record(address)), address)
    if delegation.owner != program:
        raise WmLiveError(f"{node.url}: component {address} was delegated by {delegation.owner}, expected {program}")
    return delegation.validator


async def read_session_ids(node: Rpc, export: BoltExport, entity: Pubkey) -> tuple[int, ...]:
    """Ids that stay while a match lasts, by its window; WmLiveError if it has none."""
    inputs = program_key(export.network, INPUTS).pubkey()
    account = await node.account(window_address(inputs, entity))
    if account is None or account.owner != inputs or len(account.data) != export.sliced.window_bytes:
        raise WmLiveError(f"{node.url}: match {entity} has no window there; is it delegated to this rollup?")
    return tuple(map(int, np.frombuffer(account.data[_IDS], "<u2")))
