"""The life cycle of a session: create and join on the base chain, delegate to the rollup, commit, undelegate, close."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash as Blockhash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey

from wm_export.lower.memory import chunk, differing
from wm_export.schema.limits import NEVER, TRANSACTION_BUDGET
from wm_export.schema.records import Records
from wm_live.chain.addresses import DELEGATION_PROGRAM
from wm_live.chain.guard import Budget, GuardedSender, RollupSender
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import PACKET_BYTES, Sender, TransactionError
from wm_live.errors import WmLiveError
from wm_live.session.account import SessionState, session_state
from wm_live.session.instructions import DeployedWorld, Seat, Session, close_empty
from wm_live.session.log import Log
from wm_live.session.spending import ROLLUP_SIGNATURES, creation, delegation, request
from wm_live.session.tree import Hash
from wm_train.measure.window import Window

#: What every transaction of a world may need; the chain's own limit.
CU_LIMIT = set_compute_unit_limit(TRANSACTION_BUDGET)
#: Longest wait for an account to pass between the rollup and the base chain, and the time between polls.
SETTLE_S, POLL_S = 60.0, 0.05
SIGNATURE_BYTES = 64
#: Transactions that make accounts may have at most this many nested calls; 31 of ours fit.
GROWTHS_AT_ONCE = 31
#: Instructions of a transaction at most, as the runtime counts them.
MOST_INSTRUCTIONS = 64
#: What a node says that takes no transaction larger than a packet, in JSON-RPC or HTTP.
TOO_LARGE = ("too large", "HTTP 413")
#: The rollup's error for a write to what is not delegated to it.
NOT_WRITABLE = "InvalidWritableAccount"
#: The program's, of a memory that is not the one committed; and how often it is written before that is given up.
OTHER_MEMORY, MEMORY_TRIES = "WrongDigest", 5
#: The program's, while a frame of several transactions is computed.
IN_A_FRAME = "WrongStep"


@dataclass(frozen=True)
class SessionNodes:
    """RPC clients of the base chain and of the rollup, and the rollup's validator identity."""

    base: Rpc
    rollup: Rpc
    validator: Pubkey


def on_base(places: SessionNodes, session: Session, wallet: Keypair, budget: Budget) -> Sender:
    """Sends what the wallet signs for a session of its own on the base chain; the budget is what that may take."""
    return GuardedSender(places.base, wallet, budget, {session.world.program})


def on_rollup(places: SessionNodes, session: Session, wallet: Keypair) -> Sender:
    """Sends what the wallet signs for a session on the rollup, where nothing can be taken from it."""
    return RollupSender(places.rollup, wallet, session.world.program, ROLLUP_SIGNATURES)


def window_records(records: Records, window: Window) -> list[bytes]:
    """The records of a window (batch of one), oldest first: what a session starts from."""
    state, controls = len(records.game.state), len(records.game.controls)
    inputs, frames = window.inputs[0, ..., :controls], window.frames[0, ..., :state]
    return [records.record_bytes(*one) for one in zip(inputs, frames, strict=True)]


