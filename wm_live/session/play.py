"""The driver of a session: sends the transactions that compute its frames on the rollup, several in flight at a time.

Transactions are sent at the frame rate without waiting for confirmations. Progress is read from the session account,
followed by accountSubscribe. Every step is idempotent: where a transaction was lost or overtaken, the
driver goes on at the frame and step that the account stands at.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema.limits import LOOKAHEAD, TRANSACTION_BUDGET
from wm_export.schema.records import Records
from wm_export.schema.types import U64
from wm_export.solana.layout import Layout
from wm_live.chain.rpc import Rpc, RpcError
from wm_live.chain.transactions import signed
from wm_live.errors import WmLiveError
from wm_live.session.account import SessionState, session_state
from wm_live.session.inputs import Inputs
from wm_live.session.instructions import Session
from wm_train.world.fields import PLAYERS

#: Transactions on their way at most. Of a frame in several, no more than one behind the one that runs: the rollup does
#: not keep the order of those that wait for the same accounts.
AHEAD, AHEAD_SPLIT = 8, 2
#: Seconds without a notification before the driver reads the session account, and before it gives up.
HICCUP_S, STALL_S = 0.25, 15.0
#: How long nothing may arrive before what an interrupted driver has sent counts as lost.
SETTLE_S = 1.0
MOST_NEWS = 1_024
#: Set in a word of the ring of inputs while that input waits for its frame.
WAITING = 1 << 63


@dataclass(frozen=True)
class Beat:
    """A frame that the rollup has computed.

    number    of the frame
    inputs    (2, len(CONTROLS)) int8
    state     of the session after it; None if only a later frame's notification arrived
    sent_s    when its first transaction went out, after the driver's start
    seen_s    when the session account was seen with it
    late      whether it went out more than a frame's time after it was due
    """

    number: int
    inputs: NDArray[np.int8]
    state: SessionState | None
    sent_s: float
    seen_s: float
    late: bool


@dataclass
class _Sent:
    inputs: bytes
    at: float
    late: bool


def waiting_input(where: Layout, data: bytes, frame: int, player: int) -> bytes | None:
    """A player's input for a frame that waits in a session account; None if there is none."""
    at = where.session["inputs"].offset + 8 * (frame % LOOKAHEAD * PLAYERS + player)
    word = U64.unpack(data[at : at + U64.size])
    return word.to_bytes(8, "little")[: where.records.input_size] if word & WAITING else None


class Follower:
    """The newest state of a session on a rollup, and a wait for the next; `state` is there from the first look on."""

    state: SessionState

    def __init__(
        self, rollup: Rpc, session: Session, on_state: Callable[[SessionState], None] = lambda state: None
    ) -> None:
        self.rollup, self.session, self.on_state, self.data = rollup, session, on_state, b""
        self.listening, self._changed = asyncio.Event(), asyncio.Event()

    def waits(self, frame: int, player: int) -> bytes | None:
        """That player's input for `frame`, if it waits."""
        return waiting_input(self.session.world.layout, self.data, frame, player)

    async def look(self) -> None:
        """Ask for the session now. WmLiveError if it is gone."""
        account = await self.rollup.account(self.session.address)
        if account is None:
            raise WmLiveError(f"{self.rollup.url}: session {self.session.address} is gone")
        self.arrived(account.data)

    async def watch(self) -> None:
        """Take every account notification of the rollup; ends with an error only."""
        async for account in self.rollup.follow_account(self.session.address, self.listening):
            if account is None:
                raise RpcError(f"{self.rollup.url}: session {self.session.address} is gone")
            self.arrived(account.data)

    def arrived(self, data: bytes) -> None:
        """Take an account's data, unless it is older than what is known."""
        state = session_state(self.session.world.layout, data)
        if not self.data or state.cursor >= self.state.cursor:
            self.data, self.state = data, state
            self.on_state(state)
            self._changed.set()

    async def change(self, timeout_s: float) -> None:
        """Wait for the next change, at most `timeout_s`."""
        self._changed.clear()
        # Not asyncio.wait_for, which forgets that it was cancelled when the change comes at the same time.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()


@contextlib.asynccontextmanager
async def followed(follower: Follower) -> AsyncIterator[Follower]:
    """Follow the session while the body runs. An error in following cancels the body."""
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(follower.watch())
        try:
            async with asyncio.timeout(STALL_S):
                await follower.listening.wait()
        except TimeoutError:
            url = follower.rollup.url
            raise WmLiveError(f"{url}: no subscription within {STALL_S:g} s; name another node") from None
        await follower.look()
        yield follower
        watcher.cancel()


