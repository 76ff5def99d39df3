"""`wmq session`: open, show, commit, end and close a session of a deployed world."""

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from wm_cli import output
from wm_cli.artifacts import BOLT_EXPORT
from wm_cli.json_keys import SESSION_KEYS
from wm_cli.opening import built
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
    yes_option,
)
from wm_cli.paying import announce
from wm_cli.places import (
    Where,
    address_of,
    comparable,
    found_session,
    own_session,
    start_window,
    with_game,
    with_world,
)
from wm_cli.seats import coverage_text, join, opponent_of, state_of
from wm_live.chain.addresses import session_address
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import Trust
from wm_live.chain.wallet import cluster_url, load_keypair
from wm_live.errors import WmLiveError
from wm_live.session import lifecycle
from wm_live.session.account import SessionState
from wm_live.session.commitments import keep_commit
from wm_live.session.commits import Coverage
from wm_live.session.game import OwnSession, OwnWorld, finish, open_game
from wm_live.session.log import Log, read_log
from wm_live.session.spending import closing, committing, ending, opening

#: What Ctrl-C leaves where a session is opened or joined.
SHOW_SAYS = "what was sent stays on the chain; `wmq session show` says where the session stands"


@click.group(
    epilog="\b\nExamples:\n  wmq session open --id 1\n  wmq session show --id 1\n  wmq session end --id 1\n"
    "  wmq session close --id 1"
)
def session() -> None:
    """Open, show, commit, end and close a session of a deployed world."""


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
@yes_option
@json_option
def session_open(
    dataset: Path, start: int, folder: Path | None, opponent: str | None, as_json: bool, **where: Any
) -> None:
    """Create a session on the base chain and bring it to its first frame on the rollup."""
    figures = open_session(Where(**where), dataset, start, folder, opponent)
    output.say(as_json, figures, f"session {figures['session']}: {figures['status']}, its log in {figures['log']}")


def open_session(where: Where, dataset: Path, start: int, folder: Path | None, opponent: str | None) -> dict[str, Any]:
    """`wmq session open`."""
    window, _, _ = start_window(built(where.export).net, dataset, start)

    async def do(own: OwnWorld) -> dict[str, Any]:
        begun = time.monotonic()
        await own.need_deployed()
        game = own.game(where.number, window, opponent_of(opponent))
        announce(own.places.base.url, game.party, opening(own.world), where.yes)
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
@yes_option
@json_option
def session_join(
    address: str, export: Path, cluster: str, keypair: Path, trust: Trust, yes: bool, as_json: bool
) -> None:
    """Take the second seat of another wallet's session. Its program must be final, and the one built here."""
    figures = join_session(export, cluster, keypair, address, trust, yes)
    output.say(as_json, figures, f"session {address}: joined as {figures['player']}")


def join_session(folder: Path, cluster: str, keypair: Path, address: str, trust: Trust, yes: bool) -> dict[str, Any]:
    """`wmq session join`."""
    export, wallet, at = comparable(folder, trust), load_keypair(keypair), address_of(address)

    async def run() -> dict[str, Any]:
        async with Rpc(cluster_url(cluster)) as base:
            found = await found_session(base, export, at)
            await join(base, wallet, found, trust, yes)
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
    """Where a session stands, and how much of it the base chain has."""
    figures = show_session(Where(**where), folder)
    text = f"{figures['status']} on the {figures['on']}, frame {figures['frame_number']:,}, root {figures['root']}"
    output.say(as_json, figures, f"session {figures['session']}: {text}\n{coverage_text(figures)}")


