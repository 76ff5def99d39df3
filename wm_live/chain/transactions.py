"""Signing, sending, resending and confirming transactions.

A transaction is resent until its signature status is known. It is signed anew, with a new blockhash, only after its
blockhash has expired and a last status query has not found it: a confirmed transaction is never sent twice.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.transaction import Transaction

from wm_export.schema.program_errors import ERRORS, error_name
from wm_live.chain.answers import MOST_LETTERS, Blockhash, Status
from wm_live.chain.rpc import Rpc, RpcError
from wm_live.errors import WmLiveError

#: Largest transaction: of a base chain, where one travels in a packet, and of a rollup, which is asked over HTTP alone
#: (its validator 0.14.10 takes all of this).
PACKET_BYTES, ROLLUP_BYTES = 1_232, 65_535
MOST_SIGNINGS = 10
#: A node that lags behind the one that gave the blockhash does not know it yet.
LAG_S = 0.4
POLL_FIRST_S, POLL_MOST_S = 0.005, 0.4
#: Between two looks at the slot.
SLOT_POLL_S = 0.02
RESEND_S, EXPIRY_CHECK_S = 2.0, 1.0
#: Block heights after the last at which a transaction could land, until it is given up: the machine that is asked for
#: its status may be so far behind the one that told the height.
EXPIRY_MARGIN = 32
#: Longest wait for what an honest cluster does within a minute or two: a transaction that lands or expires, a new
#: blockhash, the next slot.
MOST_WAIT_S = 300.0
#: Polls that may go unanswered, one after the other, each after twice the wait.
MOST_SILENCE, SILENCE_S = 6, 0.5


class TransactionError(WmLiveError):
    """A transaction was refused, or landed and failed.

    error   JSON as nodes write it
    custom  the number of the program's own error, None if it failed with another
    name    of that error in the IDL, empty if it is none of ours
    """

    def __init__(self, text: str, error: Any, custom: int | None) -> None:
        self.error, self.custom = error, custom
        self.name = error_name(custom) if custom is not None else ""
        super().__init__(f"{self.name}: {ERRORS[self.name]}\n  {text}" if self.name else text)


@dataclass(frozen=True)
class Confirmed:
    """A transaction that has passed, and the slot it is in."""

    signature: str
    slot: int


class Patience:
    """Waits again and again, but not for ever: for what a node says that cannot stay so."""

    def __init__(self, url: str, what: str) -> None:
        self._text = f"{url}: {what} for {MOST_WAIT_S:.0f} s; name another node with --cluster or --rollup"
        self._end = time.monotonic() + MOST_WAIT_S

    def check(self) -> None:
        """WmLiveError if it is over."""
        if time.monotonic() > self._end:
            raise WmLiveError(self._text)

    async def wait(self, seconds: float) -> None:
        """The same, then wait."""
        self.check()
        await asyncio.sleep(seconds)


def signed(
    instructions: Sequence[Instruction], signers: Sequence[Keypair], blockhash: Hash, most: int = PACKET_BYTES
) -> Transaction:
    """A signed transaction; the first signer pays. WmLiveError if it is larger than `most` bytes."""
    message = Message.new_with_blockhash(list(instructions), signers[0].pubkey(), blockhash)
    transaction = Transaction(list(signers), message, blockhash)
    size = len(bytes(transaction))
    if size > most:
        raise WmLiveError(f"transaction: {size} bytes, at most {most} are taken; send fewer at once")
    return transaction


@dataclass
class _Waiting:
    """A transaction on its way."""

    seen: "asyncio.Future[Status | None]"
    raw: bytes
    last_valid_height: int
    sent: float
    patience: Patience


@dataclass
class _Used:
    """What was signed under a node's newest blockhash, by all Senders of this process: the same message signed again
    would be the same transaction, which never runs twice.

    slot  the last one in which any of it landed
    """

    blockhash: Hash | None = None
    signatures: set[str] = field(default_factory=set)
    slot: int = 0

    def take(self, blockhash: Hash, signature: str) -> bool:
        """Whether this is the first time."""
        if blockhash != self.blockhash:
            self.blockhash, self.signatures = blockhash, set()
        first = signature not in self.signatures
        self.signatures.add(signature)
        return first


_USED: "WeakKeyDictionary[Rpc, _Used]" = WeakKeyDictionary()


class Sender:
    """Sends transactions that `payer` signs and pays for, many at a time; one status poll covers them all.

    most_bytes  of a transaction
    """

    most_bytes: int = PACKET_BYTES

    def __init__(self, rpc: Rpc, payer: Keypair) -> None:
        self.rpc, self.payer = rpc, payer
        self._waiting: dict[str, _Waiting] = {}
        self._poller: asyncio.Task[None] | None = None
        self._used = _USED.setdefault(rpc, _Used())
        self._expiry_checked = 0.0

    async def send(self, instructions: Sequence[Instruction], *others: Keypair, preflight: bool = True) -> Confirmed:
        """Send one transaction and wait until it is confirmed; `others` sign beside the payer.

        With `preflight` a transaction that would fail is refused before it costs a fee; one that expired is always
        tried out so, because a node says nothing of what it drops. TransactionError if it is refused, or landed and
        failed; RpcError if the node does not answer.
        """
        for attempt in range(MOST_SIGNINGS):
            transaction, blockhash = await self._sign(instructions, [self.payer, *others])
            status = await self._land(transaction, blockhash, preflight or attempt > 0)
            if status is not None:
                signature = str(transaction.signatures[0])
                if status.error is not None:
                    raise await self._failure(signature, status)
                self._used.slot = max(self._used.slot, status.slot)
                return Confirmed(signature, status.slot)
        raise WmLiveError(f"{self.rpc.url}: a transaction expired {MOST_SIGNINGS} times; is the cluster overloaded?")

    async def renew(self) -> None:
        """Wait for a blockhash under which no earlier process can have signed the same messages."""
        first, patience = (await self.rpc.latest_blockhash()).hash, self._same_blockhash()
        while (await self.rpc.latest_blockhash()).hash == first:
            await patience.wait(LAG_S / 8)

    async def wait_past(self, slot: int) -> None:
        """Wait for the slot after this one; what is sent then is tried out on machines that have got so far."""
        patience = Patience(self.rpc.url, f"no slot after {slot:,}")
        while await self.rpc.slot() <= slot:
            await patience.wait(SLOT_POLL_S)
        self._used.slot = max(self._used.slot, slot + 1)

    @property
    def _min_slot(self) -> int:
        """What a machine that tries out a transaction must have got to; 0 if that does not matter."""
        return 0

    def _same_blockhash(self) -> Patience:
        return Patience(self.rpc.url, "no new blockhash")

    async def _sign(
        self, instructions: Sequence[Instruction], signers: Sequence[Keypair]
    ) -> tuple[Transaction, Blockhash]:
        """Signed with the newest blockhash; a message that was signed with that one already waits for the next."""
        patience = self._same_blockhash()
        while True:
            blockhash = await self.rpc.latest_blockhash()
            transaction = signed(instructions, signers, blockhash.hash, self.most_bytes)
            if self._used.take(blockhash.hash, str(transaction.signatures[0])):
                return transaction, blockhash
            await patience.wait(LAG_S / 4)

    async def _land(self, transaction: Transaction, blockhash: Blockhash, preflight: bool) -> Status | None:
        """What became of it; None if its blockhash has expired, or is not known to the node."""
        raw, signature = bytes(transaction), str(transaction.signatures[0])
        try:
            await self.rpc.send(raw, skip_preflight=not preflight, min_slot=self._min_slot if preflight else 0)
        except RpcError as error:
            # A rollup's node says it in words only; one that was started again knows none of the old ones.
            if error.error == "BlockhashNotFound" or "Blockhash not found" in str(error):
                await asyncio.sleep(LAG_S)
                return None
            # No answer, or an answer to a second sending: it may well have arrived.
            if not error.maybe_done and error.error != "AlreadyProcessed":
                raise TransactionError(str(error), error.error, error.custom) from None
        seen: asyncio.Future[Status | None] = asyncio.get_running_loop().create_future()
        patience = Patience(self.rpc.url, f"transaction {signature} neither lands nor expires")
        self._waiting[signature] = _Waiting(seen, raw, blockhash.last_valid_height, time.monotonic(), patience)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            return await seen
        finally:
            self._waiting.pop(signature, None)

    async def _failure(self, signature: str, status: Status) -> TransactionError:
        info = await self.rpc.transaction(signature)
        lines = [f"transaction {signature} failed: {status.error!s:.{MOST_LETTERS}}", *(info.logs[-4:] if info else ())]
        return TransactionError("\n  ".join(lines), status.error, status.custom)

    # --- the poll ---

    async def _poll(self) -> None:
        """Until nothing is on its way. An error here is raised in every caller that waits."""
        pause, silence = POLL_FIRST_S, 0
        while self._waiting:
            try:
                seen = await self._look()
                pause, silence = POLL_FIRST_S if seen else min(2 * pause, POLL_MOST_S), 0
            except Exception as error:
                silence += 1
                if not (isinstance(error, RpcError) and error.maybe_done and silence < MOST_SILENCE):
                    self._tell_all(error)
                    return
                pause = SILENCE_S * 2.0**silence
            await asyncio.sleep(pause)

    def _tell_all(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            if not waiting.seen.done():
                waiting.seen.set_exception(error)

    async def _look(self) -> bool:
        """Ask for everything that is on its way; was anything there?"""
        before = len(self._waiting)
        await self._ask(list(self._waiting), history=False)
        now = time.monotonic()
        if now - self._expiry_checked > EXPIRY_CHECK_S:
            self._expiry_checked = now
            await self._expire()
        for waiting in self._waiting.values():
            waiting.patience.check()
        late = [waiting for waiting in self._waiting.values() if now - waiting.sent > RESEND_S]
        await asyncio.gather(*(self._resend(waiting, now) for waiting in late))
        return len(self._waiting) < before

    async def _ask(self, signatures: Sequence[str], history: bool) -> None:
        for signature, status in zip(signatures, await self.rpc.statuses(signatures, history), strict=True):
            if status is not None and status.confirmed:
                self._settle(signature, status)

    async def _expire(self) -> None:
        """Give up what can no longer land. The height comes first: what landed until then, the last look sees."""
        height = await self.rpc.height()
        over = [
            signature
            for signature, waiting in self._waiting.items()
            if waiting.last_valid_height + EXPIRY_MARGIN < height
        ]
        for signature, status in zip(over, await self.rpc.statuses(over, history=True), strict=True):
            if status is None or status.confirmed:
                self._settle(signature, status)

    def _settle(self, signature: str, status: Status | None) -> None:
        waiting = self._waiting.pop(signature, None)
        if waiting is not None and not waiting.seen.done():
            waiting.seen.set_result(status)

    async def _resend(self, waiting: _Waiting, now: float) -> None:
        """The same bytes again: a node may drop what it was sent. Its answer is of no interest, the next poll's is."""
        waiting.sent = now
        try:
            await self.rpc.send(waiting.raw, skip_preflight=True)
        except RpcError:
            return
