"""A base chain in this process with a frozen model on it, and a rollup's operator, honest or not, who is but a key:
what it commits goes through the real delegation program."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests import builds
from tests.factories import random_corpus, random_inputs, small_model, small_qnet
from tests.records import FRAME_BYTES, RECORDS, frame_of, inputs_of, record_bytes
from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import NEVER
from wm_export.solana.account_codec import model_accounts
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.layout import Layout
from wm_live.chain.addresses import DELEGATION_PROGRAM, SYSTEM_PROGRAM, delegation_metadata, delegation_record
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import Sender
from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.endpoint import Endpoint
from wm_live.localnet.base_chain.genesis import RENT, SOL, Genesis, rollup_accounts
from wm_live.localnet.servers import find_installed, free_ports
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.lifecycle import window_records
from wm_live.session.log import About, Agreed, Log, new_log
from wm_live.session.recompute import arrays
from wm_live.session.terms import Terms
from wm_live.session.tree import Tree, root_of
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet
from wm_train.measure.window import Window, window_at
from wm_train.melee.melee_flags import MeleeFlags

PROGRAM = Keypair.from_seed(b"p" * 32).pubkey()
AUTHORITY = Keypair.from_seed(b"a" * 32).pubkey()
#: Who plays, and who disputes.
PLAYER, STRANGER = (Keypair.from_seed(letter * 32) for letter in (b"1", b"2"))
#: Whom the session is delegated to.
VALIDATOR = Keypair.from_seed(b"v" * 32)

#: What a dishonest operator makes of the record of a frame.
Lies = Mapping[int, Callable[[bytes], bytes]]


def lie(player: int, field: int, by: int) -> Callable[[bytes], bytes]:
    """A record with a field of its Frame moved."""

    def told(record: bytes) -> bytes:
        frame = frame_of(record[-FRAME_BYTES:])
        frame[player, field] += by
        return record_bytes(inputs_of(record[:-FRAME_BYTES]), frame)

    return told


def first_window(net: QNet, seed: int = 0) -> Window:
    """A window without sense (batch of one)."""
    encoding = net.world.encoding
    corpus = random_corpus(seed, lengths=(encoding.slots + 2,))
    return window_at(corpus, encoding, corpus.windows(encoding)[:1])


def played(net: QNet, frames: int, lies: Lies | None = None, seed: int = 0) -> tuple[list[int], list[bytes]]:
    """(session ids, records) of a session with random inputs, the window it starts from first.

    After a lie everything goes on from the lie.
    """
    window, interpreter = first_window(net, seed), Interpreter(net)
    records, state = window_records(RECORDS, window), interpreter.begin(window)
    for frame, inputs in enumerate(random_inputs(np.random.default_rng(seed), frames, 1)):
        state = interpreter.step(state, inputs)[1]
        records.append(record_bytes(inputs[0], state.frame[0]))
        if lies and frame in lies:
            records[-1] = lies[frame](records[-1])
            pads, states = arrays(RECORDS, records[-len(window.frames[0]) :])
            state = interpreter.begin(Window(states[None], pads[None], _none(pads), window.session))
    return [int(value) for value in window.session[0]], records


def _none(pads: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.zeros_like(pads[:1])


# --- the operator ---


def as_committed(data: bytes, where: Layout, records: list[bytes], slots: int) -> bytes:
    """A session account's bytes as the rollup has them after these records."""
    out = bytearray(data)
    SESSION.write(out, "frame_number", len(records) - slots)
    SESSION.write(out, "status", "started")
    SESSION.write(out, "root", Tree(records).root())
    for name in ("frame", "memory"):
        at, value = where.session[name].offset, where.records.claimed(records[-1])[name]
        out[at : at + len(value)] = value
    return bytes(out)


def _derived(*seeds: bytes) -> tuple[Pubkey, int]:
    return Pubkey.find_program_address(list(seeds), DELEGATION_PROGRAM)


def _dlp(number: int, data: bytes, *accounts: tuple[Pubkey, str]) -> Instruction:
    metas = [AccountMeta(address, "s" in role, "w" in role) for address, role in accounts]
    return Instruction(DELEGATION_PROGRAM, struct.pack("<Q", number) + data, metas)


def commit_state(validator: Pubkey, account: Pubkey, number: int, lamports: int, new: bytes) -> list[Instruction]:
    """DLP's CommitState of the whole account, and Finalize."""
    state, kept = (_derived(tag, bytes(account))[0] for tag in (b"state-diff", b"commit-state-record"))
    vault, config = _derived(b"v-fees-vault", bytes(validator))[0], _derived(b"p-conf", bytes(PROGRAM))[0]
    record, metadata = delegation_record(account), delegation_metadata(account)
    data = struct.pack("<QQ?I", number, lamports, False, len(new)) + new
    commit = [(validator, "sw"), (account, ""), (state, "w"), (kept, "w"), (record, ""), (metadata, "w"), (vault, "")]
    final = [(validator, "s"), (account, "w"), (state, "w"), (kept, "w"), (record, "w"), (metadata, "w"), (vault, "w")]
    system = (SYSTEM_PROGRAM, "")
    return [_dlp(1, data, *commit, (config, ""), system), _dlp(2, b"", *final, system)]


