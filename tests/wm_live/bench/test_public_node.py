"""Deploying by a node as public ones are: it ends, costs what was said before, and nothing lands twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from solders.hash import Hash
from solders.keypair import Keypair
from solders.signature import Signature

from tests.wm_live.chains import SOL, InProcess, Recorder, tiny_world
from tests.wm_live.lying.clock import Clock, skip_time
from wm_export.solana.export import Export
from wm_export.solana.toolchain import Toolchain
from wm_live.bench.public_node import Faults, PublicNode, application, subscriptions
from wm_live.chain import rpc as rpc_module
from wm_live.chain import wallet
from wm_live.chain.answers import Status
from wm_live.chain.rpc import LostAnswerError, Reply, Rpc, RpcError
from wm_live.chain.transactions import signed
from wm_live.deploy.deploying import carry_out, prepare
from wm_live.deploy.deployment import Deployment
from wm_live.deploy.target import DeployTarget, read_blob
from wm_live.errors import WmLiveError

T = TypeVar("T")
Answers = Callable[[str, list[Any]], Any]
TRANSACTION = signed([], [Keypair()], Hash.default())
ADDRESS = Keypair().pubkey()
NONE = Faults(busy=0, lost=0, dropped=0, unknown=0, lag_s=0, most_bytes=1 << 20, late=0, missed=0, hung_up=0)


@pytest.fixture(scope="module")
def tiny(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return tiny_world(tmp_path_factory)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return skip_time(monkeypatch)


class ByPublicNode(InProcess):
    """A client of a chain in this process, with a public node between."""

    def __init__(self, chain: Recorder, faults: Faults, seed: int, clock: Clock) -> None:
        super().__init__(chain.chain)
        self.node = PublicNode(self._forward, faults, seed, clock.monotonic)

    async def _forward(self, body: bytes) -> bytes:
        call = json.loads(body)
        return json.dumps(self._call(call["method"], call["params"])).encode()

    async def _post(self, method: str, body: dict[str, Any]) -> Reply:
        await asyncio.sleep(0.05)
        reply = await self.node.answer(json.dumps(body).encode())
        if reply is None:
            raise LostAnswerError(f"{method}: no answer")
        return reply


def deployed(chain: Recorder, target: DeployTarget, faults: Faults, seed: int, clock: Clock) -> tuple[Any, Deployment]:
    """(what has failed on the way, what was planned) of a deployment that ended well."""

    async def run() -> tuple[Any, Deployment, bytes]:
        async with ByPublicNode(chain, faults, seed, clock) as rpc:
            deployment = await prepare(rpc, target, final=True)
            await carry_out(rpc, target, deployment)
            return rpc.node.told, deployment, await read_blob(rpc, target.shards[0])

    told, deployment, blob = asyncio.run(run())
    assert blob == target.export.blob
    return told, deployment


@pytest.mark.parametrize(
    ("faults", "seed"), [(Faults(), 2), (Faults(busy=0, rate=40), 6)], ids=["by chance", "40 in 10 s"]
)
def test_a_deployment_ends_and_costs_what_was_said(tiny: Export, clock: Clock, faults: Faults, seed: int) -> None:
    chain = Recorder(slot_ms=400)
    target = chain.fund(tiny)
    before, landed = chain.balance(target), len(chain.landed)
    told, deployment = deployed(chain, target, faults, seed, clock)
    limit = "rate" if faults.rate else "busy"
    assert all(told[name] for name in (limit, "lost", "dropped", "unknown", "lag_s", "most_bytes")), told
    assert len(chain.landed) - landed == deployment.transactions
    assert set(chain.written().values()) == {1}
    assert before - chain.balance(target) == deployment.fees + deployment.rent


# --- what the client makes of each fault, over HTTP ---


def by_http(
    faults: Faults, work: Callable[[Rpc], Coroutine[Any, Any, T]], done: Answers, kind: type[PublicNode] = PublicNode
) -> tuple[T, PublicNode]:
    """Have a client work over HTTP; `done` gives the node's result of a method."""

    async def forward(body: bytes) -> bytes:
        call = json.loads(body)
        return json.dumps({"result": done(call["method"], call["params"])}).encode()

    async def run() -> tuple[T, PublicNode]:
        node = kind(forward, faults, 5)
        async with TestServer(application(node)) as server, Rpc(str(server.make_url("/"))) as rpc:
            return await work(rpc), node

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Over HTTP nothing waits for long."""
    if "clock" not in request.fixturenames:
        monkeypatch.setattr(rpc_module, "BUSY_WAIT_S", 0.0)
        monkeypatch.setattr(wallet, "LOST_AIRDROP_S", 0.0)


def test_lost_answers_and_refusals_are_asked_for_again() -> None:
    async def work(rpc: Rpc) -> list[int]:
        rpc._held = _no_hold  # type: ignore[method-assign]
        return [await rpc.slot() for _ in range(60)]

    slots, node = by_http(replace(NONE, busy=0.3, lost=0.3), work, lambda method, params: 7)
    assert slots == [7] * 60 and node.told["busy"] > 10 and node.told["lost"] > 10


async def _no_hold() -> None:
    """Whatever the node wants."""


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"{}", b"7"])
def test_what_is_no_call_is_said_to_be_none(body: bytes) -> None:
    async def forward(body: bytes) -> bytes:
        raise AssertionError("not passed on")

    reply = asyncio.run(PublicNode(forward, NONE, 0).answer(body))
    assert reply is not None and reply.status == 400


def test_a_transaction_whose_answer_is_lost_is_not_sent_again_by_itself() -> None:
    """Whether it has landed has to be asked first."""
    sent: list[str] = []

    def done(method: str, params: list[Any]) -> Any:
        sent.append(method)
        return {"value": [None]} if method == "getMultipleAccounts" else "1" * 64

    async def work(rpc: Rpc) -> RpcError:
        with pytest.raises(LostAnswerError) as lost:
            await rpc.send(bytes(TRANSACTION))
        return lost.value

    error, _ = by_http(replace(NONE, lost=1.0), work, done)
    assert error.maybe_done and sent == ["getMultipleAccounts", "sendTransaction"]


def test_a_request_that_is_too_large_is_made_in_parts() -> None:
    signatures = [str(Signature.new_unique()) for _ in range(100)]

    async def work(rpc: Rpc) -> list[Status | None]:
        await rpc.statuses(signatures)
        return await rpc.statuses(signatures)

    def done(method: str, params: list[Any]) -> Any:
        values = [{"slot": signatures.index(one), "err": None} for one in params[0]]
        return {"context": {"slot": 1}, "value": values}

    found, node = by_http(replace(NONE, most_bytes=2_048), work, done)
    assert [status and status.slot for status in found] == list(range(100))
    assert node.told["most_bytes"] == 3  # 100, 50, 25; from then on it is known


def test_as_long_as_a_node_wants_to_be_left_alone_no_call_is_made(clock: Clock) -> None:
    made: list[float] = []

    class Busy(Rpc):
        async def _post(self, method: str, body: dict[str, Any]) -> Reply:
            made.append(clock.now)
            return Reply(429, b"", 20.0) if len(made) == 1 else Reply(200, b'{"result": 7}')

    async def run() -> None:
        async with Busy("http://127.0.0.1:1") as rpc:
            await rpc.slot()
            await rpc.slot()

    asyncio.run(run())
    assert made[1] - made[0] >= 20


def test_a_node_that_wants_to_be_left_alone_for_an_hour_is_given_up() -> None:
    class Busy(Rpc):
        async def _post(self, method: str, body: dict[str, Any]) -> Reply:
            return Reply(429, b"", 3_600.0)

    async def run() -> None:
        async with Busy("http://127.0.0.1:1") as rpc:
            with pytest.raises(RpcError, match=r"HTTP 429.*name a node of your own"):
                await rpc.slot()

    asyncio.run(run())


# --- the faucet ---


def test_a_faucet_that_gives_no_more_is_told_with_where_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wallet, "is_local", lambda url: False)
    asked: list[str] = []

    def done(method: str, params: list[Any]) -> Any:
        asked.append(method)
        return {"value": 5}

    async def work(rpc: Rpc) -> str:
        key = Keypair()
        with pytest.raises(
            WmLiveError, match=r"HTTP 429.*0\.000000005 SOL of 1; next: run the same again later"
        ) as told:
            await wallet.fund(rpc, key, SOL)
        assert str(key.pubkey()) in str(told.value) and wallet.FAUCET_PAGE in str(told.value)
        return str(told.value)

    by_http(replace(NONE, refused=("requestAirdrop",)), work, done)
    assert asked == ["getBalance"]


def test_lamports_whose_answer_was_lost_are_seen_in_the_balance() -> None:
    given: list[int] = []

    def done(method: str, params: list[Any]) -> Any:
        if method == "requestAirdrop":
            given.append(params[1])
            return "1" * 64
        return {"value": sum(given)}

    async def work(rpc: Rpc) -> int:
        return await wallet.fund(rpc, Keypair(), SOL)

    class Deaf(PublicNode):
        async def answer(self, body: bytes) -> Reply | None:
            reply = await super().answer(body)
            return None if json.loads(body)["method"] == "requestAirdrop" else reply

    balance, _ = by_http(NONE, work, done, Deaf)
    assert balance == SOL and given == [SOL]


# --- subscriptions ---


def notified(number: int) -> str:
    """What a node tells of an account that has so many lamports."""
    account = {"lamports": number, "owner": str(ADDRESS), "data": ["", "base64"], "executable": False}
    result = {"context": {"slot": number}, "value": account}
    return json.dumps({"method": "accountNotification", "params": {"result": result, "subscription": 1}})


def told_through(faults: Faults, count: int, clock: Clock) -> tuple[list[tuple[int, float]], PublicNode]:
    """(lamports, second) of what a subscriber is told of `count` notifications, one a second."""

    async def nothing(body: bytes) -> bytes:
        raise AssertionError

    node, seen = PublicNode(nothing, faults, 5, clock.monotonic), list[tuple[int, float]]()

    async def telling() -> AsyncIterator[str]:
        yield json.dumps({"id": 1, "result": 1})
        for number in range(1, count + 1):
            await asyncio.sleep(1)
            yield notified(number)

    async def on(text: str) -> None:
        fields = json.loads(text)
        number = fields["params"]["result"]["value"]["lamports"] if "params" in fields else 0
        seen.append((number, clock.monotonic() - 1_000))

    asyncio.run(node.tell(telling(), on))
    return seen, node


def test_what_a_subscription_tells_is_passed_on(clock: Clock) -> None:
    seen, _ = told_through(NONE, 5, clock)
    assert [number for number, _ in seen] == list(range(6))
    assert [second for _, second in seen] == pytest.approx(range(6))


def test_what_a_subscription_tells_is_missed_or_late(clock: Clock) -> None:
    """Never twice, never in another order; the answer to the call always comes."""
    seen, node = told_through(replace(NONE, missed=0.3, late=0.3, late_s=5), 100, clock)
    numbers = [number for number, _ in seen]
    assert numbers[0] == 0 and numbers == sorted(set(numbers)) and len(numbers) == 101 - node.told["missed"]
    assert 10 < node.told["missed"] < 60 and 10 < node.told["late"] < 60
    assert sum(second - number >= 5 for number, second in seen) >= node.told["late"]


def test_a_subscription_ends(clock: Clock) -> None:
    seen, node = told_through(replace(NONE, hung_up=0.1), 1_000, clock)
    assert node.told["hung_up"] == 1 and len(seen) < 200


def test_a_client_subscribes_again_by_a_node_that_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over sockets: a client that follows an account sees the newest of it, whatever was dropped."""
    monkeypatch.setattr(rpc_module, "HANG_UP_S", 0.0)
    told = [0]

    async def tell(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert (await socket.receive_json())["params"][0] == str(ADDRESS)
        await socket.send_json({"id": 1, "result": 1})
        closed = asyncio.create_task(socket.receive())
        with suppress(ConnectionError):
            while not closed.done():
                told[0] += 1
                await socket.send_str(notified(told[0]))
                await asyncio.sleep(0.001)
        return socket

    async def nothing(body: bytes) -> bytes:
        raise AssertionError

    async def run() -> tuple[list[int], PublicNode]:
        upstream, node, seen = web.Application(), PublicNode(nothing, replace(NONE, hung_up=0.3), 5), list[int]()
        upstream.router.add_get("/", tell)
        async with TestServer(upstream) as server, ClientSession() as session:
            parts = subscriptions(node, session, str(server.make_url("/")))
            async with TestServer(parts) as public, Rpc(f"http://127.0.0.1:{public.port - 1}") as rpc:  # type: ignore[operator]
                async for account in rpc.follow_account(ADDRESS):
                    assert account is not None
                    seen.append(account.lamports)
                    if len(seen) == 5:
                        break
        return seen, node

    seen, node = asyncio.run(run())
    assert seen == sorted(set(seen)) and node.told["hung_up"] > 0
