"""What is refused on the real rollup, and what strangers' lamports do not keep from being made."""

import asyncio
from pathlib import Path

import pytest
from solders.system_program import TransferParams, transfer

from tests.wm_live.games import deployed_on, moves, played
from wm_live.chain.transactions import Sender, TransactionError
from wm_live.localnet.servers import Localnet
from wm_live.session import lifecycle
from wm_live.session.game import finish, open_game


def test_no_session_is_closed_on_the_rollup(
    localnet: Localnet, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The rollup shows the record of the delegation, as the base chain has it."""

    one = deployed_on(localnet, tmp_path_factory, 1)

    async def run() -> None:
        async with one.game() as game:
            with await open_game(game, one.window, tmp_path) as log:
                await played(game, log, moves(), 3)
                rollup = Sender(game.places.rollup, game.wallet)
                await lifecycle.end_session(rollup, game.session)
                with pytest.raises(TransactionError) as refused:
                    await rollup.send([game.session.close()], preflight=False)
                assert refused.value.name == "Delegated"
                await finish(game, log)
            assert await lifecycle.close(game.places, game.session, game.wallet) > 0

    asyncio.run(run())


def test_lamports_at_the_scratch_accounts_address_do_not_keep_a_session_from_being_played(
    localnet: Localnet, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = deployed_on(localnet, tmp_path_factory, 1)

    async def run() -> None:
        async with one.game() as game:
            first = game.session.scratch
            pay = TransferParams(from_pubkey=game.party, to_pubkey=first, lamports=890_880)
            await Sender(game.places.base, game.wallet).send([transfer(pay)])
            with await open_game(game, one.window, tmp_path) as log:
                assert game.session.scratch != first and game.session.nonce
                await played(game, log, moves(), 3)
                await finish(game, log)
            assert await lifecycle.close(game.places, game.session, game.wallet) > 0

    asyncio.run(run())
