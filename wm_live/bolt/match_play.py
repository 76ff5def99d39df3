"""A match of the own wallet, played into a log as a session is: opened, played, taken up again, ended.

One frame is confirmed before the next is sent. A record says what the rollup says, be it right or not: the Frame and
the inputs that the components hold after the frame.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm_export.bolt.program_addresses import WORLD
from wm_export.bolt.world_client import Scene
from wm_export.schema.records import Records
from wm_live.bolt.match_accounts import MatchState, read_match
from wm_live.bolt.match_audit import check_match_log
from wm_live.bolt.match_parity import standing
from wm_live.bolt.match_weights import Uploaded
from wm_live.bolt.rollup_match import RollupMatch
from wm_live.errors import WmLiveError
from wm_live.session.game import again
from wm_live.session.inputs import Inputs
from wm_live.session.lifecycle import window_records
from wm_live.session.log import About, Log, MatchPlace, need_no_log, new_log, open_log
from wm_live.session.play import Beat
from wm_train.measure.window import Window

#: Gets each frame: when it was sent and seen, and its Frame (2, fields).
OnBeat = Callable[[Beat, NDArray[np.int32]], None]


async def open_match(match: RollupMatch, window: Window, folder: Path, progress: Uploaded) -> Log:
    """A new world with one entity, its match begun on the rollup with the newest Frame of a window (batch of one), and
    its log. WmLiveError before anything is sent if the folder is not free."""
    need_no_log(folder)
    first = standing(window)
    await match.open(progress)
    await match.make(0)
    await match.delegate()
    log = new_log(folder, _about(match, [int(value) for value in first.session[0]]))
    for record in window_records(log.codec, first):
        log.append(record)
    log.flush()
    await _begin(match, log)
    return log


def _about(match: RollupMatch, ids: list[int]) -> About:
    scene, export = match.match.scene, match.export
    world = export.net.world
    return About(
        program=str(WORLD),
        model=str(scene.world),
        session=str(scene.entity),
        manifest_sha256=export.identity["manifest_sha256"],
        ids=tuple(ids),
        slots=world.encoding.slots,
        game=world.game.name,
        match=MatchPlace(scene.world_number, scene.entity_number, str(scene.payer)),
    )


async def _begin(match: RollupMatch, log: Log) -> None:
    frame = log.codec.frame_in(log.records[log.about.slots - 1])
    await match.begin(np.array(log.about.ids, np.int64), frame)


async def take_up(match: RollupMatch, folder: Path) -> tuple[Log, list[bytes]]:
    """The match of the log in a folder, to be gone on with; and the records of frames that its rollup has lost, which
    are to be played again from the first on.

    WmLiveError if the match has ended, is another wallet's, or the log does not lead to where it is.
    """
    log = open_log(folder)
    try:
        await _found(match, log)
        return log, await _taken_up(match, log)
    except BaseException:
        log.close()
        raise


async def _found(match: RollupMatch, log: Log) -> None:
    """Take the match of a log, which the base chain must have as delegated by this wallet."""
    entity = check_match_log(match.export, log)
    place = log.about.match
    assert place is not None
    if place.authority != str(match.match.scene.payer):
        raise WmLiveError(f"{log.folder}: {place.authority} plays this match, not this wallet; name its --keypair")
    match.place(Scene(match.match.scene.payer, place.world, place.entity))
    if (await read_match(match.base, match.export, entity)).validator is None:
        raise WmLiveError(f"match {entity}: has ended, and cannot go on; another --id begins a new one")


async def _taken_up(match: RollupMatch, log: Log) -> list[bytes]:
    """Have the log where the rollup is; records that the rollup has lost, which are out of the log."""
    if not await match.begun():
        lost = log.records[log.about.slots :]
        log.truncate(log.about.slots)
        await _begin(match, log)
        return lost
    if turn := (await match.state()).turn:
        await match.complete(turn)
    state = await match.state()
    if state.frame_number == log.frames + 1:
        log.append(_record(log.codec, state))  # it was sent when its player was interrupted
    if state.frame_number != log.frames or (log.frames and log.records[-1] != _record(log.codec, state)):
        raise WmLiveError(
            f"{log.folder}: the log ends at frame {log.frames:,}, and does not lead to match {log.about.session}, "
            f"which is at frame {state.frame_number:,} on {match.rollup.url}; is it another log, or older?"
        )
    return []


def _record(codec: Records, state: MatchState) -> bytes:
    """What components say of the last frame."""
    return state.inputs + codec.frame_bytes(state.frame)


async def play_match(
    match: RollupMatch, log: Log, inputs: Inputs, frames: int, fps: float, on_beat: OnBeat = lambda beat, frame: None
) -> int:
    """Play `frames` more frames, at most `fps` a second, 0 for as fast as they come; at the end the log is on disk.

    Returns the most compute units of any frame.
    """
    start, most_cu = time.monotonic(), 0
    try:
        for number in range(frames):
            due = start + number / fps if fps else time.monotonic()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = time.monotonic()
            late = bool(fps) and sent - due > 1 / fps
            pressed = inputs(number)
            most_cu = max(most_cu, (await match.frame(pressed)).cu)
            state = await match.state()
            if state.turn or state.frame_number != log.frames + 1:
                raise WmLiveError(
                    f"{match.rollup.url}: match {log.about.session} is at frame {state.frame_number:,}, expected "
                    f"{log.frames + 1:,}; is somebody else playing it?"
                )
            log.append(_record(log.codec, state))
            on_beat(Beat(log.frames - 1, pressed, None, sent - start, time.monotonic() - start, late), state.frame)
    finally:
        log.flush()
    return most_cu


def replayed_first(log: Log, lost: list[bytes], inputs: Inputs) -> Inputs:
    """First the inputs of lost records, then `inputs`, whose numbers go on where the log ends."""
    done = log.frames
    return again(log.codec, lost, lambda frame: inputs(done + frame + len(lost)))


async def end_match(match: RollupMatch, log: Log) -> None:
    """End the match of a log: all of it goes back to the base chain. WmLiveError as of `take_up`."""
    await _found(match, log)
    await match.end()
