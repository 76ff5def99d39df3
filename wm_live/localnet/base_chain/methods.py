"""The JSON-RPC methods of the base chain: validated parameters in, responses as a Solana node gives them out."""

import base64
import binascii
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from solders.hash import Hash, ParseHashError
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from wm_live.localnet.base_chain.chain import MOST_U64, Chain, Landed, RefusedError, read_transaction
from wm_live.localnet.base_chain.ids import PACKET_BYTES
from wm_live.localnet.base_chain.wire import account_json, meta_of

MOST_ACCOUNTS = 100
MOST_STATUSES = 256
MOST_FILTERS = 4
#: Letters of a memcmp's bytes; 128 bytes in base64.
MOST_COMPARED = 175
MOST_ACCOUNT_BYTES = 10 << 20
#: Of the runtime in LiteSVM.
VERSION = {"solana-core": "4.1.2", "feature-set": 0}
FEE_LAMPORTS = 5_000

PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, BAD_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
PREFLIGHT_FAILED = -32002


T = TypeVar("T")


class CallError(Exception):
    """A call that gets an error for an answer."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data

    def json(self) -> dict[str, Any]:
        """The `error` member of the answer."""
        return {"code": self.code, "message": str(self)} | ({"data": self.data} if self.data is not None else {})


class Params:
    """The list of parameters of one call; every getter raises CallError for what it does not expect."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, list):
            raise CallError(BAD_PARAMS, "expected a list of parameters")
        self._values = values

    def _at(self, index: int, kind: type) -> Any:
        value = self._values[index] if index < len(self._values) else None
        if not isinstance(value, kind) or (kind is int and not _is_count(value)):
            raise CallError(BAD_PARAMS, f"parameter {index}: expected {kind.__name__}, got {value!r:.60}")
        return value

    def number(self, index: int) -> int:
        """A whole number of 64 bits."""
        return int(self._at(index, int))

    def size(self, index: int) -> int:
        """Bytes of an account."""
        size = self.number(index)
        if size > MOST_ACCOUNT_BYTES:
            raise CallError(BAD_PARAMS, f"parameter {index}: an account has at most {MOST_ACCOUNT_BYTES:,} bytes")
        return size

    def address(self, index: int) -> Pubkey:
        """A base58 address."""
        return _parsed(Pubkey.from_string, self._at(index, str), "an address")

    def signature(self, index: int) -> Signature:
        """A base58 signature."""
        return _parsed(Signature.from_string, self._at(index, str), "a signature")

    def texts(self, index: int, most: int) -> list[str]:
        """A list of at most `most` strings."""
        values = self._at(index, list)
        if len(values) > most or not all(isinstance(value, str) for value in values):
            raise CallError(BAD_PARAMS, f"parameter {index}: expected at most {most} strings")
        return values

    def blockhash(self, index: int) -> Hash:
        """A base58 blockhash."""
        return _parsed(Hash.from_string, self._at(index, str), "a blockhash")

    def transaction(self) -> tuple[VersionedTransaction, bytes]:
        """Parameter 0, a transaction in base64."""
        text = self._at(0, str)
        if self.config(1).get("encoding", "base58") != "base64":
            raise CallError(BAD_PARAMS, 'expected {"encoding": "base64"}')
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise CallError(BAD_PARAMS, f"invalid base64: {error}") from None
        if len(raw) > PACKET_BYTES:
            raise CallError(BAD_PARAMS, f"base64 encoded transaction too large: {len(raw)} bytes (max {PACKET_BYTES})")
        try:
            return read_transaction(raw), raw
        except ValueError as error:
            raise CallError(BAD_PARAMS, str(error)) from None

    def config(self, index: int) -> dict[str, Any]:
        """An optional object; its dataSlice, if there is one, is checked."""
        value = self._values[index] if index < len(self._values) else None
        if value is None:
            return {}
        cut = value.get("dataSlice") if isinstance(value, dict) else None
        if not isinstance(value, dict) or (cut is not None and not _is_slice(cut)):
            raise CallError(BAD_PARAMS, f"parameter {index}: expected an object, with dataSlice of offset and length")
        return value


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_U64


def _is_slice(cut: Any) -> bool:
    return isinstance(cut, dict) and _is_count(cut.get("offset")) and _is_count(cut.get("length"))


def _parsed(parse: Callable[[str], T], text: str, what: str) -> T:
    try:
        return parse(text)
    except (ValueError, ParseHashError):
        raise CallError(BAD_PARAMS, f"Invalid param: {text[:90]!r} is not {what}") from None


