"""Disputes on a base chain with the real delegation program: honest and lying operators, honest and lying disputers."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.system_program import TransferParams, transfer

from tests.records import FRAME_BYTES, RECORDS
from tests.wm_live.courts import (
    PLAYER,
    PROGRAM,
    STRANGER,
    VALIDATOR,
    Court,
    Lies,
    built,
    court,
    first_window,
    lie,
    log_of,
    played,
)
from wm_export.schema.accounts import PIN
from wm_export.solana.export import Export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import SYSTEM_PROGRAM, pin_address
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import Confirmed, Sender, TransactionError
from wm_live.deploy.deploying import carry_out, prepare
from wm_live.deploy.target import target_of
from wm_live.errors import WmLiveError
from wm_live.judge.audit import audit
from wm_live.judge.dispute import Dispute, DisputeState, SettledDispute, _Commit, dispute_address, read_dispute
from wm_live.judge.pin import pin, pins_of, read_pin
from wm_live.localnet.base_chain.genesis import SOL
from wm_live.localnet.servers import Localnet
from wm_live.session import lifecycle
from wm_live.session.committed import read_session
from wm_live.session.game import OwnWorld
from wm_live.session.instructions import DeployedWorld, Seat
from wm_live.session.lifecycle import SessionNodes
from wm_live.session.log import Log
from wm_train.melee.field_table import STATE_INDEX

T = TypeVar("T")
FRAMES = 40


@pytest.fixture(scope="module")
def export(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A world whose frames take one transaction."""
    return built(tmp_path_factory)


