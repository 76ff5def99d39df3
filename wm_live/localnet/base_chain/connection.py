"""One client's WebSocket connection: the subscriptions that it has begun, and what waits to be sent to it."""

from typing import Any

from wm_live.localnet.base_chain.calls import error_json, method_of, parse
from wm_live.localnet.base_chain.methods import INVALID_REQUEST, CallError, Params
from wm_live.localnet.base_chain.outbox import Outbox
from wm_live.localnet.base_chain.subscriptions import Subscription, Subscriptions

#: The rollup's validator follows every account that it has cloned, all over one connection.
MOST_SUBSCRIPTIONS = 10_000


class Connection:
    """What one client has subscribed to."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self.outbox = Outbox()
        self._subscriptions = subscriptions
        self._own: dict[int, Subscription] = {}

    def take(self, text: str) -> None:
        """One message of the client: begin or end a subscription. The answer goes to the outbox."""
        number: Any = None
        try:
            call = parse(text)
            method, number = method_of(call)
            params = Params(call.get("params") or [])
            if method.endswith("Unsubscribe"):
                self._confirm(number, self._forget(params.number(0)))
            else:
                self._begin(method, number, params)
        except CallError as error:
            self.outbox.put(error_json(number, error))

    def end(self) -> None:
        """The client has gone."""
        for number in list(self._own):
            self._forget(number)

    def _begin(self, method: str, number: Any, params: Params) -> None:
        if len(self._own) >= MOST_SUBSCRIPTIONS:
            self._own = {n: own for n, own in self._own.items() if self._subscriptions.has(own)}
        if len(self._own) >= MOST_SUBSCRIPTIONS:
            raise CallError(INVALID_REQUEST, f"a connection has at most {MOST_SUBSCRIPTIONS:,} subscriptions")
        begun = self._subscriptions.add(method, params, self.outbox)
        self._own[begun.number] = begun
        self._confirm(number, begun.number)
        self._subscriptions.catch_up(begun)

    def _forget(self, number: int) -> bool:
        """End a subscription; False if it is none of this client's."""
        over = self._own.pop(number, None)
        if over is not None:
            self._subscriptions.remove(over)
        return over is not None

    def _confirm(self, number: Any, result: Any) -> None:
        self.outbox.put({"jsonrpc": "2.0", "id": number, "result": result})
