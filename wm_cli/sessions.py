"""What `wmq session` does."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_cli.places import Where, address_of, built, found_session, start_window, with_game
from wm_live import lifecycle
from wm_live.committed import Committed
from wm_live.game import KEY_S, Game, finish, open_game, session_key
from wm_live.lifecycle import need_session
from wm_live.log import read_log
from wm_live.rpc import Rpc
from wm_live.session import Seat
from wm_live.wallet import cluster_url, load_keypair


def open_session(where: Where, dataset: Path, start: int, folder: Path | None, opponent: str | None) -> dict[str, Any]:
    """`wmq session open`."""
    window, _, _ = start_window(built(where.export), dataset, start)

    async def do(game: Game) -> dict[str, Any]:
        begun = time.monotonic()
        game = await seated(game, opponent)
        (await open_game(game, window, folder or where.log, opponent_of(opponent))).close()
        return await state_of(game) | {"log": str(folder or where.log), "seconds": round(time.monotonic() - begun, 3)}

    return with_game(where, do)


def opponent_of(text: str | None) -> Pubkey | None:
    """None if the wallet plays both, nobody's address for whoever comes first."""
    return None if text is None else Pubkey.default() if text == "any" else address_of(text)


async def state_of(game: Game) -> dict[str, Any]:
    """Where a session stands, asked where it is now."""
    node = game.places.rollup if await lifecycle.delegated(game.places, game.session) else game.places.base
    state = await need_session(node, game.session)
    return {
        "session": str(game.session.address),
        "number": game.session.number,
        "status": state.status,
        "on": "rollup" if node is game.places.rollup else "base chain",
        "frame_number": state.frame_number,
        "root": state.root.hex(),
        "players": [str(player.wallet) for player in state.players],
    }


def join_session(folder: Path, cluster: str, keypair: Path, address: str) -> dict[str, Any]:
    """`wmq session join`."""
    export, wallet, at = built(folder), load_keypair(keypair), address_of(address)

    async def run() -> dict[str, Any]:
        async with Rpc(cluster_url(cluster)) as base:
            found = await found_session(base, export, at)
            await join(base, wallet, found)
            return {"session": address, "player": str(wallet.pubkey()), "start": found.state.start.hex()}

    return asyncio.run(run())


async def seated(game: Game, opponent: str | None) -> Game:
    """The game, without the second player's key where another wallet sits there, or shall."""
    state = await lifecycle.read_session(game.places.base, game.session)
    alone = opponent is None if state is None else state.players[1].wallet == game.party
    return game if alone else replace(game, keys=game.keys[:1])


async def join(base: Rpc, wallet: Keypair, found: Committed) -> None:
    """Take the second seat of a session that was found, if it is still that one."""
    seat = Seat(wallet, session_key(wallet, found.session.address, 1))
    await lifecycle.join(base, found.session, seat, found.state.start, int(time.time()) + KEY_S)


def show_session(where: Where) -> dict[str, Any]:
    """`wmq session show`."""
    return with_game(where, state_of)


def commit_session(where: Where) -> dict[str, Any]:
    """`wmq session commit`."""

    async def do(game: Game) -> dict[str, Any]:
        return {"committed": await lifecycle.commit(game.places, game.session, game.wallet)} | await state_of(game)

    return with_game(where, do)


def close_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session close`: ended, taken back, compared with the log if there is one, and its rent returned."""

    async def do(game: Game) -> dict[str, Any]:
        path = folder or where.log
        log = read_log(path) if (path / "log.json").exists() else None
        state = await finish(game, log)
        lamports = await lifecycle.close(game.places, game.session, game.wallet)
        return {
            "frames": state.frame_number,
            "root": state.root.hex(),
            "lamports": lamports,
            "compared": log is not None,
        }

    return with_game(where, do)