@pytest.fixture(scope="module")
def cut(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The same in three."""
    return built(tmp_path_factory, (2, 4))


@asynccontextmanager
async def committed(export: Export, lies: Lies | None = None, whole: bool = False) -> AsyncIterator[Court]:
    """A session of FRAMES frames, committed."""
    ids, records = played(export.net, FRAMES, lies)
    async with court(export, ids, records) as made:
        await made.commit(records, whole)
        yield made


def trial(export: Export, work: Callable[[Court], Awaitable[T]], lies: Lies | None = None, whole: bool = False) -> T:
    """Run `work` on a committed session."""

    async def run() -> T:
        async with committed(export, lies, whole) as made:
            return await work(made)

    return asyncio.run(run())


async def verdict(made: Court, log: Log, frame: int, **how: Any) -> SettledDispute:
    world = made.session.world
    return await Dispute(made.disputer(), world.export, log, made.session.address, frame).run(**how)


async def state_of(made: Court, dispute: Dispute) -> DisputeState | None:
    account = await made.rpc.account(dispute.address, 0, made.session.world.layout.dispute_work)
    return read_dispute(account, RECORDS, made.session.world.layout.dispute_bytes, dispute.program) if account else None


def changed(record: bytes, at: int, by: int = 1) -> bytes:
    out = bytearray(record)
    out[at] ^= by
    return bytes(out)


# --- what the operator did ---


@pytest.mark.parametrize("whole", [False, True])
def test_honest_operator(export: Export, tmp_path: Path, whole: bool) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        for frame in (0, 7, FRAMES - 1):
            outcome = await verdict(made, log, frame)
            assert outcome.right and outcome.verdict == "right" and "is right" in outcome.text

    trial(export, work, whole=whole)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("by", [1, -1])
def test_lying_operator(export: Export, tmp_path: Path, whole: bool, by: int) -> None:
    told = {20: lie(1, STATE_INDEX["x"], by)}

    async def work(made: Court) -> None:
        outcome = await verdict(made, made.log(tmp_path / "log"), 20)
        assert not outcome.right and outcome.verdict == "wrong"
        assert "player 1: x is" in outcome.text and "the model gives" in outcome.text

    trial(export, work, told, whole)


def test_a_lie_in_the_window_is_judged_where_it_was_told(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        verdicts = [(await verdict(made, log, frame)).verdict for frame in range(19, 25)]
        assert verdicts == ["right", "wrong", "right", "right", "right", "right"]

    trial(export, work, {20: lie(0, STATE_INDEX["y"], 300)})


@pytest.mark.parametrize("frame", [20, 21, 22])
def test_a_committed_record_out_of_range(export: Export, tmp_path: Path, frame: int) -> None:
    """No program commits such a one: every frame that it is part of is wrong, and no table is read outside its end."""

    def put(made: Court) -> list[bytes]:
        record = bytearray(made.records[20 + made.session.world.slots])
        at = len(record) - FRAME_BYTES + 4 * STATE_INDEX["action"]
        record[at : at + 4] = (400).to_bytes(4, "little")
        index = 20 + made.session.world.slots
        return [*made.records[:index], bytes(record), *made.records[index + 1 :]]

    async def work(made: Court) -> None:
        await made.commit(put(made))
        outcome = await verdict(made, made.log(tmp_path / "log"), frame)
        assert outcome.verdict == "wrong" and "outside the ranges" in outcome.text

    trial(export, work)


@pytest.mark.parametrize("told", [None, {20: lie(0, STATE_INDEX["percent"], 1)}])
def test_a_plan_of_three_is_judged_in_three(cut: Export, tmp_path: Path, told: Lies | None) -> None:
    async def work(made: Court) -> None:
        outcome = await verdict(made, made.log(tmp_path / "log"), 20)
        assert outcome.verdict == ("wrong" if told else "right")
        judged = [it.what for it in outcome.sent if it.what.startswith("judge")]
        assert judged == ["judge 1 of 3", "judge 2 of 3", "judge 3 of 3"]

    trial(cut, work, told)


def test_what_is_committed_later_changes_nothing(export: Export, tmp_path: Path) -> None:
    """The operator commits the truth once the dispute is open; what it has signed before is judged."""

    async def work(made: Court) -> None:
        dispute = Interrupted(made, made.log(tmp_path / "log"), 20, after=1)
        with pytest.raises(KeyboardInterrupt):
            await dispute.run()
        await made.commit(played(export.net, FRAMES)[1])
        assert (await verdict(made, dispute.log, 20)).verdict == "wrong"
        assert (await verdict(made, made.log(tmp_path / "new"), 20)).verdict == "right"

    trial(export, work, {20: lie(0, 0, 1)})


def test_a_session_that_is_gone_is_still_judged(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        dispute = Interrupted(made, made.log(tmp_path / "log"), 20, after=1)
        with pytest.raises(KeyboardInterrupt):
            await dispute.run()
        made.chain.svm.set_account(made.session.address, Account(0, b"", SYSTEM_PROGRAM))
        assert (await verdict(made, dispute.log, 20)).verdict == "wrong"
        with pytest.raises(WmLiveError, match=r"not on http.*closed"):
            await verdict(made, dispute.log, 21)

    trial(export, work, {20: lie(0, 0, 1)})


# --- what the disputer did ---


@pytest.mark.parametrize("frame", [20, 23])
@pytest.mark.parametrize("at", [0, 5, 11, 12, 195])
def test_a_false_log_is_refused_before_anything_is_sent(export: Export, tmp_path: Path, frame: int, at: int) -> None:
    async def work(made: Court) -> None:
        false = list(made.records)
        false[20 + made.session.world.slots] = changed(false[20 + made.session.world.slots], at)
        before = await made.rpc.balance(STRANGER.pubkey())
        with pytest.raises(WmLiveError, match="WrongProof: the log is not what was committed up to frame 40: root"):
            await verdict(made, made.log(tmp_path / "log", false), frame)
        assert await made.rpc.balance(STRANGER.pubkey()) == before

    trial(export, work)


class Forced(Dispute):
    """A disputer who does not look at the tree, with other records than the log's."""

    false: list[bytes] | None = None

    def _proved(self, leaf: int, leaves: int) -> dict[str, Any]:
        proved = super()._proved(leaf, leaves)
        record = self.false[leaf] if self.false else self.log.records[leaf]
        return proved | {"inputs": record[:-FRAME_BYTES], "frame": record[-FRAME_BYTES:]}


@pytest.mark.parametrize("at", [0, 6, 12, 195])
@pytest.mark.parametrize(("leaf", "loaded"), [(20, 0), (21, 0), (22, 2), (23, 3)])
def test_the_program_refuses_a_false_record(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, leaf: int, loaded: int
) -> None:
    """Inputs or Frame, in the window (leaves 20 to 22) or of the frame itself (23): nothing is recorded."""
    monkeypatch.setattr("wm_live.judge.dispute.LAG_S", 0.0)

    async def work(made: Court) -> None:
        dispute = Forced(made.disputer(), export, made.log(tmp_path / "log"), made.session.address, 20)
        dispute.false = list(made.records)
        dispute.false[leaf] = changed(dispute.false[leaf], at)
        with pytest.raises(WmLiveError, match=r"refused 6 times \(WrongProof\)"):
            await dispute.run()
        state = await state_of(made, dispute)
        assert state is not None and (state.loaded, state.step, state.verdict) == (loaded, 0, "open")
        with pytest.raises(TransactionError) as refused:
            await dispute._send("again", (await dispute._next(state))[1])
        assert refused.value.name == "WrongProof"
        dispute.false = None
        assert (await dispute.run()).right

    trial(export, work)


def test_steps_neither_skipped_nor_repeated(cut: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        dispute = Interrupted(made, made.log(tmp_path / "log"), 20, after=5)
        with pytest.raises(KeyboardInterrupt):
            await dispute.run()
        state = await state_of(made, dispute)
        assert state is not None and (state.loaded, state.step) == (3, 1)
        for step in (0, 2):
            skipped = DisputeState(**vars(state) | {"step": step})
            with pytest.raises(TransactionError) as refused:
                await Dispute._send(dispute, "judge", (await dispute._next(skipped))[1])
            assert refused.value.name == "WrongStep"

    trial(cut, work)


def test_a_lie_that_was_pinned_is_judged_though_it_was_overwritten(export: Export, tmp_path: Path) -> None:
    """The operator commits the truth before anybody opens a dispute; a stranger's pin has what it signed before."""

    async def work(made: Court) -> None:
        log, lied = made.log(tmp_path / "log"), made.records
        committed = await read_session(made.rpc, made.session.world, made.session.address)
        kept = await pin(Sender(made.rpc, PLAYER), committed)
        assert kept == await pin(Sender(made.rpc, PLAYER), committed)
        assert (kept.leaves, kept.root, kept.session) == (len(lied), log.tree.root(), made.session.address)
        assert await pins_of(made.rpc, PROGRAM, made.session.address) == [kept]
        await made.commit(played(export.net, FRAMES)[1])
        costs = await Dispute(made.disputer(), export, log, made.session.address, 20).costs()
        assert costs.pins == 0
        assert (await verdict(made, log, 20)).verdict == "wrong"
        assert await pins_of(made.rpc, PROGRAM, made.session.address) == [kept]

    trial(export, work, {20: lie(0, 0, 1)})


# --- what it costs, and how it goes on ---


class Interrupted(Dispute):
    """A dispute whose terminal is closed before transaction `after` is sent."""

    def __init__(self, made: Court, log: Log, frame: int, after: int) -> None:
        super().__init__(made.disputer(), made.session.world.export, log, made.session.address, frame)
        self.after = after

    async def _send(self, what: str, instructions: Sequence[Instruction]) -> None:
        if len(self.sent) == self.after:
            raise KeyboardInterrupt
        await super()._send(what, instructions)


@pytest.mark.parametrize("after", range(8))
def test_interrupted_anywhere_it_goes_on(cut: Export, tmp_path: Path, after: int) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        dispute = Interrupted(made, log, 20, after)
        costs = await dispute.costs()
        assert costs.transactions == 8
        with pytest.raises(KeyboardInterrupt):
            await dispute.run()
        outcome = await verdict(made, log, 20)
        assert outcome.right and len(outcome.sent) == costs.transactions - after
        assert await made.rpc.account(dispute.address) is None

    trial(cut, work)


@pytest.mark.parametrize("gift", [0, rent_exempt(0), 10**9])
def test_costs_are_what_is_paid(export: Export, tmp_path: Path, gift: int) -> None:
    """To the lamport; also where somebody has sent lamports to the account's address, so that it could not be made."""

    async def work(made: Court) -> None:
        dispute = Dispute(made.disputer(), export, made.log(tmp_path / "log"), made.session.address, 7)
        if gift:
            pay = TransferParams(from_pubkey=PLAYER.pubkey(), to_pubkey=dispute.address, lamports=gift)
            await Sender(made.rpc, PLAYER).send([transfer(pay)], preflight=False)
        before = await made.rpc.balance(STRANGER.pubkey())
        costs = await dispute.costs()
        assert await made.rpc.balance(STRANGER.pubkey()) == before
        seen: list[tuple[str, int, int]] = []
        outcome = await dispute.run(progress=lambda *step: seen.append(step))
        assert await made.rpc.balance(STRANGER.pubkey()) == before - costs.fees + gift
        assert len(outcome.sent) == costs.transactions == 4 + costs.loads
        assert costs.account_bytes == made.session.world.layout.dispute_bytes + PIN.size
        assert [(done, of) for _, done, of in seen] == [(i + 1, costs.transactions - 1) for i in range(len(seen))]
        assert all(it.cu > 0 for it in outcome.sent)
        assert str(costs.fees) in costs.text().replace(",", "")

    trial(export, work)


def test_kept_it_can_be_read_and_closed_later(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        outcome = await verdict(made, log, 20, keep=True)
        assert outcome.kept and not outcome.right
        dispute = Dispute(made.disputer(), export, log, made.session.address, 20)
        state = await state_of(made, dispute)
        assert state is not None and state.verdict == "wrong" and str(dispute.address) == outcome.account
        assert state.session == made.session.address and state.leaves == FRAMES + 3
        again = await verdict(made, log, 20)
        assert [it.what for it in again.sent] == ["close"] and again.text == outcome.text
        assert await made.rpc.account(dispute.address) is None

    trial(export, work, {20: lie(0, 0, 1)})


class Late(Sender):
    """The session is committed again just before the first transaction."""

    def __init__(self, made: Court, records: list[bytes]) -> None:
        super().__init__(made.rpc, STRANGER)
        self.made, self.records = made, records

    async def send(self, instructions: Sequence[Instruction], *others: Keypair, preflight: bool = True) -> Confirmed:
        if self.made.records is not self.records:
            await self.made.commit(self.records)
        return await super().send(instructions, *others, preflight=preflight)


def test_a_commit_between_looking_and_opening(export: Export, tmp_path: Path) -> None:
    ids, records = played(export.net, FRAMES)

    async def run() -> None:
        async with court(export, ids, records) as made:
            await made.commit(records[:30])
            log = made.log(tmp_path / "log", records)
            dispute = Dispute(Late(made, records), export, log, made.session.address, 20)
            assert (await dispute.run(keep=True)).right
            state = await state_of(made, dispute)
            assert state is not None and state.leaves == len(records)

    asyncio.run(run())


def test_what_is_not_committed_is_not_judged(export: Export, tmp_path: Path) -> None:
    ids, records = played(export.net, FRAMES)

    async def run() -> None:
        async with court(export, ids, records) as made:
            log = made.log(tmp_path / "log", records)
            with pytest.raises(WmLiveError, match="frame 7 has not been committed"):
                await verdict(made, log, 7)
            await made.commit(records[: 3 + 8])
            assert (await verdict(made, log, 7)).right
            with pytest.raises(WmLiveError, match="frame 8 has not been committed: the base chain is at frame 8"):
                await verdict(made, log, 8)
            with pytest.raises(WmLiveError, match="frame 40: the log holds frames 0 to 39"):
                await verdict(made, log, 40)

    asyncio.run(run())


class Hasty(Dispute):
    """A disputer who does not look how far the session is."""

    leaves = 0

    async def _commit(self) -> _Commit:
        root = self.log.tree.root(self.leaves)
        address = pin_address(self.program, self.session, self.disputer, root)
        there = await read_pin(self.sender.rpc, self.program, address)
        return _Commit(address, self.leaves, root, there is not None)


@pytest.mark.parametrize(("frame", "error"), [(7, ""), (8, "WrongFrame")])
def test_the_program_opens_none_over_what_is_not_committed(
    export: Export, tmp_path: Path, frame: int, error: str
) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        await made.commit(made.records[: 3 + 8])
        dispute = Hasty(made.disputer(), export, log, made.session.address, frame)
        dispute.leaves = 3 + 8
        try:
            assert (await dispute.run()).right and not error
        except TransactionError as refused:
            assert refused.name == error != ""

    trial(export, work)


def test_a_log_that_ends_too_early(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        with pytest.raises(WmLiveError, match="40 frames were committed, the log has 30"):
            await verdict(made, made.log(tmp_path / "log", made.records[:33]), 7)

    trial(export, work)


def test_another_worlds_log(export: Export, cut: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        with pytest.raises(WmLiveError, match="manifest: got"):
            Dispute(made.disputer(), cut, log, made.session.address, 7)
        with pytest.raises(WmLiveError, match="session: got"):
            Dispute(made.disputer(), export, log, VALIDATOR.pubkey(), 7)

    trial(export, work)


def test_every_dispute_has_its_own_account() -> None:
    keys = [PLAYER.pubkey(), STRANGER.pubkey()]
    cases = itertools.product(keys, keys, (0, 1))
    assert len({dispute_address(*case, PROGRAM) for case in cases}) == 8


# --- the real rollup ---


def test_on_the_real_rollup(localnet: Localnet, export: Export, tmp_path: Path) -> None:
    """30 frames on the validator, committed by it; audited and disputed on the base chain."""

    async def work(base: Rpc, rollup: Rpc) -> None:
        seat, window = Seat(PLAYER, PLAYER), first_window(export.net)
        ids, records = played(export.net, 30)
        for key in (PLAYER, STRANGER):
            await base.confirm([await base.airdrop(key.pubkey(), 100 * SOL)])
        target = target_of(export, PLAYER)
        await carry_out(base, target, await prepare(base, target))
        world = DeployedWorld(export, target.program.pubkey(), PLAYER.pubkey())
        places = SessionNodes(base, rollup, localnet.places.identity)
        session = OwnWorld(places, world, PLAYER).game(1, window).session
        await lifecycle.create(places, session, seat)
        await lifecycle.join(Sender(base, PLAYER), session, seat)
        await lifecycle.delegate(places, session, PLAYER)
        await lifecycle.prepare(places, session, PLAYER)
        await lifecycle.seed(places, session, PLAYER, records[: world.slots])
        for frame, record in enumerate(records[world.slots :]):
            inputs = session.inputs([PLAYER.pubkey()] * 2, frame, record[:-FRAME_BYTES])
            await Sender(rollup, PLAYER).send([lifecycle.CU_LIMIT, *inputs, session.step(frame, 0)], preflight=False)
        assert await lifecycle.commit(places, session, PLAYER) == 30
        log = log_of(session, ids, records, tmp_path / "log")
        found = await audit(base, rollup, export, log, session.address)
        assert found.ok and found.validator == str(localnet.places.identity) and len(found.comparisons) == 2
        outcome = await Dispute(Sender(base, STRANGER), export, log, session.address, 7).run()
        assert outcome.right
        await lifecycle.leave(places, session, PLAYER)
        assert (await audit(base, None, export, log, session.address)).status == "ended"
        assert (await Dispute(Sender(base, STRANGER), export, log, session.address, 29).run()).right
        await lifecycle.close(places, session, PLAYER)

    async def run() -> None:
        async with Rpc(localnet.places.base) as base, Rpc(localnet.places.rollup) as rollup:
            await work(base, rollup)

    asyncio.run(run())
