"""Lies of a node, seeded: some are told all the time, others by chance in any answer.

A told lie is (method, params, answer) -> answer, where an answer is the JSON of a response, an HTTP status and its
text, or None for none at all. One object holds the lies of one run, and lies the same for the same seed.
"""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from solders.hash import Hash
from solders.pubkey import Pubkey

from wm_export.schema.program_errors import ERRORS
from wm_live.chain.addresses import DELEGATION_PROGRAM, LOADER, SYSTEM_PROGRAM

Answer = dict[str, Any] | tuple[int, bytes] | None
Told = Callable[["Lies", str, list[Any], Answer], Answer]

ACCOUNTS = ("getAccountInfo", "getMultipleAccounts")
NUMBERS = (0, 1, 5_000, 1 << 31, 1 << 53, (1 << 63) - 1, (1 << 64) - 1, 1 << 64, -1)
THEIRS = Pubkey(bytes([7]) * 32)
OWNERS = (THEIRS, SYSTEM_PROGRAM, DELEGATION_PROGRAM, LOADER)
#: Chances of a lie in an answer.
RATES = (0.0, 0.02, 0.1, 0.4)


@dataclass
class Lies:
    """What one node says that is not so. `others`: accounts that it may show in place of the one asked for."""

    rng: np.random.Generator
    told: list[Told] = field(default_factory=list)
    rate: float = 0.0
    others: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int) -> "Lies":
        """Up to three lies that are told all the time, and some by chance; a tenth of the nodes lie only by chance."""
        rng = np.random.default_rng(seed)
        told = [TOLD[i] for i in rng.choice(len(TOLD), rng.integers(0, 4), replace=False)]
        return cls(rng, told, float(rng.choice(RATES)) if told else float(rng.choice(RATES[1:])))

    def chance(self, of: float) -> bool:
        """Whether something of this chance happens now."""
        return bool(self.rng.random() < of)

    def tell(self, method: str, params: list[Any], answer: Answer) -> Answer:
        """What is said in place of the true answer."""
        answer = copy.deepcopy(answer)
        for lie in self.told:
            answer = lie(self, method, params, answer)
        if self.chance(self.rate):
            answer = by_chance(self.rng, answer)
        return answer


# ------------------------------------------------------------------------------------------------------- all the time


def _accounts(answer: Answer) -> list[dict[str, Any] | None]:
    """The accounts in an answer, to be changed in place; none in one of another form."""
    result = answer.get("result") if isinstance(answer, dict) else None
    value = result.get("value") if isinstance(result, dict) else None
    if isinstance(value, dict) and "accounts" in value:
        value = value["accounts"]
    return value if isinstance(value, list) else [value]


