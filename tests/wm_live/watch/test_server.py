"""The viewer's server: what it sends, to whom, and that nobody can slow it down or read it from elsewhere."""

import asyncio
import json
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.wm_live.worlds import HELLO, ROLLOUT, Pushed, message
from wm_live.errors import WmLiveError
from wm_live.watch import server as module
from wm_live.watch.server import BACKLOG, BATCH, FILES, PAGES, Cursor, Ring, Watch, serve
from wm_live.watch.viewer import Feed, ListFeed

ROOT = Path(__file__).resolve().parents[3]
#: Generous: a test that waits this long has failed.
LIMIT = 300


@asynccontextmanager
async def serving(feed: Feed, **more: Any) -> AsyncIterator[Watch]:
    watch = Watch(feed, **more)
    await watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test(), LIMIT)

    asyncio.run(limited())


class Viewer:
    """A client that has connected to /feed: what it got so far."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.hello: dict[str, Any] = {}
        self.frames: list[dict[str, Any]] = []
        self.end: list[str | None] = []

    async def read(self, until: Callable[["Viewer"], bool]) -> "Viewer":
        while not until(self):
            data = json.loads(await self.socket.receive_str())
            self.hello = data.get("hello", self.hello)
            self.frames += data.get("frames", [])
            self.end += [data["end"]] if "end" in data else []
        return self

    @property
    def numbers(self) -> list[int]:
        return [frame["n"] for frame in self.frames]


@asynccontextmanager
async def viewing(watch: Watch, **more: Any) -> AsyncIterator[Viewer]:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{watch.url}feed", **more) as connection:
        yield Viewer(connection)


def over(viewer: Viewer) -> bool:
    return bool(viewer.end)


def test_a_viewer_gets_the_greeting_then_every_frame_then_the_end() -> None:
    sent = [message(n, real=message(n + 1).frame, cu=n) for n in range(5)]

    async def test() -> None:
        async with serving(ListFeed(HELLO, sent)) as watch, viewing(watch) as viewer:
            await viewer.read(over)
            assert viewer.hello == json.loads(json.dumps(HELLO.to_json() | {"history": 3600}))
            assert viewer.frames == [m.to_json() for m in sent]
            assert viewer.end == [None]

    run(test)


def test_a_page_that_finishes_tells_its_viewers_first() -> None:
    async def test() -> None:
        feed = Pushed()
        async with serving(feed) as watch, viewing(watch) as viewer, viewing(watch) as silent:
            feed.push(message(0))
            await viewer.read(lambda v: v.numbers == [0])
            feed.push(None)
            await watch.finish()
            await watch.stop()
            assert (await viewer.read(over)).end == [None]
            assert (await silent.read(over)).numbers == [0]

    run(test)


def test_frames_come_as_they_are_made() -> None:
    async def test() -> None:
        feed = Pushed()
        async with serving(feed) as watch, viewing(watch) as viewer:
            for n in range(3):
                feed.push(message(n))
                await viewer.read(lambda v, n=n: n in v.numbers)  # type: ignore[misc]
            assert viewer.numbers == [0, 1, 2]

    run(test)


@pytest.mark.parametrize(("hello", "first"), [(HELLO, 900), (ROLLOUT, 0)])
def test_who_comes_late_gets_the_history(hello: Any, first: int) -> None:
    async def test() -> None:
        async with serving(ListFeed(hello, [message(n) for n in range(1000)]), history=100) as watch:
            await watch.fed()
            async with viewing(watch) as viewer:
                assert (await viewer.read(over)).numbers == list(range(first, 1000))

    run(test)


def test_a_viewer_that_does_not_read_slows_nobody_down(monkeypatch: pytest.MonkeyPatch) -> None:
    total = 12_000  # more than the buffers between the two take
    monkeypatch.setattr(module, "HEARTBEAT", None)  # which would let it go on a slow machine

    async def test() -> None:
        feed = Pushed()
        async with serving(feed) as watch:
            connector = aiohttp.TCPConnector(socket_factory=lambda _: small_socket())
            async with aiohttp.ClientSession(connector=connector) as session:
                stuck = Viewer(await session.ws_connect(f"{watch.url}feed"))
                await stuck.read(lambda v: bool(v.hello))
                async with viewing(watch) as quick:
                    for n in range(0, total, 60):
                        feed.push(*(message(i, real=message(i).frame) for i in range(n, n + 60)))
                        await quick.read(lambda v, n=n: bool(v.frames) and v.frames[-1]["n"] == n + 59)  # type: ignore[misc]
                    assert quick.numbers == list(range(total))
                feed.push(message(total), None)
                await stuck.read(over)
                assert stuck.numbers[-1] == total and len(stuck.numbers) < total
                assert stuck.numbers == sorted(set(stuck.numbers))

    run(test)


def small_socket() -> socket.socket:
    """A socket that takes little of what is not read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    return made


def filled(count: int, keep: int | None) -> Ring:
    ring = Ring(keep)
    for n in range(count):
        ring.add(str(n))
    return ring


def test_a_live_viewer_that_falls_behind_goes_on_with_the_newest() -> None:
    async def test() -> None:
        ring = filled(10, None)
        cursor = Cursor(ring, live=True)
        assert cursor.take() == [str(n) for n in range(10)] and cursor.take() == []
        for n in range(10, 10 + BACKLOG):
            ring.add(str(n))
        assert cursor.take()[0] == "10"
        for n in range(BACKLOG + 1):
            ring.add(f"later {n}")
        assert cursor.take() == [f"later {BACKLOG}"]

    run(test)


