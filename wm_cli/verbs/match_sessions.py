"""`wmq play`, `watch` and `session end` of an export to BOLT: matches of components and systems."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wm_cli import output
from wm_cli.artifacts import LOG, need
from wm_cli.opening import open_bolt
from wm_cli.paying import announce
from wm_cli.places import Where, address_of, start_window
from wm_cli.play_options import Pace, chosen_inputs, watched
from wm_cli.tally import Tally
from wm_export.solana.layout import session_vocab
from wm_live.bolt.match_accounts import MatchState, read_match, read_session_ids
from wm_live.bolt.match_audit import ENDED, PLAYED, audit_match
from wm_live.bolt.match_play import end_match, open_match, play_match, replayed_first, take_up
from wm_live.bolt.match_watch import MatchSource
from wm_live.bolt.rollup_match import RollupMatch
from wm_live.chain.rpc import Rpc, RpcError
from wm_live.chain.urls import is_local
from wm_live.chain.wallet import SOL, cluster_url, load_keypair, sol
from wm_live.errors import WmLiveError
from wm_live.session.inputs import Inputs
from wm_live.session.log import Log, read_log
from wm_live.session.play import Beat
from wm_live.watch.viewer import FrameMessage, Hello, LiveFeed, cast_of
from wm_train.games.corpus import Corpus
from wm_train.measure.window import Window
from wm_train.world.fields import PLAYERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


def _with_match(where: Where, do: Callable[[RollupMatch], Awaitable[T]]) -> T:
    """Connect to both nodes and run `do` with a match of the wallet that is not placed yet.

    WmLiveError for nodes that are not on this machine: the keys of an export's programs are everybody's, so what lies
    at their addresses on a public chain may take what the wallet has.
    """
    export, wallet = open_bolt(where.export), load_keypair(where.keypair)
    for url in (cluster_url(where.cluster), where.rollup_url):
        if not is_local(url):
            raise WmLiveError(
                f"{url}: matches are played on nodes of this machine, as anybody can put programs at the addresses of "
                "an export to BOLT; next: wmq localnet --bolt EXPORT, and for keys of your own see docs/bolt.md"
            )

    async def run() -> T:
        async with Rpc(cluster_url(where.cluster)) as base, Rpc(where.rollup_url) as rollup:
            match = RollupMatch(base, rollup, export, wallet)
            await match.need_programs()
            return await do(match)

    return asyncio.run(run())


# ---------------------------------------------------------------------------------------------------------------- play


def play_in_match(where: Where, how: Pace) -> dict[str, Any]:
    """`wmq play` of an export to BOLT: makes a match and its log if there is none, else takes it up; plays frames."""
    net = open_bolt(where.export).net
    window, corpus, t = start_window(net, how.dataset, how.start)
    folder = how.folder or where.log
    with ExitStack() as stack:
        inputs = chosen_inputs(net.world.game, how, corpus, t, stack)

        async def do(match: RollupMatch) -> dict[str, Any]:
            log, source = await _opened(match, window, folder, inputs, where.yes)
            with log:
                try:
                    return await _played(match, log, source, how, (corpus, t)) | {"number": where.number}
                except RpcError as error:
                    kept = f"{log.folder}: keeps {log.frames:,} frames, and the same command goes on with them"
                    raise WmLiveError(f"{kept}; {error}") from None

        return _with_match(where, do)


async def _opened(match: RollupMatch, window: Window, folder: Path, inputs: Inputs, yes: bool) -> tuple[Log, Inputs]:
    if (folder / "log.json").exists():
        log, lost = await take_up(match, folder)
        return log, replayed_first(log, lost, inputs)
    wallet, cost = match.match.scene.payer, await match.cost()
    balance = await match.base.balance(wallet)
    if balance < cost:
        has = f"{wallet} has {sol(balance)} SOL, a match takes at most {sol(cost)}"
        raise WmLiveError(f"{has}; next: wmq fund --sol {-(-cost // SOL)}, with the same cluster and keypair")
    announce(match.base.url, wallet, cost, yes)
    with output.progress_bar("upload", None) as (bar, task):
        shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        return await open_match(match, window, folder, shown), inputs


async def _played(match: RollupMatch, log: Log, inputs: Inputs, how: Pace, at: tuple[Corpus, int]) -> dict[str, Any]:
    tally = Tally()
    async with AsyncExitStack() as stack:
        title = f"match {log.about.session}"
        page = await watched(title, match.export.net, how, at, stack) if how.watch else None
        bar, task = stack.enter_context(output.progress_bar("play", how.frames))

        def beat(beat: Beat, frame: "NDArray[np.int32]") -> None:
            tally.add(beat)
            bar.update(task, advance=1, description=f"play: {tally.fps:.0f} fps, {tally.late} late")
            if page is not None:
                page.put_nowait(FrameMessage(beat.number, frame, beat.inputs, late=beat.late))

        most_cu = await play_match(match, log, inputs, how.frames, how.fps, beat)
    figures = {"log": str(log.folder), "cu_per_frame": most_cu}
    return _state(log, PLAYED, log.frames) | tally.figures() | figures


def _state(log: Log, status: str, frames: int) -> dict[str, Any]:
    """Where a match stands, as figures of a session say it: a match has no root and no commits."""
    assert log.about.match is not None
    ended = status == ENDED
    return {
        "session": log.about.session,
        "status": status,
        "on": "base chain" if ended else "rollup",
        "frame_number": frames,
        "root": "",
        "players": [log.about.match.authority] * PLAYERS,
        "committed": frames if ended else 0,
        "uncommitted": 0 if ended else frames,
        "commits_left": 0,
    }


# ---------------------------------------------------------------------------------------------------------- end, watch


def end_in_match(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session end` of an export to BOLT: a match taken back, and compared with its log."""
    path = folder or where.log

    async def do(match: RollupMatch) -> dict[str, Any]:
        with _log_at(path) as log:
            await end_match(match, log)
            found = await audit_match(match.base, None, match.export, log)
            if not found.ok:
                raise WmLiveError(f"{path}: match {log.about.session} is not what its log has; see wmq verify")
            return _state(log, ENDED, found.frames) | {"number": where.number, "compared": True}

    return _with_match(where, do)


def _log_at(folder: Path) -> Log:
    need(folder, LOG, option="--log")
    return read_log(folder)


def match_feed(address: str, url: str, folder: Path) -> LiveFeed:
    """`wmq watch ENTITY` of an export to BOLT: what a node tells of its components."""
    export, entity = open_bolt(folder), address_of(address)
    net = export.net

    async def now() -> tuple[MatchState, tuple[int, ...]]:
        async with Rpc(url) as node:
            return (await read_match(node, export, entity)).state, await read_session_ids(node, export, entity)

    state, ids = asyncio.run(now())
    place = ids[len(session_vocab(net)) - 1] if net.world.game.place else 0
    hello = Hello(
        f"match {address}", net.world.game, place, cast_of(net.world.game, state.frame), net.world.encoding.slots
    )
    return LiveFeed(hello, MatchSource(export, url, entity))
