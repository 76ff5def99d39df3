"""A feed of a session from its account's notifications (accountSubscribe): for anybody, without a key."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_export.schema.limits import LOOKAHEAD
from wm_export.solana.layout import Layout
from wm_live.session.account import session_state
from wm_live.session.play import waiting_input
from wm_live.watch.viewer import FrameMessage
from wm_train.world.fields import PLAYERS

Waiting = dict[int, NDArray[np.int8]]


@dataclass(frozen=True)
class SessionSource:
    """Source of a LiveFeed: each Frame of a session account, with its digest and, if they were seen, its inputs.

    An input is in the account until its frame is computed. If one notification covers both changes, it is not seen.

    layout    offsets in the world's accounts
    accounts  gives the account's data whenever it changes; ends when the account does
    """

    layout: Layout
    accounts: Callable[[], AsyncIterator[bytes]]

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """Ends with the session. WmLiveError where an account is none of a session of this world."""
        known, waiting = 0, Waiting()
        async for data in self.accounts():
            state = session_state(self.layout, data)
            if state.frame_number > known:
                known = state.frame_number
                inputs = waiting.get(known - 1)
                yield FrameMessage(known - 1, state.frame, inputs, digest=state.root.hex())
            if state.status == "ended":
                return
            waiting = waiting_inputs(self.layout, data, known)


def waiting_inputs(where: Layout, data: bytes, frame_number: int) -> Waiting:
    """Frame -> inputs (2, len(CONTROLS)) int8, for frames from `frame_number` on that wait for nothing else."""
    found = {
        n: [waiting_input(where, data, n, player) for player in range(PLAYERS)]
        for n in range(frame_number, frame_number + LOOKAHEAD)
    }
    return {
        n: where.records.inputs_of(b"".join(part or b"" for part in both)) for n, both in found.items() if all(both)
    }
