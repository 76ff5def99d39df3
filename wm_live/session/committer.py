"""Commits a session while it is played, when its Spread says so; one that fails does not stop the game."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from solders.keypair import Keypair

from wm_live.chain.transactions import TransactionError
from wm_live.errors import WmLiveError
from wm_live.session import lifecycle
from wm_live.session.commitments import keep_commit
from wm_live.session.commits import Spread
from wm_live.session.instructions import Session
from wm_live.session.lifecycle import SessionNodes, need_session
from wm_live.session.log import Log

#: The rollup's error for a commit beyond the sponsored ones.
COMMIT_LIMIT = 0xA000_0000
#: Its error for a commit of which it cannot ask the base chain how many there were.
NO_BASE_CHAIN = 0xE000_0002
#: What a rollup says that cannot look at who pays, because it does not reach the base chain.
NO_PAYER = "Remote account provider error"


@dataclass
class Committer:
    """Commits one call of play. report: told of each commit, in words."""

    places: SessionNodes
    session: Session
    wallet: Keypair
    log: Log
    spread: Spread
    report: Callable[[str], None]
    _on_its_way: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin a commit if one is due and none is on its way; called after each frame."""
        idle = self._on_its_way is None or (self._on_its_way.done() and self._on_its_way.exception() is None)
        if idle and self.spread.is_due(self.log.frames):
            self._on_its_way = asyncio.create_task(self._commit())

    async def finish(self) -> None:
        """The last frame is computed. One on its way is waited for, for what was sent is paid; and so is one that is
        due now."""
        if self._on_its_way is not None:
            await self._on_its_way
        if self.spread.is_due(self.log.frames):
            await self._commit()

    async def stop(self) -> None:
        """Nothing of it goes on after this; what it has ended in is raised."""
        if self._on_its_way is None:
            return
        self._on_its_way.cancel()
        await asyncio.wait([self._on_its_way])
        if not self._on_its_way.cancelled():
            self._on_its_way.result()

    async def _commit(self) -> None:
        """The log is on disk first."""
        self.log.flush()
        began = self.log.frames
        try:
            await self._landed(await lifecycle.commit(self.places, self.session, self.wallet))
        except TransactionError as error:
            if error.custom == COMMIT_LIMIT:
                await self._none_left()
                return
            lost = error.custom == NO_BASE_CHAIN or NO_PAYER in str(error)
            self._failed(began, "the rollup does not reach the base chain" if lost else str(error))
        except WmLiveError as error:
            self._failed(began, str(error))

    async def _landed(self, frame: int) -> None:
        self.report(f"committed at frame {frame:,}")
        self.spread.landed(frame)
        await keep_commit(self.places.base, self.session, self.log.folder)

    def _failed(self, frame: int, why: str) -> None:
        self.report(f"not committed: {why}")
        self.spread.failed(frame)

    async def _none_left(self) -> None:
        at = (await need_session(self.places.base, self.session)).frame_number
        self.report(f"no commits are left: frames after {at:,} reach the base chain with `wmq session end`")
        self.spread.none_left()