class Methods:
    """Calls by name, on one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._table: Mapping[str, Callable[[Params], Any]] = {
            "getAccountInfo": lambda p: self._with_slot(self._account(p.address(0), p.config(1))),
            "getBalance": lambda p: self._with_slot(getattr(chain.account(p.address(0)), "lamports", 0)),
            "getBlockHeight": lambda p: chain.now.height,
            "getEpochInfo": self._epoch,
            "getEpochSchedule": lambda p: _EPOCHS,
            "getFeeForMessage": lambda p: self._with_slot(FEE_LAMPORTS),
            "getGenesisHash": lambda p: str(chain.hash_of(b"genesis", 0)),
            "getHealth": lambda p: "ok",
            "getLatestBlockhash": self._latest_blockhash,
            "getMinimumBalanceForRentExemption": lambda p: chain.svm.minimum_balance_for_rent_exemption(p.size(0)),
            "getMultipleAccounts": self._accounts,
            "getProgramAccounts": self._program_accounts,
            "getRecentPrioritizationFees": lambda p: [],
            "getSignatureStatuses": self._statuses,
            "getSlot": lambda p: chain.now.slot,
            "getTransaction": self._transaction,
            "getTransactionCount": lambda p: len(chain.transactions),
            "getVersion": lambda p: VERSION,
            "isBlockhashValid": lambda p: self._with_slot(chain.is_fresh(p.blockhash(0))),
            "requestAirdrop": self._airdrop,
            "sendTransaction": self._send,
            "simulateTransaction": self._simulate,
        }

    def call(self, method: Any, params: Any) -> Any:
        """The result of a call; CallError if it has none."""
        if method not in self._table:
            raise CallError(UNKNOWN_METHOD, f"Method not found: {method!r:.60}")
        try:
            return self._table[method](Params(params if params is not None else []))
        except RefusedError as refused:
            raise _failed(refused.error, refused.logs, refused.cu) from None

    def _with_slot(self, value: Any) -> dict[str, Any]:
        return {"context": {"apiVersion": VERSION["solana-core"], "slot": self.chain.now.slot}, "value": value}

    def _account(self, address: Pubkey, config: dict[str, Any]) -> Any:
        return account_json(self.chain.account(address), config)

    def _accounts(self, params: Params) -> Any:
        addresses = [_parsed(Pubkey.from_string, text, "an address") for text in params.texts(0, MOST_ACCOUNTS)]
        config = params.config(1)
        return self._with_slot([self._account(address, config) for address in addresses])

    def _program_accounts(self, params: Params) -> Any:
        config = params.config(1)
        filters = _filters(config.get("filters"))
        found = [
            {"pubkey": str(address), "account": account_json(account, config)}
            for address, account in self.chain.owned_by(params.address(0))
            if all(passes(bytes(account.data)) for passes in filters)
        ]
        return self._with_slot(found) if config.get("withContext") else found

    def _airdrop(self, params: Params) -> str:
        try:
            return str(self.chain.airdrop(params.address(0), params.number(1)))
        except RefusedError as refused:
            raise CallError(BAD_PARAMS, str(refused)) from None

    def _latest_blockhash(self, params: Params) -> Any:
        blockhash, last = self.chain.blockhash()
        return self._with_slot({"blockhash": str(blockhash), "lastValidBlockHeight": last})

    def _epoch(self, params: Params) -> Any:
        now, slots = self.chain.now, _EPOCHS["slotsPerEpoch"]
        return {
            "absoluteSlot": now.slot,
            "blockHeight": now.height,
            "epoch": 0,
            "slotIndex": now.slot,
            "slotsInEpoch": slots,
            "transactionCount": len(self.chain.transactions),
        }

    def _statuses(self, params: Params) -> Any:
        wanted = [_parsed(Signature.from_string, t, "a signature") for t in params.texts(0, MOST_STATUSES)]
        return self._with_slot([_status(self.chain.transactions.get(signature)) for signature in wanted])

    def _transaction(self, params: Params) -> Any:
        landed = self.chain.transactions.get(params.signature(0))
        return _transaction_json(landed) if landed else None

    def _send(self, params: Params) -> str:
        transaction, raw = params.transaction()
        preflight = not params.config(1).get("skipPreflight", False)
        # Without preflight a node takes what it is given; a status query shows that it never landed.
        with contextlib.nullcontext() if preflight else contextlib.suppress(RefusedError):
            if preflight:
                self._preflight(transaction)
            self.chain.submit(transaction, raw)
        return str(transaction.signatures[0])

    def _preflight(self, transaction: VersionedTransaction) -> None:
        self.chain.check_new(transaction)
        result, _ = self.chain.simulate(transaction)
        error = self.chain.error_of(transaction, result)
        if error is not None:
            meta = meta_of(result)
            raise RefusedError(error, meta.logs(), meta.compute_units_consumed())

    def _simulate(self, params: Params) -> Any:
        transaction, _ = params.transaction()
        config = params.config(1)
        watched = _watched(config.get("accounts"))
        result, after = self.chain.simulate(transaction, watched or (), config.get("sigVerify") is True)
        error, meta = self.chain.error_of(transaction, result), meta_of(result)
        answer = _simulated(error, meta.logs(), meta.compute_units_consumed())
        if watched is not None and error is None:
            answer["accounts"] = [
                account_json(account if account and account.lamports else None, {}) for account in after
            ]
        return self._with_slot(answer)


_EPOCHS = {
    "slotsPerEpoch": 432_000,
    "leaderScheduleSlotOffset": 432_000,
    "warmup": False,
    "firstNormalEpoch": 0,
    "firstNormalSlot": 0,
}


def _filters(given: Any) -> list[Callable[[bytes], bool]]:
    """Filters of getProgramAccounts, each {"dataSize": n} or {"memcmp": {"offset": n, "bytes": text}}."""
    if given is not None and not (isinstance(given, list) and len(given) <= MOST_FILTERS):
        raise CallError(BAD_PARAMS, f"filters: expected a list of at most {MOST_FILTERS}")
    return [_filter(one) for one in given or []]


def _filter(one: Any) -> Callable[[bytes], bool]:
    fields = one if isinstance(one, dict) else {}
    size, compare = fields.get("dataSize"), fields.get("memcmp")
    if _is_count(size):
        return lambda data: len(data) == size
    if not isinstance(compare, dict) or not _is_count(compare.get("offset")):
        raise CallError(BAD_PARAMS, f"unknown filter {one!r:.60}; expected dataSize or memcmp")
    offset, wanted = compare["offset"], _compared(compare)
    return lambda data: data[offset : offset + len(wanted)] == wanted


def _compared(compare: dict[str, Any]) -> bytes:
    given = compare.get("bytes")
    if not isinstance(given, str | list) or len(given) > MOST_COMPARED:
        raise CallError(BAD_PARAMS, f"memcmp: expected at most {MOST_COMPARED} bytes as text")
    try:
        if isinstance(given, list):
            return bytes(given)
        return base64.b64decode(given, validate=True) if compare.get("encoding") == "base64" else base58(given)
    except (ValueError, TypeError) as error:
        raise CallError(BAD_PARAMS, f"memcmp: {error!s:.100}") from None


_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(text: str) -> bytes:
    """The bytes that a base58 text stands for; CallError for other letters."""
    value = 0
    for letter in text:
        if letter not in _ALPHABET:
            raise CallError(BAD_PARAMS, f"{text[:60]!r} is not base58")
        value = value * 58 + _ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + value.to_bytes((value.bit_length() + 7) // 8, "big")


def _watched(wish: Any) -> list[Pubkey] | None:
    """Addresses of the accounts that a simulation is to show; None if it is to show none."""
    if wish is None:
        return None
    texts = wish.get("addresses") if isinstance(wish, dict) else None
    if not isinstance(texts, list) or len(texts) > MOST_ACCOUNTS or not all(isinstance(text, str) for text in texts):
        raise CallError(BAD_PARAMS, f"accounts: expected at most {MOST_ACCOUNTS} addresses")
    return [_parsed(Pubkey.from_string, text, "an address") for text in texts]


def _simulated(error: Any, logs: list[str], cu: int) -> dict[str, Any]:
    return {"err": error, "logs": logs, "unitsConsumed": cu, "accounts": None, "returnData": None}


def _failed(error: Any, logs: list[str], cu: int) -> CallError:
    return CallError(PREFLIGHT_FAILED, f"Transaction simulation failed: {error}", _simulated(error, logs, cu))


def _outcome(error: Any) -> dict[str, Any]:
    return {"Ok": None} if error is None else {"Err": error}


def _status(landed: Landed | None) -> dict[str, Any] | None:
    if landed is None:
        return None
    return {
        "slot": landed.slot,
        "confirmations": None,
        "err": landed.error,
        "status": _outcome(landed.error),
        "confirmationStatus": "finalized",
    }


def _transaction_json(landed: Landed) -> dict[str, Any]:
    empty = ("innerInstructions", "preBalances", "postBalances", "preTokenBalances", "postTokenBalances", "rewards")
    meta = {
        "err": landed.error,
        "status": _outcome(landed.error),
        "fee": FEE_LAMPORTS,
        "logMessages": landed.logs,
        "computeUnitsConsumed": landed.cu,
        "loadedAddresses": {"writable": [], "readonly": []},
    }
    return {
        "slot": landed.slot,
        "blockTime": landed.seconds,
        "version": "legacy",
        "transaction": [base64.b64encode(landed.raw).decode(), "base64"],
        "meta": meta | {name: [] for name in empty},
    }
