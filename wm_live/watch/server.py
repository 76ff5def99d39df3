"""A local web server for one feed: a static page, and a WebSocket that carries the frames.

    GET /            the page, and its parts beside it (FILES)
    GET /feed        WebSocket, JSON text: {"hello": {...}}, then {"frames": [...]} as often as there are some, at last
                     {"end": null} or, if the feed failed, {"end": "why"}. What pages say goes to whoever listens
                     (arena.Hands), as a rule nobody

Only 127.0.0.1 is bound, and only requests that name this server as their host are answered: a page from elsewhere can
neither read the feed nor reach it under a name of its own. Frames lie in one ring that every viewer reads at its own
pace; nothing waits for a viewer.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path

from aiohttp import WSMsgType, hdrs, web

from wm_live.errors import WmLiveError
from wm_live.watch.viewer import Feed

HOST = "127.0.0.1"
PAGES = Path(__file__).resolve().parent / "pages"
#: Path -> (file of PAGES, content type). Nothing else is served.
FILES = {
    "/": ("watch.html", "text/html"),
    "/theme.css": ("theme.css", "text/css"),
    "/watch.css": ("watch.css", "text/css"),
    "/watch.js": ("watch.js", "text/javascript"),
    "/frames.js": ("frames.js", "text/javascript"),
    "/draw.js": ("draw.js", "text/javascript"),
    "/pad.js": ("pad.js", "text/javascript"),
    "/hands.js": ("hands.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Frames kept of a live feed: one minute at 60 a second. Of anything else all are kept.
HISTORY = 3600
#: Frames in one message at most.
BATCH = 240
#: A viewer of a live feed that is this far behind the newest frame goes on with the newest.
BACKLOG = 120
#: Seconds between signs of life to a viewer; one that does not answer is let go.
HEARTBEAT = 20.0
#: Seconds that viewers have to take the end of a feed.
LAST_WORDS = 2.0
#: Connections that are served at a time; a browser has a handful.
MOST_VIEWERS = 64
#: A viewer has little to say.
MAX_MESSAGE = 1024

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Ring:
    """The newest frames of a feed as JSON text, numbered from 0 in the order they came."""

    def __init__(self, keep: int | None) -> None:
        self._kept: deque[str] = deque(maxlen=keep)
        self._changed = asyncio.Event()
        self.count = 0
        self.end: str | None = None

    @property
    def first(self) -> int:
        """Number of the oldest frame kept."""
        return self.count - len(self._kept)

    def add(self, text: str) -> None:
        """Append a frame; the oldest goes where there is no room."""
        self._kept.append(text)
        self.count += 1
        self._wake()

    def close(self, end: str) -> None:
        """No more frames; `end` is the last message."""
        self.end = end
        self._wake()

    def since(self, at: int) -> list[str]:
        """At most BATCH frames from number `at` on, which must still be kept."""
        start = at - self.first
        return [self._kept[i] for i in range(start, min(start + BATCH, len(self._kept)))]

    async def change(self) -> None:
        """Until the next frame, or the end."""
        await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Cursor:
    """How far one viewer has read a ring. Of a live feed it may lose frames, never the newest."""

    def __init__(self, ring: Ring, live: bool) -> None:
        self._ring, self._live, self._at, self._caught_up = ring, live, ring.first, False

    def take(self) -> list[str]:
        """The next frames, oldest first; empty if there are none yet."""
        ring = self._ring
        behind = self._caught_up and ring.count - self._at > BACKLOG
        if self._live and (behind or self._at < ring.first):
            self._at = ring.count - 1
        taken = ring.since(self._at)
        self._at += len(taken)
        self._caught_up = self._caught_up or self._at == ring.count
        return taken


def deaf(text: str) -> None:
    """Hears nothing of what a page says."""


class Watch:
    """A server for one feed."""

    def __init__(self, feed: Feed, port: int = 0, history: int = HISTORY, hear: Callable[[str], None] = deaf) -> None:
        """`port` 0 takes a free one; `history` frames of a live feed are kept; `hear` gets what pages say."""
        hello = feed.hello
        self._feed, self._wanted, self._live, self._hear = feed, port, hello.live, hear
        self._hello = json.dumps({"hello": hello.to_json() | {"history": history if hello.live else None}})
        self._ring = Ring(history if hello.live else None)
        self._pump: asyncio.Task[str | None] | None = None
        self._runner: web.AppRunner | None = None
        self._viewers: set[web.WebSocketResponse] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/"

    async def start(self) -> None:
        """Serve the page and begin to take frames. WmLiveError if the port is taken."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes([web.get(path, _file) for path in FILES])
        app.add_routes([web.get("/feed", self._serve_feed)])
        app.on_shutdown.append(self._let_go)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._wanted)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise WmLiveError(
                f"watch: port {self._wanted} of {HOST} cannot be taken ({error.strerror}); "
                "name another, or none for a free one"
            ) from None
        self.port = self._runner.addresses[0][1]
        self._pump = asyncio.create_task(self._take_frames())

    async def finish(self) -> None:
        """Wait until the feed has ended, and until every viewer knows; those that do not take it are not waited for."""
        await self.fed()
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_WORDS)

    async def stop(self) -> None:
        """End the feed and let every viewer go."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])  # how it ended is for fed() to say
        if self._runner is not None:
            await self._runner.cleanup()

    async def fed(self) -> str | None:
        """Wait for the feed's end; why it failed, or None. What came stays on the page."""
        assert self._pump is not None, "start() comes first"
        return await asyncio.shield(self._pump)

    async def _take_frames(self) -> str | None:
        try:
            async for message in self._feed.frames():
                self._ring.add(json.dumps(self._feed.hello.checked(message).to_json(), separators=(",", ":")))
                # a feed that never waits must not keep the viewers from being served
                await asyncio.sleep(0)
        except WmLiveError as error:
            return self._over(str(error))
        except Exception:
            self._over("an error in wmq; the terminal of the server says more")
            raise
        return self._over(None)

    def _over(self, why: str | None) -> str | None:
        self._ring.close(json.dumps({"end": why}))
        return why

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer only who names this server itself; a foreign name may have been pointed here (DNS rebinding)."""
        own = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        origin = request.headers.get(hdrs.ORIGIN)
        if request.headers.get(hdrs.HOST) not in own or origin not in {None, *(f"http://{name}" for name in own)}:
            return web.Response(status=403, text=f"This page is at {self.url} only.\n", headers=HEADERS)
        try:
            return await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise

    async def _serve_feed(self, request: web.Request) -> web.StreamResponse:
        if len(self._viewers) >= MOST_VIEWERS:
            return web.Response(status=503, text=f"{MOST_VIEWERS} viewers are all.\n", headers=HEADERS)
        viewer = web.WebSocketResponse(timeout=1.0, heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE, compress=False)
        await viewer.prepare(request)
        self._viewers.add(viewer)
        sending = asyncio.create_task(self._send_frames(viewer))
        self._sending.add(sending)
        try:
            # reading is what notices that a viewer has gone
            async for message in viewer:
                if message.type is WSMsgType.ERROR:
                    break
                if message.type is WSMsgType.TEXT:
                    self._hear(message.data)
        finally:
            self._viewers.discard(viewer)
            self._sending.discard(sending)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        return viewer

    async def _send_frames(self, viewer: web.WebSocketResponse) -> None:
        """What the feed has so far, then what comes. Waits for this viewer's connection and for nobody else's."""
        cursor = Cursor(self._ring, self._live)
        with suppress(ConnectionError):
            await viewer.send_str(self._hello)
            while True:
                end, frames = self._ring.end, cursor.take()
                if frames:
                    await viewer.send_str(f'{{"frames":[{",".join(frames)}]}}')
                elif end is not None:
                    await viewer.send_str(end)
                    return
                else:
                    await self._ring.change()

    async def _let_go(self, _: web.Application) -> None:
        for viewer in list(self._viewers):
            await viewer.close(code=1001, message=b"the server stops")


async def _file(request: web.Request) -> web.Response:
    name, kind = FILES[request.path]
    return web.Response(body=(PAGES / name).read_bytes(), content_type=kind, charset="utf-8", headers=HEADERS)


async def nothing() -> None:
    """What a page does besides, as a rule."""


async def serve(
    feed: Feed,
    port: int,
    report: Callable[[str], None],
    besides: Callable[[], Coroutine[None, None, None]] = nothing,
    hear: Callable[[str], None] = deaf,
) -> None:
    """Serve `feed` until cancelled. `report` gets the page's URL, and how the feed ended; `besides` runs meanwhile;
    `hear` gets what pages say."""
    watch = Watch(feed, port, hear=hear)
    await watch.start()
    other = asyncio.create_task(besides())
    try:
        report(f"{watch.url} shows it; Ctrl-C stops.")
        why = await watch.fed()
        report("The feed has ended; the page keeps what it showed." if why is None else f"The feed has stopped: {why}")
        await asyncio.Event().wait()
    finally:
        other.cancel()
        await watch.stop()
        await asyncio.wait([other])


def watch(
    feed: Feed,
    port: int,
    report: Callable[[str], None],
    besides: Callable[[], Coroutine[None, None, None]] = nothing,
    hear: Callable[[str], None] = deaf,
) -> None:
    """`wmq watch`: serve `feed` until Ctrl-C, and do something `besides`; `hear` gets what pages say. WmLiveError if
    the port is taken."""
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(feed, port, report, besides, hear))
