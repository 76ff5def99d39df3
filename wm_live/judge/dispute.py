"""A dispute over one frame: the base chain computes it again from what was committed, and records a verdict.

    pin      keeps what is committed now (judge/pin.py), unless it is pinned: what is committed later changes nothing
    open     makes the dispute account, whose address follows from disputer, session and frame, for the tree pinned
    load     the window before the frame, record by record, each proved against that tree; before them what the network
             keeps, computed from the log, which the last record proves
    judge    one transaction for each of the Plan: the committed record of the frame, with its proof
    close    returns the rent of the dispute and of the disputer's own pin

What comes next follows from the dispute account alone. So a dispute that was interrupted goes on where it stopped.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import AllocateWithSeedParams, TransferParams, allocate_with_seed, transfer

from wm_export.errors import WmExportError
from wm_export.lower.memory import chunk, differing
from wm_export.schema.accounts import DISPUTE, PEAKS, PIN
from wm_export.schema.limits import ACCOUNT_VERSION
from wm_export.schema.records import Records
from wm_export.schema.types import U64
from wm_export.solana.export import Export
from wm_export.solana.layout import account_sections
from wm_live.chain.addresses import pin_address
from wm_live.chain.answers import AccountInfo
from wm_live.chain.fees import SIGNATURE_FEE, rent_exempt
from wm_live.chain.guard import SPARE_SIGNATURES, Budget
from wm_live.chain.transactions import LAG_S, Sender, TransactionError
from wm_live.deploy.program import instruction
from wm_live.errors import WmLiveError
from wm_live.judge.pin import Pin, close_pin, pin_commit, pins_of, read_pin
from wm_live.session.committed import check_log, read_session, read_world
from wm_live.session.instructions import DeployedWorld
from wm_live.session.lifecycle import CU_LIMIT, packets
from wm_live.session.log import Log
from wm_live.session.recompute import Progress, Replay, difference
from wm_live.session.tree import Hash

#: Refusals that come of a view that is out of date: the session was committed again, or a node lags behind another.
STALE = ("WrongProof", "WrongStep", "Judged", "WindowMissing", "WrongDigest")
#: What the system program says of an account that is there already.
IN_USE = 0
MOST_STALE = 5


@dataclass(frozen=True)
class DisputeState:
    """A dispute account.

    leaves, peaks  the hash tree that it judges by; the peaks in use, lowest first
    loaded, step   records of the window, and transactions of the Plan, that are done
    frame          raw, the one computed last
    """

    session: Pubkey
    frame_number: int
    leaves: int
    peaks: list[Hash]
    loaded: int
    step: int
    verdict: str
    frame: bytes


def dispute_seed(session: Pubkey, frame: int) -> str:
    """The seed of a disputer's account for a frame: 32 characters."""
    return hashlib.sha256(bytes(session) + U64.pack(frame)).hexdigest()[:32]


def dispute_address(disputer: Pubkey, session: Pubkey, frame: int, program: Pubkey) -> Pubkey:
    """The account of a disputer's dispute over a frame."""
    return Pubkey.create_with_seed(disputer, dispute_seed(session, frame), program)


def read_dispute(account: AccountInfo, records: Records, size: int, program: Pubkey) -> DisputeState | None:
    """The dispute in an account of `size` bytes, of which `account` holds what comes before the work area.

    None if it was not opened yet; WmLiveError if it is none.
    """
    data, parts = account.data, account_sections(DISPUTE, records.sizes)
    if account.owner != program and not data:
        return None
    if account.owner != program or len(data) != parts["frame"].end or data[:8] != DISPUTE.tag:
        raise WmLiveError(f"not a dispute of program {program}: {len(data)} bytes of {account.owner}")
    version, length = DISPUTE.read(data, "version"), DISPUTE.read(data, "length")
    if version != ACCOUNT_VERSION or length != size:
        raise WmLiveError(f"dispute account: version {version}, {length} bytes; expected {ACCOUNT_VERSION}, {size}")
    try:
        head = DISPUTE.unpack(data)
    except WmExportError as error:
        raise WmLiveError(f"dispute account: {error}: of another wmq?") from None
    peaks = PEAKS.unpack(data[parts["peaks"].offset : parts["peaks"].end])
    return DisputeState(
        session=Pubkey(head["session"]),
        frame_number=head["frame_number"],
        leaves=head["leaves"],
        peaks=[peak for level, peak in enumerate(peaks) if head["leaves"] >> level & 1],
        loaded=head["loaded"],
        step=head["step"],
        verdict=head["verdict"],
        frame=data[parts["frame"].offset :][: records.frame_size],
    )