@dataclass
class Driver:
    """Plays a session: sends the inputs of the players whose session keys it holds, and every step.

    keys    session key of each player; None where somebody else sends that player's inputs
    fps     frames a second, 0 for as fast as they are computed
    """

    rollup: Rpc
    session: Session
    keys: Sequence[Keypair | None]
    fps: float
    on_beat: Callable[[Beat], None] = lambda beat: None
    before_send: Callable[[int, bytes], None] = lambda frame, inputs: None
    _sent: dict[int, _Sent] = field(default_factory=dict)
    _start: float = 0.0
    #: States that were seen since the last report, of which only the newest count where a node sends a flood.
    _news: deque[tuple[float, SessionState]] = field(default_factory=lambda: deque(maxlen=MOST_NEWS))
    _rounds: int = 0

    @property
    def _records(self) -> Records:
        return self.session.world.layout.records

    @cached_property
    def _addresses(self) -> list[Pubkey | None]:
        """Of the keys; deriving one takes a tenth of a millisecond."""
        return [key.pubkey() if key is not None else None for key in self.keys]

    async def run(self, inputs: Inputs, frames: int) -> None:
        """Compute `frames` more frames. WmLiveError or RpcError when the rollup is gone, or computes no more."""
        follower = Follower(self.rollup, self.session, lambda state: self._news.append((time.monotonic(), state)))
        try:
            async with followed(follower):
                try:
                    await self._play(follower, inputs, frames)
                finally:
                    await self._settle(follower)
        except* (WmLiveError, OSError) as several:
            raise several.exceptions[0] from None

    async def _play(self, follower: Follower, inputs: Inputs, frames: int) -> None:
        first = follower.state.frame_number
        self._start, last, patience = time.monotonic(), first + frames, time.monotonic() + STALL_S
        while follower.state.frame_number < last:
            before = follower.state.cursor
            await self._round(follower, inputs, first, last)
            self._report_beats()
            if follower.state.cursor > before:
                patience = time.monotonic() + STALL_S
            elif time.monotonic() > patience:
                raise WmLiveError(
                    f"{self.rollup.url}: frame {follower.state.frame_number} of session {self.session.address} is not "
                    "computed; does the other player still send inputs? else see the rollup's log"
                )

    async def _settle(self, follower: Follower) -> None:
        """After an interruption: wait for the transactions in flight, and report the frames that they compute."""
        before = b""
        while self._sent and follower.data != before:
            before = follower.data
            await follower.change(SETTLE_S)
            with contextlib.suppress(WmLiveError):
                await follower.look()
            self._report_beats()

    async def _round(self, follower: Follower, inputs: Inputs, first: int, last: int) -> None:
        """Send transactions from where the session stands, until the last frame is seen or nothing arrives."""
        state, steps = follower.state, self.session.world.steps
        if state.status != "started":
            raise WmLiveError(f"session {self.session.address}: {state.status}, so no more frames are computed")
        self._rounds += 1
        ahead = AHEAD if steps == 1 else AHEAD_SPLIT
        for unit in range(state.frame_number * steps + state.step, last * steps):
            frame, step = divmod(unit, steps)
            if step == 0 and self.fps:
                await asyncio.sleep(max(0.0, self._start + (frame - first) / self.fps - time.monotonic()))
            if step == 0 and not await self._until(follower, lambda frame=frame: self._theirs(follower, frame)):  # type: ignore[misc]
                return
            self._report_beats()
            if unit < self._seen(follower):
                continue  # computed meanwhile by what an earlier round sent, and reported: it would be reported twice
            if step and frame not in self._sent:
                self._adopt(follower, frame)
            # Signed while others are on their way: that takes about as long as a transaction runs.
            transaction = await self._signed(follower, frame, step, inputs)
            if not await self._until(follower, lambda unit=unit: unit - self._seen(follower) < ahead):  # type: ignore[misc]
                return
            if step == 0:
                self._report_beats()  # none may have been seen before it went out
                self._goes_out(frame, first)
            await self.rollup.send(transaction, skip_preflight=True)
        await self._until(follower, lambda: follower.state.frame_number >= last)

    def _seen(self, follower: Follower) -> int:
        return follower.state.frame_number * self.session.world.steps + follower.state.step

    def _theirs(self, follower: Follower, frame: int) -> bool:
        """Whether the inputs that others send for `frame` are there."""
        return all(key is not None or follower.waits(frame, p) for p, key in enumerate(self.keys))

    async def _until(self, follower: Follower, found: Callable[[], bool]) -> bool:
        """Wait until `found()`; False if no notification arrived for HICCUP_S."""
        while not found():
            before = follower.data
            await follower.change(HICCUP_S)
            self._report_beats()
            if follower.data == before and not found():
                await follower.look()
                return False
        return True

    async def _signed(self, follower: Follower, frame: int, step: int, inputs: Inputs) -> bytes:
        """A transaction of a frame; the first brings the inputs that do not wait in the account yet."""
        before: list[Instruction] = []
        if step == 0:
            # Sent again it must be the same: either may be the one that counts.
            if frame not in self._sent:
                self._sent[frame] = _Sent(self._inputs(follower, frame, inputs), time.monotonic(), late=False)
                self.before_send(frame, self._sent[frame].inputs)
            raw = self._sent[frame].inputs
            before = [
                self.session.input(key, player, frame, self._records.parts(raw)[player])
                for player, key in enumerate(self._addresses)
                if key is not None and follower.waits(frame, player) is None
            ]
        return await self._transaction([*before, self.session.step(frame, step)])

    def _goes_out(self, frame: int, first: int) -> None:
        """Note when a frame's first transaction is sent, and whether that is late."""
        now, sent = time.monotonic(), self._sent.get(frame)
        if sent is not None:
            sent.at = now
            sent.late = bool(self.fps) and now - (self._start + (frame - first) / self.fps) > 1 / self.fps

    def _adopt(self, follower: Follower, frame: int) -> None:
        """Take on a frame that an earlier driver has begun, with the inputs that it is computed from."""
        waiting = [follower.waits(frame, player) or b"" for player in range(PLAYERS)]
        self._sent[frame] = _Sent(b"".join(waiting), time.monotonic(), late=False)
        self.before_send(frame, self._sent[frame].inputs)

    def _inputs(self, follower: Follower, frame: int, inputs: Inputs) -> bytes:
        """Both players' inputs: those that wait already, else ours."""
        ours = self._records.parts(self._records.input_bytes(inputs(frame)))
        return b"".join(follower.waits(frame, player) or part for player, part in enumerate(ours))

    async def _transaction(self, instructions: Sequence[Instruction]) -> bytes:
        # Sent again it must be another transaction: the same one is never run twice.
        limit = set_compute_unit_limit(TRANSACTION_BUDGET - self._rounds)
        blockhash = await self.rollup.latest_blockhash()
        needed = {meta.pubkey for one in instructions for meta in one.accounts if meta.is_signer}
        # The first key that is ours pays, which costs nothing on a rollup; one that is both players' signs once.
        ours = {address: key for address, key in zip(self._addresses, self.keys, strict=True) if address and key}
        payer = next(iter(ours))
        signers = [key for address, key in ours.items() if address in needed or address == payer]
        return bytes(signed([limit, *instructions], signers, blockhash.hash))

    def _report_beats(self) -> None:
        """Report a Beat for every frame that was sent and has been computed since the last call."""
        while self._news:
            at, state = self._news.popleft()
            # Of what was sent, not of all numbers up to the one that the node names.
            for number in sorted(n for n in self._sent if n < state.frame_number):
                sent = self._sent.pop(number)
                seen = state if number == state.frame_number - 1 else None
                times = sent.at - self._start, at - self._start
                self.on_beat(Beat(number, self._records.inputs_of(sent.inputs), seen, *times, sent.late))


