"""The chain itself: accounts, slots and blockhashes, and what a transaction does to them.

Two clocks, as on a real cluster, where not every slot has a block:

* block height grows by one every slot time (400 ms); each height has a blockhash, good for the 150 heights after it,
* the slot grows with the height and with every transaction, so that no two changes share one: the rollup's validator
  takes two changes of an account in one slot for one.

Everything follows from the genesis, the seed and the ledger's records, so a chain that was killed comes back the same.
"""

import contextlib
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from wm_export.solana.virtual_machine import Cluster, virtual_machine
from wm_live.chain.addresses import SYSTEM_PROGRAM
from wm_live.localnet.base_chain.genesis import RENT, Genesis
from wm_live.localnet.base_chain.ids import LOOKUP_TABLE_PROGRAM, SYSVAR_OWNER
from wm_live.localnet.base_chain.ledger import AIRDROP, SEED_BYTES, TRANSACTION, Ledger, LedgerRecord, Moment
from wm_live.localnet.base_chain.wire import error_json, meta_of, read_account

BLOCKHASH_HEIGHTS = 150
SLOT_HASHES = 512
KEPT_TRANSACTIONS = 200_000
#: Errors before the first instruction with which a transaction lands all the same, and pays its fee.
LOAD_FAILURES = ("ProgramAccountNotFound", "InvalidProgramForExecution", "MaxLoadedAccountsDataSizeExceeded")
MOST_U64 = (1 << 64) - 1
#: A record that names a later slot is none of ours: there would be none left to go on with.
MOST_SLOT = 1 << 48
#: An address and its lamports.
AIRDROP_BYTES = 32 + 8
#: A lookup table's addresses follow its header.
_TABLE_HEADER = 56
#: Slots and heights start above what LiteSVM's genesis counts as its past.
_FIRST = Moment(1_000, 1_000, 0)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Landed:
    """A transaction that is part of the chain. error: JSON as nodes write it, None if it passed."""

    signature: Signature
    slot: int
    seconds: int
    error: Any
    logs: list[str]
    cu: int
    raw: bytes
    written: tuple[Pubkey, ...]
    keys: tuple[Pubkey, ...]


class RefusedError(Exception):
    """A transaction that did not get into the chain, for this error (JSON as nodes write it)."""

    def __init__(self, error: Any, logs: list[str], cu: int = 0) -> None:
        super().__init__(str(error))
        self.error, self.logs, self.cu = error, logs, cu


