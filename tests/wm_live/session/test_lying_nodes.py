"""Nodes that name frames which nobody has played: one line, and no work that grows with the number."""

import asyncio
import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.factories import small_qnet
from tests.records import RECORD_BYTES
from wm_export.lower.lowering import lower
from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import ACCOUNT_VERSION, TREE_LEVELS
from wm_export.solana.layout import layout
from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError
from wm_live.judge.dispute import Dispute
from wm_live.session import game as games
from wm_live.session import lifecycle
from wm_live.session import play as module
from wm_live.session.account import session_state
from wm_live.session.log import About, Log, new_log
from wm_live.session.play import Beat, Driver, Follower, Guest, _Sent, followed

WHERE = layout(lower(small_qnet()))
SLOTS = 3
FAR = (1 << 64) - 1


def account(frame_number: int) -> bytes:
    """A session's account at a frame."""
    data, at = bytearray(WHERE.session_bytes), SESSION.offsets
    data[:8] = SESSION.tag
    data[at["version"]] = ACCOUNT_VERSION
    struct.pack_into("<Q", data, at["frame_number"], frame_number)
    return bytes(data)


def a_log(folder: Path, frames: int) -> Log:
    """A log of so many frames."""
    address = str(Pubkey.default())
    about = About(address, address, address, "00" * 32, (0,), SLOTS)
    log = new_log(folder, about)
    for number in range(SLOTS + frames):
        log.append(bytes([number]) * RECORD_BYTES)
    return log


def a_game(**more: Any) -> Any:
    """What a session's game needs where nothing is sent; `more` are attributes of its session."""
    rollup = base = SimpleNamespace(url="http://127.0.0.1:1")
    session = SimpleNamespace(address=Pubkey.default(), world=SimpleNamespace(slots=SLOTS, layout=WHERE), **more)
    return SimpleNamespace(places=SimpleNamespace(base=base, rollup=rollup), session=session, wallet=None, party=None)


@pytest.mark.parametrize("number", [1 << TREE_LEVELS, 1 << 40, FAR])
def test_no_session_is_so_long(number: int) -> None:
    assert session_state(WHERE, account((1 << TREE_LEVELS) - 1)).frame_number == (1 << TREE_LEVELS) - 1
    with pytest.raises(WmLiveError, match=f"frame number {number}, expected below"):
        session_state(WHERE, account(number))


def test_beats_are_of_what_was_sent() -> None:
    """Not of every number up to the one that a node names: that many would take for ever."""
    beats: list[Beat] = []
    driver = Driver(Rpc("http://127.0.0.1:1"), a_game().session, [None, None], 0, beats.append)
    empty = bytes(WHERE.records.inputs_size)
    driver._sent = {n: _Sent(empty, 0.0, late=False) for n in (4, 5, 9)}
    driver._news.append((1.0, SimpleNamespace(frame_number=6)))  # type: ignore[arg-type]
    driver._report_beats()
    assert [(beat.number, beat.state is not None) for beat in beats] == [(4, False), (5, True)]
    driver._news.append((1.0, SimpleNamespace(frame_number=FAR)))  # type: ignore[arg-type]
    driver._report_beats()
    assert [beat.number for beat in beats] == [4, 5, 9] and not driver._sent


def test_a_flood_of_states_is_not_kept() -> None:
    driver = Driver(Rpc("http://127.0.0.1:1"), a_game().session, [None, None], 0)
    driver._news.extend((0.0, SimpleNamespace(frame_number=n)) for n in range(10_000))  # type: ignore[misc]
    assert len(driver._news) == module.MOST_NEWS and driver._news[-1][1].frame_number == 9_999


def test_a_subscription_that_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_S", 0.01)

    class Silent(Follower):
        async def watch(self) -> None:
            await asyncio.Event().wait()

    async def run() -> None:
        async with followed(Silent(Rpc("http://127.0.0.1:1"), a_game().session)):
            raise AssertionError

    with pytest.raises(ExceptionGroup) as refused:
        asyncio.run(run())
    assert "no subscription within" in str(refused.value.exceptions[0])


