"""The chain itself: accounts, slots and blockhashes, and what a transaction does to them.

Two clocks, as on a real cluster, where not every slot has a block:

* block height grows by one every slot time (400 ms); each height has a blockhash, good for the 150 heights after it,
* the slot grows with the height and with every transaction, so that no two changes share one: the rollup's validator
  takes two changes of an account in one slot for one.

Everything follows from the genesis, the seed and the ledger's records, so a chain that was killed comes back the same.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from wm_live.chain.addresses import SYSTEM_PROGRAM
from wm_live.localnet.base_chain.deployments import deployments, plain, run_deployment
from wm_live.localnet.base_chain.genesis import Genesis
from wm_live.localnet.base_chain.ids import LOOKUP_TABLE_PROGRAM
from wm_live.localnet.base_chain.ledger import AIRDROP, SEED_BYTES, TRANSACTION, Ledger, LedgerRecord, Moment
from wm_live.localnet.base_chain.wire import error_json, meta_of, read_account

BLOCKHASH_HEIGHTS = 150
SLOT_HASHES = 512
KEPT_TRANSACTIONS = 200_000
#: Errors before the first instruction with which a transaction lands all the same, and pays its fee.
LOAD_FAILURES = ("ProgramAccountNotFound", "InvalidProgramForExecution", "MaxLoadedAccountsDataSizeExceeded")
#: A lookup table's addresses follow its header.
_TABLE_HEADER = 56
#: Slots and heights start above what LiteSVM's genesis counts as its past.
_FIRST = Moment(1_000, 1_000, 0)


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
        self.svm = plain(LiteSVM())
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
        missed = int((_milliseconds() - self.now.milliseconds) / self.slot_ms) + 1 if self.now.milliseconds else 1
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
        """Lamports out of nothing; returns a signature to ask for."""
        self._record(AIRDROP, bytes(address) + lamports.to_bytes(8, "little"), moment := self._next_slot())
        return self._airdrop(address, lamports, moment)

    def _airdrop(self, address: Pubkey, lamports: int, moment: Moment) -> Signature:
        self._move(moment)
        old = self.account(address) or Account(0, b"", SYSTEM_PROGRAM)
        self.svm.set_account(address, Account(old.lamports + lamports, old.data, old.owner, old.executable))
        half = bytes(self.hash_of(b"airdrop", moment.slot))
        signature = Signature(half + half)
        self._keep(
            Landed(signature, moment.slot, moment.milliseconds // 1000, None, [], 0, b"", (address,), (address,))
        )
        return signature

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

    def simulate(self, transaction: VersionedTransaction) -> Any:
        """LiteSVM's result of running it now; nothing changes."""
        if deployments(transaction):
            return run_deployment(self.svm, transaction, keep=False)
        self._prepare(transaction)
        return self.svm.simulate_transaction(transaction)

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
        if deployments(transaction):
            result = run_deployment(self.svm, transaction, keep=True)
        else:
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
        # The signatures were checked when the records were written.
        self.svm = self.svm.with_sigverify(False)
        for record in ledger.records():
            if record.kind == AIRDROP:
                address, lamports = record.payload[:32], int.from_bytes(record.payload[32:], "little")
                self._airdrop(Pubkey(address), lamports, record.when)
            else:
                self._keep(self._run(VersionedTransaction.from_bytes(record.payload), record.payload, record.when))
        self.svm = self.svm.with_sigverify(True)


def _charged(error: Any) -> bool:
    """Does a transaction with this error land, and pay its fee?"""
    return isinstance(error, dict) or error in LOAD_FAILURES


def _lookups(transaction: VersionedTransaction) -> list[Any]:
    return list(getattr(transaction.message, "address_table_lookups", ()))


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