def test_the_history_is_no_backlog() -> None:
    async def test() -> None:
        cursor = Cursor(filled(1000, None), live=True)
        assert [len(cursor.take()) for _ in range(5)] == [BATCH] * 4 + [1000 - 4 * BATCH]

    run(test)


def test_a_viewer_overtaken_by_the_ring_goes_on_with_the_newest() -> None:
    async def test() -> None:
        ring = filled(5 * BATCH, 5 * BATCH)
        cursor = Cursor(ring, live=True)
        cursor.take()
        for n in range(2 * BATCH):
            ring.add(f"later {n}")
        assert cursor.take() == [f"later {2 * BATCH - 1}"]

    run(test)


def test_a_rollout_is_read_whole_however_slowly() -> None:
    async def test() -> None:
        ring = filled(1, None)
        cursor = Cursor(ring, live=False)
        cursor.take()
        for n in range(BACKLOG * 3):
            ring.add(str(n))
        assert cursor.take()[0] == "0"

    run(test)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:{port}"}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_this_server_by_its_own_name(headers: dict[str, str], status: int) -> None:
    async def test() -> None:
        async with serving(ListFeed(HELLO, [])) as watch, aiohttp.ClientSession() as session:
            given = {name: value.format(port=watch.port) for name, value in headers.items()}
            async with session.get(watch.url, headers=given) as answer:
                assert answer.status == status and "default-src 'self'" in answer.headers["Content-Security-Policy"]
                assert ("<title>" in await answer.text()) == (status == 200)
            if status == 200:
                async with session.ws_connect(f"{watch.url}feed", headers=given) as connection:
                    assert "hello" in await connection.receive_json()
            else:
                with pytest.raises(aiohttp.WSServerHandshakeError):
                    await session.ws_connect(f"{watch.url}feed", headers=given)

    run(test)


def test_viewers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VIEWERS", 1)

    async def test() -> None:
        async with serving(Pushed()) as watch, viewing(watch):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with viewing(watch):
                    pass
            assert refused.value.status == 503

    run(test)


def test_every_part_of_the_page_is_served_and_nothing_else() -> None:
    html = (PAGES / "watch.html").read_text()
    named = {f"/{name}" for name in re.findall(r'(?:href|src)="([^"]+)"', html)}
    named |= {f"/{name}" for js in PAGES.glob("*.js") for name in re.findall(r'from "\./([^"]+)"', js.read_text())}
    assert named | {"/"} == set(FILES)

    async def test() -> None:
        async with serving(ListFeed(HELLO, [])) as watch, aiohttp.ClientSession() as session:
            for path, (name, kind) in FILES.items():
                async with session.get(f"{watch.url[:-1]}{path}") as answer:
                    assert answer.status == 200 and answer.content_type == kind
                    assert await answer.read() == (PAGES / name).read_bytes()
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            for path in ("/watch.html", "/../watch.py", "/%2e%2e/watch.py", "/pages"):
                async with session.get(f"{watch.url[:-1]}{path}") as answer:
                    assert answer.status == 404 and "Content-Security-Policy" in answer.headers

    run(test)


@pytest.mark.parametrize("path", sorted(PAGES.iterdir()), ids=lambda p: p.name)
def test_the_page_needs_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|url\(|@import|\beval\b|innerHTML|\sstyle=|<script>|\son[a-z]+=", text)


def test_only_this_machine_is_bound() -> None:
    async def test() -> None:
        async with serving(ListFeed(HELLO, [])) as watch:
            assert watch.url == f"http://127.0.0.1:{watch.port}/" and watch.port > 0
            assert watch._runner is not None and watch._runner.addresses == [("127.0.0.1", watch.port)]

    run(test)


def test_a_port_that_is_taken_is_said() -> None:
    async def test() -> None:
        async with serving(ListFeed(HELLO, [])) as watch:
            with pytest.raises(WmLiveError, match=f"port {watch.port} of 127.0.0.1 cannot be taken"):
                await Watch(ListFeed(HELLO, []), watch.port).start()

    run(test)


def test_why_a_feed_failed_is_told_and_what_came_stays() -> None:
    async def test() -> None:
        feed = Pushed()
        feed.push(message(0), WmLiveError("the rollup is gone"))
        async with serving(feed) as watch:
            assert await watch.fed() == "the rollup is gone"
            async with viewing(watch) as viewer:
                await viewer.read(over)
                assert viewer.numbers == [0] and viewer.end == ["the rollup is gone"]

    run(test)


def test_an_unexpected_error_is_not_swallowed() -> None:
    async def test() -> None:
        feed = Pushed(replace(HELLO, live=False))
        feed.push(KeyError("a bug"))
        with pytest.raises(KeyError, match="a bug"):
            await serve(feed, 0, lambda text: None)

    run(test)


def test_viewers_are_let_go_at_the_end() -> None:
    async def test() -> None:
        watch = Watch(Pushed())
        await watch.start()
        async with viewing(watch) as viewer:
            await viewer.read(lambda v: bool(v.hello))
            last = asyncio.create_task(viewer.socket.receive())
            await watch.stop()
            assert (await last).type is aiohttp.WSMsgType.CLOSE
            assert viewer.socket.close_code == 1001
        with pytest.raises(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as session, session.get(watch.url):
                pass

    run(test)


def test_ctrl_c_ends_it_quietly(python: str) -> None:
    code = (
        "from functools import partial\nfrom tests.wm_live.worlds import HELLO, message\n"
        "from wm_live.watch.viewer import ListFeed\nfrom wm_live.watch.server import watch\n"
        "watch(ListFeed(HELLO, [message(0)]), 0, partial(print, flush=True))"
    )
    process = subprocess.Popen(
        [python, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert re.match(r"http://127\.0\.0\.1:\d+/ shows it", lines[0]) and "has ended" in lines[1]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
