"""A session's whole life on the real rollup: what was played is what the reference computes, and what was paid comes
back."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from solders.instruction import Instruction
from solders.keypair import Keypair

from examples.client.game import game_json
from tests.records import FRAME_BYTES, RECORDS, SIZES, frame_of, inputs_of
from tests.wm_live.games import (
    COMMIT_FEE,
    DELEGATION_FEE,
    FRAMES,
    SIGNATURES,
    Deployed,
    balance,
    deployed_on,
    funded_wallet,
    moves,
    on_disk,
    played,
    shifted,
)
from wm_export.schema.idl import new_idl, old_idl
from wm_live.chain.fees import SIGNATURE_FEE
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import Sender, TransactionError
from wm_live.errors import WmLiveError
from wm_live.judge.audit import audit
from wm_live.localnet.servers import Localnet
from wm_live.session import game as module
from wm_live.session import lifecycle
from wm_live.session.game import OwnSession, OwnWorld, again, finish, open_game, session_key, take_down, take_up
from wm_live.session.instructions import Seat
from wm_live.session.log import open_log
from wm_live.session.play import Beat, Driver, Guest
from wm_train.world.registry import find_game

READER = Path(__file__).parents[3] / "examples" / "anchorpy_client.py"


@pytest.fixture(scope="module")
def one(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A world in one transaction a frame."""
    return deployed_on(localnet, tmp_path_factory, 1)


