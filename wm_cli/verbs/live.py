"""`wmq live`, `bench rollup`: the whole life of a session on a rollup of its own, and how fast a rollup is."""

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from solders.keypair import Keypair

from wm_cli import output, project
from wm_cli.json_keys import AUDIT_KEYS, DISPUTE_KEYS, PERCENTILE_KEYS, PLAYED_KEYS
from wm_cli.number_types import FRAMES_OF_A_DAY, Real, Whole
from wm_cli.opening import built
from wm_cli.options import dataset_option, export_argument, json_option, session_options, verb, yes_option
from wm_cli.paying import announce
from wm_cli.places import Where, inputs_after, start_window, with_world
from wm_cli.tally import Tally, frame_cu
from wm_live.bench import pace
from wm_live.chain.guard import GuardedSender
from wm_live.chain.transactions import Sender
from wm_live.judge.audit import audit
from wm_live.judge.dispute import Dispute
from wm_live.localnet.own import own_world
from wm_live.localnet.servers import Localnet
from wm_live.session import lifecycle
from wm_live.session.game import OwnWorld, Recorder, bring_up, finish, open_game, play, take_down
from wm_live.session.inputs import Inputs, replayed
from wm_live.session.log import read_log
from wm_live.session.play import Beat
from wm_live.session.spending import closing, opening
from wm_train.measure.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


@verb(
    "wmq live\nwmq live export-split --frames 600 --json",
    prints=(f"{PLAYED_KEYS} {AUDIT_KEYS} {DISPUTE_KEYS} manifest_sha256 steps deploy_s audit dispute lamports"),
)
@export_argument
@dataset_option
@click.option("--frames", type=Whole(10, FRAMES_OF_A_DAY), default=3600, show_default=True, help="Frames to play.")
@click.option(
    "--dispute", "disputed", type=Whole(0, FRAMES_OF_A_DAY), default=7, show_default=True, help="Frame to dispute."
)
@json_option
def live(export: Path, dataset: Path, frames: int, disputed: int, as_json: bool) -> None:
    """The whole live way once, on a rollup of its own: deploy, delegate, play, commit, undelegate, verify, dispute.

    Needs `make rollup` once. Exit code 1 unless everything is as it must be.
    """
    figures = live_once(export, dataset, frames, disputed)
    output.say(
        as_json,
        figures,
        f"deployed in {figures['deploy_s']:.1f} s; {figures['frames']:,} frames of {figures['steps']} transaction(s) "
        f"at {figures['fps']:.1f} fps, {figures['late_frames']} late; committed, taken back, "
        f"verified: {figures['audit']['ok']}, frame {disputed} judged {figures['dispute']['verdict']}",
    )
    sys.exit(0 if figures["ok"] else 1)


def live_once(folder: Path, dataset: Path, frames: int, dispute_frame: int) -> dict[str, Any]:
    """The whole life of a session on a rollup of its own, and the checks that anybody can make at its end."""
    export = built(folder)
    window, corpus, t = start_window(export.net, dataset, 0)
    inputs = replayed(inputs_after(export.net.world.game, corpus, t))

    async def run(localnet: Localnet, log_folder: Path) -> dict[str, Any]:
        figures: dict[str, Any] = {"manifest_sha256": export.manifest.hash.hex(), "steps": len(export.manifest.plan)}
        begun = time.monotonic()
        with output.progress_bar("deploy", 1) as (bar, task):

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
    game, tally = own.game(0, window), Tally()
    with await open_game(game, window, folder) as log, output.progress_bar("play", frames) as (bar, task):

        def beat(beat: Beat, _: "NDArray[np.int32]") -> None:
            tally.add(beat)
            bar.update(task, advance=1)

        await play(game, inputs, frames, own.world.fps, Recorder(game, log, beat), output.note)
    state = await finish(game)
    with read_log(folder) as log:
        found = await audit(own.places.base, None, own.world.export, log, game.session.address)
        planned = Dispute(
            Sender(own.places.base, own.wallet), own.world.export, log, game.session.address, dispute_frame
        )
        sender = GuardedSender(own.places.base, own.wallet, planned.budget, {own.world.program})
        judged = await Dispute(sender, own.world.export, log, game.session.address, dispute_frame).run()
    lamports = await lifecycle.close(game.places, game.session, game.wallet)
    checks = {"audit": found.to_json(), "dispute": judged.to_json(), "lamports": lamports, "root": state.root.hex()}
    return tally.figures() | checks | {"ok": found.ok and judged.right and state.frame_number == frames}


@click.group(epilog="\b\nExamples:\n  wmq bench rollup --seconds 60 --json")
def bench() -> None:
    """Measure."""


@verb(
    "wmq bench rollup --seconds 60 --json\nwmq bench rollup --sessions 4",
    "rollup",
    bench,
    prints=(
        f"{PERCENTILE_KEYS} sessions steps wanted_fps fps frames seconds late_frames round_trip_ms "
        "max_fps execution_ms cu_per_frame"
    ),
    stopped="sessions that it opened stay on the chain; `wmq session close --id N` ends each",
)
@session_options
@dataset_option
@click.option("--seconds", type=Real(0.5, 86_400), default=10.0, show_default=True, help="Of the paced part.")
@click.option("--sessions", type=Whole(1, 8), default=1, show_default=True, help="At the same time.")
@yes_option
@json_option
def bench_rollup(dataset: Path, seconds: float, sessions: int, as_json: bool, **where: Any) -> None:
    """Frames a second of a rollup: at the game's pace, and as fast as they are computed."""
    figures = measure_rollup(Where(**where), dataset, seconds, sessions)
    trip, execution = figures["round_trip_ms"], figures["execution_ms"]
    output.say(
        as_json,
        figures,
        f"{sessions} session(s), {figures['steps']} transaction(s) a frame: {figures['fps']:.1f} of "
        f"{figures['wanted_fps']:g} fps held, {figures['late_frames']} late of "
        f"{figures['frames']:,}; at most {figures['max_fps']:.0f} fps\n"
        f"execution {execution['p50']} / {execution['p95']} / {execution['p99']} ms a frame, "
        f"round trip {trip['p50']} / {trip['p95']} / {trip['p99']} ms (p50 / p95 / p99)",
    )


def measure_rollup(where: Where, dataset: Path, seconds: float, sessions: int) -> dict[str, Any]:
    """Sessions of their own, played at the game's pace and then as fast as they are computed."""
    export = built(where.export)
    window, corpus, t = start_window(export.net, dataset, 0)
    fps = export.net.world.game.fps
    inputs, frames = replayed(inputs_after(export.net.world.game, corpus, t)), max(1, round(seconds * fps))

    async def do(own: OwnWorld) -> dict[str, Any]:
        cost = sessions * (opening(own.world) + closing())
        announce(own.places.base.url, own.wallet.pubkey(), cost, where.yes)
        games = [own.game(where.number + i, window) for i in range(sessions)]
        for game in games:
            await bring_up(game, window)
        rollup, all_sessions = own.places.rollup, [game.session for game in games]
        with output.err.status(f"bench: {frames:,} frames at {fps} fps, then as many without pace"):
            paced = await pace.together(rollup, all_sessions, [game.keys for game in games], inputs, frames, fps)
            full = await pace.together(rollup, all_sessions, [game.keys for game in games], inputs, frames, 0)
        figures = pace.figures(paced, full, own.world.steps, fps)
        for game in games:
            await take_down(game)
        return figures | {"cu_per_frame": frame_cu(export)(0)}

    return with_world(where, do)
