"""The program on the real rollup against the reference: every tensor and every byte of every next Frame."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wm_export.parity import Outcome, as_tensors
from wm_export.solana.account_codec import AccountCodec
from wm_export.traces import first_difference
from wm_live.chain.transactions import Sender
from wm_live.errors import WmLiveError
from wm_live.session.game import OwnSession, bring_up, take_down
from wm_live.session.lifecycle import CU_LIMIT
from wm_quant.interp import Interpreter, State
from wm_train.measure.window import Window


async def compare(
    game: OwnSession, window: Window, inputs: NDArray[np.int8], outcome: Outcome, progress: Callable[[], None]
) -> None:
    """Run a session of its own from `window` (batch of one) on inputs (T, 2, len(CONTROLS)), and compare each frame.

    The session is closed at the end, whatever was found; what was found is noted in `outcome`.
    """
    await bring_up(game, window)
    reference = Interpreter(game.session.world.export.net)
    state = reference.begin(window)
    for number, following in enumerate(inputs):
        await _frame(game, number, following)
        trace, after = reference.step(state, following[None])
        got = await _tensors(game, state)
        outcome.note(first_difference(outcome.executor, number, got, as_tensors(trace, after)))
        state = after
        progress()
    await take_down(game)


async def _frame(game: OwnSession, number: int, following: NDArray[np.int8]) -> None:
    first, second = game.keys
    sender = Sender(game.places.rollup, first)
    instructions = game.session.inputs(
        [key.pubkey() for key in game.keys], number, game.session.world.layout.records.input_bytes(following)
    )
    for step in range(game.session.world.steps):
        before, signers = (instructions, [second]) if step == 0 else ([], [])
        await sender.send([CU_LIMIT, *before, game.session.step(number, step)], *signers, preflight=False)


async def _tensors(game: OwnSession, before: State) -> dict[str, NDArray[np.int64]]:
    """What the rollup's accounts hold after a frame, as named tensors."""
    export = game.session.world.export
    codec = AccountCodec(export.net, export.lowered, export.manifest.hash)
    session, scratch = await game.places.rollup.accounts([game.session.address, game.session.scratch])
    if session is None or scratch is None:
        raise WmLiveError(f"{game.places.rollup.url}: session {game.session.address} or its scratch account is gone")
    return as_tensors(codec.trace(session.data, scratch.data), codec.state(session.data, scratch.data, before))
