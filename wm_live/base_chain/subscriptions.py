"""Who wants to be told of what, over WebSocket."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from wm_live.base_chain.chain import Chain, Landed
from wm_live.base_chain.ids import CLOCK
from wm_live.base_chain.methods import UNKNOWN_METHOD, CallError, Params
from wm_live.base_chain.wire import account_json

_NOTHING = {
    "lamports": 0,
    "data": ["", "base64"],
    "owner": str(Pubkey.default()),
    "executable": False,
    "rentEpoch": 0,
    "space": 0,
}


@dataclass(frozen=True)
class Subscription:
    """One wish of one connection. about: an address, a signature, or None for slots and logs."""

    number: int
    kind: str
    about: Pubkey | Signature | None
    config: dict[str, Any]
    outbox: "asyncio.Queue[dict[str, Any]]"


class Subscriptions:
    """All connections' wishes; told by the chain what landed and when the clock moved."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._numbers = itertools.count(1)
        self._by: dict[tuple[str, Pubkey | Signature | None], dict[int, Subscription]] = {}
        chain.landed = self._landed

    def add(self, method: str, params: Params, outbox: "asyncio.Queue[dict[str, Any]]") -> Subscription:
        """Begin a subscription; CallError for a kind that does not exist."""
        about: Pubkey | Signature | None = None
        kind = method.removesuffix("Subscribe")
        if kind in ("account", "program"):
            about = params.address(0)
        elif kind == "signature":
            about = params.signature(0)
        elif kind not in ("slot", "logs"):
            raise CallError(UNKNOWN_METHOD, f"Method not found: {method!r:.60}")
        config = {} if kind == "slot" else params.config(1)
        wish = Subscription(next(self._numbers), kind, about, config, outbox)
        self._by.setdefault((kind, about), {})[wish.number] = wish
        return wish

    def remove(self, wish: Subscription) -> None:
        """End a subscription; nothing happens if it has ended."""
        wishes = self._by.get((wish.kind, wish.about), {})
        wishes.pop(wish.number, None)
        if not wishes:
            self._by.pop((wish.kind, wish.about), None)

    def catch_up(self, wish: Subscription) -> None:
        """Tell of a signature that landed before anybody asked. Call it after the subscription was confirmed."""
        if isinstance(wish.about, Signature) and (landed := self.chain.transactions.get(wish.about)):
            self._signature(wish, landed)

    def ticked(self) -> None:
        """The clock has moved."""
        slot = self.chain.now.slot
        for wish in self._of("slot", None):
            _push(wish, {"parent": slot - 1, "root": slot - 32, "slot": slot})
        self._account(CLOCK)

    def _of(self, kind: str, about: Pubkey | Signature | None) -> list[Subscription]:
        return list(self._by.get((kind, about), {}).values())

    def _landed(self, landed: Landed) -> None:
        for wish in self._of("signature", landed.signature):
            self._signature(wish, landed)
        for wish in self._of("logs", None):
            value = {"signature": str(landed.signature), "err": landed.error, "logs": landed.logs}
            _push(wish, self._with_slot(value))
        for address in landed.written:
            self._account(address)
        # Only its own program changes an account's data: the others' (perhaps large) accounts need no look.
        for program in landed.keys:
            for wish in self._of("program", program):
                self._program(wish, program, landed)

    def _signature(self, wish: Subscription, landed: Landed) -> None:
        _push(wish, self._with_slot({"err": landed.error}))
        self.remove(wish)

    def _account(self, address: Pubkey) -> None:
        for wish in self._of("account", address):
            account = account_json(self.chain.account(address), wish.config)
            _push(wish, self._with_slot(account or _NOTHING))

    def _program(self, wish: Subscription, program: Pubkey, landed: Landed) -> None:
        for address in landed.written:
            account = self.chain.account(address)
            if account is not None and account.owner == program:
                shown = {"pubkey": str(address), "account": account_json(account, wish.config)}
                _push(wish, self._with_slot(shown))

    def _with_slot(self, value: Any) -> dict[str, Any]:
        return {"context": {"slot": self.chain.now.slot}, "value": value}


def _push(wish: Subscription, result: Any) -> None:
    params = {"result": result, "subscription": wish.number}
    wish.outbox.put_nowait({"jsonrpc": "2.0", "method": f"{wish.kind}Notification", "params": params})
