"""`wmq play`: a session of a deployed world, frame by frame."""

import asyncio
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from wm_cli import output
from wm_cli.artifacts import BOLT_EXPORT
from wm_cli.json_keys import PLAYED_KEYS, SESSION_KEYS
from wm_cli.local_play import Asked, play_world
from wm_cli.number_types import FRAMES_OF_A_DAY, Real, Whole
from wm_cli.opening import built
from wm_cli.options import (
    dataset_option,
    json_option,
    log_option,
    session_options,
    start_option,
    trust_options,
    verb,
    yes_option,
)
from wm_cli.packaged import World, example, worlds
from wm_cli.paying import announce
from wm_cli.places import (
    Where,
    address_of,
    comparable,
    found_session,
    own_session,
    places,
    start_window,
    tell_of_start,
    with_world,
)
from wm_cli.play_options import Messages, Pace, chosen_inputs, watched
from wm_cli.seats import coverage_text, join, opponent_of, state_of
from wm_cli.tally import Tally, frame_cu
from wm_live.chain.rpc import RpcError
from wm_live.chain.trust import Trust
from wm_live.chain.wallet import load_keypair
from wm_live.errors import WmLiveError
from wm_live.session import lifecycle
from wm_live.session.commits import COMMITS
from wm_live.session.game import OwnSession, OwnWorld, Recorder, again, open_game, session_key, take_up
from wm_live.session.game import play as play_frames
from wm_live.session.inputs import Inputs
from wm_live.session.instructions import Session
from wm_live.session.lifecycle import SessionNodes, need_session
from wm_live.session.log import Log
from wm_live.session.play import Beat, Guest
from wm_live.session.spending import committing, delegation, opening
from wm_live.watch.viewer import FrameMessage
from wm_train.games.corpus import Corpus
from wm_train.measure.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


@verb(
    f"wmq play --frames 3600\nwmq play --world {example()}\n"
    "wmq play --world qnet --against random\n"
    "wmq play --inputs keyboard --watch\nwmq play --id 2 --cluster devnet --fps 30\n"
    "wmq play export-bolt --id 3 --watch",
    prints=f"{SESSION_KEYS} {PLAYED_KEYS} log cu_per_frame player",
    stopped="the log has every frame that was computed; the same command goes on",
)
@session_options
@dataset_option
@start_option
@log_option
@click.option("--frames", type=Whole(1, FRAMES_OF_A_DAY), default=600, show_default=True, help="Frames to compute.")
@click.option(
    "--fps", type=Real(0, 1_000), default=60.0, show_default=True, help="Frames a second; 0: as fast as it goes."
)
@click.option(
    "--inputs",
    type=click.Choice(["replay", "random", "keyboard"]),
    default="replay",
    show_default=True,
    help="The real game's, by chance, or this terminal's: wasd and j k l i u for player 1, the game's for player 2.",
)
@click.option(
    "--world",
    type=World(),
    help=f"Play a world on a page of this machine, with no chain: a run, a QNet, or {' or '.join(worlds())}.",
)
@click.option(
    "--on", "place", default="", metavar="PLACE", help="Where, of --world.  [default: one that is often played]"
)
@click.option("--cast", default="", metavar="A,B", help="Who, of --world.  [default: who is often played]")
@click.option(
    "--against",
    type=click.Choice(["idle", "random", "replay"]),
    default="idle",
    show_default=True,
    help="What the second player of --world does; replay: as in a recorded game, which it begins from.",
)
@click.option("--opponent", help="Wallet of the second player, or `any`, who plays with --guest.")
@click.option("--guest", metavar="SESSION", help="Sit down at another wallet's session, and send this player's inputs.")
@trust_options
@click.option("--watch", is_flag=True, help="Show it in a browser as well.")
@click.option("--port", type=Whole(0, 65_535), default=0, help="Of that page; a free one if not given.")
@yes_option
@json_option
def play(
    folder: Path | None,
    as_json: bool,
    number: int,
    guest: str | None,
    trust: Trust,
    world: Path | None,
    place: str,
    cast: str,
    against: str,
    **options: Any,
) -> None:
    """Play a session: 60 frames a second, each computed by the program on the rollup, and every one kept in a log.

    Opens the session if there is none; one that was interrupted, or lost by its rollup, goes on where its log allows.
    Of an export to BOLT it plays a match, every system applied in one transaction a frame, into a log of the same kind.
    With --world a world is played in a browser instead, with keys or a gamepad, before anything is on a chain.
    """
    if world is not None:
        if guest is not None or options["opponent"] is not None:
            raise click.UsageError("--world: is played on no chain; leave --guest and --opponent out")
        only = {key: options[key] for key in ("dataset", "start", "fps", "port")}
        play_world(Asked(world=world, place=place, cast=cast, against=against, **only))
        return
    keys = ("export", "cluster", "rollup", "keypair", "yes")
    where = Where(number=number, **{key: options.pop(key) for key in keys})
    pace = Pace(folder=folder, **options)
    if guest is not None:
        figures = play_as_guest(where, pace, guest, trust)
        output.say(
            as_json, figures, f"session {guest}: played as {figures['player']} up to frame {figures['frame_number']:,}"
        )
        return
    is_match = BOLT_EXPORT.lies_at(where.export)
    figures = _play_in_match(where, pace) if is_match else play_session(where, pace)
    stands = (
        f"the match stays on the rollup until `wmq session end --id {number}`" if is_match else coverage_text(figures)
    )
    output.say(
        as_json,
        figures,
        f"{figures['frames']:,} frames at {figures['fps']:.1f} fps, {figures['late_frames']} late, "
        f"{figures['cu_per_frame']:,} units a frame; log in {figures['log']}\n{stands}",
    )


