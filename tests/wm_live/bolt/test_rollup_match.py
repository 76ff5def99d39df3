"""Matches of components and systems on the real rollup, and what strangers cannot do to their windows."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.factories import random_corpus
from wm_export.bolt.bolt_export import BoltExport
from wm_live.bolt.match_parity import Compared, compare
from wm_live.bolt.own_match import own_match
from wm_live.bolt.rollup_match import RollupMatch
from wm_live.chain.transactions import TransactionError
from wm_live.localnet.servers import Localnet
from wm_train.measure.window import Window, window_at

FRAMES = 30


def beginning(export: BoltExport) -> tuple[Window, NDArray[np.int8]]:
    """A window of a made-up game (batch of one), and the inputs (FRAMES, 2, controls) after it."""
    encoding = export.net.world.encoding
    corpus, t = random_corpus(lengths=(FRAMES + 60,), encoding=encoding), np.array([encoding.slots])
    inputs = corpus.inputs[t[0] + 1 + np.arange(FRAMES)]
    return window_at(corpus, encoding, t), inputs[..., : len(encoding.game.controls)]


def with_match(net: Localnet, export: BoltExport, do: Callable[[RollupMatch], Awaitable[None]]) -> None:
    async def run() -> None:
        async with own_match(net, export) as match:
            await do(match)

    asyncio.run(run())


def test_components_are_what_the_interpreter_computes_and_come_back(bolt_net: Localnet, exported: BoltExport) -> None:
    window, inputs = beginning(exported)
    found = Compared()

    async def play(match: RollupMatch) -> None:
        for number in range(2):
            await match.make(number)
            await match.delegate()
            await compare(match, found, window, inputs, lambda: None)
        returned = await match.base.account(match.match.window)
        assert returned is not None and not any(returned.data[8:16]) and len(returned.data) > 1000

    with_match(bolt_net, exported, play)
    assert found.outcome.frames == 2 * FRAMES and found.outcome.first is None
    figures = found.to_json()
    assert figures["mismatches"] == 0 and 100_000 < figures["frame_cu"] < 1_400_000 and figures["fps"] > 0


def test_the_window_of_a_match_that_is_played_stays(bolt_net: Localnet, exported: BoltExport) -> None:
    window, _ = beginning(exported)

    async def play(match: RollupMatch) -> None:
        await match.make(0)
        await match.on_base.send([match.match.begins(window.session[0], window.now[0])])
        with pytest.raises(TransactionError, match="Begun"):
            await match.delegate()

    with_match(bolt_net, exported, play)
