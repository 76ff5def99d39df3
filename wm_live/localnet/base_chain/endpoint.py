"""HTTP and WebSocket around a chain, on 127.0.0.1 only.

Only requests that name this server as their host are answered, and none that comes from a web page: browsers let any
page send requests to 127.0.0.1, and say by Origin where they come from.
"""

import asyncio
from contextlib import suppress

from aiohttp import WSMsgType, hdrs, web
from aiohttp.typedefs import Handler, Middleware

from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain import calls
from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.connection import Connection
from wm_live.localnet.base_chain.methods import INTERNAL, INVALID_REQUEST, CallError, Methods
from wm_live.localnet.base_chain.subscriptions import Subscriptions

HOST = "127.0.0.1"
#: Of each port: the rollup's validator and a handful of clients, each with its pool.
MOST_CONNECTIONS = 1_000
JSON = "application/json"


class Endpoint:
    """A chain's two ports: calls on `port`, subscriptions on `port + 1`, as clients of Solana expect."""

    def __init__(self, chain: Chain, port: int) -> None:
        self.chain, self.port = chain, port
        self.methods = Methods(chain)
        self.subscriptions = Subscriptions(chain)
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, ready: asyncio.Event) -> None:
        """Serve until cancelled; `ready` is set once both ports answer. WmLiveError if the chain cannot go on."""
        runners = [
            await _listen(web.post("/", self._http), self.port),
            await _listen(web.get("/", self._websocket), self.port + 1),
        ]
        ready.set()
        try:
            while not self._over.done():
                await asyncio.wait([self._over], timeout=self.chain.slot_ms / 1000)
                self.chain.tick()
                self.subscriptions.ticked()
            self._over.result()
        finally:
            for runner in runners:
                await runner.cleanup()

    async def _http(self, request: web.Request) -> web.Response:
        if request.content_type != JSON:
            return _refused(415, f"expected the content type {JSON}")
        try:
            text = calls.answer(self.methods, await request.read())
        except WmLiveError as error:
            if not self._over.done():
                self._over.set_exception(error)
            return _refused(500, str(error), INTERNAL)
        return web.Response(text=text, content_type=JSON)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=calls.MOST_BODY_BYTES)
        await socket.prepare(request)
        connection = Connection(self.subscriptions)
        pump = asyncio.create_task(_pump(socket, connection))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    connection.take(message.data)
        finally:
            connection.end()
            pump.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await pump
        return socket


async def _pump(socket: web.WebSocketResponse, connection: Connection) -> None:
    outbox = connection.outbox
    while not outbox.full:
        await socket.send_str(await outbox.take())
    connection.end()
    await socket.close(code=1008, message=b"too far behind")


async def _listen(route: web.RouteDef, port: int) -> web.AppRunner:
    application = web.Application(client_max_size=calls.MOST_BODY_BYTES, middlewares=[guard(port)])
    application.add_routes([route])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


def guard(port: int) -> Middleware:
    """What every request to `port` passes first; whoever does not gets an error of JSON-RPC all the same."""
    own = {f"{name}:{port}" for name in (HOST, "localhost")}

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get(hdrs.HOST) not in own or hdrs.ORIGIN in request.headers:
            return _refused(403, f"this chain answers programs of this machine, at {HOST}:{port}; no web pages")
        server = request.protocol._manager
        if server is not None and len(server.connections) > MOST_CONNECTIONS:
            return _refused(503, f"more than {MOST_CONNECTIONS:,} connections")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _refused(error.status, error.reason)

    return guarded


def _refused(status: int, why: str, code: int = INVALID_REQUEST) -> web.Response:
    return web.json_response(calls.error_json(None, CallError(code, why)), status=status)