@dataclass(frozen=True)
class Costs:
    """What a dispute takes. rent: lamports that come back when it is closed; fees do not. pins: 0 if there is a pin.
    memory: transactions that load what the network keeps."""

    pins: int
    memory: int
    loads: int
    judges: int
    account_bytes: int
    rent: int

    @property
    def transactions(self) -> int:
        """In all: one more opens it, and one closes it."""
        return self.pins + 1 + self.memory + self.loads + self.judges + 1

    @property
    def fees(self) -> int:
        """Lamports, for one signature each."""
        return SIGNATURE_FEE * self.transactions

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return vars(self) | {"transactions": self.transactions, "fees": self.fees}

    def text(self) -> str:
        """One line."""
        memory = f"memory {self.memory}, " if self.memory else ""
        counted = f"pin {self.pins}, open 1, {memory}load {self.loads}, judge {self.judges}, close 1"
        return (
            f"{self.transactions} transactions ({counted}): {self.fees:,} lamports of fees; {self.rent:,} lamports of "
            f"rent for {self.account_bytes:,} bytes, which come back"
        )


@dataclass(frozen=True)
class Sent:
    """A transaction that has landed: what it did, and its compute units, 0 where the node does not say."""

    what: str
    cu: int


@dataclass(frozen=True)
class SettledDispute:
    """How a dispute ended. text: in words; sent: transactions of this run; kept: the account is still there."""

    session: str
    frame: int
    account: str
    verdict: str
    text: str
    sent: tuple[Sent, ...]
    kept: bool

    @property
    def right(self) -> bool:
        """The committed Frame is the model's."""
        return self.verdict == "right"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return vars(self) | {"sent": [vars(it) for it in self.sent]}


@dataclass(frozen=True)
class _Commit:
    """What was committed, and the address of a pin of it, which may have to be made."""

    pin: Pubkey
    leaves: int
    root: Hash
    there: bool


