"""Audits: what is wrong is named, and what is right is not."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from tests.factories import random_corpus, random_inputs, small_model, small_qnet
from tests.records import FRAME_BYTES, RECORD_BYTES, RECORDS, frame_of
from tests.wm_live.courts import AUTHORITY, PLAYER, PROGRAM, VALIDATOR, Court, Lies, built, court, lie, log_of, played
from wm_export.lower.memory import NOTHING
from wm_export.schema.accounts import MODEL, SESSION
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import DELEGATION_PROGRAM, delegation_record
from wm_live.errors import WmLiveError
from wm_live.judge.audit import Audit, audit, audit_offline
from wm_live.judge.dispute import Dispute
from wm_live.judge.pin import Pin, pin
from wm_live.session import recompute
from wm_live.session.committed import read_session, read_world
from wm_live.session.delegation import read_delegation
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.last_commit import keep_last_commit
from wm_live.session.lifecycle import window_records
from wm_live.session.log import Agreed, Log
from wm_live.session.recompute import Replay, arrays, legal_ids, wrong_frames
from wm_live.session.terms import Terms
from wm_live.session.tree import Tree, root_of
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet
from wm_train.measure.window import Window, window_at
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee_flags import MeleeFlags

T = TypeVar("T")
FRAMES = 40
NET = small_qnet()
SLOTS = NET.world.encoding.slots
CHUNK = 16


# --- frames, without a chain ---


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """CHUNK frames are recomputed at a time."""
    monkeypatch.setattr(recompute, "CHUNK", CHUNK)


def wrong_frames_ref(net: QNet, ids: list[int], records: list[bytes]) -> list[int]:
    """One frame after the other: a rollout that goes on from the log's own Frame where it differs."""
    interpreter, (inputs, frames) = Interpreter(net), arrays(RECORDS, records)
    session, found = np.array([ids]), []
    for at in range(SLOTS, len(records)):
        before = slice(at - SLOTS, at)
        window = Window(frames[None, before], inputs[None, before], inputs[at][None], session)
        computed = interpreter.step(interpreter.begin(window), inputs[at][None])[1].frame[0]
        if not np.array_equal(computed, frames[at]):
            found.append(at - SLOTS)
    return found