def _play_in_match(where: Where, how: Pace) -> dict[str, Any]:
    from wm_cli.verbs.match_sessions import play_in_match

    if how.opponent is not None:
        raise click.UsageError("--opponent: in a match of an export to BOLT one wallet plays both")
    return play_in_match(where, how)


def play_session(where: Where, how: Pace) -> dict[str, Any]:
    """`wmq play`: opens the session if there is none, else takes it up, and computes frames."""
    export = built(where.export)
    window, corpus, t = start_window(export.net, how.dataset, how.start)
    folder = how.folder or where.log
    with ExitStack() as stack:
        inputs = chosen_inputs(export.net.world.game, how, corpus, t, stack)

        async def do(own: OwnWorld) -> dict[str, Any]:
            if (folder / "log.json").exists():
                game = await own_session(own, where, folder)
                tell_of_start(game.session, window, how.start)
            else:
                await own.need_deployed()
                game = own.game(where.number, window, opponent_of(how.opponent))
            log, source = await _opened(game, window, folder, inputs, where.yes)
            with log:
                try:
                    return await _played(game, log, source, how, (corpus, t))
                except RpcError as error:
                    kept = f"{log.folder}: keeps {log.frames:,} frames, and the same command goes on with them"
                    raise WmLiveError(f"{kept}; {error}") from None

        return with_world(where, do)


def play_as_guest(where: Where, how: Pace, address: str, trust: Trust) -> dict[str, Any]:
    """`wmq play --guest SESSION`: takes the second seat if it is free, and sends its inputs."""
    export, wallet, at = comparable(where.export, trust), load_keypair(where.keypair), address_of(address)
    window, corpus, t = start_window(export.net, how.dataset, how.start)

    async def run(inputs: Inputs) -> dict[str, Any]:
        async with places(where) as nodes:
            found = await found_session(nodes.base, export, at)
            tell_of_start(found.session, window, how.start)
            key = session_key(wallet, at, 1)
            if found.state.status == "open":
                await join(nodes.base, wallet, found, trust, where.yes)
            await lifecycle.until("the first frame", lambda: _has_started(nodes, found.session), timeout_s=3600)
            await Guest(nodes.rollup, found.session, 1, key).run(inputs, how.frames)
            state = await need_session(nodes.rollup, found.session)
            return {"session": address, "player": str(wallet.pubkey()), "frame_number": state.frame_number}

    with ExitStack() as stack:
        return asyncio.run(run(chosen_inputs(export.net.world.game, how, corpus, t, stack)))


async def _has_started(nodes: SessionNodes, session: Session) -> bool:
    state = await lifecycle.read_session(nodes.rollup, session)
    return state is not None and state.status == "started"


async def _opened(game: OwnSession, window: Window, folder: Path, inputs: Inputs, yes: bool) -> tuple[Log, Inputs]:
    new = not (folder / "log.json").exists()
    begins = opening(game.session.world) if new else delegation().at_most
    announce(game.places.base.url, game.party, begins + committing(COMMITS), yes)
    if new:
        if game.session.terms.opponent != game.party:
            output.note(f"waiting for the second player of session {game.session.address}")
        return await open_game(game, window, folder), inputs
    with output.progress_bar("computing the log again", None) as (bar, task):
        shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        log, lost = await take_up(game, folder, shown)
    done = log.frames
    return log, again(log.codec, lost, lambda frame: inputs(done + frame + len(lost)))


async def _page(game: OwnSession, how: Pace, at: tuple[Corpus, int], stack: AsyncExitStack) -> Messages:
    return await watched(f"session {game.session.address}", game.session.world.export.net, how, at, stack)


async def _played(game: OwnSession, log: Log, inputs: Inputs, how: Pace, at: tuple[Corpus, int]) -> dict[str, Any]:
    tally, cu = Tally(), frame_cu(game.session.world.export)
    async with AsyncExitStack() as stack:
        shown = await _page(game, how, at, stack) if how.watch else None
        bar, task = stack.enter_context(output.progress_bar("play", how.frames))

        def beat(beat: Beat, frame: "NDArray[np.int32]") -> None:
            tally.add(beat)
            text = f"play: {tally.fps:.0f} fps, {cu(beat.number):,} units a frame, {tally.late} late"
            bar.update(task, advance=1, description=text)
            if shown is not None:
                root = beat.state.root.hex() if beat.state else None
                shown.put_nowait(FrameMessage(beat.number, frame, beat.inputs, None, cu(beat.number), root, beat.late))

        await play_frames(game, inputs, how.frames, how.fps, Recorder(game, log, beat), output.note)
    return await state_of(game) | tally.figures() | {"log": str(log.folder), "cu_per_frame": cu(0)}
