"""Accounts and transactions in the JSON encoding of Solana's RPC."""

import base64
from typing import Any

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.transaction_metadata import TransactionMetadata

#: What a node says for an account exempt from rent.
RENT_EXEMPT_EPOCH = 2**64 - 1


def _name(variant: object) -> str:
    """`BlockhashNotFound` of TransactionErrorFieldless.BlockhashNotFound."""
    return str(variant).rsplit(".", 1)[-1]


def _instruction_error(error: Any) -> Any:
    if hasattr(error, "code"):
        return {"Custom": error.code}
    if hasattr(error, "value"):
        return {"BorshIoError": error.value}
    return _name(error)


def error_json(error: Any) -> Any:
    """A transaction's error as nodes write it, say {"InstructionError": [0, {"Custom": 1}]}."""
    kind = type(error).__name__
    if kind == "TransactionErrorInstructionError":
        return {"InstructionError": [error.index, _instruction_error(error.err)]}
    if kind == "TransactionErrorInsufficientFundsForRent":
        return {"InsufficientFundsForRent": {"account_index": error.account_index}}
    if kind == "TransactionErrorDuplicateInstruction":
        return {"DuplicateInstruction": error.index}
    return _name(error)


def meta_of(result: Any) -> TransactionMetadata:
    """Logs and units of a LiteSVM result, passed or failed."""
    return result if isinstance(result, TransactionMetadata) else result.meta()


def account_json(account: Account | None, config: dict[str, Any]) -> dict[str, Any] | None:
    """An account as getAccountInfo shows it, always in base64; `dataSlice` of the config cuts its data."""
    if account is None:
        return None
    data = bytes(account.data)
    size, cut = len(data), config.get("dataSlice")
    if cut is not None:
        data = data[cut["offset"] : cut["offset"] + cut["length"]]
    return {
        "lamports": account.lamports,
        "data": [base64.b64encode(data).decode(), "base64"],
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": RENT_EXEMPT_EPOCH,
        "space": size,
    }


def read_account(svm: LiteSVM, address: Any) -> Account | None:
    """An account that exists: LiteSVM keeps some that have no lamports left."""
    account = svm.get_account(address)
    return account if account is not None and account.lamports else None