def test_a_guest_sends_nothing_for_frames_that_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    class Jumping(Follower):
        async def watch(self) -> None:
            self.listening.set()
            await asyncio.Event().wait()

        async def look(self) -> None:
            self.arrived(account(0))

        async def change(self, timeout_s: float) -> None:
            self.arrived(account(1_000_000 if self.state.frame_number == 0 else 2_000_000))

    class Counting(Guest):
        async def _send(self, frame: int, raw: bytes) -> None:
            sent.append(frame)

    monkeypatch.setattr(module, "Follower", Jumping)
    session = a_game().session
    monkeypatch.setattr(module, "session_state", lambda where, data: _started(data))
    guest = Counting(Rpc("http://127.0.0.1:1"), session, 1, Keypair())
    asyncio.run(guest.run(lambda frame: module_inputs(), 1_500_000))
    assert sent == [0, 1, 2, 3, 1_000_000, 1_000_001, 1_000_002, 1_000_003]


def test_a_frame_that_was_computed_meanwhile_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has been reported, and would be a second time, with other inputs."""
    signed: list[int] = []

    class Ahead(Follower):
        async def look(self) -> None:
            self.arrived(account(0))

        async def change(self, timeout_s: float) -> None:
            self.arrived(account(3 if self.state.frame_number == 0 else 4))

    class Noting(Driver):
        def _theirs(self, follower: Follower, frame: int) -> bool:
            return follower.state.frame_number > 0

        async def _signed(self, follower: Follower, frame: int, step: int, inputs: Any) -> bytes:
            signed.append(frame)
            return b""

    async def run() -> None:
        session, rollup = a_game().session, SimpleNamespace(send=_none)
        session.world.steps = 1
        follower = Ahead(rollup, session)  # type: ignore[arg-type]
        await follower.look()
        await Noting(rollup, session, [Keypair()] * 2, 0)._round(follower, module_inputs, 0, 4)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "session_state", lambda where, data: _started(data))
    asyncio.run(run())
    assert signed == [3]


async def _none(*_: Any, **__: Any) -> None:
    """A node that takes what it is sent."""


def _started(data: bytes) -> Any:
    number = session_state(WHERE, data).frame_number
    return SimpleNamespace(frame_number=number, step=0, status="started", cursor=(number, 0))


def module_inputs() -> Any:
    """Nothing pressed."""
    return WHERE.records.inputs_of(bytes(WHERE.records.inputs_size))


def test_a_log_older_than_the_chain_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = SimpleNamespace(begun=True, frame_number=9, status="ended", root=bytes(32), leaves=lambda slots: 9 + slots)

    async def left(*_: Any, **__: Any) -> Any:
        return state

    async def yes(*_: Any) -> bool:
        return True

    monkeypatch.setattr(lifecycle, "leave", left)
    monkeypatch.setattr(lifecycle, "delegated", yes)
    monkeypatch.setattr(games, "need_session", left)
    with a_log(tmp_path, 5) as log, pytest.raises(WmLiveError, match=r"ends at frame 5, session \S+ at 9"):
        asyncio.run(games.finish(a_game(), log))


def test_a_rollup_behind_the_base_chain_takes_nothing_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that names an earlier frame would have the committed ones cut off."""
    game = a_game()

    async def state(rpc: Any, _: Any) -> Any:
        return SimpleNamespace(status="started", frame_number=4 if rpc is base else 1, root=log.tree.root(SLOTS + 1))

    async def yes(*_: Any) -> bool:
        return True

    base = game.places.base = SimpleNamespace(url="http://127.0.0.1:2")
    monkeypatch.setattr(lifecycle, "delegated", yes)
    monkeypatch.setattr(games, "need_session", state)
    with a_log(tmp_path, 5) as log:
        with pytest.raises(WmLiveError, match=r"is at frame 1, the base chain has 4"):
            asyncio.run(games._take_up(game, log, lambda *_: None))
        assert log.frames == 5
    assert (tmp_path / "records.bin").stat().st_size == (SLOTS + 5) * RECORD_BYTES
    assert json.loads((tmp_path / "log.json").read_text())["slots"] == SLOTS


@pytest.mark.parametrize("frame", [5, 1 << 64, FAR, -1])
def test_a_dispute_over_a_frame_that_no_log_has(tmp_path: Path, frame: int) -> None:
    nothing: Any = SimpleNamespace()
    with a_log(tmp_path, 5) as log, pytest.raises(WmLiveError, match="the log holds frames 0 to 4"):
        Dispute(nothing, nothing, log, Pubkey.default(), frame)