@pytest.mark.parametrize("frames", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_an_honest_log(frames: int, short_chunks: None) -> None:
    """Its frames were computed in one rollout; here each comes from the log's own window."""
    ids, records = played(NET, frames)
    done: list[tuple[int, int]] = []
    assert wrong_frames(Replay(NET, NOTHING, ids), records, lambda *step: done.append(step)) == []
    assert (done[-1] if done else (0, 0)) == (frames, frames)


def test_a_log_of_a_world_that_reads_presses_and_sights() -> None:
    """Neither is in a record: both are made anew of each window."""
    net = small_qnet(small_model(flags=MeleeFlags(press_events="next", reach=True)))
    encoding = net.world.encoding
    corpus = random_corpus(0, (encoding.slots + 2,), encoding)
    window = window_at(corpus, encoding, corpus.windows(encoding)[:1])
    records, state = window_records(RECORDS, window), Interpreter(net).begin(window)
    for inputs in random_inputs(np.random.default_rng(0), 20, 1):
        state = Interpreter(net).step(state, inputs)[1]
        records.append(RECORDS.record_bytes(inputs[0], state.frame[0]))
    assert {len(record) for record in records} == {RECORDS.record_size}
    ids = [int(value) for value in window.session[0]]
    assert wrong_frames(Replay(net, NOTHING, ids), records) == []


def inward(player: int, field: int) -> Callable[[bytes], bytes]:
    """A field moved by the least there is, towards zero: so it stays in its range."""

    def told(record: bytes) -> bytes:
        value = frame_of(record[-FRAME_BYTES:])[player, field]
        return lie(player, field, -1 if value > 0 else 1)(record)

    return told


@pytest.mark.parametrize("seed", range(6))
def test_lies_against_the_slow_twin(seed: int, short_chunks: None) -> None:
    rng = np.random.default_rng(seed)
    frames = sorted(int(it) for it in rng.choice(CHUNK + 40, 5, replace=False))
    lies: Lies = {f: inward(int(rng.integers(2)), STATE_INDEX["x"]) for f in frames}
    ids, records = played(NET, CHUNK + 40, lies, seed)
    found = [it.frame for it in wrong_frames(Replay(NET, NOTHING, ids), records)]
    assert found == wrong_frames_ref(NET, ids, records) == frames


def test_other_inputs_are_another_frame() -> None:
    ids, records = played(NET, FRAMES)
    for leaf in range(SLOTS + 20, SLOTS + 30):
        records[leaf] = bytes(12) + records[leaf][12:]
    found = [it.frame for it in wrong_frames(Replay(NET, NOTHING, ids), records)]
    assert found == wrong_frames_ref(NET, ids, records) != []


def test_the_field_is_named() -> None:
    ids, records = played(NET, FRAMES, {20: lie(1, STATE_INDEX["action"], -1)})
    (found,) = wrong_frames(Replay(NET, NOTHING, ids), records)
    assert found.frame == 20 and found.text.startswith("player 1: action is ") and found.text.endswith("(id)")


OUT_OF_RANGE = {
    "stick": (0, bytes([81])),
    "shoulder": (4, bytes([255])),
    "action": (12 + 4 * STATE_INDEX["action"], struct.pack("<i", 400)),
    "negative id": (12 + 4 * STATE_INDEX["action"], struct.pack("<i", -1)),
    "percent": (RECORD_BYTES - FRAME_BYTES // 2, struct.pack("<i", -1)),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
@pytest.mark.parametrize("leaf", [0, SLOTS + 20, SLOTS + FRAMES - 1])
def test_out_of_range(name: str, leaf: int) -> None:
    """It is wrong, and so is every frame whose window it is part of."""
    ids, records = played(NET, FRAMES)
    at, value = OUT_OF_RANGE[name]
    records[leaf] = records[leaf][:at] + value + records[leaf][at + len(value) :]
    found = wrong_frames(Replay(NET, NOTHING, ids), records)
    outside = [it.frame for it in found if "outside the ranges" in it.text]
    assert outside == [f for f in range(FRAMES) if f <= leaf <= f + SLOTS]
    where = f"record of frame {leaf - SLOTS}" if leaf >= SLOTS else f"record {leaf} of the window"
    assert all(where in it.text for it in found if it.frame in outside)
    assert [it.frame for it in found] == outside


@pytest.mark.parametrize(
    ("ids", "legal"),
    [
        ((32, 32, 32, 0), True),
        ((33, 0, 0, 0), False),
        ((0, 33, 0, 0), False),
        ((0, 0, 33, 0), False),
        ((0, 0, 0, 1), False),
        ((0, 0), False),
    ],
)
def test_session_ids(ids: tuple[int, ...], legal: bool) -> None:
    assert legal_ids(NET, ids) == legal


def test_an_encoding_without_session_ids() -> None:
    net = small_qnet(small_model("v1", "published"))
    assert legal_ids(net, (0, 0, 0, 0)) and not legal_ids(net, (1, 0, 0, 0))
    ids, records = played(net, 5)
    assert wrong_frames(Replay(net, NOTHING, [*ids, 0, 0, 0, 0][:4]), records) == []


# --- a log by itself ---


def kept_log(
    folder: Path, frames: int = FRAMES, kept: int | None = FRAMES, lies: Lies | None = None, number: int = 7
) -> tuple[Export, Log]:
    """An export that nothing was built of, and a log that says what was agreed, and what was committed in the end."""
    export_solana(NET, folder / "export", ())
    export = open_export(folder / "export")
    ids, records = played(NET, frames, lies)
    world, me = DeployedWorld(export, PROGRAM, AUTHORITY), PLAYER.pubkey()
    session = Session(world, me, Terms(number, ids, root_of(records[:SLOTS]), me, VALIDATOR.pubkey()))
    agreed = Agreed(str(me), "7", str(me), str(VALIDATOR.pubkey()))
    log = log_of(session, ids, records, folder / "log", agreed)
    if kept is not None:
        root = log.tree.root(SLOTS + kept)
        at: Any = SimpleNamespace(begun=True, frame_number=kept, root=root, status="ended")
        keep_last_commit(log.folder, at)
    return export, log


def offline(export: Export, log: Log) -> Audit:
    return audit_offline(export, log, Pubkey.from_string(log.about.session))


def test_a_log_by_itself(tmp_path: Path) -> None:
    export, log = kept_log(tmp_path)
    found = offline(export, log)
    assert found.ok and found.status == "not asked for" and found.uncommitted == FRAMES
    assert found.lines("--log log") == [
        f"session {log.about.session}: no node was asked",
        f"the end, as the log has it: holds this log up to frame {FRAMES}",
        f"all {FRAMES} frames of the log are what the model computes",
        "not proved: this is what was played: no root of a chain was compared",
    ]
    assert found.to_json()["unproved"] == ["this is what was played: no root of a chain was compared"]


def test_a_damaged_log_by_itself(tmp_path: Path) -> None:
    """A record that nobody computed, and one that is missing at its end."""
    export, log = kept_log(tmp_path / "lie", lies={20: lie(0, STATE_INDEX["percent"], 1)})
    found = offline(export, log)
    assert not found.ok and [it.frame for it in found.wrong] == [20] and found.comparisons[0].ok
    assert not any(line.startswith("next: ") for line in found.lines("--log log")), "nothing is committed any more"
    export, log = kept_log(tmp_path / "short")
    log.records.pop()
    log.tree = Tree(log.records)
    found = offline(export, log)
    assert not found.ok and not found.wrong
    assert "the log ends at frame 39: a newer log is needed" in found.comparisons[0].text


def test_a_log_of_another_session_than_it_says(tmp_path: Path) -> None:
    """The address is made from what was agreed: number, ids, first window."""
    export, log = kept_log(tmp_path, number=8)
    found = offline(export, log)
    assert not found.ok and "is not made from what the log says was agreed" in found.comparisons[-1].text


def test_what_an_older_log_does_not_say(tmp_path: Path) -> None:
    export, log = kept_log(tmp_path, kept=None)
    log.about = replace(log.about, agreed=None)
    found = offline(export, log)
    assert found.ok and found.comparisons == ()
    assert found.unproved[0] == "session ids and first window are those that were agreed on"


@pytest.mark.parametrize("number", ["99999999999999999999", "18446744073709551616"])
def test_a_number_that_no_session_has(tmp_path: Path, number: str) -> None:
    export, log = kept_log(tmp_path)
    assert log.about.agreed is not None
    log.about = replace(log.about, agreed=replace(log.about.agreed, number=number))
    assert log.agreed_address() == "" and not offline(export, log).ok


# --- against a chain ---


@pytest.fixture(scope="module")
def export(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A world and its program."""
    return built(tmp_path_factory)


def trial(export: Export, work: Callable[[Court], Awaitable[T]], lies: Lies | None = None, commit: bool = True) -> T:
    """Run `work` on a session of FRAMES frames, committed or not yet."""

    async def run() -> T:
        ids, records = played(export.net, FRAMES, lies)
        async with court(export, ids, records) as made:
            if commit:
                await made.commit(records)
            made.records = records
            return await work(made)

    return asyncio.run(run())


async def audited(made: Court, log: Log, rollup: bool = False) -> Audit:
    return await audit(made.rpc, made.rpc if rollup else None, made.session.world.export, log, made.session.address)


def test_equal(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        found = await audited(made, log, rollup=True)
        assert found.ok and not found.wrong and found.frames == FRAMES and found.status == "started"
        assert [it.chain for it in found.comparisons] == ["base chain", "rollup"]
        assert found.validator == str(VALIDATOR.pubkey())
        assert found.comparisons[0].root == log.tree.root().hex()
        told = found.to_json()
        assert told["ok"] and told["wrong_frames"] == [] and told["chains"][0]["frames"] == FRAMES
        assert f"all {FRAMES} frames of the log are what the model computes" in found.lines("--log log")

    trial(export, work)


def test_a_log_may_be_longer_than_what_was_committed(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        await made.commit(made.records[:-10])
        found = await audited(made, made.log(tmp_path / "log", played(export.net, FRAMES)[1]))
        assert found.ok and found.comparisons[0].frame_number == FRAMES - 10 and found.uncommitted == 10
        told = "not committed: nobody can dispute them before they are committed, or the session has ended"
        assert f"the last 10 frames of the log are {told}" in found.lines("")

    trial(export, work, commit=False)


def test_a_lie_that_was_committed(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        found = await audited(made, made.log(tmp_path / "log"))
        assert not found.ok and found.comparisons[0].ok
        assert [it.frame for it in found.wrong] == [20]
        assert found.lines("--log log")[-1] == "next: wmq dispute 20 --log log"
        assert found.to_json()["wrong_frames"][0]["frame"] == 20

    trial(export, work, {20: lie(0, STATE_INDEX["percent"], 1)})


@pytest.mark.parametrize("leaf", [0, SLOTS + 20, SLOTS + FRAMES - 1])
@pytest.mark.parametrize("at", [0, RECORD_BYTES - 1])
def test_a_log_that_was_not_committed(export: Export, tmp_path: Path, leaf: int, at: int) -> None:
    async def work(made: Court) -> None:
        records = list(made.records)
        records[leaf] = records[leaf][:at] + bytes([records[leaf][at] ^ 1]) + records[leaf][at + 1 :]
        log = made.log(tmp_path / "log", records)
        (compared,) = (await audited(made, log)).comparisons
        committed = made.log(tmp_path / "true").tree.root().hex()
        assert not compared.ok and compared.root == committed
        assert (
            f"not this log's at frame {FRAMES}: root {committed}, of the log {log.tree.root().hex()}" in compared.text
        )

    trial(export, work)


def test_a_log_that_ends_too_early(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        found = await audited(made, made.log(tmp_path / "log", made.records[:-1]))
        assert not found.ok and not found.wrong
        assert "the log ends at frame 39: a newer log is needed" in found.comparisons[0].text

    trial(export, work)


def closed(made: Court) -> None:
    """The session is gone, as after `close_session`."""
    made.chain.svm.set_account(made.session.address, Account(0, b"", Pubkey.default()))


async def pinned(made: Court) -> Pin:
    """What the session has committed now, by a stranger."""
    return await pin(made.disputer(), await read_session(made.rpc, made.session.world, made.session.address))


def test_a_closed_session_of_which_nothing_is_left(export: Export, tmp_path: Path) -> None:
    """Every frame is right, and still no chain says that it was played: no exit code 0."""

    async def work(made: Court) -> None:
        closed(made)
        found = await audited(made, made.log(tmp_path / "log"))
        assert not found.ok and not found.wrong and found.status == "gone" and found.comparisons == ()
        assert found.lines("--log log")[-1] == "next: wmq verify --log log --offline, which checks the log by itself"
        assert "not proved: this is what was played: no root of a chain was compared" in found.lines("")

    trial(export, work)


def test_a_closed_session_with_a_pin(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        kept = await pinned(made)
        closed(made)
        log = made.log(tmp_path / "log", played(export.net, FRAMES + 10)[1])
        found = await audited(made, log)
        assert found.ok and found.uncommitted == 10
        assert [it.chain for it in found.comparisons] == [f"pin {kept.address}"]
        assert f"pin {kept.address}: holds this log up to frame {FRAMES}" in found.lines("")
        other = made.log(tmp_path / "other", played(export.net, FRAMES, seed=1)[1])
        lied = await audited(made, other)
        assert not lied.ok and "the committed state is not this log's" in lied.comparisons[0].text

    trial(export, work)


def test_what_a_pin_has_of_a_closed_session_can_be_disputed(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        await pinned(made)
        closed(made)
        log = made.log(tmp_path / "log")
        found = await audited(made, log)
        assert "next: wmq dispute 20 --log log" in found.lines("--log log")
        judged = await Dispute(made.disputer(), export, log, made.session.address, 20).run()
        assert not judged.right

    trial(export, work, {20: lie(0, STATE_INDEX["percent"], 1)})


def test_nothing_committed(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        found = await audited(made, made.log(tmp_path / "log"))
        assert not found.ok and found.comparisons[0].text == "nothing has been committed yet"

    trial(export, work, commit=False)


def test_another_window_than_the_session_was_created_for(export: Export, tmp_path: Path) -> None:
    """Every frame is right, and still it is not the game that was agreed on."""

    async def work(made: Court) -> None:
        await made.commit(played(export.net, FRAMES, seed=1)[1])
        log = log_of(made.session, made.ids, made.records, tmp_path / "log")
        found = await audited(made, log)
        assert "created for another window" in found.comparisons[0].text

    trial(export, work, commit=False)


def patched(made: Court, address: Pubkey, at: int, value: bytes, **fields: Any) -> None:
    """Change an account behind everybody's back."""
    old = made.chain.account(address)
    assert old is not None
    data = bytes(old.data)
    new = data[:at] + value + data[at + len(value) :]
    made.chain.svm.set_account(address, Account(old.lamports, new, fields.get("owner", old.owner)))


def test_another_frame_than_the_trees_last(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        patched(made, made.session.address, export.layout.session["frame"].offset, bytes([255]))
        found = await audited(made, made.log(tmp_path / "log"))
        assert not found.ok and "its current Frame is not the one" in found.comparisons[0].text

    trial(export, work)


STRANGE = Pubkey.from_bytes(bytes([9]) * 32)


@pytest.mark.parametrize(
    ("role", "field", "value", "owner", "text"),
    [
        ("session", "tag", bytes(8), None, "not a session of this world"),
        ("session", "version", bytes(4), None, "version 0"),
        ("session", "status", bytes([5]), None, "Status: got 5"),
        ("session", "manifest", bytes(32), None, "manifest: got 00"),
        ("session", "model", bytes(32), None, "model: got 111111"),
        *(
            ("session", field, bytes([8]), None, "address of its creator and of what was agreed: got")
            for field in ("creator", "id", "ids", "start", "opponent", "validator")
        ),
        ("record", "version", bytes([8]) * 32, None, "validator: got"),
        ("session", "tag", b"", STRANGE, f"belongs to {STRANGE}"),
        ("record", "tag", bytes(8), None, "expected the tag 100, got 0"),
        ("record", "manifest", bytes([9]) * 32, None, "program that delegated it: got"),
        ("record", "tag", b"", STRANGE, f"got 96 bytes of {STRANGE}"),
        ("model", "tag", bytes(8), None, "expected a model of version"),
        ("model", "version", bytes(4), None, "expected a model of version"),
        ("model", "manifest", bytes(32), None, "manifest: got 00"),
        ("model", "frozen", bytes(4), None, "not frozen"),
        ("model", "digest", bytes(32), None, "digest: got 00"),
        ("model", "authority", bytes(32), None, "address: got"),
        ("model", "tag", b"", STRANGE, f"bytes of {STRANGE}"),
    ],
)
def test_accounts_that_are_not_what_they_should_be(
    export: Export, tmp_path: Path, role: str, field: str, value: bytes, owner: Pubkey | None, text: str
) -> None:
    """Whatever a node says is checked first."""

    async def work(made: Court) -> None:
        session = made.session
        record = delegation_record(session.address)
        address = {"session": session.address, "record": record, "model": session.world.model}
        where = (MODEL if role == "model" else SESSION).offsets
        at = 40 if (role, field) == ("record", "manifest") else where[field]
        patched(made, address[role], at, value, **({"owner": owner} if owner else {}))
        with pytest.raises(WmLiveError) as refused:
            await audited(made, made.log(tmp_path / "log"))
        assert text in str(refused.value)

    trial(export, work)


def test_a_session_that_is_not_there(export: Export) -> None:
    async def work(made: Court) -> None:
        world = await read_world(made.rpc, export, PROGRAM, made.session.world.model)
        assert world == made.session.world
        other = Session(world, PLAYER.pubkey(), replace(made.session.terms, number=8))
        with pytest.raises(WmLiveError, match="never created, closed, or on another cluster"):
            await read_session(made.rpc, world, other.address)
        with pytest.raises(WmLiveError, match="got no account"):
            await read_world(made.rpc, export, PROGRAM, other.address)

    trial(export, work, commit=False)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("session", str(STRANGE), "session: got"),
        ("manifest_sha256", "00" * 32, "manifest: got 00"),
        ("slots", 4, "slots: got 4, expected 3"),
        ("game", "pong", "game: got pong, expected melee"),
        ("program", "l0l", "program 'l0l'"),
        ("program", str(STRANGE), f"expected one of program {STRANGE}"),
        ("model", str(STRANGE), f"model {STRANGE}: expected one of program"),
    ],
)
def test_a_log_of_something_else(export: Export, tmp_path: Path, field: str, value: Any, text: str) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        log.about = replace(log.about, **{field: value})
        with pytest.raises(WmLiveError) as refused:
            await audited(made, log)
        assert text in str(refused.value)

    trial(export, work)


def test_the_delegation_record_is_the_real_programs(export: Export) -> None:
    async def work(made: Court) -> None:
        address = delegation_record(made.session.address)
        found = read_delegation(await made.rpc.account(address), made.session.address)
        assert (found.validator, found.owner) == (VALIDATOR.pubkey(), PROGRAM) and found.slot > 0
        account = await made.rpc.account(address)
        assert account is not None and account.owner == DELEGATION_PROGRAM
        with pytest.raises(WmLiveError, match="got no account"):
            read_delegation(None, made.session.address)

    trial(export, work, commit=False)


@pytest.mark.parametrize("taken", [0, 1, 10**6])
def test_a_commit_that_carries_fewer_lamports(export: Export, tmp_path: Path, taken: int) -> None:
    """An operator keeps the deposit, or part of it."""

    async def work(made: Court) -> None:
        address = made.session.address
        old = made.chain.account(address)
        assert old is not None
        made.chain.svm.set_account(address, Account(old.lamports - taken, bytes(old.data), old.owner))
        found = await audited(made, made.log(tmp_path / "log"))
        assert (found.missing, found.lamports) == (taken, old.lamports - taken)
        named = f"has {old.lamports - taken:,} of {old.lamports:,} lamports of rent and deposit"
        assert any(named in line for line in found.lines("--log log")) == bool(taken)

    trial(export, work)
