"""HTTP and WebSocket around a chain, on 127.0.0.1 only."""

import asyncio
import json
import logging
from typing import Any

from aiohttp import WSMsgType, web

from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.methods import INTERNAL, INVALID_REQUEST, CallError, Methods, Params
from wm_live.localnet.base_chain.subscriptions import Subscription, Subscriptions

HOST = "127.0.0.1"
MAX_BODY = 16 << 20
log = logging.getLogger(__name__)


class Endpoint:
    """A chain's two ports: calls on `port`, subscriptions on `port + 1`, as clients of Solana expect."""

    def __init__(self, chain: Chain, port: int) -> None:
        self.chain, self.port = chain, port
        self.methods = Methods(chain)
        self.subscriptions = Subscriptions(chain)

    async def run(self, ready: asyncio.Event) -> None:
        """Serve until cancelled; `ready` is set once both ports answer."""
        runners = [
            await _listen(web.post("/", self._http), self.port),
            await _listen(web.get("/", self._websocket), self.port + 1),
        ]
        ready.set()
        try:
            while True:
                await asyncio.sleep(self.chain.slot_ms / 1000)
                self.chain.tick()
                self.subscriptions.ticked()
        finally:
            for runner in runners:
                await runner.cleanup()

    async def _http(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return web.json_response(_error(None, CallError(-32700, "Parse error")))
        answer: Any = [self._answer(call) for call in body] if isinstance(body, list) else self._answer(body)
        return web.json_response(answer)

    def _answer(self, call: Any) -> dict[str, Any]:
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _error(None, CallError(INVALID_REQUEST, "Invalid request"))
        try:
            result = self.methods.call(call["method"], call.get("params"))
        except CallError as error:
            return _error(call.get("id"), error)
        except Exception as error:
            log.exception("%s", call["method"])
            return _error(call.get("id"), CallError(INTERNAL, f"Internal error: {error!r}"))
        return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=MAX_BODY)
        await socket.prepare(request)
        outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        wishes: dict[int, Subscription] = {}
        pump = asyncio.create_task(_pump(socket, outbox))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._wish(message.data, wishes, outbox)
        finally:
            pump.cancel()
            for wish in wishes.values():
                self.subscriptions.remove(wish)
        return socket

    def _wish(self, text: str, wishes: dict[int, Subscription], outbox: "asyncio.Queue[dict[str, Any]]") -> None:
        """One message of a client: begin or end a subscription."""
        call: Any = None
        try:
            call = json.loads(text)
            method, params = call["method"], Params(call.get("params") or [])
            if method.endswith("Unsubscribe"):
                wish = wishes.pop(params.number(0), None)
                if wish:
                    self.subscriptions.remove(wish)
                outbox.put_nowait({"jsonrpc": "2.0", "id": call.get("id"), "result": wish is not None})
                return
            wish = self.subscriptions.add(method, params, outbox)
        except CallError as error:
            outbox.put_nowait(_error(call.get("id"), error))
        except (ValueError, TypeError, KeyError, AttributeError):
            outbox.put_nowait(_error(None, CallError(INVALID_REQUEST, "Invalid request")))
        else:
            wishes[wish.number] = wish
            outbox.put_nowait({"jsonrpc": "2.0", "id": call.get("id"), "result": wish.number})
            self.subscriptions.catch_up(wish)


async def _pump(socket: web.WebSocketResponse, outbox: "asyncio.Queue[dict[str, Any]]") -> None:
    while True:
        await socket.send_json(await outbox.get())


async def _listen(route: web.RouteDef, port: int) -> web.AppRunner:
    application = web.Application(client_max_size=MAX_BODY)
    application.add_routes([route])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


def _error(number: Any, error: CallError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": error.json()}
