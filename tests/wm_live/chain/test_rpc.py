"""The client against nodes that do not do as they should."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ServerTimeoutError, WSMessage, WSMsgType, web
from aiohttp.test_utils import TestServer
from solders.pubkey import Pubkey

from wm_live.chain import rpc as module
from wm_live.chain.answers import AccountInfo, BadAnswerError
from wm_live.chain.rpc import HungUpError, Rpc, RpcError, websocket_url
from wm_live.chain.urls import redacted
from wm_live.chain.wallet import cluster_url
from wm_live.errors import WmLiveError

ADDRESS = Pubkey.new_unique()
GOOD = {"lamports": 1, "owner": str(ADDRESS), "data": ["AAEC", "base64"], "executable": False}


def against(answers: list[tuple[int, Any]], work: Callable[[Rpc], Awaitable[Any]]) -> Any:
    """Run `work` against a node that gives these (HTTP status, body) in turn, the last one for ever."""

    async def answer(_: web.Request) -> web.Response:
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))

    async def run() -> Any:
        application = web.Application()
        application.router.add_post("/", answer)
        async with TestServer(application) as server, Rpc(str(server.make_url("/"))) as rpc:
            return await work(rpc)

    return asyncio.run(run())


def value(of: Any) -> dict[str, Any]:
    return {"result": {"context": {"slot": 1}, "value": of}}


def test_account() -> None:
    account = against([(200, value(GOOD))], lambda rpc: rpc.account(ADDRESS))
    assert account.data == b"\0\1\2" and account.owner == ADDRESS and account.lamports == 1
    assert against([(200, value(None))], lambda rpc: rpc.account(ADDRESS)) is None


@pytest.mark.parametrize(
    "answer",
    [
        value("text"),
        value({}),
        value(GOOD | {"lamports": -1}),
        value(GOOD | {"lamports": True}),
        value(GOOD | {"owner": "I0l"}),
        value(GOOD | {"data": ["AAEC", "base58"]}),
        value(GOOD | {"data": ["?", "base64"]}),
        value(GOOD | {"data": "AAEC"}),
        value(GOOD | {"executable": 1}),
        {"result": [GOOD]},
        {"result": {"context": {}}},
        {"ok": 1},
        value(GOOD | {"lamports": 1 << 64}),
        value(GOOD | {"lamports": 1.0}),
        [],
        {"error": "text"},
        {"error": None},
    ],
)
def test_nonsense_is_named(answer: Any) -> None:
    with pytest.raises(BadAnswerError, match=r"expected|account"):
        against([(200, answer)], lambda rpc: rpc.account(ADDRESS))


@pytest.mark.parametrize(
    "work",
    [
        lambda rpc: rpc.slot(),
        lambda rpc: rpc.balance(ADDRESS),
        lambda rpc: rpc.latest_blockhash(),
        lambda rpc: rpc.statuses(["a"]),
        lambda rpc: rpc.accounts([ADDRESS]),
        lambda rpc: rpc.send(b""),
        lambda rpc: rpc.transaction("a"),
        lambda rpc: rpc.airdrop(ADDRESS, 1),
    ],
)
def test_every_method_checks_what_it_gets(work: Callable[[Rpc], Awaitable[Any]]) -> None:
    with pytest.raises(BadAnswerError):
        against([(200, value([{"blockhash": 1}, 2]))], work)


def test_program_error_is_decoded() -> None:
    data = {"err": {"InstructionError": [2, {"Custom": 6001}]}, "logs": ["one", "two"]}
    error = {"error": {"code": -32002, "message": "simulation failed", "data": data}}
    with pytest.raises(RpcError, match=r"(?s)simulation failed.*two") as refused:
        against([(200, error)], lambda rpc: rpc.send(b"x"))
    assert (refused.value.code, refused.value.custom, refused.value.logs) == (-32002, 6001, ("one", "two"))


def test_a_busy_node_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_WAIT_S", 0.001)
    assert against([(429, "slow down"), (503, ""), (200, {"result": 5})], lambda rpc: rpc.slot()) == 5
    with pytest.raises(RpcError, match="HTTP 429") as gave_up:
        against([(429, "slow down")], lambda rpc: rpc.slot())
    assert gave_up.value.code == 429


def test_too_large_an_answer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 1_000)
    with pytest.raises(BadAnswerError, match="larger than 1,000"):
        against([(200, {"result": "x" * 2_000})], lambda rpc: rpc.slot())


@pytest.mark.parametrize(
    "answer",
    [
        "[" * 100_000,
        '{"result": ' + "[" * 40 + "]" * 40 + "}",
        '{"result": ' + '{"a": ' * 40 + "1" + "}" * 41,
        '{"result": [' + "0," * 1_000_001 + "0]}",
        '{"result": NaN}',
        '{"result": ' + "1" * 5_000 + "}",
        '{"result": "\ud800',
    ],
)
def test_json_that_no_node_writes(answer: str) -> None:
    with pytest.raises(RpcError, match="expected JSON"):
        against([(200, answer)], lambda rpc: rpc.slot())


@pytest.mark.parametrize(
    "answer",
    [
        value({"blockhash": "", "lastValidBlockHeight": 1}),
        value({"blockhash": "1" * 50, "lastValidBlockHeight": 1}),
        value({"blockhash": str(ADDRESS), "lastValidBlockHeight": 1 << 64}),
    ],
)
def test_a_blockhash_that_is_none(answer: Any) -> None:
    with pytest.raises(BadAnswerError):
        against([(200, answer)], lambda rpc: rpc.latest_blockhash())


def test_a_node_s_words_are_cut() -> None:
    data = {"err": "x", "logs": ["y" * 5_000] * 2_000}
    with pytest.raises(RpcError) as refused:
        against([(200, {"error": {"message": "z" * 100_000, "code": 1 << 80, "data": data}})], lambda rpc: rpc.slot())
    assert len(str(refused.value)) < 6_000


def test_a_node_does_not_send_a_client_elsewhere() -> None:
    async def run() -> None:
        asked: list[str] = []

        async def elsewhere(request: web.Request) -> web.Response:
            asked.append(request.path)
            return web.Response(status=307, headers={"location": "/other"})

        application = web.Application()
        application.router.add_post("/{path:.*}", elsewhere)
        async with TestServer(application) as server, Rpc(str(server.make_url("/"))) as rpc:
            with pytest.raises(RpcError, match="HTTP 307"):
                await rpc.slot()
        assert asked == ["/"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "told", ["[" * 100_000, "{}" * 2, "[]", '{"method": "accountNotification", "params": 1}', b"x"]
)
def test_a_subscription_that_tells_nonsense(told: str | bytes) -> None:
    async def tell(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await (socket.send_str(told) if isinstance(told, str) else socket.send_bytes(told))
        async for _ in socket:
            pass
        return socket

    async def run() -> None:
        application = web.Application()
        application.router.add_get("/", tell)
        async with TestServer(application) as server, Rpc(f"http://127.0.0.1:{server.port - 1}") as rpc:  # type: ignore[operator]
            with pytest.raises(BadAnswerError):
                await anext(rpc.subscribe_account(ADDRESS))

    asyncio.run(run())


def test_a_subscription_that_the_node_ends_says_how_it_runs_again() -> None:
    async def end(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        return socket

    async def run() -> None:
        application = web.Application()
        application.router.add_get("/", end)
        async with TestServer(application) as server, Rpc(f"http://127.0.0.1:{server.port - 1}") as rpc:  # type: ignore[operator]
            with pytest.raises(RpcError, match=r"ended the subscription; .* next: wmq localnet"):
                await anext(rpc.subscribe_account(ADDRESS))

    asyncio.run(run())


def test_a_node_that_falls_silent_has_ended_the_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library then gives is an error in the place of a message."""

    class Silent:
        async def __aenter__(self) -> "Silent":
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def send_json(self, call: Any) -> None:
            pass

        async def __aiter__(self) -> AsyncGenerator[WSMessage, None]:
            yield WSMessage(WSMsgType.ERROR, ServerTimeoutError("no PONG"), None)

    async def run() -> None:
        async with Rpc("http://127.0.0.1:1") as rpc:
            monkeypatch.setattr(rpc._session, "ws_connect", lambda *_, **__: Silent())
            with pytest.raises(HungUpError):
                await anext(rpc.subscribe_account(ADDRESS))

    asyncio.run(run())


