"""`wmq session`: open, show, commit and close a session of a deployed world."""

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from wm_cli import output
from wm_cli.json_keys import SESSION_KEYS
from wm_cli.options import (
    SENT_STAYS,
    cluster_option,
    dataset_option,
    export_argument,
    json_option,
    keypair_option,
    log_option,
    session_options,
    start_option,
    trust_options,
    verb,
)
from wm_cli.places import (
    Where,
    address_of,
    built,
    comparable,
    found_session,
    own_session,
    start_window,
    with_game,
    with_world,
)
from wm_cli.seats import join, opponent_of, state_of
from wm_live.chain.addresses import session_address
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import Trust
from wm_live.chain.wallet import announced, cluster_url, load_keypair
from wm_live.errors import WmLiveError
from wm_live.session import lifecycle
from wm_live.session.game import OwnSession, OwnWorld, finish, open_game
from wm_live.session.log import Log, read_log
from wm_live.session.spending import closing, committing, opening

#: What Ctrl-C leaves where a session is opened or joined.
SHOW_SAYS = "what was sent stays on the chain; `wmq session show` says where the session stands"


@click.group(epilog="\b\nExamples:\n  wmq session open --id 1\n  wmq session show --id 1\n  wmq session close --id 1")
def session() -> None:
    """Open, show, commit and close a session of a deployed world."""


@verb(
    "wmq session open --id 1\nwmq session open --id 2 --cluster devnet --opponent any",
    "open",
    session,
    prints=f"{SESSION_KEYS} log seconds",
    stopped=SHOW_SAYS,
)
@session_options
@dataset_option
@start_option
@log_option
@click.option("--opponent", help="Wallet of the second player, or `any`.  [default: this wallet plays both]")
@json_option
def session_open(
    dataset: Path, start: int, folder: Path | None, opponent: str | None, as_json: bool, **where: Any
) -> None:
    """Create a session on the base chain and bring it to its first frame on the rollup."""
    figures = open_session(Where(**where), dataset, start, folder, opponent)
    output.say(as_json, figures, f"session {figures['session']}: {figures['status']}, its log in {figures['log']}")


def open_session(where: Where, dataset: Path, start: int, folder: Path | None, opponent: str | None) -> dict[str, Any]:
    """`wmq session open`."""
    window, _, _ = start_window(built(where.export), dataset, start)

    async def do(own: OwnWorld) -> dict[str, Any]:
        begun = time.monotonic()
        game = own.game(where.number, window, opponent_of(opponent))
        output.note(announced(game.party, opening(own.world)))
        (await open_game(game, window, folder or where.log)).close()
        return await state_of(game) | {"log": str(folder or where.log), "seconds": round(time.monotonic() - begun, 3)}

    return with_world(where, do)


@verb(
    "wmq session join 7hGx... --keypair mine.json",
    "join",
    session,
    prints="session player start",
    stopped=SHOW_SAYS,
)
@click.argument("address")
@export_argument
@cluster_option
@keypair_option
@trust_options
@json_option
def session_join(address: str, export: Path, cluster: str, keypair: Path, trust: Trust, as_json: bool) -> None:
    """Take the second seat of another wallet's session. Its program must be final, and the one built here."""
    figures = join_session(export, cluster, keypair, address, trust)
    output.say(as_json, figures, f"session {address}: joined as {figures['player']}")


def join_session(folder: Path, cluster: str, keypair: Path, address: str, trust: Trust) -> dict[str, Any]:
    """`wmq session join`."""
    export, wallet, at = comparable(folder, trust), load_keypair(keypair), address_of(address)

    async def run() -> dict[str, Any]:
        async with Rpc(cluster_url(cluster)) as base:
            found = await found_session(base, export, at)
            await join(base, wallet, found, trust)
            return {"session": address, "player": str(wallet.pubkey()), "start": found.state.terms.start.hex()}

    return asyncio.run(run())


@verb(
    "wmq session show --id 1 --json",
    "show",
    session,
    prints=SESSION_KEYS,
)
@session_options
@log_option
@json_option
def session_show(folder: Path | None, as_json: bool, **where: Any) -> None:
    """Where a session stands."""
    figures = show_session(Where(**where), folder)
    text = f"{figures['status']} on the {figures['on']}, frame {figures['frame_number']:,}, root {figures['root']}"
    output.say(as_json, figures, f"session {figures['session']}: {text}")


def show_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session show`."""
    return with_game(where, folder, state_of)


@verb(
    "wmq session commit --id 1",
    "commit",
    session,
    prints=f"{SESSION_KEYS} committed",
    stopped=SENT_STAYS,
)
@session_options
@log_option
@json_option
def session_commit(folder: Path | None, as_json: bool, **where: Any) -> None:
    """Write a session, as it stands on the rollup, to the base chain."""
    figures = commit_session(Where(**where), folder)
    output.say(as_json, figures, f"session {figures['session']}: committed at frame {figures['committed']:,}")


def commit_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session commit`."""

    async def do(game: OwnSession) -> dict[str, Any]:
        output.note(announced(game.party, committing(1)))
        return {"committed": await lifecycle.commit(game.places, game.session, game.wallet)} | await state_of(game)

    return with_game(where, folder, do)


@verb(
    "wmq session close --id 1",
    "close",
    session,
    prints="frames root lamports compared",
    stopped=SENT_STAYS,
)
@session_options
@log_option
@json_option
def session_close(folder: Path | None, as_json: bool, **where: Any) -> None:
    """End a session, take it back to the base chain, and return its rent. Exit code 1 if it is not what its log has."""
    figures = close_session(Where(**where), folder)
    compared = "equal to its log, " if figures["compared"] else ""
    what = f"{figures['frames']:,} frames, {compared}" if figures["root"] else "its validator has committed nothing, "
    output.say(as_json, figures, f"{what}{figures['lamports']:,} lamports returned")


def close_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session close`: ended, taken back, compared with the log if there is one, and its rent returned."""

    async def do(own: OwnWorld) -> dict[str, Any]:
        path = folder or where.log
        log = read_log(path) if (path / "log.json").exists() else None
        output.note(announced(own.wallet.pubkey(), closing()))
        if log is not None and await own.emptied(address_of(log.about.session)):
            return {"frames": 0, "root": "", "lamports": await _close_emptied(own, log), "compared": False}
        game = await own_session(own, where.number, path)
        state = await finish(game, log)
        lamports = await lifecycle.close(game.places, game.session, game.wallet)
        return {
            "frames": state.frame_number,
            "root": state.root.hex(),
            "lamports": lamports,
            "compared": log is not None,
        }

    return with_world(where, do)


async def _close_emptied(own: OwnWorld, log: Log) -> int:
    """The rent of a session whose account is empty: only its log says what it was."""
    session, terms = address_of(log.about.session), bytes.fromhex(log.about.terms)
    if session_address(own.world.program, own.world.model, own.wallet.pubkey(), terms) != session:
        what = "not made by this wallet" if terms else "without what was agreed, which older logs did not keep"
        raise WmLiveError(f"{log.folder}: session {session} came back without a byte, and the log is {what}")
    return await lifecycle.close_emptied(own.places, own.world, own.wallet, session, terms)
