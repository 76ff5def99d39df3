"""JSON-RPC responses, validated into typed values. A node is not trusted to follow the protocol."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from solders.hash import Hash, ParseHashError
from solders.pubkey import Pubkey

from wm_live.errors import WmLiveError

MAX_LOGS = 1_000
#: Of a node's words that are repeated: the system program writes no longer line.
MOST_LETTERS = 1_000


@dataclass(frozen=True)
class AccountInfo:
    """An account of getAccountInfo. data: all of its bytes, or the dataSlice that was requested."""

    lamports: int
    owner: Pubkey
    data: bytes
    executable: bool


@dataclass(frozen=True)
class Blockhash:
    """A blockhash, and the last block height at which a transaction with it can land."""

    hash: Hash
    last_valid_height: int


@dataclass(frozen=True)
class Status:
    """A transaction that landed in `slot`. error: JSON as nodes write it, None if it passed."""

    slot: int
    error: Any
    confirmed: bool

    @property
    def custom(self) -> int | None:
        """The number of the program's own error, if that is what it failed with."""
        return custom_error(self.error)


@dataclass(frozen=True)
class TransactionInfo:
    """What is known of a landed transaction. cu: compute units it used."""

    slot: int
    error: Any
    logs: tuple[str, ...]
    cu: int


@dataclass(frozen=True)
class Simulation:
    """What a transaction would do. lamports: of each watched account afterwards, 0 for one that is not there."""

    error: Any
    logs: tuple[str, ...]
    lamports: tuple[int, ...]

    @property
    def custom(self) -> int | None:
        """The number of the program's own error, if that is what it fails with."""
        return custom_error(self.error)


class BadAnswerError(WmLiveError):
    """An answer that is not what the protocol says."""


def need(value: Any, kind: type, what: str) -> Any:
    """`value` if it is of this JSON type (whole numbers of 64 bits for int); BadAnswerError otherwise."""
    if not isinstance(value, kind) or (kind is int and not _is_count(value)):
        raise BadAnswerError(f"{what}: expected {kind.__name__}, got {value!r:.80}")
    return value


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def value_of(result: Any) -> Any:
    """The value of an answer that names its slot."""
    if "value" not in need(result, dict, "answer"):
        raise BadAnswerError(f"answer: expected a value with its context, got {result!r:.80}")
    return result["value"]


def address_in(value: Any) -> Pubkey:
    """An address in base58."""
    try:
        return Pubkey.from_string(need(value, str, "address"))
    except ValueError as error:
        raise BadAnswerError(f"address: {error}") from None


def account_of(value: Any) -> AccountInfo | None:
    """An account in base64; None for one that does not exist."""
    if value is None:
        return None
    fields = need(value, dict, "account")
    data = need(fields.get("data"), list, "account data")
    if len(data) != 2 or data[1] != "base64":
        raise BadAnswerError(f"account data: expected base64, got {data!r:.80}")
    try:
        raw = base64.b64decode(need(data[0], str, "account data"), validate=True)
        owner = Pubkey.from_string(need(fields.get("owner"), str, "account owner"))
    except (binascii.Error, ValueError) as error:
        raise BadAnswerError(f"account: {error}") from None
    lamports = need(fields.get("lamports"), int, "account lamports")
    return AccountInfo(lamports, owner, raw, need(fields.get("executable"), bool, "account executable"))


def blockhash_of(value: Any) -> Blockhash:
    """A blockhash with its last valid height."""
    fields = need(value, dict, "blockhash")
    try:
        blockhash = Hash.from_string(need(fields.get("blockhash"), str, "blockhash"))
    except (ValueError, ParseHashError) as error:
        raise BadAnswerError(f"blockhash: {error!s:.100}") from None
    return Blockhash(blockhash, need(fields.get("lastValidBlockHeight"), int, "lastValidBlockHeight"))


def status_of(value: Any) -> Status | None:
    """A signature's status; None if it is not known to have landed."""
    if value is None:
        return None
    fields = need(value, dict, "status")
    confirmed = fields.get("confirmationStatus") in ("confirmed", "finalized")
    return Status(need(fields.get("slot"), int, "status slot"), fields.get("err"), confirmed)


def transaction_of(value: Any) -> TransactionInfo | None:
    """A landed transaction; None if it is not known."""
    if value is None:
        return None
    fields = need(value, dict, "transaction")
    meta = need(fields.get("meta"), dict, "transaction meta")
    cu = need(meta.get("computeUnitsConsumed", 0), int, "compute units")
    return TransactionInfo(need(fields.get("slot"), int, "slot"), meta.get("err"), logs_of(meta), cu)


def simulation_of(value: Any, watched: int) -> Simulation:
    """What a simulation says of so many watched accounts."""
    fields = need(value, dict, "simulation")
    error, logs = fields.get("err"), logs_of(fields)
    if error is not None:
        return Simulation(error, logs, ())
    accounts = need(fields.get("accounts"), list, "simulated accounts")
    if len(accounts) != watched:
        raise BadAnswerError(f"simulated accounts: asked for {watched}, got {len(accounts)}")
    found = [account_of(account) for account in accounts]
    return Simulation(None, logs, tuple(account.lamports if account else 0 for account in found))


def logs_of(fields: Any) -> tuple[str, ...]:
    """Log lines of a transaction or of a failed simulation; none where there are none."""
    lines = (fields.get("logMessages") or fields.get("logs")) if isinstance(fields, dict) else None
    return tuple(f"{line!s:.{MOST_LETTERS}}" for line in lines[:MAX_LOGS]) if isinstance(lines, list) else ()


def custom_error(error: Any) -> int | None:
    """The program's own error number in a transaction's error, say 1 in {"InstructionError": [0, {"Custom": 1}]}."""
    pair = error.get("InstructionError") if isinstance(error, dict) else None
    reason = pair[1] if isinstance(pair, list) and len(pair) == 2 else None
    number = reason.get("Custom") if isinstance(reason, dict) else None
    return number if type(number) is int else None
