"""A wallet that pins commits: what it pays, what it pins, and what it gets back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from solders.pubkey import Pubkey

from tests.wm_live.courts import PLAYER, PROGRAM, STRANGER, Court, built, court, lie, played
from wm_export.solana.export import Export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.fees import SIGNATURE_FEE
from wm_live.chain.trust import CheckedProgram
from wm_live.errors import WmLiveError
from wm_live.judge import pinning as pinning_module
from wm_live.judge.pin import Pin, pins_of
from wm_live.judge.pinning import PIN_COST, Pinner
from wm_live.session.committed import read_session
from wm_live.session.instructions import DeployedWorld

FRAMES = 3
#: Far more than anything here takes.
LIMIT_S = 300


@pytest.fixture(scope="module")
def export(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A small world, built."""
    return built(tmp_path_factory)


def pinning(export: Export, work: Callable[[Court, Pinner], Awaitable[None]]) -> None:
    """Run `work` with a session that has been committed with a lie, and a stranger who pins."""

    async def run() -> None:
        ids, records = played(export.net, FRAMES, {1: lie(0, 0, 1)})
        async with court(export, ids, records) as made:
            await made.commit(records)
            await work(made, Pinner(made.rpc, STRANGER, CheckedProgram(PROGRAM, "", None)))

    asyncio.run(run())


async def pinned(made: Court, pinner: Pinner) -> Pin:
    return await pinner.pin(await read_session(made.rpc, made.session.world, made.session.address))


def test_a_pin_costs_at_most_what_was_announced_and_its_rent_comes_back(export: Export) -> None:
    async def work(made: Court, pinner: Pinner) -> None:
        before = await made.rpc.balance(STRANGER.pubkey())
        kept = await pinned(made, pinner)
        paid = before - await made.rpc.balance(STRANGER.pubkey())
        assert 0 < paid <= PIN_COST
        assert await pinned(made, pinner) == kept, "once is enough"
        assert before - await made.rpc.balance(STRANGER.pubkey()) == paid
        await pinner.unpin(kept)
        assert await pins_of(made.rpc, PROGRAM, made.session.address) == []
        assert before - await made.rpc.balance(STRANGER.pubkey()) <= 6 * SIGNATURE_FEE, "fees only"

    pinning(export, work)


def test_nobody_takes_back_the_pin_of_another(export: Export) -> None:
    async def work(made: Court, pinner: Pinner) -> None:
        kept = await pinned(made, pinner)
        other = Pinner(made.rpc, PLAYER, pinner.program)
        with pytest.raises(WmLiveError, match="has made it, not this wallet's"):
            await other.unpin(kept)

    pinning(export, work)


def test_attempts_that_come_too_late_end(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that shows a new root each time would have the wallet pay fees for ever."""
    attempts: list[Pubkey] = []

    async def overtaken(self: Pinner, world: DeployedWorld, session: Pubkey) -> None:
        attempts.append(session)

    monkeypatch.setattr(Pinner, "_once", overtaken)
    monkeypatch.setattr(pinning_module, "LOOK_S", 0.0)

    async def work(made: Court, pinner: Pinner) -> None:
        await asyncio.wait_for(pinner.follow(made.session.world, made.session.address, lambda _: None, 5), LIMIT_S)

    pinning(export, work)
    assert len(attempts) == 5


def test_every_commit_that_is_seen_is_pinned(export: Export) -> None:
    """The operator takes its lie back; the pin of it stays."""

    async def work(made: Court, pinner: Pinner) -> None:
        seen: list[Pin] = []
        follow = pinner.follow(made.session.world, made.session.address, seen.append, 2)
        task = asyncio.create_task(follow)
        lied, honest = made.records, played(export.net, FRAMES)[1]
        while not seen:
            assert not task.done()
            await asyncio.sleep(0.02)
        await made.commit(honest)
        await asyncio.wait_for(task, LIMIT_S)
        assert [pin.leaves for pin in seen] == [len(lied), len(honest)] and seen[0].root != seen[1].root
        assert len(await pins_of(made.rpc, PROGRAM, made.session.address)) == 2

    pinning(export, work)
