"""What becomes of a session when a node dies under it: it ends with a word that names the node, it goes on from the
last commit, and nobody loses their rent."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records import RECORDS
from tests.wm_live.games import (
    COMMIT_FEE,
    DELEGATION_FEE,
    FRAMES,
    SIGNATURES,
    Deployed,
    balance,
    deployed_on,
    moves,
    played,
    shifted,
)
from wm_live.chain.fees import SIGNATURE_FEE
from wm_live.chain.transactions import TransactionError
from wm_live.errors import WmLiveError
from wm_live.localnet.servers import Localnet
from wm_live.session import lifecycle
from wm_live.session.commits import commits_made, coverage
from wm_live.session.committer import COMMIT_LIMIT, NO_PAYER
from wm_live.session.game import OwnSession, Recorder, again, finish, open_game, take_up
from wm_live.session.inputs import Inputs
from wm_live.session.instructions import SPONSORED_COMMITS
from wm_live.session.log import Log
from wm_live.session.play import Beat, Driver


@pytest.fixture(scope="module", params=[1, 3])
def deployed(request: pytest.FixtureRequest, localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A world in one transaction a frame, and in three."""
    return deployed_on(localnet, tmp_path_factory, request.param)


@pytest.fixture(scope="module")
def one(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A world in one transaction a frame."""
    return deployed_on(localnet, tmp_path_factory, 1)


async def driven_until_killed(deployed: Deployed, game: OwnSession, log: Log, inputs: Inputs, at: int) -> None:
    """Played, without commits, until the rollup is killed at a frame; the error names it."""

    def beat(beat: Beat, _: NDArray[np.int32]) -> None:
        if beat.number == at:
            deployed.net.kill_validator()

    driver = Driver(game.places.rollup, game.session, game.keys, 0, Recorder(game, log, beat))
    port = int(game.places.rollup.url.rsplit(":", 1)[1])
    try:
        with pytest.raises(WmLiveError, match=rf"127\.0\.0\.1:({port}|{port + 1})\b"):
            await driver.run(inputs, FRAMES)
    finally:
        log.flush()
        deployed.net.restart_validator()


async def gone_on(deployed: Deployed, game: OwnSession, folder: Path, base_frame: int, least: int) -> None:
    """Taken up from the last commit, at `base_frame`; lost frames come out the same; at the end it is closed."""
    log, lost = await take_up(game, folder)
    with log:
        assert log.frames == base_frame and base_frame + len(lost) >= least
        first = log.frames + len(lost)
        inputs = again(RECORDS, lost, shifted(moves(), first))
        await played(game, log, inputs, FRAMES - log.frames)
        assert log.records == deployed.records(FRAMES)
        state = await finish(game, log)
    assert (state.frame_number, state.status) == (FRAMES, "ended")
    await lifecycle.close(game.places, game.session, game.wallet)
    assert await lifecycle.read_session(game.places.base, game.session) is None


def test_a_rollup_killed_after_a_commit(deployed: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed.game() as game:
            before = await balance(game)
            with await open_game(game, deployed.window, tmp_path) as log:
                driver = Driver(game.places.rollup, game.session, game.keys, 0, Recorder(game, log))
                await driver.run(moves(), 20)
                assert await lifecycle.commit(game.places, game.session, game.wallet) == 20
                await driven_until_killed(deployed, game, log, moves(), at=40)
            await gone_on(deployed, game, tmp_path, 20, least=41)
            fees = before - await balance(game) - SIGNATURES * SIGNATURE_FEE - DELEGATION_FEE
            assert fees in [n * COMMIT_FEE for n in range(1, SPONSORED_COMMITS)]

    asyncio.run(run())


def test_a_rollup_killed_before_any_commit(deployed: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed.game() as game:
            with await open_game(game, deployed.window, tmp_path) as log:
                await driven_until_killed(deployed, game, log, moves(), at=10)
            await gone_on(deployed, game, tmp_path, 0, least=11)

    asyncio.run(run())


def test_lost_and_only_closed(one: Deployed, tmp_path: Path) -> None:
    """Without a log there is still the rent."""

    async def run() -> None:
        async with one.game() as game:
            before = await balance(game)
            with await open_game(game, one.window, tmp_path) as log:
                await driven_until_killed(one, game, log, moves(), at=10)
            assert (await finish(game)).status == "ended"
            assert await lifecycle.close(game.places, game.session, game.wallet) > 0
            assert before - await balance(game) == SIGNATURES * SIGNATURE_FEE + DELEGATION_FEE

    asyncio.run(run())


def test_a_base_chain_killed(one: Deployed, tmp_path: Path) -> None:
    """The rollup computes on; what cannot be committed is said; it is committed when the base chain is back."""

    def beat(beat: Beat, _: NDArray[np.int32]) -> None:
        if beat.number == 10:
            one.net.kill_base()

    async def run() -> None:
        async with one.game() as game:
            with await open_game(game, one.window, tmp_path) as log:
                try:
                    said = await played(game, log, moves(), 2 * FRAMES, fps=60, on_beat=beat)
                finally:
                    one.net.kill_base()
                    one.net.restart_base()
                assert "not committed: the rollup does not reach the base chain" in said
                assert log.records == one.records(2 * FRAMES)
                await lifecycle.until("the rollup has its base chain again", lambda: committed(game))
                assert (await finish(game, log)).frame_number == 2 * FRAMES
            await lifecycle.close(game.places, game.session, game.wallet)

    async def committed(game: OwnSession) -> bool:
        """False while the rollup does not reach the base chain, which has just come back."""
        try:
            assert await lifecycle.commit(game.places, game.session, game.wallet) == 2 * FRAMES
        except TransactionError as error:
            if NO_PAYER not in str(error):
                raise
            return False
        return True

    asyncio.run(run())


def test_commits_run_out_but_not_that_of_the_end(one: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with one.game() as game:
            with await open_game(game, one.window, tmp_path) as log:
                for _ in range(SPONSORED_COMMITS):
                    await lifecycle.commit(game.places, game.session, game.wallet)
                with pytest.raises(TransactionError) as told:
                    await lifecycle.commit(game.places, game.session, game.wallet)
                assert told.value.custom == COMMIT_LIMIT
                assert await commits_made(game.places, game.session) == SPONSORED_COMMITS
                assert await played(game, log, moves(), FRAMES, fps=60) == []
                covered = await coverage(game.places, game.session, FRAMES)
                assert (covered.left, covered.uncommitted) == (0, FRAMES)
                assert (await finish(game, log)).frame_number == FRAMES
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())
