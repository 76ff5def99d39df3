"""WebSocket subscriptions: accountSubscribe, programSubscribe, signatureSubscribe, slotSubscribe, logsSubscribe."""

import itertools
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from wm_live.localnet.base_chain.chain import Chain, Landed
from wm_live.localnet.base_chain.ids import CLOCK
from wm_live.localnet.base_chain.methods import UNKNOWN_METHOD, CallError, Params
from wm_live.localnet.base_chain.outbox import Outbox
from wm_live.localnet.base_chain.wire import account_json

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
    """One subscription of one connection. about: an address, a signature, or None for slots and logs."""

    number: int
    kind: str
    about: Pubkey | Signature | None
    config: dict[str, Any]
    outbox: Outbox


class Subscriptions:
    """The subscriptions of all connections. The chain calls it when a transaction lands and when the slot advances."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._numbers = itertools.count(1)
        self._by: dict[tuple[str, Pubkey | Signature | None], dict[int, Subscription]] = {}
        chain.landed = self._landed

    def add(self, method: str, params: Params, outbox: Outbox) -> Subscription:
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
        subscription = Subscription(next(self._numbers), kind, about, config, outbox)
        self._by.setdefault((kind, about), {})[subscription.number] = subscription
        return subscription

    def has(self, subscription: Subscription) -> bool:
        """Whether it still runs; a signature's ends by itself."""
        return subscription.number in self._by.get((subscription.kind, subscription.about), {})

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; nothing happens if it has ended."""
        subscriptions = self._by.get((subscription.kind, subscription.about), {})
        subscriptions.pop(subscription.number, None)
        if not subscriptions:
            self._by.pop((subscription.kind, subscription.about), None)

    def catch_up(self, subscription: Subscription) -> None:
        """Notify of a signature that landed before the subscription. Call it after the subscription was confirmed."""
        if isinstance(subscription.about, Signature) and (landed := self.chain.transactions.get(subscription.about)):
            self._signature(subscription, landed)

    def ticked(self) -> None:
        """Notify of the new slot."""
        slot = self.chain.now.slot
        for subscription in self._of("slot", None):
            _push(subscription, {"parent": slot - 1, "root": slot - 32, "slot": slot})
        self._account(CLOCK)

    def _of(self, kind: str, about: Pubkey | Signature | None) -> list[Subscription]:
        return list(self._by.get((kind, about), {}).values())

    def _landed(self, landed: Landed) -> None:
        for subscription in self._of("signature", landed.signature):
            self._signature(subscription, landed)
        for subscription in self._of("logs", None):
            value = {"signature": str(landed.signature), "err": landed.error, "logs": landed.logs}
            _push(subscription, self._with_slot(value))
        for address in landed.written:
            self._account(address)
        # Only its own program changes an account's data: the others' (perhaps large) accounts need no look.
        for program in landed.keys:
            for subscription in self._of("program", program):
                self._program(subscription, program, landed)

    def _signature(self, subscription: Subscription, landed: Landed) -> None:
        _push(subscription, self._with_slot({"err": landed.error}))
        self.remove(subscription)

    def _account(self, address: Pubkey) -> None:
        for subscription in self._of("account", address):
            account = account_json(self.chain.account(address), subscription.config)
            _push(subscription, self._with_slot(account or _NOTHING))

    def _program(self, subscription: Subscription, program: Pubkey, landed: Landed) -> None:
        for address in landed.written:
            account = self.chain.account(address)
            if account is not None and account.owner == program:
                shown = {"pubkey": str(address), "account": account_json(account, subscription.config)}
                _push(subscription, self._with_slot(shown))

    def _with_slot(self, value: Any) -> dict[str, Any]:
        return {"context": {"slot": self.chain.now.slot}, "value": value}


def _push(subscription: Subscription, result: Any) -> None:
    params = {"result": result, "subscription": subscription.number}
    subscription.outbox.put({"jsonrpc": "2.0", "method": f"{subscription.kind}Notification", "params": params})