def show_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session show`."""
    return with_game(where, folder, state_of)


@verb(
    "wmq session commit --id 1",
    "commit",
    session,
    prints=SESSION_KEYS,
    stopped=SENT_STAYS,
)
@session_options
@log_option
@yes_option
@json_option
def session_commit(folder: Path | None, as_json: bool, **where: Any) -> None:
    """Write a session, as it stands on the rollup, to the base chain: then every frame up to here can be disputed."""
    figures = commit_session(Where(**where), folder)
    output.say(as_json, figures, f"session {figures['session']}: {coverage_text(figures)}")


def commit_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session commit`."""

    async def do(game: OwnSession) -> dict[str, Any]:
        before = await state_of(game)
        if before["frame_number"] and not before["uncommitted"]:
            return before  # there are only so many commits
        announce(game.places.base.url, game.party, committing(1), where.yes)
        await lifecycle.commit(game.places, game.session, game.wallet)
        await keep_commit(game.places.base, game.session, folder or where.log)
        return await state_of(game)

    return with_game(where, folder, do)


@verb(
    "wmq session end --id 1",
    "end",
    session,
    prints=f"{SESSION_KEYS} compared",
    stopped=SENT_STAYS,
)
@session_options
@log_option
@yes_option
@json_option
def session_end(folder: Path | None, as_json: bool, **where: Any) -> None:
    """End a session, and take all of it back to the base chain: it can be verified and disputed until it is closed.

    Exit code 1 if it is not what its log has. Of a match of an export to BOLT the components come back, and are
    compared.
    """
    asked = Where(**where)
    if BOLT_EXPORT.lies_at(asked.export):
        from wm_cli.verbs.match_sessions import end_in_match

        figures = end_in_match(asked, folder)
        ended = f"match {figures['session']}: ended at frame {figures['frame_number']:,}"
        output.say(as_json, figures, f"{ended}; its components are those of its log")
        return
    figures = end_session(asked, folder)
    equal = ", equal to its log" if figures["compared"] else ""
    text = f"session {figures['session']}: ended{equal}\n{_ended(figures['frame_number'], figures['uncommitted'])}"
    more = f"until `wmq session close --id {figures['number']}` returns its rent, any of them can be disputed"
    output.say(as_json, figures, f"{text}; {more}")


def end_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session end`: ended, taken back, and compared with the log if there is one."""

    async def do(own: OwnWorld) -> dict[str, Any]:
        path = folder or where.log
        log = _log_in(path)
        if log is not None and await own.emptied(address_of(log.about.session)):
            raise WmLiveError(
                f"session {log.about.session}: came back without a byte; next: wmq session close --id {where.number}"
            )
        game = await own_session(own, where, path)
        announce(own.places.base.url, own.wallet.pubkey(), ending(), where.yes)
        state = await finish(game, log)
        return await state_of(game) | {"compared": _compared(state, log), "uncommitted": _lost(state, log)}

    return with_world(where, do)


@verb(
    "wmq session close --id 1",
    "close",
    session,
    prints="frames root lamports compared uncommitted",
    stopped=SENT_STAYS,
)
@session_options
@log_option
@yes_option
@json_option
def session_close(folder: Path | None, as_json: bool, **where: Any) -> None:
    """Return the rent of a session, which is ended first where it has not. Then nobody can dispute it without a pin.

    Exit code 1 if it is not what its log has.
    """
    figures = close_session(Where(**where), folder)
    equal = ", equal to its log" if figures["compared"] else ""
    what = (
        _closed(figures["frames"], figures["uncommitted"]) if figures["root"] else "its validator has committed nothing"
    )
    text = f"{what}{equal}; closed, {figures['lamports']:,} lamports returned"
    output.say(as_json, figures, f"{text}\nnobody can dispute a frame of it any more, unless its root was pinned")


def close_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session close`: as `wmq session end` where it has not ended, and then its rent is returned."""

    async def do(own: OwnWorld) -> dict[str, Any]:
        path = folder or where.log
        log = _log_in(path)
        announce(own.places.base.url, own.wallet.pubkey(), closing(), where.yes)
        if log is not None and await own.emptied(address_of(log.about.session)):
            lamports = await _close_emptied(own, log)
            return {"frames": 0, "root": "", "lamports": lamports, "compared": False, "uncommitted": log.frames}
        game = await own_session(own, where, path)
        state = await finish(game, log)
        figures = {"frames": state.frame_number, "root": state.root.hex(), "uncommitted": _lost(state, log)}
        lamports = await lifecycle.close(game.places, game.session, game.wallet)
        return figures | {"lamports": lamports, "compared": _compared(state, log)}

    return with_world(where, do)


def _log_in(folder: Path) -> Log | None:
    return read_log(folder) if (folder / "log.json").exists() else None


def _compared(state: SessionState, log: Log | None) -> bool:
    """Whether `finish` has held a session against its log."""
    return log is not None and state.begun


def _lost(state: SessionState, log: Log | None) -> int:
    """Frames of the log that a session, which has ended, does not have: its rollup has lost them."""
    return max(0, log.frames - state.frame_number) if log is not None else 0


def _ended(frames: int, lost: int) -> str:
    return Coverage(frames + lost, frames, 0, delegated=False).text()


def _closed(frames: int, lost: int) -> str:
    return _ended(frames, lost) if lost else f"{frames:,} frames"


async def _close_emptied(own: OwnWorld, log: Log) -> int:
    """The rent of a session whose account is empty: only its log says what it was."""
    session, terms = address_of(log.about.session), bytes.fromhex(log.about.terms)
    if session_address(own.world.program, own.world.model, own.wallet.pubkey(), terms) != session:
        what = "not made by this wallet" if terms else "without what was agreed, which older logs did not keep"
        raise WmLiveError(f"{log.folder}: session {session} came back without a byte, and the log is {what}")
    return await lifecycle.close_emptied(own.places, own.world, own.wallet, session, terms)