@pytest.fixture(scope="module")
def three(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The same world in three."""
    return deployed_on(localnet, tmp_path_factory, 3)


@pytest.fixture(params=["one", "three"])
def deployed(request: pytest.FixtureRequest, one: Deployed, three: Deployed) -> Deployed:
    """Either; both are named, so that a test of it says what it needs."""
    return {"one": one, "three": three}[request.param]


def test_a_whole_life(deployed: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed.game() as game:
            before = await balance(game)
            with await open_game(game, deployed.window, tmp_path) as log:
                said = await played(game, log, moves(), FRAMES, fps=60)
                assert log.records == deployed.records(FRAMES)
                assert said and all(text.startswith("committed at frame") for text in said)
                committed = await lifecycle.need_session(game.places.base, game.session)
                assert 0 < committed.frame_number <= FRAMES
                state = await finish(game, log)
            assert (state.frame_number, state.status) == (FRAMES, "ended")
            with open_log(tmp_path) as log:
                found = await audit(game.places.base, None, deployed.export, log, game.session.address)
            assert found.ok and found.frames == FRAMES and found.comparisons[0].root == log.tree.root().hex()
            await lifecycle.close(game.places, game.session, game.wallet)
            assert await lifecycle.read_session(game.places.base, game.session) is None
            fees = before - await balance(game) - SIGNATURES * SIGNATURE_FEE - DELEGATION_FEE
            assert fees == len(said) * COMMIT_FEE

    asyncio.run(run())


def test_a_session_that_exists_is_not_opened_again(one: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with one.game() as game:
            (await open_game(game, one.window, tmp_path / "log")).close()
            with pytest.raises(WmLiveError, match="exists already"):
                await open_game(game, one.window, tmp_path / "other")
            assert not (tmp_path / "other").exists()
            await take_down(game)

    asyncio.run(run())


def test_another_log_is_told_at_the_end(one: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with one.game() as game:
            with await open_game(game, one.window, tmp_path) as log:
                await played(game, log, moves(), 5)
                last = log.records[-1]
                log.truncate(len(log.records) - 1)
                log.append(last[:-1] + bytes([last[-1] ^ 1]))
                with pytest.raises(WmLiveError, match="not what the log has"):
                    await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


# --- two wallets ---


def test_two_clients(deployed: Deployed, tmp_path: Path) -> None:
    """One with one key that steps, one who only sends inputs; a third can do neither."""
    mine, theirs = moves(1), moves(2)

    async def run() -> None:
        async with deployed.own() as own:
            other, third = [await funded_wallet(own.places.base) for _ in range(2)]
            game = own.game(next(deployed.numbers), deployed.window, other.pubkey())
            seat = Seat(other, session_key(other, game.session.address, 1))
            opening = open_game(game, deployed.window, tmp_path)
            log, _ = await asyncio.gather(opening, join(game, seat))
            stranger = game.session.input(third.pubkey(), 1, 0, bytes(6))
            await refused(game, third, [stranger], "WrongAuthority")
            recorder = module.Recorder(game, log)
            driver = Driver(own.places.rollup, game.session, [game.keys[0], None], 0, on_beat=recorder)
            guest = Guest(own.places.rollup, game.session, 1, seat.key)
            await asyncio.gather(driver.run(mine, FRAMES), guest.run(theirs, FRAMES))
            inputs = [inputs_of(record[:12]) for record in log.records[log.about.slots :]]
            assert np.array_equal(inputs, [[mine(n)[0], theirs(n)[1]] for n in range(FRAMES)])
            with log:
                assert (await finish(game, log)).frame_number == FRAMES
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


def test_a_player_from_an_app(one: Deployed, client: Path, tmp_path: Path) -> None:
    """The second player is examples/client, in a process of its own, with nothing but interface and addresses."""
    mine = moves(1)

    async def app(own: OwnWorld, game: OwnSession, seat: Seat) -> dict[int, list[int]]:
        await lifecycle.until("the first frame", lambda: started(game))
        files = {"idl": new_idl(SIZES), "game": game_json(find_game()), "key": list(bytes(seat.key))}
        for name, data in files.items():
            (tmp_path / name).write_text(json.dumps(data))
        given = {name: str(tmp_path / name) for name in files} | {
            "program": str(own.world.program),
            "session": str(game.session.address),
            "rpc": one.net.places.rollup,
            "player": "1",
            "frames": str(FRAMES),
        }
        command = ["node", str(client), *(word for name, value in given.items() for word in (f"--{name}", value))]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        assert process.returncode == 0
        return {line["frame"]: line["input"] for line in map(json.loads, said.splitlines())}

    async def run() -> None:
        async with one.own() as own:
            other = await funded_wallet(own.places.base)
            game = own.game(next(one.numbers), one.window, other.pubkey())
            seat = Seat(other, session_key(other, game.session.address, 1))
            opening = open_game(game, one.window, tmp_path / "log")
            log, _ = await asyncio.gather(opening, join(game, seat))
            driver = Driver(
                own.places.rollup, game.session, [game.keys[0], None], 0, on_beat=module.Recorder(game, log)
            )
            _, sent = await asyncio.gather(driver.run(mine, FRAMES), app(own, game, seat))
            records = log.records[log.about.slots :]
            parts = [RECORDS.parts(record[: RECORDS.inputs_size])[1] for record in records]
            assert parts == [bytes(sent[frame]) for frame in range(FRAMES)]
            assert {bytes(one)[0] for one in sent.values()} <= {80, 256 - 80}
            with log:
                assert (await finish(game, log)).frame_number == FRAMES
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


def test_a_reader_with_anchorpy(one: Deployed, anchorpy: Path, tmp_path: Path) -> None:
    """examples/anchorpy_client.py, in anchorpy's own environment, reads a game that goes on while it looks."""
    half, idl = FRAMES // 2, tmp_path / "idl.json"
    idl.write_text(json.dumps(old_idl(SIZES)))

    async def run() -> None:
        async with one.game() as game:
            given = {
                "idl": str(idl),
                "program": str(game.session.world.program),
                "session": str(game.session.address),
                "base": one.net.places.base,
                "rollup": one.net.places.rollup,
                "frames": "2",
            }
            command = [
                str(anchorpy),
                str(READER),
                *(word for name, text in given.items() for word in (f"--{name}", text)),
            ]
            with await open_game(game, one.window, tmp_path / "log") as log:
                await played(game, log, moves(), half)
                reader = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
                assert reader.stdout is not None
                model, session, before = [json.loads(await reader.stdout.readline()) for _ in range(3)]
                await played(game, log, shifted(moves(), half), half)
                after = json.loads(await reader.stdout.readline())
                assert await reader.wait() == 0
                assert model == {
                    "model": str(game.session.world.model),
                    "manifest": one.export.manifest.hash.hex(),
                    "frozen": True,
                }
                assert session == {"session": given["session"], "id": game.session.number, "status": "started"}
                assert before["frame"] == half < after["frame"]
                for seen in (before, after):
                    record = log.records[log.about.slots + seen["frame"] - 1]
                    assert np.array_equal(np.ravel(frame_of(record[RECORDS.inputs_size :])), seen["fields"])
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


async def started(game: OwnSession) -> bool:
    state = await lifecycle.read_session(game.places.rollup, game.session)
    return state is not None and state.status == "started"


async def join(game: OwnSession, seat: Seat) -> None:
    await lifecycle.until("the session", lambda: exists(game))
    await lifecycle.join(Sender(game.places.base, seat.wallet), game.session, seat)


async def exists(game: OwnSession) -> bool:
    return await lifecycle.read_session(game.places.base, game.session) is not None


def test_only_the_invited_may_join(one: Deployed) -> None:
    async def run() -> None:
        async with one.own() as own:
            invited, other = [await funded_wallet(own.places.base) for _ in range(2)]
            game = own.game(next(one.numbers), one.window, invited.pubkey())
            seat = Seat(own.wallet, game.keys[0])
            await lifecycle.create(own.places, game.session, seat)
            base, terms = own.places.base, game.session.terms
            with pytest.raises(TransactionError, match="WrongAuthority"):
                await lifecycle.join(Sender(base, other), game.session, Seat(other, Keypair()))
            game.session.terms = replace(terms, ids=(1, 1, 1))
            with pytest.raises(TransactionError, match="WrongTerms"):
                await lifecycle.join(Sender(base, invited), game.session, Seat(invited, Keypair()))
            game.session.terms = terms
            await lifecycle.join(Sender(base, invited), game.session, Seat(invited, Keypair()))
            await Sender(own.places.base, own.wallet).send([game.session.end(game.party)])
            await lifecycle.close(own.places, game.session, own.wallet)

    asyncio.run(run())


# --- steps that come twice, or too early ---


async def refused(
    game: OwnSession, payer: Keypair, instructions: list[Instruction], name: str, *signers: Keypair
) -> None:
    """The rollup refuses it by that name, and nothing of the session has changed."""
    before = await game.places.rollup.accounts([game.session.address, game.session.scratch])
    with pytest.raises(TransactionError) as told:
        await Sender(game.places.rollup, payer).send([lifecycle.CU_LIMIT, *instructions], *signers, preflight=False)
    assert told.value.name == name
    after = await game.places.rollup.accounts([game.session.address, game.session.scratch])
    assert [it.data if it else None for it in after] == [it.data if it else None for it in before]


def test_what_comes_twice_or_early_changes_nothing(deployed: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed.game() as game:
            one, (key, second) = game.session, game.keys
            with await open_game(game, deployed.window, tmp_path) as log:
                await refused(game, key, [one.step(0, 0)], "MissingInput")
                await played(game, log, moves(), 3)
                keys, last = [it.pubkey() for it in game.keys], deployed.export.manifest.plan
                await refused(game, key, [one.step(2, len(last) - 1)], "WrongFrame")
                await refused(game, key, [one.step(4, 0)], "WrongFrame")
                await refused(game, key, [one.step(3, 1)], "WrongStep")
                await refused(game, key, [one.input(keys[0], 0, 2, bytes(6))], "LateInput")
                await refused(game, key, [one.input(keys[0], 0, 3 + 8, bytes(6))], "EarlyInput")
                await refused(game, key, [one.input(keys[0], 0, 3, bytes([81]) + bytes(5))], "WrongInput")
                await refused(game, key, [one.input(keys[0], 1, 3, bytes(6))], "WrongAuthority")
                await Sender(game.places.rollup, key).send(one.inputs(keys, 3, bytes(12)), second, preflight=False)
                await refused(game, key, [one.input(keys[0], 0, 3, bytes(6))], "TakenInput")
                if len(last) > 1:
                    await Sender(game.places.rollup, key).send([lifecycle.CU_LIMIT, one.step(3, 0)], preflight=False)
                    await refused(game, key, [one.step(3, 0)], "WrongStep")
                    await refused(game, key, [one.step(3, 2)], "WrongStep")
                # And the frame that was begun so is finished, with the inputs that it has.
                await played(game, log, shifted(moves(), 3), 2)
                assert log.records[-2][:12] == bytes(12) and log.frames == 5
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


# --- interrupted, and taken up again ---


def raised() -> None:
    raise KeyboardInterrupt


def signalled() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("interrupt", [raised, signalled])
def test_ctrl_c(deployed: Deployed, tmp_path: Path, interrupt: Callable[[], None]) -> None:
    """Frames that were on their way are in the log, and it goes on as if nothing had been."""
    number = next(deployed.numbers)

    def beat(beat: Beat, _: NDArray[np.int32]) -> None:
        if beat.number == 20:
            interrupt()

    async def first() -> None:
        async with deployed.own() as own:
            game = own.game(number, deployed.window)
            with await open_game(game, deployed.window, tmp_path) as log:
                await played(game, log, moves(), FRAMES, on_beat=beat)

    async def then() -> None:
        async with deployed.own() as own:
            game = own.game(number, deployed.window)
            log, lost = await take_up(game, tmp_path)
            with log:
                assert lost == [] and 21 <= log.frames < FRAMES
                await played(game, log, shifted(moves(), log.frames), FRAMES - log.frames)
                assert log.records == deployed.records(FRAMES)
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(first())
    records = b"".join(deployed.records(FRAMES))
    assert records.startswith(on_disk(tmp_path)) and on_disk(tmp_path) != records
    asyncio.run(then())


def test_killed_player(deployed: Deployed, tmp_path: Path) -> None:
    """Frames that the rollup has computed, but a killed player never wrote down, are found from what was sent."""
    number = next(deployed.numbers)

    async def run() -> None:
        async with deployed.own() as own:
            game = own.game(number, deployed.window)
            with await open_game(game, deployed.window, tmp_path) as log:
                await played(game, log, moves(), 30)
                log.truncate(len(log.records) - 5)  # what `kill -9` leaves
            log, lost = await take_up(game, tmp_path)
            with log:
                assert lost == [] and log.frames == 30
                assert log.records == deployed.records(30)
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


def test_taken_back_in_the_middle(deployed: Deployed, tmp_path: Path) -> None:
    """Undelegated without an end: delegated again, its window loaded from the log."""

    async def run() -> None:
        async with deployed.game() as game:
            with await open_game(game, deployed.window, tmp_path) as log:
                await played(game, log, moves(), 25)
            state = await lifecycle.leave(game.places, game.session, game.wallet, end=False)
            assert (state.status, state.frame_number) == ("started", 25)
            log, lost = await take_up(game, tmp_path)
            with log:
                assert lost == []
                await played(game, log, shifted(moves(), 25), FRAMES - 25)
                assert log.records == deployed.records(FRAMES)
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


def test_only_its_own_log_takes_it_up(one: Deployed, tmp_path: Path) -> None:
    async def run() -> None:
        async with one.own() as own:
            first, second = (own.game(next(one.numbers), one.window) for _ in range(2))
            for game, name in ((first, "first"), (second, "second")):
                with await open_game(game, one.window, tmp_path / name) as log:
                    await played(game, log, moves(), 5)
            with pytest.raises(WmLiveError, match="the log is of session"):
                await take_up(first, tmp_path / "second")
            with open_log(tmp_path / "first") as log:
                log.truncate(len(log.records) - 1)
            (tmp_path / "first" / "sent.bin").unlink()
            with pytest.raises(WmLiveError, match="does not lead to frame 5"):
                await take_up(first, tmp_path / "first")
            await finish(second)
            with pytest.raises(WmLiveError, match="has ended"):
                await take_up(second, tmp_path / "second")
            await take_down(first)
            await lifecycle.close(second.places, second.session, second.wallet)

    asyncio.run(run())


def test_expired_keys_are_named_anew(one: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with one.game() as game:
            monkeypatch.setattr(module, "KEY_S", -10)
            (await open_game(game, one.window, tmp_path)).close()
            await refused(game, game.keys[0], [game.session.input(game.keys[0].pubkey(), 0, 0, bytes(6))], "KeyExpired")
            monkeypatch.undo()
            log, _ = await take_up(game, tmp_path)
            with log:
                await played(game, log, moves(), 5)
                await finish(game, log)
            await lifecycle.close(game.places, game.session, game.wallet)

    asyncio.run(run())


def test_lost_inputs_come_first() -> None:
    lost = [bytes([n]) * 12 + bytes(FRAME_BYTES) for n in range(3)]
    inputs = again(RECORDS, lost, lambda frame: np.full((2, 7), 40 + frame, np.int8))
    assert [int(inputs(n)[0, 0]) for n in range(5)] == [0, 1, 2, 40, 41]


def test_a_node_that_is_no_rollup(localnet: Localnet, tmp_path: Path) -> None:
    async def run() -> None:
        async with Rpc("http://127.0.0.1:1") as nobody:
            with pytest.raises(WmLiveError, match=r"127\.0\.0\.1:1: getIdentity: no answer"):
                await module.rollup_identity(nobody)

    asyncio.run(run())