def test_a_subscription_that_the_node_ends_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it tells something in between; else it is given up."""
    monkeypatch.setattr(module, "HANG_UP_S", 0.0)
    begun: list[int] = []

    class Ending(Rpc):
        async def subscribe_account(
            self, address: Pubkey, subscribed: asyncio.Event | None = None
        ) -> AsyncGenerator[AccountInfo | None, None]:
            begun.append(len(begun))
            if begun[-1] < 20 and begun[-1] % module.MOST_HANG_UPS == 0:
                yield AccountInfo(begun[-1], address, b"", executable=False)
            raise HungUpError("ended")

    async def run() -> list[int]:
        told: list[int] = []
        with pytest.raises(HungUpError):
            async for account in Ending("http://127.0.0.1:1").follow_account(ADDRESS):
                assert account is not None
                told.append(account.lamports)
        return told

    told = asyncio.run(run())
    assert told == [0, 6, 12, 18] and len(begun) == 18 + module.MOST_HANG_UPS + 1


def test_no_json_and_no_node() -> None:
    with pytest.raises(RpcError, match="expected JSON, got b'<html>'"):
        against([(200, "<html>")], lambda rpc: rpc.slot())
    with pytest.raises(WmLiveError, match="no node's address"):
        Rpc("localhost:8899")


@pytest.mark.parametrize(("age_s", "heights"), [(1e9, (1, 1)), (-1.0, (1, 2))])
def test_blockhash_is_kept_a_moment(monkeypatch: pytest.MonkeyPatch, age_s: float, heights: tuple[int, int]) -> None:
    monkeypatch.setattr(module, "BLOCKHASH_AGE_S", age_s)
    fresh = [{"blockhash": str(Pubkey.new_unique()), "lastValidBlockHeight": n} for n in (1, 2)]

    async def twice(rpc: Rpc) -> tuple[int, int]:
        return (await rpc.latest_blockhash()).last_valid_height, (await rpc.latest_blockhash()).last_valid_height

    assert against([(200, value(answer)) for answer in fresh], twice) == heights


def test_websocket_url() -> None:
    assert websocket_url("http://127.0.0.1:8899") == "ws://127.0.0.1:8900"
    assert websocket_url("https://api.devnet.solana.com") == "wss://api.devnet.solana.com"
    assert websocket_url("https://node.example/?key=1") == "wss://node.example/?key=1"


# --- URLs with keys in them ---

KEY = "k3y0123456789abcdef"
WITH_KEYS = {
    f"https://node.example/?api-key={KEY}": "https://node.example/?***",
    f"https://node.example:8899/v2/{KEY}": "https://node.example:8899/v2/***",
    f"https://user:{KEY}@node.example/rpc": "https://***@node.example/rpc",
    f"https://{KEY}@node.example#{KEY}": "https://***@node.example?***",
    "http://127.0.0.1:8899": "http://127.0.0.1:8899",
    "https://api.devnet.solana.com": "https://api.devnet.solana.com",
    f"htps://node.example/{KEY}": "htps://node.example/***",
    f"node.example/{KEY}": "***",
    f"http://[{KEY}": "***",
}


@pytest.mark.parametrize("url", WITH_KEYS)
def test_keys_in_a_url_are_not_shown(url: str) -> None:
    assert redacted(url) == WITH_KEYS[url] and KEY not in redacted(websocket_url(url) if "[" not in url else url)
    with pytest.raises(WmLiveError) as refused:
        cluster_url(url.replace("http", "nttp"))
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("path", [f"/?api-key={KEY}", f"/v2/{KEY}"])
def test_errors_of_a_node_do_not_say_its_key(path: str) -> None:
    """Of calls and of subscriptions, by a node that answers nonsense and by one that does not answer."""

    async def calls(url: str) -> list[str]:
        said = []
        async with Rpc(url, timeout_s=1) as rpc:
            assert KEY not in rpc.url
            for work in (rpc.slot(), anext(rpc.subscribe_account(ADDRESS))):
                with pytest.raises(WmLiveError) as refused:
                    await work
                said.append(str(refused.value))
        return said

    async def nonsense(_: web.Request) -> web.Response:
        return web.Response(status=500, text="<html>")

    async def run() -> list[str]:
        application = web.Application()
        application.router.add_route("*", "/{any:.*}", nonsense)
        async with TestServer(application) as server:
            return await calls(str(server.make_url(path))) + await calls(f"http://user:{KEY}@127.0.0.1:1{path}")

    said = asyncio.run(run())
    assert len(said) == 4 and all("127.0.0.1" in text and KEY not in text for text in said), said