class Dispute:
    """One frame of a session, disputed by the sender's payer with a log."""

    def __init__(
        self,
        sender: Sender,
        export: Export,
        log: Log,
        session: Pubkey,
        frame: int,
        computing: Progress = lambda *_: None,
    ) -> None:
        if not 0 <= frame < log.frames:
            raise WmLiveError(f"frame {frame:,}: the log holds frames 0 to {log.frames - 1:,}")
        self.sender, self.export, self.log, self.session, self.frame = sender, export, log, session, frame
        self.program, self.model = check_log(export, log, session)
        self.disputer = sender.payer.pubkey()
        self.address = dispute_address(self.disputer, session, frame, self.program)
        self.sent: list[Sent] = []
        self._shards: list[Pubkey] = []
        self._size, self._slots = export.layout.dispute_bytes, log.about.slots
        self._records, self._kept, self._computing = log.codec, export.layout.memory, computing
        #: Chunks of the memory that the account lacks, as far as is known.
        self._lacks: list[int] | None = None

    @cached_property
    def _memory(self) -> bytes:
        """What the network keeps before the frame."""
        replay = Replay(self.export.net, self._kept, self.log.about.ids)
        return replay.through(self.log.records[: self.frame + self._slots], self._computing)

    @property
    def budget(self) -> Budget:
        """What it takes at most, whatever the chain says: a pin, every record in a transaction of its own, and all that
        may be refused because something was out of date."""
        transactions = 2 + self._kept.chunks + self._slots + len(self.export.manifest.plan) + 1 + MOST_STALE
        return Budget(rent_exempt(self._size) + rent_exempt(PIN.size), transactions + SPARE_SIGNATURES)

    async def check(self) -> None:
        """WmLiveError if `run` could not go on, as far as that can be seen before anything is sent."""
        if await self._state() is None:
            await self._commit()

    async def costs(self) -> Costs:
        """What it takes from start to end; nothing is sent. WmLiveError as `run`."""
        commit = await self._commit()
        loads, made = len(self._loads(commit.leaves, 0)), [self._size] if commit.there else [self._size, PIN.size]
        rent = sum(map(rent_exempt, made))
        memory = len(differing(self._kept.empty_region, self._memory))
        return Costs(int(not commit.there), memory, loads, len(self.export.manifest.plan), sum(made), rent)

    async def run(
        self, keep: bool = False, progress: Callable[[str, int, int], None] = lambda *_: None
    ) -> SettledDispute:
        """Go on to the verdict, and close the account unless `keep`.

        progress  called with (what was done, transactions done in this run, of how many)

        WmLiveError if the log is not what was committed, or the frame has not been; TransactionError if one is refused.
        """
        state = await self._to_the_verdict(progress)
        if not keep:
            await self._close(state)
        names = str(self.session), self.frame, str(self.address)
        return SettledDispute(*names, state.verdict, self._words(state), tuple(self.sent), keep)

    async def _to_the_verdict(self, progress: Callable[[str, int, int], None]) -> DisputeState:
        refusals: list[str] = []
        await self._world()
        while len(refusals) <= MOST_STALE:
            state = await self._state()
            if state is not None and state.verdict != "open":
                return state
            what, instructions, left = await self._next(state) if state else await self._first()
            try:
                await self._send(what, instructions)
                self._lacks = self._lacks[1:] if self._lacks else self._lacks
                progress(what, len(self.sent), len(self.sent) + left)
            except TransactionError as error:
                if error.name not in STALE and not (what == "open" and error.custom == IN_USE):
                    raise
                refusals.append(error.name or what)
                self._lacks = None
                await asyncio.sleep(LAG_S)
        times = f"refused {len(refusals)} times ({refusals[-1]})"
        raise WmLiveError(f"dispute {self.address}: {times} with what the node itself shows; try again")

    # --- what the chain holds ---

    async def _world(self) -> DeployedWorld:
        world = await read_world(self.sender.rpc, self.export, self.program, self.model)
        self._shards = world.more_models
        return world

    async def _commit(self) -> "_Commit":
        """What the session has committed, of which the log has the tree and the frame is part: as it stands now, or
        else as anybody has pinned it. WmLiveError if there is no such commit."""
        try:
            return await self._committed_now()
        except WmLiveError:
            pins = await pins_of(self.sender.rpc, self.program, self.session)
            newest = max(filter(self._suits, pins), key=lambda pin: pin.leaves, default=None)
            if newest is None:
                raise
            return _Commit(newest.address, newest.leaves, newest.root, there=True)

    def _suits(self, pin: Pin) -> bool:
        known = self.frame + self._slots < pin.leaves <= len(self.log.records)
        return known and self.log.tree.root(pin.leaves) == pin.root

    async def _committed_now(self) -> "_Commit":
        world = await self._world()
        state = (await read_session(self.sender.rpc, world, self.session)).state
        if self.frame >= state.frame_number:
            at = f"the base chain is at frame {state.frame_number:,}"
            raise WmLiveError(f"frame {self.frame:,} has not been committed: {at}; commit the session first")
        leaves = state.leaves(self._slots)
        self._need(leaves)
        if self.log.tree.root(leaves) != state.root:
            roots = f"root {state.root.hex()}, of the log {self.log.tree.root(leaves).hex()}"
            raise self._other_log(f"what was committed up to frame {state.frame_number:,}", roots)
        address = pin_address(self.program, self.session, self.disputer, state.root)
        there = await read_pin(self.sender.rpc, self.program, address)
        return _Commit(address, leaves, state.root, there is not None)

    async def _state(self) -> DisputeState | None:
        """The dispute as it stands; None before it is opened. WmLiveError unless the log is the one that it pins."""
        account = await self.sender.rpc.account(self.address, 0, self.export.layout.dispute_work)
        state = read_dispute(account, self._records, self._size, self.program) if account else None
        if state is None:
            return None
        if (state.session, state.frame_number) != (self.session, self.frame):
            raise WmLiveError(f"dispute {self.address}: is over frame {state.frame_number} of {state.session}")
        self._need(state.leaves)
        if self.log.tree.peaks(state.leaves) != state.peaks:
            raise self._other_log(f"the one with which dispute {self.address} was opened", "its peaks differ")
        return state

    def _need(self, leaves: int) -> None:
        if leaves > len(self.log.records):
            ends = f"{leaves - self._slots:,} frames were committed, the log has {self.log.frames:,}"
            raise WmLiveError(f"{ends}: without the later ones nothing can be proved; get a newer log")

    def _other_log(self, expected: str, how: str) -> WmLiveError:
        return WmLiveError(f"WrongProof: the log is not {expected}: {how}; get the true log, or ask `wmq verify`")

    # --- transactions ---

    async def _first(self) -> tuple[str, list[Instruction], int]:
        """As `_next`, of a dispute that is not open yet.

        Paid, then made: an account that somebody has sent lamports to could not be created in one go.
        """
        commit, rent = await self._commit(), rent_exempt(self._size)
        left = len(self._loads(commit.leaves, 0)) + len(self.export.manifest.plan)
        if not commit.there:
            return "pin", [pin_commit(self.program, self.session, self.disputer, commit.root)], 1 + left
        pay = TransferParams(from_pubkey=self.disputer, to_pubkey=self.address, lamports=rent)
        make = AllocateWithSeedParams(
            address=self.address,
            base=self.disputer,
            seed=dispute_seed(self.session, self.frame),
            space=self._size,
            owner=self.program,
        )
        names = {"disputer": self.disputer, "dispute": self.address, "pin": commit.pin, "model": self.model}
        peaks = self.log.tree.peaks(commit.leaves)
        opens = instruction(self.program, "open_dispute", names, self._shards, frame=self.frame, peaks=peaks)
        return "open", [CU_LIMIT, transfer(pay), allocate_with_seed(make), opens], left

    async def _next(self, state: DisputeState) -> tuple[str, list[Instruction], int]:
        """(name, instructions, how many are left then until the verdict) of the next transaction."""
        steps = len(self.export.manifest.plan)
        if state.loaded < self._slots:
            loads = self._loads(state.leaves, state.loaded)
            if lacks := await self._lacking():
                return "memory", [CU_LIMIT, self._load_memory(lacks[0])], len(lacks) - 1 + len(loads) + steps
            return "load", loads[0], len(loads) - 1 + steps
        accounts = {"dispute": self.address, "model": self.model}
        proved = self._proved(self.frame + self._slots, state.leaves)
        judge = instruction(self.program, "judge", accounts, self._shards, step=state.step, **proved)
        return f"judge {state.step + 1} of {steps}", [CU_LIMIT, judge], steps - state.step - 1

    async def _lacking(self) -> list[int]:
        """Chunks of the memory that the account lacks. It is read once, and again after a refusal."""
        if self._lacks is None:
            at = self.export.layout.dispute_work + self._kept.start
            account = await self.sender.rpc.account(self.address, at, self._kept.size) if self._kept.size else None
            self._lacks = differing(account.data if account else b"", self._memory)
        return self._lacks

    def _load_memory(self, index: int) -> Instruction:
        names, data = {"disputer": self.disputer, "dispute": self.address}, chunk(self._memory, index)
        return instruction(self.program, "load_disputed_memory", names, index=index, data=data)

    def _loads(self, leaves: int, loaded: int) -> list[list[Instruction]]:
        """The window from record `loaded` on, as many records in a transaction as fit."""
        accounts = {"session": self.session, "dispute": self.address}
        missing = range(self.frame + loaded, self.frame + self._slots)
        loads = [
            instruction(self.program, "load_disputed", accounts, leaf=k, **self._proved(k, leaves)) for k in missing
        ]
        return packets(loads, self.sender.payer.pubkey())

    def _proved(self, leaf: int, leaves: int) -> dict[str, Any]:
        return self._records.claimed(self.log.records[leaf]) | {"proof": self.log.tree.proof(leaf, leaves)}

    async def _close(self, state: DisputeState) -> None:
        accounts = {"disputer": self.disputer, "dispute": self.address}
        closing, root = [instruction(self.program, "close_dispute", accounts)], self.log.tree.root(state.leaves)
        own = pin_address(self.program, self.session, self.disputer, root)
        if await read_pin(self.sender.rpc, self.program, own) is not None:
            closing.append(close_pin(self.program, self.session, self.disputer, root))
        await self._send("close", closing)

    async def _send(self, what: str, instructions: Sequence[Instruction]) -> None:
        confirmed = await self.sender.send(instructions)
        info = await self.sender.rpc.transaction(confirmed.signature)
        self.sent.append(Sent(what, info.cu if info else 0))

    # --- the end ---

    def _words(self, state: DisputeState) -> str:
        if state.verdict == "right":
            return (
                f"frame {self.frame:,} is right: from the committed window and inputs the base chain computes the "
                "committed Frame, to the last bit"
            )
        if state.step < len(self.export.manifest.plan):
            return (
                f"frame {self.frame:,} is wrong: a committed record lies outside the ranges of a game, or the first "
                "window is not the one that the session was created for; no program of this world commits such a one"
            )
        claimed = self._records.claimed(self.log.records[self.frame + self._slots])["frame"]
        wrong = f"frame {self.frame:,} is wrong: the rollup has committed a"
        if claimed == state.frame:
            return f"{wrong} digest of what the network keeps that the model does not compute; its Frame is right"
        frames = (self._records.frame_of(raw) for raw in (claimed, state.frame))
        how = difference(self.export.net.world.game, *frames)
        return f"{wrong} Frame that the model does not compute: {how}"
