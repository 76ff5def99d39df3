"""python -m wm_live.bench.public_node: stands before a node of one's own, and answers as public nodes do.

They limit how often they are asked (HTTP 429, with and without Retry-After) and how much at once (413), lose answers
after they have done what was asked, drop transactions until their blockhash expires, and are many machines behind one
address: one that tries out a transaction may not know the blockhash yet, nor what has just landed. What a subscription
tells comes late or not at all, and subscriptions end (they are on the next port, as nodes have it). What fails when is
drawn from a seed.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from wm_live import bounded_json
from wm_live.chain.rpc import BEHIND, MAX_ANSWER, TOO_LARGE, TOO_OFTEN, Reply, websocket_url
from wm_live.localnet.base_chain.endpoint import HOST

#: Of the window in which calls of one method are counted.
WINDOW_S = 10.0
PREFLIGHT_FAILED = -32002
BLOCKHASH_NOT_FOUND = "BlockhashNotFound"
#: When accounts began that were there before.
ALWAYS = float("-inf")


@dataclass(frozen=True)
class Faults:
    """How often what fails, as a share of the calls that it can happen to.

    busy        HTTP 429; every second one says after how many seconds to come again
    lost        no answer, to what has been done
    dropped     transactions that are taken, and never passed on
    unknown     transactions that are tried out by a machine that does not know their blockhash
    lag_s       how far machines that try out transactions are behind the others
    most_bytes  of a request (413 beyond)
    rate        calls of one method in 10 s (429 beyond); None for any number
    refused     methods that it has no time for at all (429)
    late        notifications that come `late_s` seconds later than they should, and those behind them with them
    missed      notifications that never come
    hung_up     notifications instead of which the subscription ends
    """

    busy: float = 0.05
    lost: float = 0.05
    dropped: float = 0.05
    unknown: float = 0.05
    lag_s: float = 2.0
    most_bytes: int = 2_048
    rate: int | None = None
    refused: tuple[str, ...] = ()
    late: float = 0.05
    late_s: float = 1.0
    missed: float = 0.05
    hung_up: float = 0.02


class PublicNode:
    """What is between clients and a node.

    forward  gives the node's answer to a body
    now      seconds of a clock
    told     counts of what has failed, by the names of Faults
    """

    def __init__(
        self,
        forward: Callable[[bytes], Awaitable[bytes]],
        faults: Faults,
        seed: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.told: Counter[str] = Counter()
        self._forward, self._faults, self._now = forward, faults, now
        self._random = random.Random(seed)
        self._dropped: set[str] = set()
        self._began: dict[Pubkey, float] = {}
        self._slots: deque[tuple[float, int]] = deque(maxlen=1_000)
        self._calls: dict[str, deque[float]] = {}

    async def answer(self, body: bytes) -> Reply | None:
        """The answer to one call; None where it is lost."""
        try:
            call = bounded_json.parse(body)
            method = str(call["method"])
        except (ValueError, TypeError, KeyError):
            return Reply(400, b"expected one call of JSON-RPC")
        refused = self._too_much(method, len(body)) or self._tried_out(call)
        if refused is not None:
            return refused
        found = self._drop(call)
        if found is None:
            if method == "sendTransaction":
                await self._learn(call)
            found = await self._forward(body)
            self._see(method, bounded_json.parse(found).get("result"))
        return None if self._happens("lost", self._faults.lost) else Reply(200, found)

    async def tell(self, told: AsyncIterator[str], on: Callable[[str], Awaitable[None]]) -> None:
        """Pass on what a node tells a subscriber, until the node ends it or this does."""
        async for text in told:
            if "method" in bounded_json.parse(text):  # else it answers a call
                if self._happens("hung_up", self._faults.hung_up):
                    return
                if self._happens("missed", self._faults.missed):
                    continue
                if self._happens("late", self._faults.late):
                    await asyncio.sleep(self._faults.late_s)
            await on(text)

    def _happens(self, name: str, share: float) -> bool:
        happens = self._random.random() < share
        self.told[name] += happens
        return happens

    # --- limits ---

    def _too_much(self, method: str, size: int) -> Reply | None:
        if size > self._faults.most_bytes:
            self.told["most_bytes"] += 1
            return Reply(TOO_LARGE, b"Payload Too Large")
        if method in self._faults.refused or self._over_the_rate(method) or self._happens("busy", self._faults.busy):
            text = {"jsonrpc": "2.0", "error": {"code": TOO_OFTEN, "message": "Too many requests"}}
            return Reply(TOO_OFTEN, json.dumps(text).encode(), float(self.told["busy"] % 2))
        return None

    def _over_the_rate(self, method: str) -> bool:
        if self._faults.rate is None:
            return False
        calls, now = self._calls.setdefault(method, deque()), self._now()
        while calls and calls[0] < now - WINDOW_S:
            calls.popleft()
        over = len(calls) >= self._faults.rate
        if not over:
            calls.append(now)
        self.told["rate"] += over
        return over

    # --- machines that are behind ---

    def _tried_out(self, call: dict[str, Any]) -> Reply | None:
        """What a machine that is behind says of a transaction; None where that is what all others say."""
        method = call["method"]
        config = call["params"][1] if method in ("simulateTransaction", "sendTransaction") else {"skipPreflight": True}
        if config.get("skipPreflight"):
            return None
        slot, behind = self._slot_behind(), self._now() - self._faults.lag_s
        if slot < config.get("minContextSlot", 0):
            self.told["lag_s"] += 1
            return _error(call, BEHIND[-1], "Minimum context slot has not been reached", {"contextSlot": slot})
        if any(self._began.get(key, ALWAYS) > behind for key in _keys(call["params"][0])):
            self.told["lag_s"] += 1
            return _failed(call, slot, "AccountNotFound")
        if method == "sendTransaction" and self._happens("unknown", self._faults.unknown):
            return _failed(call, slot, BLOCKHASH_NOT_FOUND)
        return None

    def _slot_behind(self) -> int:
        """The newest slot that was told as long ago as machines are behind."""
        past = [slot for seen, slot in self._slots if seen <= self._now() - self._faults.lag_s]
        return max(past, default=0)

    async def _learn(self, call: dict[str, Any]) -> None:
        """Keep which accounts a transaction that is passed on may make: those that are not there yet."""
        new = [key for key in _keys(call["params"][0]) if key not in self._began]
        if new:
            config = {"encoding": "base64", "dataSlice": {"offset": 0, "length": 0}}
            asked = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "getMultipleAccounts",
                "params": [list(map(str, new)), config],
            }
            there = bounded_json.parse(await self._forward(json.dumps(asked).encode()))["result"]["value"]
            self._began |= {
                key: self._now() if there is None else ALWAYS for key, there in zip(new, there, strict=True)
            }

    def _see(self, method: str, result: Any) -> None:
        """Keep when a slot was told."""
        slot = result if method == "getSlot" else _context_slot(result)
        if slot is not None:
            self._slots.append((self._now(), slot))

    # --- transactions that never arrive ---

    def _drop(self, call: dict[str, Any]) -> bytes | None:
        """The answer to a transaction that is not passed on, neither now nor when it is sent again."""
        if call["method"] != "sendTransaction":
            return None
        signature = str(_transaction(call["params"][0]).signatures[0])
        if signature not in self._dropped and not self._happens("dropped", self._faults.dropped):
            return None
        self._dropped.add(signature)
        return json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": signature}).encode()


def _transaction(text: str) -> VersionedTransaction:
    return VersionedTransaction.from_bytes(base64.b64decode(text))


def _keys(text: str) -> list[Pubkey]:
    return list(_transaction(text).message.account_keys)


def _context_slot(result: Any) -> int | None:
    return result["context"]["slot"] if isinstance(result, dict) and "context" in result else None


def _error(call: dict[str, Any], code: int, message: str, data: Any) -> Reply:
    error = {"code": code, "message": message, "data": data}
    return Reply(200, json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": error}).encode())


def _failed(call: dict[str, Any], slot: int, error: str) -> Reply:
    """What a machine says of a transaction that fails as it sees it."""
    outcome: dict[str, Any] = {"err": error, "logs": [], "accounts": None, "unitsConsumed": 0}
    if call["method"] == "sendTransaction":
        return _error(call, PREFLIGHT_FAILED, f"Transaction simulation failed: {error}", outcome)
    result = {"context": {"slot": slot}, "value": outcome}
    return Reply(200, json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode())


# --- over HTTP ---


def application(node: PublicNode) -> web.Application:
    """A web application that answers as the node does."""

    async def answer(request: web.Request) -> web.StreamResponse:
        reply = await node.answer(await request.read())
        if reply is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        headers = {"Retry-After": f"{reply.retry_after_s:.0f}"} if reply.retry_after_s else {}
        return web.Response(status=reply.status, body=reply.body, headers=headers, content_type="application/json")

    made = web.Application()
    made.router.add_post("/", answer)
    return made


def subscriptions(node: PublicNode, session: aiohttp.ClientSession, behind: str) -> web.Application:
    """A web application that passes subscriptions on to the WebSocket at `behind`, as the node does."""

    async def texts(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[str]:
        async for message in socket:
            yield message.data

    async def subscribe(request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse()
        await client.prepare(request)
        async with session.ws_connect(behind, max_msg_size=MAX_ANSWER) as upstream:

            async def ask() -> None:
                async for message in client:
                    await upstream.send_str(message.data)

            both = [asyncio.create_task(part) for part in (ask(), node.tell(texts(upstream), client.send_str))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for part in both:
                    part.cancel()
                await asyncio.gather(*both, return_exceptions=True)
                await client.close()
        return client

    made = web.Application()
    made.router.add_get("/", subscribe)
    return made


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wm_live.bench.public_node", description=__doc__)
    parser.add_argument("--node", default="http://127.0.0.1:8899", help="the node behind it [%(default)s]")
    parser.add_argument(
        "--port", type=int, default=9_899, help="where it answers, on 127.0.0.1, and behind it [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what fails when [%(default)s]")
    for name in ("busy", "lost", "dropped", "unknown", "late", "missed", "hung_up"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=float, default=getattr(Faults, name), help="a share [%(default)s]")
    parser.add_argument("--lag-s", type=float, default=Faults.lag_s, help="of machines behind [%(default)s]")
    parser.add_argument("--late-s", type=float, default=Faults.late_s, help="of notifications [%(default)s]")
    parser.add_argument("--most-bytes", type=int, default=Faults.most_bytes, help="of a request [%(default)s]")
    parser.add_argument("--rate", type=int, help="calls of one method in 10 s [any number]")
    parser.add_argument("--refused", action="append", default=[], metavar="METHOD", help="never answered; repeatable")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    given = vars(arguments)
    faults = Faults(**{field: given[field] for field in Faults.__dataclass_fields__})
    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def forward(body: bytes) -> bytes:
            async with session.post(arguments.node, data=body) as response:
                return await response.read()

        node = PublicNode(forward, faults, arguments.seed)
        parts = application(node), subscriptions(node, session, websocket_url(arguments.node))
        for port, part in enumerate(parts, arguments.port):
            runner = web.AppRunner(part, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, HOST, port).start()
        print(f"READY http://{HOST}:{arguments.port}, before {arguments.node}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_arguments()))