async def until(what: str, found: Callable[[], Awaitable[bool]], timeout_s: float = SETTLE_S) -> None:
    """Poll every POLL_S until `found()`; WmLiveError, which names `what`, after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not await found():
        if time.monotonic() > deadline:
            raise WmLiveError(f"{what}: not so after {timeout_s:.0f} s; is the rollup connected to this base chain?")
        await asyncio.sleep(POLL_S)


async def read_session(rpc: Rpc, session: Session) -> SessionState | None:
    """The session account on a node, decoded; None if there is none."""
    account = await rpc.account(session.address)
    return session_state(session.world.layout, account.data) if account and account.lamports else None


async def need_session(rpc: Rpc, session: Session) -> SessionState:
    """As read_session; WmLiveError if there is none."""
    state = await read_session(rpc, session)
    if state is None:
        raise WmLiveError(f"{rpc.url}: no session {session.address}; was it created there, and not closed?")
    return state


async def delegated(places: SessionNodes, session: Session) -> bool:
    """Whether the rollup has the session now; WmLiveError if there is none."""
    account = await places.base.account(session.address, 0, 0)
    if account is None:
        raise WmLiveError(f"{places.base.url}: no session {session.address}; was it created there, and not closed?")
    return account.owner == DELEGATION_PROGRAM


async def create(places: SessionNodes, session: Session, creator: Seat, expires: int = NEVER) -> None:
    """Make a session on the base chain; its creator takes the first seat."""
    sender = on_base(places, session, creator.wallet, creation(session.world))
    await sender.send([session.create(creator.key.pubkey(), expires)])


async def join(sender: Sender, session: Session, seat: Seat, expires: int = NEVER) -> None:
    """Take the second seat of the session with these terms, and of no other.

    The sender's payer is the seat's wallet, or who pays for it.
    """
    others = [] if sender.payer == seat.wallet else [seat.wallet]
    await sender.send([session.join(seat.wallet.pubkey(), seat.key.pubkey(), expires)], *others)


async def delegate(places: SessionNodes, session: Session, creator: Keypair) -> None:
    """Delegate the session to the rollup, and wait until the rollup has it."""
    await on_base(places, session, creator, delegation()).send([session.delegate()])

    async def arrived() -> bool:
        account = await places.rollup.account(session.address)
        return account is not None and account.owner == session.world.program

    await until("delegation", arrived)


async def prepare(places: SessionNodes, session: Session, party: Keypair, peaks: Sequence[Hash] = ()) -> None:
    """Make the scratch account on the rollup, and open its window; `peaks` once the session has started."""
    sender, taken = on_rollup(places, session, party), await places.rollup.account(session.scratch, 0, 0)
    # Lamports that somebody has sent there on the base chain keep the rollup from making it: at another address, then.
    foreign = taken is not None and taken.owner != session.world.program
    nonce = secrets.randbits(64) if foreign else session.nonce
    growths = session.move_scratch(party.pubkey(), nonce)
    for first in range(0, len(growths), GROWTHS_AT_ONCE):
        await _once_writable(sender, [CU_LIMIT, *growths[first : first + GROWTHS_AT_ONCE]])
        session.use_nonce(nonce)
    await sender.send([CU_LIMIT, session.open_window(party.pubkey(), peaks)])


async def _once_writable(sender: Sender, instructions: Sequence[Instruction]) -> None:
    """Send the instructions; again while the rollup still has the account of before the delegation."""

    await until("delegation", lambda: _passes(sender, instructions, lambda error: error.error == NOT_WRITABLE))


async def _between_frames(sender: Sender, instructions: Sequence[Instruction]) -> None:
    """Send the instructions; again while a frame of several transactions is computed."""
    await until("the end of a frame", lambda: _passes(sender, instructions, lambda error: error.name == IN_A_FRAME))


async def _passes(
    sender: Sender, instructions: Sequence[Instruction], later: Callable[[TransactionError], bool]
) -> bool:
    """Whether a transaction has passed; False if it was refused for what is over `later`."""
    try:
        await sender.send(instructions)
    except TransactionError as error:
        if not later(error):
            raise
        return False
    return True


async def seed(places: SessionNodes, session: Session, party: Keypair, records: Sequence[bytes]) -> None:
    """Write the window that the session starts from; after that it can compute frames."""
    instructions = [session.seed(party.pubkey(), index, record) for index, record in enumerate(records)]
    await _in_order(on_rollup(places, session, party), instructions)


async def load(places: SessionNodes, session: Session, party: Keypair, log: Log, frame: int, loaded: int = 0) -> None:
    """Write the window before `frame` from a log's records with Merkle proofs: for a rollup that has lost it.

    loaded  records of it that are there
    """
    count = frame + session.world.slots
    missing = range(frame + loaded, count)
    instructions = [session.load(leaf, log.records[leaf], log.tree.proof(leaf, count)) for leaf in missing]
    await _in_order(on_rollup(places, session, party), instructions)


async def load_memory(places: SessionNodes, session: Session, party: Keypair, log: Log, region: bytes) -> None:
    """Write what the network keeps before the frame that the log ends with, and have it checked: after `load`, for a
    rollup that has lost it. WmLiveError if somebody goes on writing other bytes."""
    sender, last, where = on_rollup(places, session, party), len(log.records) - 1, session.world.layout
    at, kept = where.scratch_work + where.memory.start, where.memory
    check = session.check_memory(log.records[last], log.tree.proof(last, last + 1))

    async def there() -> bytes:
        account = await places.rollup.account(session.scratch, at, kept.size)
        return b"" if account is None else account.data

    for _ in range(MEMORY_TRIES):
        missing = differing(await there(), region)
        await _in_order(sender, [session.load_memory(party.pubkey(), i, chunk(region, i)) for i in missing])
        if await _passes(sender, [CU_LIMIT, check], lambda error: error.name == OTHER_MEMORY):
            return
    raise WmLiveError(f"session {session.address}: a player goes on writing another memory; end the session instead")


async def _in_order(sender: Sender, instructions: Sequence[Instruction]) -> None:
    """Send instructions in order, as many in a transaction as the node takes."""
    rest = list(instructions)
    while rest:
        group = _first(rest, sender.payer.pubkey(), sender.most_bytes)
        try:
            await sender.send(group)
        except TransactionError as error:
            if sender.most_bytes == PACKET_BYTES or not any(words in str(error) for words in TOO_LARGE):
                raise
            sender.most_bytes = PACKET_BYTES
            continue
        rest = rest[len(group) - 1 :]


def packets(instructions: Sequence[Instruction], payer: Pubkey) -> list[list[Instruction]]:
    """Instructions in groups that fit into a packet each, in order, with a compute limit in front."""
    groups, rest = [], list(instructions)
    while rest:
        groups.append(_first(rest, payer, PACKET_BYTES))
        rest = rest[len(groups[-1]) - 1 :]
    return groups


def _first(instructions: Sequence[Instruction], payer: Pubkey, most_bytes: int) -> list[Instruction]:
    """As many of the first of them as fit into a transaction, one at least, with a compute limit in front."""
    group = [CU_LIMIT, instructions[0]]
    for one in instructions[1 : MOST_INSTRUCTIONS - 1]:
        if not _fits([*group, one], payer, most_bytes):
            break
        group.append(one)
    return group


def _fits(instructions: Sequence[Instruction], payer: Pubkey, most_bytes: int) -> bool:
    message = Message.new_with_blockhash(list(instructions), payer, Blockhash.default())
    return len(bytes(message)) + 1 + SIGNATURE_BYTES * message.header.num_required_signatures <= most_bytes


async def commit(places: SessionNodes, session: Session, party: Keypair) -> int:
    """Commit the session to the base chain and wait for it; returns the committed frame number."""
    wanted = (await need_session(places.rollup, session)).frame_number
    await _between_frames(on_rollup(places, session, party), [session.commit(party.pubkey())])

    async def landed() -> bool:
        return (await need_session(places.base, session)).frame_number >= wanted

    await until("commit", landed)
    return wanted


async def end_session(sender: Sender, session: Session, party: Pubkey) -> None:
    """End a session after the frame that is computed just now."""
    await _between_frames(sender, [session.end(party)])


async def leave(places: SessionNodes, session: Session, party: Keypair, end: bool = True) -> SessionState:
    """Undelegate the session, which writes it to the base chain; `end` ends it first. One that has ended gives up its
    scratch account; one that goes on keeps it, for nobody can take it away from one that is played.

    Returns the session as the base chain then has it.
    """
    sender = on_rollup(places, session, party)
    if end:
        await end_session(sender, session, party.pubkey())
    state = await need_session(places.rollup, session)
    session.use_nonce(state.nonce)
    scratch = await places.rollup.account(session.scratch, 0, 0)
    # Anyone can send lamports to its address on the base chain, which the rollup then shows.
    if state.status == "ended" and scratch is not None and scratch.owner == session.world.program:
        await sender.send([session.close_scratch(party.pubkey())])
    await _between_frames(sender, [session.undelegate(party.pubkey())])

    async def back() -> bool:
        account = await places.base.account(session.address)
        return account is not None and account.owner == session.world.program

    await until("undelegation", back)
    return await need_session(places.base, session)


async def close_emptied(
    places: SessionNodes, world: DeployedWorld, creator: Keypair, session: Pubkey, terms: Hash
) -> int:
    """`close` of a session that came back without a byte, by the hash of what was agreed."""
    sender = GuardedSender(places.base, creator, request(), {world.program})
    return await _returned(places, sender, close_empty(world, creator.pubkey(), session, terms))


async def close(places: SessionNodes, session: Session, creator: Keypair) -> int:
    """Return the session's rent; lamports that the creator got back, fee deducted."""
    return await _returned(places, on_base(places, session, creator, request()), session.close())


async def _returned(places: SessionNodes, sender: Sender, closing: Instruction) -> int:
    payer = sender.payer.pubkey()
    before = await places.base.balance(payer)
    await sender.send([closing])
    return await places.base.balance(payer) - before