def commit_finalize(
    validator: Pubkey, account: Pubkey, number: int, lamports: int, old: bytes, new: bytes
) -> list[Instruction]:
    """DLP's CommitFinalize of what differs: one segment from the first differing byte to the last."""
    where = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    part = new[where[0] : where[-1] + 1]
    bumps = [_derived(tag, bytes(account))[1] for tag in (b"delegation", b"delegation-metadata")]
    vault, vault_bump = _derived(b"v-fees-vault", bytes(validator))
    head = struct.pack("<QQ??3B3x", number, lamports, False, True, *bumps, vault_bump)
    diff = struct.pack("<IIII", len(new), 1, 0, where[0]) + part
    metadata = delegation_metadata(account), "w"
    accounts = [(validator, "sw"), (account, "w"), (delegation_record(account), ""), metadata, (vault, "")]
    return [_dlp(21, head + diff, *accounts, (SYSTEM_PROGRAM, ""))]


# --- what is built or installed once ---

_BUILT: dict[tuple[int, ...], Export] = {}


def built(factory: pytest.TempPathFactory, cuts: tuple[int, ...] = ()) -> Export:
    """A small world and its program, in one transaction, or cut into several; the latter reads presses."""
    if cuts not in _BUILT:
        folder = factory.mktemp("court")
        flags = MeleeFlags(press_events="next") if cuts else MeleeFlags()
        export_solana(small_qnet(small_model(flags=flags)), folder, cuts)
        _BUILT[cuts] = builds.built(open_export(folder))
    return _BUILT[cuts]


def delegation_program() -> bytes:
    """The real one."""
    installed = find_installed()
    if installed is None:
        pytest.skip("no delegation program: make rollup")
    return (installed.programs / f"{DELEGATION_PROGRAM}.so").read_bytes()


# --- the chain ---


def log_of(session: Session, ids: list[int], records: list[bytes], folder: Path, agreed: Agreed | None = None) -> Log:
    """A log with these records; its file is closed, what it holds is not."""
    world = session.world
    program, model, address = (str(it) for it in (world.program, world.model, session.address))
    manifest, empty = world.export.manifest.hash.hex(), world.layout.memory.empty.hex()
    about = About(program, model, address, manifest, tuple(ids), world.slots, agreed=agreed, empty_memory=empty)
    with new_log(folder, about) as log:
        for record in records:
            log.append(record)
    return log


@dataclass
class Court:
    """A base chain with a model and a delegated session on it. `records`: what the operator has committed."""

    chain: Chain
    rpc: Rpc
    session: Session
    ids: list[int]
    records: list[bytes]
    commits: int = 0

    async def commit(self, records: list[bytes], whole: bool = False) -> None:
        """The operator signs what it says has happened: as a difference, or `whole` as the account."""
        account = await self.rpc.account(self.session.address)
        assert account is not None
        where, slots = self.session.world.layout, self.session.world.slots
        new = as_committed(account.data, where, records, slots)
        self.commits += 1
        names = VALIDATOR.pubkey(), self.session.address, self.commits, account.lamports
        instructions = commit_state(*names, new) if whole else commit_finalize(*names, account.data, new)
        sender = Sender(self.rpc, VALIDATOR)
        for instruction in instructions:
            await sender.send([instruction])
        after = await self.rpc.account(self.session.address)
        assert after is not None and after.data == new and after.owner == DELEGATION_PROGRAM
        self.records = records

    def log(self, folder: Path, records: list[bytes] | None = None) -> Log:
        """A log of the session: of what was committed, unless told otherwise."""
        return log_of(self.session, self.ids, self.records if records is None else records, folder)

    def disputer(self) -> Sender:
        """A stranger with lamports."""
        return Sender(self.rpc, STRANGER)


def _genesis(export: Export, delegation: bytes, code: bytes) -> Genesis:
    world = DeployedWorld(export, PROGRAM, AUTHORITY)
    models = model_accounts(export.lowered, export.shards, export.manifest.hash, bytes(AUTHORITY))
    purse = Account(100 * SOL, b"", SYSTEM_PROGRAM)
    accounts = {key.pubkey(): purse for key in (PLAYER, STRANGER)} | rollup_accounts(VALIDATOR.pubkey())
    for address, data in zip((world.model, *world.more_models), models, strict=True):
        accounts[address] = Account(RENT.minimum_balance(len(data)), data, PROGRAM)
    return Genesis({PROGRAM: code, DELEGATION_PROGRAM: delegation}, accounts)


@asynccontextmanager
async def court(
    export: Export, ids: list[int], records: list[bytes], code: bytes | None = None
) -> AsyncIterator[Court]:
    """A session of this world that starts from the window of `records`, created, joined and delegated; no frame yet.

    code  of the program that is on the chain: the export's unless given
    """
    code = export.program.read_bytes() if code is None else code
    chain, port = Chain(_genesis(export, delegation_program(), code), None, 400), free_ports(2)
    ready = asyncio.Event()
    serving = asyncio.create_task(Endpoint(chain, port).run(ready))
    await ready.wait()
    try:
        async with Rpc(f"http://127.0.0.1:{port}") as rpc:
            world, me = DeployedWorld(export, PROGRAM, AUTHORITY), PLAYER.pubkey()
            terms = Terms(7, ids, root_of(records[: world.slots]), me, VALIDATOR.pubkey())
            session, sender = Session(world, me, terms), Sender(rpc, PLAYER)
            await sender.send([session.create(me, NEVER)])
            await sender.send([session.join(me, me, NEVER)])
            await sender.send([session.delegate()])
            yield Court(chain, rpc, session, ids, [])
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
