"""The driver: a beat for every frame whatever becomes of its transactions, and a word where nothing moves."""

import asyncio
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.factories import random_inputs, small_qnet
from tests.records import RECORDS
from tests.wm_live.games import FRAMES, Deployed, deployed_on, moves
from wm_export.lower.lowering import lower
from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import ACCOUNT_VERSION, LOOKAHEAD
from wm_export.solana.layout import layout
from wm_live.chain.rpc import Rpc, RpcError
from wm_live.chain.transactions import Sender
from wm_live.errors import WmLiveError
from wm_live.localnet.servers import Localnet
from wm_live.session import lifecycle
from wm_live.session import play as module
from wm_live.session.game import OwnSession, Recorder, finish, open_game, take_down
from wm_live.session.instructions import Session
from wm_live.session.log import Log
from wm_live.session.play import WAITING, Beat, Driver, Follower, Guest, waiting_input
from wm_live.session.tree import root_of


@pytest.fixture(scope="module", params=[1, 3])
def deployed(request: pytest.FixtureRequest, localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A world in one transaction a frame, and in three."""
    return deployed_on(localnet, tmp_path_factory, request.param)


def driver(game: OwnSession, log: Log, beats: list[Beat], fps: float = 0) -> Driver:
    """A driver whose beats are kept and recorded."""
    recorder = Recorder(game, log, lambda beat, _: beats.append(beat))
    return Driver(game.places.rollup, game.session, game.keys, fps, recorder)


async def ended(game: OwnSession, log: Log) -> None:
    """Ended with the root that the log has, and closed."""
    with log:
        await finish(game, log)
    await lifecycle.close(game.places, game.session, game.wallet)


@pytest.mark.parametrize("fps", [0, 120])
def test_a_beat_for_every_frame(deployed: Deployed, tmp_path: Path, fps: float) -> None:
    async def run() -> None:
        async with deployed.game() as game:
            log, beats = await open_game(game, deployed.window, tmp_path), list[Beat]()
            for part in (FRAMES // 2, FRAMES // 2):
                await driver(game, log, beats, fps).run(moves(), part)
            assert [beat.number for beat in beats] == list(range(FRAMES))
            assert all(0 <= beat.sent_s <= beat.seen_s for beat in beats)
            assert all(np.array_equal(beat.inputs, moves()(beat.number)) for beat in beats)
            states = [(beat.number, beat.state) for beat in beats if beat.state is not None]
            assert all(state.frame_number == number + 1 for number, state in states)
            # Others may have been overtaken.
            assert {FRAMES // 2 - 1, FRAMES - 1} <= {number for number, _ in states}
            if fps:
                assert all(beat.sent_s >= (beat.number % (FRAMES // 2)) / fps - 1e-3 for beat in beats)
            assert log.records == deployed.records(FRAMES)
            await ended(game, log)

    asyncio.run(run())


def test_whoever_cranks_signs_for_the_fee_alone(deployed: Deployed, tmp_path: Path) -> None:
    """The same instruction each time, from a wallet that has no part in the session."""
    frames = 3

    async def run() -> None:
        async with deployed.game() as game:
            (await open_game(game, deployed.window, tmp_path)).close()
            cranker, one = Sender(game.places.rollup, Keypair()), game.session.advance()
            assert not any(meta.is_signer for meta in one.accounts)
            players = Sender(game.places.rollup, game.keys[0])
            for frame in range(frames):
                raw = RECORDS.input_bytes(moves()(frame))
                both = game.session.inputs([key.pubkey() for key in game.keys], frame, raw)
                await players.send(both, *game.keys[1:])
                for _ in range(game.session.world.steps):
                    await cranker.send([lifecycle.CU_LIMIT, one])
            state = await lifecycle.need_session(game.places.rollup, game.session)
            assert (state.frame_number, state.step) == (frames, 0)
            assert state.root == root_of(deployed.records(frames))
            await take_down(game)

    asyncio.run(run())


def test_sent_again_with_the_same_inputs(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly any patience, and many transactions lost, by a player who never presses the same twice."""
    monkeypatch.setattr(module, "HICCUP_S", 0.002)
    rng, chance = np.random.default_rng(0), np.random.default_rng(1)
    sent = 0

    async def counted(self: Rpc, *args: object, **more: object) -> str:
        nonlocal sent
        sent += 1
        return "" if chance.random() < 0.15 else await send(self, *args, **more)  # type: ignore[arg-type]

    send = Rpc.send
    monkeypatch.setattr(Rpc, "send", counted)

    async def run() -> None:
        nonlocal sent
        async with deployed.game() as game:
            log, beats = await open_game(game, deployed.window, tmp_path), list[Beat]()
            sent = 0
            await driver(game, log, beats).run(lambda frame: random_inputs(rng), FRAMES)
            assert sent > FRAMES * game.session.world.steps
            assert log.frames == FRAMES == len(beats)
            await ended(game, log)

    asyncio.run(run())


def test_an_opponent_who_sends_nothing(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_S", 0.5)

    async def run() -> None:
        async with deployed.game() as game:
            (await open_game(game, deployed.window, tmp_path)).close()
            with pytest.raises(WmLiveError, match=r"frame 0 .* does the other player still send inputs"):
                await Driver(game.places.rollup, game.session, [game.keys[0], None], 0).run(moves(), 5)
            await take_down(game)

    asyncio.run(run())


def test_a_guest_s_input_is_lost(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, send = {5}, Guest._send

    async def unreliable(self: Guest, frame: int, raw: bytes) -> None:
        if frame in lost:
            lost.remove(frame)
        else:
            await send(self, frame, raw)

    monkeypatch.setattr(Guest, "_send", unreliable)

    async def run() -> None:
        async with deployed.game() as game:
            log = await open_game(game, deployed.window, tmp_path)
            recorder, rollup = Recorder(game, log), game.places.rollup
            stepping = Driver(rollup, game.session, [game.keys[0], None], 0, on_beat=recorder)
            guest = Guest(rollup, game.session, 1, game.keys[1])
            await asyncio.gather(stepping.run(moves(), 20), guest.run(moves(), 20))
            assert log.records == deployed.records(20) and not lost
            await ended(game, log)

    asyncio.run(run())


@pytest.mark.parametrize(("text", "lost"), [("already been processed", False), ("blockhash not found", True)])
def test_an_input_sent_twice_is_not_lost(text: str, lost: bool) -> None:
    key = Keypair()

    async def latest_blockhash() -> Any:
        return SimpleNamespace(hash=Hash.default())

    async def send(transaction: bytes, skip_preflight: bool) -> str:
        raise RpcError(f"sendTransaction: this transaction has {text}")

    records = SimpleNamespace(parts=lambda raw: (raw, raw))
    instruction = Instruction(Pubkey.default(), b"", [AccountMeta(key.pubkey(), True, False)])
    session: Any = SimpleNamespace(
        world=SimpleNamespace(layout=SimpleNamespace(records=records)), input=lambda *_: instruction
    )
    rollup: Any = SimpleNamespace(latest_blockhash=latest_blockhash, send=send)
    with pytest.raises(RpcError) if lost else nullcontext():
        asyncio.run(Guest(rollup, session, 1, key)._send(0, b""))


def test_an_ended_session_is_said(deployed: Deployed, tmp_path: Path) -> None:
    """To who plays it meanwhile, and to who begins; a guest just stops."""

    async def run() -> None:
        async with deployed.game() as game:
            log, rollup = await open_game(game, deployed.window, tmp_path), game.places.rollup
            with log:
                endless = asyncio.create_task(driver(game, log, []).run(moves(), 10**6))
                guest = asyncio.create_task(Guest(rollup, game.session, 1, game.keys[1]).run(moves(), 10**6))
                await lifecycle.until("a frame", lambda: begun(game))
                await finish_only(game)
                with pytest.raises(WmLiveError, match="ended, so no more frames"):
                    await endless
                await guest
                with pytest.raises(WmLiveError, match="ended, so no more frames"):
                    await driver(game, log, []).run(moves(), 5)
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


async def begun(game: OwnSession) -> bool:
    return (await lifecycle.need_session(game.places.rollup, game.session)).frame_number > 0


async def finish_only(game: OwnSession) -> None:
    """The end, and no more."""
    await lifecycle.end_session(lifecycle.on_rollup(game.places, game.session, game.wallet), game.session, game.party)


def test_a_session_that_is_not_there(deployed: Deployed) -> None:
    async def run() -> None:
        async with deployed.game() as game:
            with pytest.raises(WmLiveError, match="is gone"):
                await Driver(game.places.rollup, game.session, game.keys, 60).run(moves(), 5)

    asyncio.run(run())


# --- without a rollup ---

NET = small_qnet()
WHERE = layout(lower(NET))


def account(number: int, step: int = 0, words: dict[int, int] | None = None) -> bytes:
    """A session's account at a frame and step; `words` of its ring of inputs."""
    data, at = bytearray(WHERE.session_bytes), SESSION.offsets
    data[:8] = SESSION.tag
    data[at["version"]] = ACCOUNT_VERSION
    data[at["frame_number"]], data[at["step"]] = number, step
    for index, word in (words or {}).items():
        start = WHERE.session["inputs"].offset + 8 * index
        data[start : start + 8] = word.to_bytes(8, "little")
    return bytes(data)


def test_inputs_that_wait() -> None:
    word = int.from_bytes(bytes([1, 2, 3, 4, 5, 6]), "little")
    data = account(0, words={2 * 3 + 1: word | WAITING, 2 * 4: word})
    assert waiting_input(WHERE, data, 3, 1) == bytes([1, 2, 3, 4, 5, 6])
    assert waiting_input(WHERE, data, 3 + LOOKAHEAD, 1) == bytes([1, 2, 3, 4, 5, 6])
    assert waiting_input(WHERE, data, 3, 0) is None
    assert waiting_input(WHERE, data, 4, 0) is None, "the bit says it, not the bytes"


class _World:
    layout = WHERE


class _Session:
    world = _World()


def test_what_comes_late_is_not_taken() -> None:
    told: list[tuple[int, int]] = []
    session: Session = _Session()  # type: ignore[assignment]
    follower = Follower(Rpc("http://127.0.0.1:1"), session, lambda state: told.append(state.cursor))
    order = [(3, 0), (3, 1), (2, 2), (3, 0), (4, 0), (3, 2)]
    for cursor in order:
        follower.arrived(account(*cursor))
    assert told == [(3, 0), (3, 1), (4, 0)]
    assert follower.state.cursor == (4, 0)


def test_a_change_is_waited_for_and_an_interruption_is_not_forgotten() -> None:
    session: Session = _Session()  # type: ignore[assignment]
    follower = Follower(Rpc("http://127.0.0.1:1"), session)

    async def run() -> None:
        await follower.change(0.01)
        waiting = asyncio.create_task(follower.change(3_600))
        await asyncio.sleep(0)
        follower.arrived(account(1))
        await waiting
        both = asyncio.create_task(follower.change(3_600))
        await asyncio.sleep(0)
        follower.arrived(account(2))
        both.cancel()
        with pytest.raises(asyncio.CancelledError):
            await both

    asyncio.run(run())
