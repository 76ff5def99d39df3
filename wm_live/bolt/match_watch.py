"""A feed of a match from its components: for anybody, without a key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from solders.pubkey import Pubkey

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.components import CLOCK
from wm_export.schema.records import Records
from wm_live.bolt.match_accounts import component_addresses, read_match
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.watch.viewer import FrameMessage


@dataclass(frozen=True)
class MatchSource:
    """Source of a LiveFeed: each Frame that a node's components hold, with the inputs that it was made with.

    The clock is the last component that changes in a frame: whenever it does, all are read at once.
    """

    export: BoltExport
    url: str
    entity: Pubkey

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """The last frame there is, then each that comes; ends where the clock does. WmLiveError where the node has no
        match."""
        clock, known = component_addresses(self.export, self.entity)[CLOCK], 0
        async with Rpc(self.url) as node:
            async for _ in _at_once_and(node.follow_account(clock)):
                state = (await read_match(node, self.export, self.entity)).state
                if not state.turn and state.frame_number > known:
                    known = state.frame_number
                    yield FrameMessage(known - 1, state.frame, self._records.inputs_of(state.inputs))

    @property
    def _records(self) -> Records:
        return Records(self.export.net.world.game)


async def _at_once_and(changes: AsyncIterator[AccountInfo | None]) -> AsyncIterator[None]:
    """Once, then at every change, until the account is gone."""
    yield
    async for account in changes:
        if account is None:
            return
        yield
