"""The two players of a session: who sits where, and where the session stands."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_cli.paying import announce
from wm_cli.places import address_of
from wm_live.chain.guard import SPARE_SIGNATURES, Budget
from wm_live.chain.purse import filling, purse
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import Trust, check_code
from wm_live.deploy.target import built_elf
from wm_live.session import lifecycle
from wm_live.session.commits import Coverage, coverage
from wm_live.session.committed import Committed
from wm_live.session.game import KEY_S, OwnSession, session_key
from wm_live.session.instructions import Seat
from wm_live.session.lifecycle import need_session


def opponent_of(text: str | None) -> Pubkey | None:
    """None if the wallet plays both; the zero address if anybody may take the second seat."""
    return None if text is None else Pubkey.default() if text == "any" else address_of(text)


async def join(base: Rpc, wallet: Keypair, found: Committed, trust: Trust, yes: bool) -> None:
    """Take the second seat of a session that was found, if it is still that one.

    Its program is another's: it is compared with the one built here, and a purse pays. yes: without being asked.
    """
    world = found.session.world
    program = await check_code(base, world.program, partial(built_elf, world.export), wallet.pubkey(), trust)
    budget = Budget(0, 2 * (1 + SPARE_SIGNATURES))
    announce(base.url, wallet.pubkey(), filling(budget).at_most, yes)
    async with purse(base, wallet, program, budget) as sender:
        seat = Seat(wallet, session_key(wallet, found.session.address, 1))
        await lifecycle.join(sender, found.session, seat, int(time.time()) + KEY_S)


async def state_of(game: OwnSession) -> dict[str, Any]:
    """Status, frame and root of a session, read from the node that has it now, and what of it the base chain has."""
    node = game.places.rollup if await lifecycle.delegated(game.places, game.session) else game.places.base
    state = await need_session(node, game.session)
    covered = await coverage(game.places, game.session, state.frame_number)
    return {
        "session": str(game.session.address),
        "number": game.session.number,
        "status": state.status,
        "on": "rollup" if node is game.places.rollup else "base chain",
        "frame_number": state.frame_number,
        "root": state.root.hex(),
        "players": [str(player.wallet) for player in state.players],
        **covered.to_json(),
    }


def coverage_text(figures: Mapping[str, Any]) -> str:
    """What `state_of` has found of the base chain, in words."""
    return Coverage(
        figures["frame_number"], figures["committed"], figures["commits_left"], figures["on"] == "rollup"
    ).text()
