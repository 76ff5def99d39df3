"""`wmq watch`: a session, or a rollout beside its replay, in a browser."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import click

from wm_cli import output
from wm_cli.artifacts import BOLT_EXPORT, newest_model
from wm_cli.local_play import Asked, play_world
from wm_cli.number_types import WINDOWS, Whole
from wm_cli.opening import built, held_out_window
from wm_cli.options import (
    cluster_option,
    dataset_option,
    export_argument,
    keypair_option,
    trust_options,
    verb,
    yes_option,
)
from wm_cli.packaged import World, example, worlds
from wm_cli.pins import announce_pins, follow
from wm_cli.places import address_of
from wm_export.solana.layout import session_vocab
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import Trust
from wm_live.errors import WmLiveError
from wm_live.session.account import session_state
from wm_live.watch.following import SessionSource
from wm_live.watch.server import nothing
from wm_live.watch.server import watch as show_page
from wm_live.watch.viewer import Hello, LiveFeed, RolloutFeed, cast_of

NAMES = " or ".join(worlds())


@verb(
    "wmq watch 7hGx...Qe --rpc http://127.0.0.1:7799\nwmq watch --rollout qnet --start 5000 --frames 600\n"
    f"wmq watch --world {example()}\nwmq watch 7hGx...Qe --pin\nwmq watch 9kLm...Xa export-bolt"
)
@click.argument("address", required=False)
@click.option(
    "--rollout",
    "model",
    type=World(),
    help="Run or QNet to let run beside its replay.  [default: qnet, else run-qat, else run]",
)
@click.option(
    "--world",
    type=World(),
    help=f"World to let run while chance has both controllers, without a dataset: a run, a QNet, or {NAMES}.",
)
@click.option("--rpc", default="http://127.0.0.1:7799", show_default=True, help="Node that has the session.")
@export_argument
@dataset_option
@click.option("--start", type=Whole(0, WINDOWS), default=0, show_default=True, help="Held-out window to start at.")
@click.option("--frames", type=Whole(1, 18_000), default=600, show_default=True, help="Frames of a rollout.")
@click.option("--port", type=Whole(0, 65_535), default=0, help="Of the page; a free one if not given.")
@click.option("--pin", "pins", is_flag=True, help="Keep each commit on the base chain, to dispute it later.")
@cluster_option
@keypair_option
@trust_options
@yes_option
def watch(
    address: str | None,
    model: Path | None,
    world: Path | None,
    rpc: str,
    export: Path,
    dataset: Path,
    start: int,
    frames: int,
    port: int,
    pins: bool,
    cluster: str,
    keypair: Path,
    trust: Trust,
    yes: bool,
) -> None:
    """Show a session or a match as it is played, a rollout beside its replay, or a world alone, in a browser here.

    With --pin the wallet pays for a pin of each commit that is seen: what is committed later cannot outrun a dispute.
    """
    if pins and address is None:
        raise click.UsageError("--pin: only a session is committed; name its address")
    if world is not None:
        play_world(Asked(world, start=start, port=port, watched=True))
        return
    if address and BOLT_EXPORT.lies_at(export):
        if pins:
            raise click.UsageError("--pin: a match of an export to BOLT has no root to keep")
        from wm_cli.verbs.match_sessions import match_feed

        show_page(match_feed(address, rpc, export), port, output.note)
        return
    feed = (
        session_feed(address, rpc, export) if address else rollout_feed(model or newest_model(), dataset, start, frames)
    )
    besides = partial(follow, export, cluster, keypair, address, trust) if pins and address else nothing
    if pins:
        announce_pins(cluster, keypair, yes)
    show_page(feed, port, output.note, besides)


def session_feed(address: str, url: str, folder: Path) -> LiveFeed:
    """`wmq watch SESSION`: what a node tells of it."""
    export, at = built(folder), address_of(address)
    where = export.layout

    async def now() -> bytes:
        async with Rpc(url) as rpc:
            account = await rpc.account(at)
            if account is None:
                raise WmLiveError(f"{url}: no session {address} there; is it delegated to this rollup?")
            return account.data

    async def changes() -> AsyncIterator[bytes]:
        """As it is, then as it changes: a session that has ended, or that nobody plays, is shown too."""
        yield first
        async with Rpc(url) as rpc:
            async for account in rpc.follow_account(at):
                if account is None:
                    return
                yield account.data

    first = asyncio.run(now())
    state, slots = session_state(where, first), export.net.world.encoding.slots
    game = export.net.world.game
    place = state.terms.ids[len(session_vocab(export.net)) - 1] if game.place else 0
    hello = Hello(f"session {address}", game, place, cast_of(game, state.frame), slots)
    return LiveFeed(hello, SessionSource(where, changes))


def rollout_feed(model: Path, dataset: Path, start: int, frames: int) -> RolloutFeed:
    """`wmq watch --rollout`: a model beside a held-out game."""
    one, corpus, t = held_out_window(model, dataset, start, frames)
    return RolloutFeed(f"{model} from held-out window {start}", one.model, corpus, one.world.encoding, t, frames)