#: What a node says of a transaction that it has taken before.
HAS_IT = "already been processed"


@dataclass
class Guest:
    """Sends one player's inputs to a session that somebody else steps."""

    rollup: Rpc
    session: Session
    player: int
    key: Keypair
    #: Frames that inputs are sent early: what the way to the rollup may take.
    early: int = 4

    @property
    def _records(self) -> Records:
        return self.session.world.layout.records

    async def run(self, inputs: Inputs, frames: int) -> None:
        """Send inputs for the next `frames` frames, as the session gets to them."""
        follower = Follower(self.rollup, self.session)
        try:
            async with followed(follower):
                next_frame = first = follower.state.frame_number
                while follower.state.frame_number < first + frames and follower.state.status == "started":
                    while next_frame < min(follower.state.frame_number + self.early, first + frames):
                        await self._send(next_frame, self._records.input_bytes(inputs(next_frame)))
                        next_frame += 1
                    before = follower.data
                    await follower.change(HICCUP_S)
                    if follower.data == before:
                        await follower.look()
                        next_frame = self._missing(follower, next_frame)
                    next_frame = max(next_frame, follower.state.frame_number)  # nobody waits for those before
        except* (WmLiveError, OSError) as several:
            raise several.exceptions[0] from None

    def _missing(self, follower: Follower, end: int) -> int:
        """The first frame before `end` whose input has not arrived; `end` if there is none."""
        frames = range(follower.state.frame_number, end)
        return next((n for n in frames if follower.waits(n, self.player) is None), end)

    async def _send(self, frame: int, raw: bytes) -> None:
        part = self._records.parts(raw)[self.player]
        own: Pubkey = self.key.pubkey()
        blockhash = await self.rollup.latest_blockhash()
        transaction = signed([self.session.input(own, self.player, frame, part)], [self.key], blockhash.hash)
        try:
            await self.rollup.send(bytes(transaction), skip_preflight=True)
        except RpcError as error:
            # Sent again within one blockhash it is the same transaction, which the rollup has: not lost, only late.
            if HAS_IT not in str(error):
                raise
