"""What is refused on the real rollup, and what strangers' lamports do not keep from being made."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction, VersionedTransaction

from tests.wm_live.courts import delegation_program
from tests.wm_live.games import deployed_on, moves, played
from wm_live.chain.addresses import DELEGATION_PROGRAM
from wm_live.chain.transactions import Sender, TransactionError
from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.genesis import Genesis
from wm_live.localnet.servers import Installed, Localnet
from wm_live.session import lifecycle
from wm_live.session.game import finish, open_game


@pytest.mark.parametrize("number", [26, 27], ids=["request", "rollback"])
def test_the_delegation_program_knows_no_exit_without_the_operator(validator: Installed, number: int) -> None:
    """As docs/threats.md says. Its numbers for both in later versions; one that it knows complains of the accounts."""
    chain = Chain(Genesis({DELEGATION_PROGRAM: delegation_program()}, {}), None, 400)
    payer = Keypair()
    chain.airdrop(payer.pubkey(), 10**9)

    def error(number: int) -> Any:
        asked = Instruction(DELEGATION_PROGRAM, struct.pack("<Q", number), [])
        message = Message.new_with_blockhash([asked], payer.pubkey(), chain.blockhash()[0])
        transaction = VersionedTransaction.from_legacy(Transaction([payer], message, chain.blockhash()[0]))
        return chain.error_of(transaction, chain.simulate(transaction)[0])

    known = error(3)  # Undelegate
    assert error(number) == {"InstructionError": [0, "InvalidInstructionData"]} != known


def test_no_session_is_closed_on_the_rollup(
    localnet: Localnet, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The rollup shows the record of the delegation, as the base chain has it."""

    one = deployed_on(localnet, tmp_path_factory, 1)

    async def run() -> None:
        async with one.game() as game:
            with await open_game(game, one.window, tmp_path) as log:
                await played(game, log, moves(), 3)
                rollup = lifecycle.on_rollup(game.places, game.session, game.wallet)
                await lifecycle.end_session(rollup, game.session, game.party)
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
