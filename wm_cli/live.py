"""What checks a deployed world: `wmq verify`, `dispute`, `live`, `bench rollup`, and `parity --target er`."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from solders.keypair import Keypair

from wm_cli import console, project
from wm_cli.places import Where, address_of, built, inputs_after, start_window, with_game
from wm_cli.playing import Tally, frame_cu
from wm_cli.stages import FRAMES_SEED, need_dataset, origin_of
from wm_export.parity import Outcome
from wm_live import bench, lifecycle
from wm_live.audit import Audit, audit
from wm_live.dispute import Costs, Dispute
from wm_live.dispute import Outcome as Settled
from wm_live.er import compare
from wm_live.game import Game, Recorder, bring_up, finish, game_of, open_game, play, take_down
from wm_live.inputs import Inputs, replayed
from wm_live.localnet import Localnet
from wm_live.log import Log, read_log
from wm_live.own import OwnWorld, own_world
from wm_live.play import Beat
from wm_live.rpc import Rpc
from wm_live.transactions import Sender
from wm_live.wallet import cluster_url, load_keypair
from wm_train.evaluate import Window, rollout_starts, window_at
from wm_train.windows import any_games

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_export.solana import Export


# --------------------------------------------------------------------------------------------------- verify, dispute


def verify_session(folder: Path, cluster: str, rollup: str | None, log_folder: Path) -> Audit:
    """`wmq verify`: a log against the chain."""
    export = built(folder)

    async def run(log: Log) -> Audit:
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(Rpc(cluster_url(cluster)))
            node = await stack.enter_async_context(Rpc(rollup)) if rollup else None
            bar, task = stack.enter_context(console.progress_bar("verify", max(log.frames, 1)))
            shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
            return await audit(base, node, export, log, address_of(log.about.session), shown)

    with read_log(log_folder) as log:
        return asyncio.run(run(log))


def dispute_frame(
    folder: Path, cluster: str, keypair: Path, log_folder: Path, frame: int, dry_run: bool, keep: bool
) -> Costs | Settled:
    """`wmq dispute`."""
    export, wallet = built(folder), load_keypair(keypair)

    async def run(log: Log) -> Costs | Settled:
        async with Rpc(cluster_url(cluster)) as base:
            dispute = Dispute(Sender(base, wallet), export, log, address_of(log.about.session), frame)
            if dry_run:
                return await dispute.costs()
            with console.progress_bar("dispute", 1) as (bar, task):

                def shown(what: str, done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total, description=f"dispute: {what}")

                return await dispute.run(keep, shown)

    with read_log(log_folder) as log:
        return asyncio.run(run(log))


# -------------------------------------------------------------------------------------------------------------- parity


def er_outcome(export: "Export", dataset: Path, rollouts: int, length: int, advance: Callable[[], None]) -> Outcome:
    """`wmq parity --target er`: worlds that run by themselves on the real rollup, each in a session of its own."""
    need_dataset(dataset)
    encoding, outcome = export.net.world.encoding, Outcome("er rollout")
    origin = origin_of(export.net.provenance)
    corpus = any_games(dataset, encoding, origin["split"], origin["holdout"], length + encoding.slots)
    starts = rollout_starts(corpus, encoding, length, rollouts, FRAMES_SEED)

    async def run(localnet: Localnet) -> None:
        async with own_world(localnet, export, Keypair()) as own:
            for number, t in enumerate(starts):
                window = window_at(corpus, encoding, starts[number : number + 1])
                await compare(own.game(number), window, corpus.inputs[t + 1 : t + 1 + length], outcome, advance)

    with Localnet() as localnet:
        asyncio.run(run(localnet))
    return outcome


# ----------------------------------------------------------------------------------------------------------- the whole


def live(folder: Path, dataset: Path, frames: int, dispute_frame: int) -> dict[str, Any]:
    """`wmq live`: the whole life of a session on a rollup of its own, checked by a stranger at the end."""
    export = built(folder)
    window, corpus, t = start_window(export, dataset, 0)
    inputs = replayed(inputs_after(corpus, t))

    async def run(localnet: Localnet, log_folder: Path) -> dict[str, Any]:
        figures: dict[str, Any] = {"manifest_sha256": export.manifest.hash.hex(), "steps": len(export.manifest.plan)}
        begun = time.monotonic()
        with console.progress_bar("deploy", 1) as (bar, task):

            def shown(name: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, description=f"deploy: {name}")

            async with own_world(localnet, export, Keypair(), shown) as own:
                figures["deploy_s"] = round(time.monotonic() - begun, 3)
                bar.stop()
                return figures | await _whole_life(own, window, inputs, frames, dispute_frame, log_folder)

    with Localnet() as localnet, TemporaryDirectory(prefix="wmq-live-") as temporary:
        figures = asyncio.run(run(localnet, Path(temporary) / "log"))
    project.keep_figures(f"live-{figures['steps']}", figures)
    return figures


async def _whole_life(
    own: OwnWorld, window: Window, inputs: Inputs, frames: int, dispute_frame: int, folder: Path
) -> dict[str, Any]:
    game, tally = own.game(0), Tally()
    with await open_game(game, window, folder) as log, console.progress_bar("play", frames) as (bar, task):

        def beat(beat: Beat, _: "NDArray[np.int32]") -> None:
            tally.add(beat)
            bar.update(task, advance=1)

        said = lambda text: console.err.print(text, highlight=False)  # noqa: E731
        await play(game, inputs, frames, bench.FPS, Recorder(game, log, beat), said)
    state = await finish(game)
    with read_log(folder) as log:
        found = await audit(own.places.base, None, own.world.export, log, game.session.address)
        sender = Sender(own.places.base, own.wallet)
        judged = await Dispute(sender, own.world.export, log, game.session.address, dispute_frame).run()
    lamports = await lifecycle.close(game.places, game.session, game.wallet)
    checks = {"audit": found.to_json(), "dispute": judged.to_json(), "lamports": lamports, "root": state.root.hex()}
    return tally.figures() | checks | {"ok": found.ok and judged.right and state.frame_number == frames}


# --------------------------------------------------------------------------------------------------------------- bench


def bench_rollup(where: Where, dataset: Path, seconds: float, sessions: int) -> dict[str, Any]:
    """`wmq bench rollup`: sessions of their own, played at the game's pace and then as fast as they are computed."""
    window, corpus, t = start_window(built(where.export), dataset, 0)
    inputs, frames = replayed(inputs_after(corpus, t)), max(1, round(seconds * bench.FPS))

    async def do(first: Game) -> dict[str, Any]:
        games = [_numbered(first, where.number + i) for i in range(sessions)]
        for game in games:
            await bring_up(game, window)
        rollup, all_sessions = first.places.rollup, [game.session for game in games]
        with console.err.status(f"bench: {frames:,} frames at {bench.FPS} fps, then as many without pace"):
            paced = await bench.together(rollup, all_sessions, [game.keys for game in games], inputs, frames, bench.FPS)
            full = await bench.together(rollup, all_sessions, [game.keys for game in games], inputs, frames, 0)
        figures = bench.figures(paced, full, first.session.world.steps)
        for game in games:
            await take_down(game)
        return figures | {"cu_per_frame": frame_cu(first.session.world.export)(0)}

    return with_game(where, do)


def _numbered(game: Game, number: int) -> Game:
    return game_of(game.places, game.session.world, game.wallet, number)