class Chain:
    """A base chain in this process. `landed` is called after each transaction."""

    def __init__(self, genesis: Genesis, ledger: Ledger | None, slot_ms: float) -> None:
        self.slot_ms = slot_ms
        # Blockhashes and repetitions are this chain's own business.
        self.svm = virtual_machine(Cluster.MAINNET).with_blockhash_check(False).with_transaction_history(0)
        self.svm.set_rent(RENT)
        genesis.load_into(self.svm)
        self.known = set(genesis.accounts) | set(genesis.programs)
        self.landed: Callable[[Landed], None] = lambda _: None
        self.transactions: OrderedDict[Signature, Landed] = OrderedDict()
        self.seed = ledger.seed if ledger else hashlib.sha256(str(time.time_ns()).encode()).digest()[:SEED_BYTES]
        self.now = _FIRST
        self._hashes: OrderedDict[Hash, int] = OrderedDict()
        self._ledger: Ledger | None = None
        if ledger:
            self._replay(ledger)
        self._resume()
        self._ledger = ledger

    # --- time ---

    def tick(self) -> None:
        """The next block height, with its own blockhash and slot."""
        self._move(Moment(self.now.slot + 1, self.now.height + 1, _milliseconds()))
        self._set_slot_hashes()

    def blockhash(self) -> tuple[Hash, int]:
        """The newest blockhash, and the last height at which it is good."""
        value = next(reversed(self._hashes))
        return value, self._hashes[value] + BLOCKHASH_HEIGHTS

    def is_fresh(self, blockhash: Hash) -> bool:
        """May a transaction with this blockhash still land?"""
        return blockhash in self._hashes

    def _move(self, moment: Moment) -> None:
        first = max(self.now.height + 1, moment.height - BLOCKHASH_HEIGHTS)
        for height in range(first, moment.height + 1):
            self._hashes[self.hash_of(b"block", height)] = height
        while len(self._hashes) > BLOCKHASH_HEIGHTS + 1:
            self._hashes.popitem(last=False)
        self.now = moment
        self.svm.set_clock(Clock(moment.slot, 0, 0, 1, moment.milliseconds // 1000))

    def hash_of(self, what: bytes, number: int) -> Hash:
        """The hash that stands for a numbered thing on this chain."""
        return Hash(hashlib.sha256(what + self.seed + number.to_bytes(8, "little")).digest())

    def _set_slot_hashes(self) -> None:
        slots = range(self.now.slot - 1, self.now.slot - 1 - SLOT_HASHES, -1)
        self.svm.set_slot_hashes([(slot, self.hash_of(b"slot", slot)) for slot in slots])

    def _next_slot(self) -> Moment:
        return Moment(self.now.slot + 1, self.now.height, _milliseconds())

    def _resume(self) -> None:
        """Go on at the height that would have been reached had the chain never stopped."""
        passed = _milliseconds() - self.now.milliseconds if self.now.milliseconds else 0
        missed = 1 + max(0, int(passed / self.slot_ms))
        self._move(Moment(self.now.slot + missed, self.now.height + missed, _milliseconds()))
        self._set_slot_hashes()

    # --- accounts ---

    def account(self, address: Pubkey) -> Account | None:
        """An account, None if there is none."""
        return read_account(self.svm, address)

    def owned_by(self, program: Pubkey) -> Iterator[tuple[Pubkey, Account]]:
        """Every account of a program."""
        for address in sorted(self.known, key=bytes):
            account = self.account(address)
            if account is not None and account.owner == program:
                yield address, account

    def airdrop(self, address: Pubkey, lamports: int) -> Signature:
        """Lamports out of nothing; returns a signature to ask for. RefusedError if the address cannot take them."""
        landed = self._airdrop(address, lamports, moment := self._next_slot())
        self._record(AIRDROP, bytes(address) + lamports.to_bytes(8, "little"), moment)
        self._keep(landed)
        return landed.signature

    def _airdrop(self, address: Pubkey, lamports: int, moment: Moment) -> Landed:
        old = self.account(address) or Account(0, b"", SYSTEM_PROGRAM)
        if old.lamports + lamports > MOST_U64 or old.executable or old.owner == SYSVAR_OWNER:
            raise RefusedError(f"{address} holds {old.lamports} lamports and cannot take {lamports} more", [])
        self._move(moment)
        with _no_panic():
            self.svm.set_account(address, Account(old.lamports + lamports, old.data, old.owner))
        half = bytes(self.hash_of(b"airdrop", moment.slot))
        return Landed(
            Signature(half + half), moment.slot, moment.milliseconds // 1000, None, [], 0, b"", (address,), (address,)
        )

    # --- transactions ---

    def submit(self, transaction: VersionedTransaction, raw: bytes) -> None:
        """Land a transaction; RefusedError if it cannot be part of the chain (a failing program can)."""
        self.check_new(transaction)
        moment = self._next_slot()
        landed = self._run(transaction, raw, moment)
        if landed.error is not None and not _charged(landed.error):
            raise RefusedError(landed.error, landed.logs, landed.cu)
        self._record(TRANSACTION, raw, moment)
        self._keep(landed)

    def check_new(self, transaction: VersionedTransaction) -> None:
        """RefusedError if the transaction has landed already, or its blockhash is not good (any more)."""
        if transaction.signatures[0] in self.transactions:
            raise RefusedError("AlreadyProcessed", [])
        if not self.is_fresh(transaction.message.recent_blockhash):
            raise RefusedError("BlockhashNotFound", [])

    def simulate(
        self, transaction: VersionedTransaction, watched: Sequence[Pubkey] = (), signed: bool = True
    ) -> tuple[Any, list[Account | None]]:
        """LiteSVM's result of running it now, and the watched accounts afterwards; nothing changes.

        signed  its signatures must be right

        RefusedError if LiteSVM cannot run it at all.
        """
        self.svm = self.svm.with_sigverify(signed)
        try:
            with _no_panic():
                self._prepare(transaction)
                result = self.svm.simulate_transaction(transaction)
        finally:
            self.svm = self.svm.with_sigverify(True)
        after = {} if isinstance(result, FailedTransactionMetadata) else dict(result.post_accounts())
        return result, [after[key] if key in after else self.account(key) for key in watched]

    def error_of(self, transaction: VersionedTransaction, result: Any) -> Any:
        """The error of a result of LiteSVM, JSON as nodes write it; None if it passed."""
        if not isinstance(result, FailedTransactionMetadata):
            return None
        error, message = error_json(result.err()), transaction.message
        called = {message.account_keys[instruction.program_id_index] for instruction in message.instructions}
        if error == "InvalidProgramForExecution" and any(self.account(program) is None for program in called):
            return "ProgramAccountNotFound"  # LiteSVM makes no difference; the rollup's validator does
        return error

    def _prepare(self, transaction: VersionedTransaction) -> None:
        # Setting 512 hashes costs more than most transactions: only for those that may look at them.
        if _lookups(transaction) or LOOKUP_TABLE_PROGRAM in transaction.message.account_keys:
            self._set_slot_hashes()

    def _purge(self, written: Sequence[Pubkey]) -> None:
        """Accounts without lamports are gone, as on a cluster; LiteSVM keeps their data."""
        for key in written:
            account = self.svm.get_account(key)
            if account is not None and not account.lamports:
                self.svm.set_account(key, Account(0, b"", SYSTEM_PROGRAM))

    def _run(self, transaction: VersionedTransaction, raw: bytes, moment: Moment) -> Landed:
        self._move(moment)
        with _no_panic():
            self._prepare(transaction)
            result = self.svm.send_transaction(transaction)
        error = self.error_of(transaction, result)
        meta = meta_of(result)
        keys, written = self._keys(transaction)
        self._purge(written)
        return Landed(
            transaction.signatures[0],
            moment.slot,
            moment.milliseconds // 1000,
            error,
            meta.logs(),
            meta.compute_units_consumed(),
            raw,
            written,
            keys,
        )

    def _keys(self, transaction: VersionedTransaction) -> tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]:
        """All addresses it names, and those that it may write."""
        message = transaction.message
        keys, header = message.account_keys, message.header
        signed, total = header.num_required_signatures, len(keys)
        written = keys[: signed - header.num_readonly_signed_accounts]
        written += keys[signed : total - header.num_readonly_unsigned_accounts]
        for lookup in _lookups(transaction):
            table = self.account(lookup.account_key)
            data = bytes(table.data)[_TABLE_HEADER:] if table else b""
            both = bytes(lookup.writable_indexes), bytes(lookup.readonly_indexes)
            there, read = (
                [Pubkey(data[32 * i : 32 * i + 32]) for i in part if 32 * i + 32 <= len(data)] for part in both
            )
            written, keys = written + there, keys + there + read
        return tuple(keys), tuple(written)

    # --- memory ---

    def _keep(self, landed: Landed) -> None:
        self.known.update(landed.written)
        self.transactions[landed.signature] = landed
        if len(self.transactions) > KEPT_TRANSACTIONS:
            self.transactions.popitem(last=False)
        self.landed(landed)

    def _record(self, kind: int, payload: bytes, moment: Moment) -> None:
        if self._ledger:
            self._ledger.add(LedgerRecord(kind, moment, payload))

    def _replay(self, ledger: Ledger) -> None:
        """Do again what the ledger has. A record that cannot be done did nothing when it was written either."""
        # The signatures were checked when the records were written.
        self.svm = self.svm.with_sigverify(False)
        for number, record in enumerate(ledger.records(), start=1):
            try:
                self._keep(self._again(record))
            except (RefusedError, ValueError) as error:
                log.warning("%s: record %d is skipped: %s", ledger.path, number, error)
        self.svm = self.svm.with_sigverify(True)

    def _again(self, record: LedgerRecord) -> Landed:
        when, payload = record.when, record.payload
        if not (self.now.slot < when.slot <= MOST_SLOT and self.now.height <= when.height <= MOST_SLOT):
            raise RefusedError(f"it is of slot {when.slot}, height {when.height}; the chain is at {self.now}", [])
        if record.kind == AIRDROP and len(payload) == AIRDROP_BYTES:
            return self._airdrop(Pubkey(payload[:32]), int.from_bytes(payload[32:], "little"), when)
        if record.kind != TRANSACTION:
            raise RefusedError(f"kind {record.kind} of {len(payload)} bytes is none of this version", [])
        return self._run(read_transaction(payload), payload, when)


@contextlib.contextmanager
def _no_panic() -> Iterator[None]:
    """A panic of LiteSVM as a RefusedError. What Rust throws is no Exception, and of a type that nothing exports."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RefusedError("ProgramFailedToComplete", [f"LiteSVM: {error!s:.200}"]) from None


def read_transaction(raw: bytes) -> VersionedTransaction:
    """A transaction whose parts fit together; ValueError otherwise."""
    try:
        transaction = VersionedTransaction.from_bytes(raw)
        transaction.sanitize()
    except Exception as error:  # bincode's errors have no common type in solders
        raise ValueError(f"failed to deserialize the transaction: {error!s:.200}") from None
    if bytes(transaction) != raw:
        raise ValueError("failed to deserialize the transaction: bytes follow it")
    return transaction


def _charged(error: Any) -> bool:
    """Does a transaction with this error land, and pay its fee?"""
    return isinstance(error, dict) or error in LOAD_FAILURES


def _lookups(transaction: VersionedTransaction) -> list[Any]:
    return list(getattr(transaction.message, "address_table_lookups", ()))


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
