"""Matches that are played into a log on the real rollup: verified, shown, interrupted, lost, and ended."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from tests.wm_live.bolt.test_rollup_match import FRAMES, beginning, with_match
from wm_export.bolt.bolt_export import BoltExport
from wm_live.bolt.match_audit import audit_match
from wm_live.bolt.match_play import end_match, open_match, play_match, replayed_first, take_up
from wm_live.bolt.match_watch import MatchSource
from wm_live.bolt.own_match import own_match
from wm_live.bolt.rollup_match import RollupMatch
from wm_live.errors import WmLiveError
from wm_live.localnet.servers import Localnet
from wm_live.session.inputs import Inputs, replayed
from wm_live.session.log import Log, read_log
from wm_live.watch.viewer import FrameMessage


class Played:
    """A match with its log, opened with a window of a made-up game and its inputs."""

    def __init__(self, match: RollupMatch, export: BoltExport, folder: Path) -> None:
        self.match, self.folder = match, folder
        self.window, inputs = beginning(export)
        self.inputs: Inputs = replayed(inputs)

    async def open(self) -> Log:
        return await open_match(self.match, self.window, self.folder, lambda done, total: None)

    async def audited(self, rollup: bool = False) -> str:
        """What is wrong with the log."""
        with read_log(self.folder) as log:
            found = await audit_match(self.match.base, self.match.rollup if rollup else None, self.match.export, log)
        return "" if found.ok else "\n".join(found.lines(""))


def with_played(net: Localnet, export: BoltExport, folder: Path, do: Callable[[Played], Awaitable[None]]) -> None:
    with_match(net, export, lambda match: do(Played(match, export, folder)))


def test_a_match_is_played_taken_up_and_ended(bolt_net: Localnet, exported: BoltExport, tmp_path: Path) -> None:
    async def play(played: Played) -> None:
        match, beats = played.match, list[int]()
        with await played.open() as log:
            await play_match(match, log, played.inputs, FRAMES, 0, lambda beat, frame: beats.append(beat.number))
            kept = list(log.records)
        assert beats == list(range(FRAMES)) and len(kept) == FRAMES + log.about.slots
        assert await played.audited(rollup=True) == "" and "has nothing of it yet" in await played.audited()
        log, lost = await take_up(match, played.folder)
        with log:
            assert not lost and log.records == kept
            await play_match(match, log, replayed_first(log, lost, played.inputs), 5, 0)
            assert log.codec.inputs_in(log.records[-1]).tolist() == played.inputs(FRAMES + 4).tolist()
            await end_match(match, log)
        assert await played.audited() == ""
        with pytest.raises(WmLiveError, match="has ended, and cannot go on"):
            await take_up(match, played.folder)

    with_played(bolt_net, exported, tmp_path / "log", play)


def test_a_frame_that_was_sent_before_a_crash_is_in_the_log(
    bolt_net: Localnet, exported: BoltExport, tmp_path: Path
) -> None:
    async def play(played: Played) -> None:
        match = played.match
        with await played.open() as log:
            await play_match(match, log, played.inputs, 3, 0)
            await match.frame(played.inputs(3))
        log, lost = await take_up(match, played.folder)
        with log:
            assert not lost and log.frames == 4
            await match.frame(played.inputs(4))
            await match.frame(played.inputs(5))
        with pytest.raises(WmLiveError, match=r"the log ends at frame 4, and does not lead to match .* at frame 6"):
            await take_up(match, played.folder)
        assert "a newer log is needed" in await played.audited(rollup=True)

    with_played(bolt_net, exported, tmp_path / "log", play)


def test_a_match_that_its_rollup_has_lost_is_played_again(
    bolt_net: Localnet, exported: BoltExport, tmp_path: Path
) -> None:
    async def play(played: Played) -> None:
        match = played.match
        with await played.open() as log:
            await play_match(match, log, played.inputs, 6, 0)
            before = list(log.records)
        bolt_net.kill_validator()
        await asyncio.to_thread(bolt_net.restart_validator)
        log, lost = await take_up(match, played.folder)
        with log:
            assert len(lost) == 6 and log.frames == 0
            await play_match(match, log, replayed_first(log, lost, played.inputs), 8, 0)
            assert log.records[: len(before)] == before
        assert await played.audited(rollup=True) == ""

    with_played(bolt_net, exported, tmp_path / "log", play)


def test_another_wallet_or_another_player_is_refused(bolt_net: Localnet, exported: BoltExport, tmp_path: Path) -> None:
    async def play(played: Played) -> None:
        with await played.open() as log:
            await played.match.frame(played.inputs(0))
            with pytest.raises(WmLiveError, match="is at frame 2, expected 1; is somebody else playing it"):
                await play_match(played.match, log, played.inputs, 1, 0)

        async with own_match(bolt_net, exported) as strangers:
            with pytest.raises(WmLiveError, match="plays this match, not this wallet"):
                await take_up(strangers, played.folder)

    with_played(bolt_net, exported, tmp_path / "log", play)


def test_it_is_seen_frame_by_frame_without_a_key(bolt_net: Localnet, exported: BoltExport, tmp_path: Path) -> None:
    async def play(played: Played) -> None:
        match, seen = played.match, list[FrameMessage]()
        with await played.open() as log:
            source = MatchSource(exported, match.rollup.url, match.match.scene.entity)

            async def look() -> None:
                async for message in source.frames():
                    seen.append(message)
                    if message.n == FRAMES - 1:
                        return

            watching = asyncio.create_task(look())
            while not seen or seen[-1].n < FRAMES - 1:
                await play_match(match, log, played.inputs, 1, 0) if log.frames < FRAMES else await asyncio.sleep(0.05)
                if log.frames == 1:
                    await asyncio.sleep(0.5)  # until it is subscribed to
            await watching
            codec, slots = log.codec, log.about.slots
            numbers = [message.n for message in seen]
            assert numbers == sorted(set(numbers)) and len(numbers) > FRAMES // 2
            for message in seen:
                record = log.records[slots + message.n]
                assert message.inputs is not None and np.array_equal(message.inputs, codec.inputs_in(record))
                assert np.array_equal(message.frame, codec.frame_in(record))

    with_played(bolt_net, exported, tmp_path / "log", play)


def test_the_weights_of_a_wallet_are_uploaded_once(bolt_net: Localnet, exported: BoltExport) -> None:
    async def upload(match: RollupMatch) -> None:
        jobs = list[tuple[int, int]]()
        assert await match.cost() < 10**9  # what is there costs nothing
        await match.open(lambda done, total: jobs.append((done, total)))
        assert jobs == []
        await match.need_programs()

    with_match(bolt_net, exported, upload)