def _each_account(change: Callable[["Lies", str, dict[str, Any]], Any], *methods: str) -> Told:
    """A lie about every account, by its address, in answers of these methods."""

    def lie(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
        if method in (methods or ACCOUNTS):
            names = params[0] if isinstance(params[0], list) else [params[0]]
            for name, account in zip(names, _accounts(answer), strict=False):
                if isinstance(account, dict):
                    change(lies, str(name), account)
        return answer

    return lie


def _steady(lies: Lies, name: str, of: int) -> int:
    """A number below `of` that stays the same for a name."""
    if name not in lies.asked:
        lies.asked[name] = int(lies.rng.integers(1 << 30))
    return lies.asked[name] % of


def _answer(wanted: str, made: Callable[[Lies], Any], valued: bool = True) -> Told:
    """A lie in place of every result of a method."""

    def lie(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
        if method != wanted:
            return answer
        return {"result": {"context": {"slot": 1}, "value": made(lies)} if valued else made(lies)}

    return lie


def _error(lies: Lies) -> Any:
    """A transaction's error, as nodes write it: often one of the program's own."""
    known = int(lies.rng.choice([0, 1, *range(6_000, 6_000 + len(ERRORS))]))
    other = ["BlockhashNotFound", "AlreadyProcessed", "InvalidWritableAccount", {"InstructionError": [0, "Custom"]}]
    return other[lies.rng.integers(len(other))] if lies.chance(0.3) else {"InstructionError": [0, {"Custom": known}]}


def nothing_there(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Some accounts are not shown."""
    if method == "getAccountInfo" and isinstance(answer, dict) and _steady(lies, str(params[0]), 2):
        return {"result": {"context": {"slot": 1}, "value": None}}
    return answer


def now_and_then(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Accounts are shown every other time."""
    lies.asked[f"count {params}"] = count = lies.asked.get(f"count {params}", 0) + 1
    return {"result": {"context": {"slot": 1}, "value": None}} if method == "getAccountInfo" and count % 2 else answer


def nothing_taken(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """A simulation takes nothing: every account has as much as it wants."""
    if method != "simulateTransaction":
        return answer
    addresses = params[1].get("accounts", {}).get("addresses", [])
    rich = {"lamports": 1 << 60, "owner": str(SYSTEM_PROGRAM), "data": ["", "base64"], "executable": False}
    value = {"err": None, "logs": [], "accounts": [rich for _ in addresses]}
    return {"result": {"context": {"slot": 1}, "value": value}}


def fails(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """A simulation or a sending fails with some error."""
    if method == "simulateTransaction" and lies.chance(0.5):
        return {"result": {"context": {"slot": 1}, "value": {"err": _error(lies), "logs": ["[/red]\x1b[2J"] * 2_000}}}
    if method == "sendTransaction" and lies.chance(0.5):
        return {"error": {"code": -32002, "message": "failed", "data": {"err": _error(lies), "logs": []}}}
    return answer


def unknown_blockhash(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """What was taken is said not to have been: to have it signed again."""
    if method == "sendTransaction" and lies.chance(0.8):
        return {"error": {"code": -32002, "message": "Blockhash not found", "data": {"err": "BlockhashNotFound"}}}
    return answer


def never_landed(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """No transaction ever landed, and all have expired."""
    if method == "getSignatureStatuses":
        return {"result": {"context": {"slot": 1}, "value": [None] * len(params[0])}}
    return {"result": 1 << 50} if method == "getBlockHeight" else answer


def landed_late(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Half of all transactions have expired, whatever became of them."""
    if method == "getSignatureStatuses" and isinstance(answer, dict) and "result" in answer:
        there = answer["result"]["value"]
        value = [None if _steady(lies, name, 2) else status for name, status in zip(params[0], there, strict=True)]
        return {"result": {"context": {"slot": 1}, "value": value}}
    return {"result": 1 << 50} if method == "getBlockHeight" else answer


def landed_and_failed(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Transactions have landed, and failed."""
    if method == "getSignatureStatuses" and lies.chance(0.5):
        status = {"slot": 3, "err": _error(lies), "confirmationStatus": "finalized"}
        return {"result": {"context": {"slot": 1}, "value": [status] * len(params[0])}}
    return answer


def all_landed(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Every transaction has passed, before it could."""
    if method == "getSignatureStatuses":
        status = {"slot": 3, "err": None, "confirmationStatus": "finalized"}
        return {"result": {"context": {"slot": 1}, "value": [status] * len(params[0])}}
    return answer


def stale(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Always what was said first."""
    return lies.seen.setdefault(json.dumps([method, params]), answer) if method != "sendTransaction" else answer


def busy(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Too much to do."""
    return (int(lies.rng.choice([429, 502, 503, 504])), b"busy") if lies.chance(0.3) else answer


def silent(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """No answer to what was taken."""
    return None if method in ("sendTransaction", "getSignatureStatuses") and lies.chance(0.5) else answer


def listed(lies: Lies, method: str, params: list[Any], answer: Answer) -> Answer:
    """Accounts of a program: too many, or made up."""
    if method != "getProgramAccounts":
        return answer
    return {
        "result": [{"pubkey": str(Pubkey(lies.rng.bytes(32)))} for _ in range(int(lies.rng.choice([1, 2, 100, 101])))]
    }


def _other_account(lies: Lies, name: str, account: dict[str, Any]) -> None:
    """In place of some accounts another is shown, always the same."""
    others = lies.others
    others.append(dict(account))
    if _steady(lies, name, 3) == 0:
        account.update(others[_steady(lies, f"{name} other", 1 << 20) % min(len(others), 8)])


def _damaged(lies: Lies, name: str, account: dict[str, Any]) -> None:
    """Some bytes of an account are others, always the same ones."""
    raw = bytearray(base64.b64decode(account["data"][0]))
    steady = np.random.default_rng(_steady(lies, name, 1 << 30))
    if raw and steady.random() < 0.5:
        for _ in range(steady.integers(1, 9)):
            raw[steady.integers(min(len(raw), 400))] = steady.integers(256)
        account["data"] = [base64.b64encode(bytes(raw)).decode(), "base64"]


TOLD: list[Told] = [
    _answer("getBalance", lambda lies: 0),
    _answer("getBalance", lambda lies: 1 << 62),
    _answer("getBalance", lambda lies: int(lies.rng.integers(1 << 40))),
    _answer("getLatestBlockhash", lambda lies: {"blockhash": str(Hash(lies.rng.bytes(32))), "lastValidBlockHeight": 9}),
    _answer("getLatestBlockhash", lambda lies: {"blockhash": str(Hash.default()), "lastValidBlockHeight": 1 << 60}),
    _answer("getBlockHeight", lambda lies: 1 << 50, valued=False),
    _answer("getBlockHeight", lambda lies: 0, valued=False),
    _answer("getSlot", lambda lies: 0, valued=False),
    _answer("getMinimumBalanceForRentExemption", lambda lies: 1 << 50, valued=False),
    _answer("getFeeForMessage", lambda lies: 1 << 50),
    _answer("getTransaction", lambda lies: {"slot": 1, "meta": {"err": _error(lies)}}, valued=False),
    _answer("requestAirdrop", lambda lies: "1" * 64, valued=False),
    _answer("getIdentity", lambda lies: {"identity": str(THEIRS)}, valued=False),
    _each_account(lambda lies, name, it: it.update(lamports=0)),
    _each_account(lambda lies, name, it: it.update(lamports=1 << 60)),
    _each_account(lambda lies, name, it: it.update(lamports=0), "simulateTransaction"),
    _each_account(lambda lies, name, it: it.update(owner=str(OWNERS[_steady(lies, name, len(OWNERS))]))),
    _each_account(lambda lies, name, it: it.update(owner=str(DELEGATION_PROGRAM))),
    _each_account(lambda lies, name, it: it.update(data=["", "base64"])),
    _each_account(_other_account),
    _each_account(_damaged),
    nothing_there,
    now_and_then,
    nothing_taken,
    fails,
    unknown_blockhash,
    never_landed,
    landed_late,
    landed_and_failed,
    all_landed,
    stale,
    busy,
    silent,
    listed,
]


# ---------------------------------------------------------------------------------------------------------- by chance


def by_chance(rng: np.random.Generator, answer: Answer) -> Answer:
    """Another answer: none, one of another form, or the same with one value changed."""
    if answer is None or rng.random() < 0.2:
        whole: list[Answer] = [
            None,
            (200, b""),
            (200, b"<html>"),
            (200, b"[" * 200_000),
            (503, b"busy"),
            (200, b'{"result": NaN}'),
            {},
            {"result": None},
            {"result": []},
            {"result": {"value": None}},
            {"result": {"value": {}}},
            {"error": None},
            {"error": []},
            {"error": {"code": -32005, "message": "[/b]" * 9}},
            {"error": {"code": "x", "message": {}, "data": []}},
        ]
        return whole[rng.integers(len(whole))]
    return _changed(rng, answer)


def _changed(rng: np.random.Generator, value: Any) -> Any:
    """`value` with one leaf of it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = list(value)[rng.integers(len(value))]
        return value | {key: _changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = int(rng.integers(len(value)))
        return [_changed(rng, one) if i == at else one for i, one in enumerate(value)]
    return _leaf(rng, value)


def _leaf(rng: np.random.Generator, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int) and rng.random() < 0.9:
        near = [value + 1, value - 1, 2 * value, value // 2, int(rng.integers(1 << 40))]
        return [*NUMBERS, *near][rng.integers(len(NUMBERS) + len(near))]
    if isinstance(value, str) and rng.random() < 0.9:
        return _text(rng, value)
    others = [None, 0, -1, 1 << 63, "", "x", [], {}, [None], {"a": 1}, 1.5, False]
    return others[rng.integers(len(others))]


def _text(rng: np.random.Generator, value: str) -> str:
    """Another address, or other bytes in base64."""
    kind = rng.integers(6)
    if kind == 0:
        return str(OWNERS[rng.integers(len(OWNERS))])
    if kind == 1:
        return value[: int(rng.integers(len(value) + 1))]
    if kind == 2:
        return value + "AAAA" * int(rng.integers(1, 50))
    raw = bytearray(value.encode())
    for _ in range(rng.integers(1, 5)):
        if raw:
            raw[rng.integers(min(len(raw), 600))] = b"ABCDEFGHIJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789+/"[
                rng.integers(60)
            ]
    return raw.decode()
