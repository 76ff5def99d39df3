"""The base chain against web pages, broken clients, and ledgers that somebody else has written."""

import asyncio
import base64
import json
import logging
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction

from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain import calls, connection, endpoint, outbox
from wm_live.localnet.base_chain.chain import MOST_U64, Chain, RefusedError
from wm_live.localnet.base_chain.connection import Connection
from wm_live.localnet.base_chain.endpoint import Endpoint
from wm_live.localnet.base_chain.genesis import Genesis
from wm_live.localnet.base_chain.ids import CLOCK
from wm_live.localnet.base_chain.ledger import AIRDROP, TRANSACTION, Ledger, LedgerRecord, Moment
from wm_live.localnet.base_chain.methods import Methods
from wm_live.localnet.base_chain.subscriptions import Subscriptions
from wm_live.localnet.servers import free_ports

HEALTH = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
DEEP = "[" * 200_000
CASES = 1_000
#: Far more than anything here takes.
LIMIT_S = 300


def served(work: Callable[[aiohttp.ClientSession, int], Awaitable[None]]) -> None:
    """Run `work` with a client and the port of a chain that answers."""

    async def run() -> None:
        port, ready = free_ports(2), asyncio.Event()
        serving = asyncio.create_task(Endpoint(Chain(Genesis(), None, 400), port).run(ready))
        async with asyncio.timeout(LIMIT_S), aiohttp.ClientSession() as session:
            await ready.wait()
            await work(session, port)
        serving.cancel()
        await asyncio.wait([serving])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"host": "localhost:{port}"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:{port}"}, 403),
        ({"host": "evil.example:{port}"}, 403),
        ({"host": "127.0.0.1:1"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_no_web_page_reaches_it(headers: dict[str, str], status: int) -> None:
    async def work(session: aiohttp.ClientSession, port: int) -> None:
        sent = {"content-type": "application/json"} | {k: v.format(port=port) for k, v in headers.items()}
        async with session.post(f"http://127.0.0.1:{port}", data=json.dumps(HEALTH), headers=sent) as answer:
            assert answer.status == status
            assert ("result" if status == 200 else "error") in await answer.json()

    served(work)


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}])
def test_no_web_page_subscribes(headers: dict[str, str]) -> None:
    async def work(session: aiohttp.ClientSession, port: int) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"http://127.0.0.1:{port + 1}", headers=headers)
        assert refused.value.status == 403

    served(work)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff\xfe{", -32700),
        (DEEP.encode(), -32700),
        (b'{"method": "getHealth", "params": [NaN]}', -32700),
        (b'{"method": "getHealth", "id": ' + b"1" * 5_000 + b"}", -32700),
        (b'{"method": "getSlot", "params": ' + b"[" * 40 + b"]" * 40 + b"}", -32700),
        (b'{"method": "getHealth", "id": [1]}', -32600),
        (b'{"method": 1}', -32600),
        (b"[]", -32600),
        (json.dumps([HEALTH] * 101).encode(), -32600),
        (b" " * (1 << 20), -32600),
        (b'{"method": "requestAirdrop", "params": ["%s", 36893488147419103232]}' % str(LOADER).encode(), -32602),
        (b'{"method": "getMinimumBalanceForRentExemption", "params": [18446744073709551615]}', -32602),
    ],
)
def test_what_is_no_call_gets_an_error(body: bytes, code: int) -> None:
    async def work(session: aiohttp.ClientSession, port: int) -> None:
        url, headers = f"http://127.0.0.1:{port}", {"content-type": "application/json"}
        async with session.post(url, data=body, headers=headers) as answer:
            assert (await answer.json())["error"]["code"] == code
        async with session.post(url, data=json.dumps(HEALTH), headers=headers) as answer:
            assert (await answer.json())["result"] == "ok"

    served(work)


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/secret"), ("PUT", "/")])
def test_other_requests_get_an_error_too(method: str, path: str) -> None:
    async def work(session: aiohttp.ClientSession, port: int) -> None:
        async with session.request(method, f"http://127.0.0.1:{port}{path}") as answer:
            assert answer.status in (404, 405) and "error" in await answer.json()

    served(work)


def test_too_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_CONNECTIONS", 2)

    async def work(session: aiohttp.ClientSession, port: int) -> None:
        sockets = [await session.ws_connect(f"http://127.0.0.1:{port + 1}") for _ in range(2)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"http://127.0.0.1:{port + 1}")
        assert refused.value.status == 503
        for socket in sockets:
            await socket.close()

    served(work)


def test_a_client_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING_BYTES", 1_000)
    chain = Chain(Genesis(), None, 400)
    subscriptions = Subscriptions(chain)
    client = Connection(subscriptions)
    client.take(json.dumps({"id": 1, "method": "accountSubscribe", "params": [str(LOADER)]}))
    for _ in range(20):
        subscriptions._account(LOADER)
    assert client.outbox.full and client.outbox._bytes <= 1_000


def test_too_many_subscriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_SUBSCRIPTIONS", 2)
    client = Connection(Subscriptions(Chain(Genesis(), None, 400)))
    for number in range(3):
        client.take(json.dumps({"id": number, "method": "slotSubscribe"}))
    answers = [json.loads(client.outbox._texts.get_nowait()) for _ in range(3)]
    assert ["result" in answer for answer in answers] == [True, True, False]
    client.end()


def test_an_answer_has_a_size_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_ANSWER_BYTES", 1_000)
    methods = Methods(Chain(Genesis(), None, 400))
    answers = json.loads(calls.answer(methods, json.dumps([HEALTH] * 50)))
    assert len(answers) == 50
    assert "result" in answers[0] and "larger than" in answers[-1]["error"]["message"]


# --- numbers ---


def test_lamports_do_not_overflow() -> None:
    chain, rich = Chain(Genesis(), None, 400), Pubkey.new_unique()
    chain.airdrop(rich, MOST_U64)
    for address in (rich, CLOCK, SYSTEM_PROGRAM):
        before = chain.account(address)
        with pytest.raises(RefusedError, match="cannot take 5 more"):
            chain.airdrop(address, 5)
        assert chain.account(address) == before


# --- ledgers ---


def test_what_was_refused_is_not_recorded(tmp_path: Path) -> None:
    genesis, rich = Genesis(), Pubkey.new_unique()
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        chain = Chain(genesis, ledger, 400)
        chain.airdrop(rich, MOST_U64)
        size = ledger.path.stat().st_size
        with pytest.raises(RefusedError):
            chain.airdrop(rich, 5)
        assert ledger.path.stat().st_size == size
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        assert Chain(genesis, ledger, 400).airdrop(Pubkey.new_unique(), 5)


@pytest.mark.parametrize(
    "bad",
    [
        LedgerRecord(AIRDROP, Moment(2_000, 1_000, 1), bytes(LOADER) + b"\xff" * 8),
        LedgerRecord(AIRDROP, Moment(2_000, 1_000, 1), bytes(LOADER) + b"\xff" * 16),
        LedgerRecord(AIRDROP, Moment(2_000, 1_000, 1), b"short"),
        LedgerRecord(TRANSACTION, Moment(2_000, 1_000, 1), b"no transaction"),
        LedgerRecord(9, Moment(2_000, 1_000, 1), b""),
        LedgerRecord(TRANSACTION, Moment(MOST_U64, MOST_U64, MOST_U64), b""),
        LedgerRecord(AIRDROP, Moment(MOST_U64, MOST_U64, MOST_U64), bytes(40)),
        LedgerRecord(AIRDROP, Moment(0, 0, 0), bytes(40)),
    ],
)
def test_a_bad_record_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: LedgerRecord) -> None:
    genesis, rich = Genesis(), Pubkey.new_unique()
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        Chain(genesis, ledger, 400).airdrop(rich, 7)
        ledger.add(LedgerRecord(AIRDROP, Moment(1_500, 1_500, 1), bytes(LOADER) + b"\xff" * 8))
        ledger.add(bad)
        ledger.add(LedgerRecord(AIRDROP, Moment(2_500, 2_500, 1), bytes(rich) + (8).to_bytes(8, "little")))
    size = (tmp_path / "ledger.bin").stat().st_size
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        account = Chain(genesis, ledger, 400).account(rich)
    assert account is not None and account.lamports == 15
    assert "record 3 is skipped" in caplog.text
    assert (tmp_path / "ledger.bin").stat().st_size == size


def test_what_follows_a_damaged_record_is_kept_beside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    genesis, rich = Genesis(), Pubkey.new_unique()
    path = tmp_path / "ledger.bin"
    with closing(Ledger(path, genesis.digest())) as ledger:
        chain = Chain(genesis, ledger, 400)
        ends = [path.stat().st_size for _ in range(3) if chain.airdrop(rich, 7)]
    whole = path.read_bytes()
    path.write_bytes(whole[: ends[1] - 1] + b"?" + whole[ends[1] :])
    with closing(Ledger(path, genesis.digest())) as ledger:
        account = Chain(genesis, ledger, 400).account(rich)
    assert account is not None and account.lamports == 7
    assert f"stops at byte {ends[0]}" in caplog.text
    assert path.read_bytes() == whole[: ends[0]] and path.with_suffix(".damaged").stat().st_size == ends[2] - ends[0]


def test_a_ledger_of_nothing_is_not_read_into_memory(tmp_path: Path) -> None:
    path, digest = tmp_path / "ledger.bin", bytes(32)
    Ledger(path, digest).close()
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with closing(Ledger(path, digest)) as ledger, pytest.raises(WmLiveError, match="is damaged at byte 72, and 1,099"):
        list(ledger.records())
    assert path.stat().st_size == 1 << 40


def test_a_full_disk_ends_the_chain_and_not_the_ledger(tmp_path: Path) -> None:
    genesis, rich = Genesis(), Pubkey.new_unique()
    path = tmp_path / "ledger.bin"

    def ten_bytes(fd: int, raw: bytes, at: int, real: Callable[[int, bytes, int], int] = os.pwrite) -> int:
        return real(fd, raw[:10], at) if at == len(before) else 0

    with closing(Ledger(path, genesis.digest())) as ledger, pytest.MonkeyPatch.context() as patch:
        chain = Chain(genesis, ledger, 400)
        chain.airdrop(rich, 7)
        before = path.read_bytes()
        patch.setattr(os, "pwrite", ten_bytes)
        with pytest.raises(WmLiveError, match=r"ledger\.bin: cannot be written .*is the disk full"):
            chain.airdrop(rich, 7)
    assert path.read_bytes() == before


def test_two_chains_do_not_share_a_ledger(tmp_path: Path) -> None:
    with (
        closing(Ledger(tmp_path / "ledger.bin", bytes(32))),
        pytest.raises(WmLiveError, match="another base chain has it"),
    ):
        Ledger(tmp_path / "ledger.bin", bytes(32))


# --- anything at all ---


class Fuzz:
    """Calls that are nearly right, for one seed."""

    def __init__(self, chain: Chain, seed: int) -> None:
        self.chain, self.rng = chain, random.Random(seed)
        self.payer = Keypair.from_seed(bytes(31) + b"1")
        self.own = str(self.payer.pubkey())
        self.names = [*Methods(chain)._table, "accountSubscribe", "signatureSubscribe", "logsSubscribe", "x\ud800"]

    def body(self) -> bytes:
        """A body: a transaction, something like a call, or one with some bytes changed."""
        one, kind = self.rng.choice, self.rng.random()
        call: Any = {"jsonrpc": "2.0", "id": one([1, None, "a", [2], 1.5]), "method": one(self.names)}
        call["params"] = one([[], {}, 3, *[[self.value(0) for _ in range(n)] for n in (1, 1, 2, 2, 3)]])
        if kind < 0.3:
            call |= {"id": 1, "method": "sendTransaction", "params": [self.transaction(), {"encoding": "base64"}]}
        raw = bytearray(json.dumps(one([call, call, call, [call, call], [[call]]])).encode())
        for _ in range(self.rng.randint(1, 3) if kind > 0.8 else 0):
            raw[self.rng.randrange(len(raw))] = self.rng.randrange(256)
        return bytes(raw)

    def value(self, depth: int) -> Any:
        """Something that a parameter may be."""
        kind = self.rng.random()
        if kind < 0.2:
            return str(Pubkey(self.rng.randbytes(32)))
        if kind < 0.4:
            return self.transaction()
        if kind < 0.6 and depth < 3:
            names = ("encoding", "dataSlice", "filters", "offset", "length", "memcmp", "bytes", "dataSize")
            return {self.rng.choice(names): self.value(depth + 1) for _ in range(3)}
        plain = (self.own, str(LOADER), "", "1" * 200, "\0é\ud800", 0, 5, -1, 2**63, MOST_U64, 2**70, 1.5, True, None)
        return self.rng.choice([*plain, [self.own], {}, {"encoding": "base64"}])

    def transaction(self) -> str:
        """A transfer, of which some bytes are changed before or after it is signed."""
        to, hash_ = Pubkey(self.rng.randbytes(32)), self.chain.blockhash()[0]
        pay = transfer(TransferParams(from_pubkey=self.payer.pubkey(), to_pubkey=to, lamports=10**6))
        message = bytearray(bytes(Message.new_with_blockhash([pay], self.payer.pubkey(), hash_)))
        for _ in range(self.rng.randrange(3)):
            message[self.rng.randrange(len(message))] = self.rng.randrange(256)
        raw = bytearray(b"\1" + bytes(self.payer.sign_message(bytes(message))) + message)
        if self.rng.random() < 0.3:
            raw[self.rng.randrange(len(raw))] = self.rng.randrange(256)
        return base64.b64encode(bytes(raw)).decode()


@pytest.mark.parametrize("seed", range(2))
def test_whatever_comes_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    """And the ledger that was written meanwhile gives the same chain again."""
    genesis = Genesis()
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        chain = Chain(genesis, ledger, 400)
        methods, fuzz, client = Methods(chain), Fuzz(chain, seed), Connection(Subscriptions(chain))
        chain.airdrop(fuzz.payer.pubkey(), 10**12)
        results = 0
        for _ in range(CASES // 2):
            body = fuzz.body()
            answers = json.loads(calls.answer(methods, body))
            for answer in answers if isinstance(answers, list) else [answers]:
                assert ("result" in answer) != ("error" in answer)
                assert "error" not in answer or type(answer["error"]["code"]) is int
                results += "result" in answer
            client.take(body.decode(errors="replace"))
            while not client.outbox._texts.empty():
                assert json.loads(client.outbox._texts.get_nowait())["jsonrpc"] == "2.0"
    assert results > CASES // 40 and len(chain.transactions) > 20
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        again = Chain(genesis, ledger, 400)
    assert list(again.transactions) == list(chain.transactions)
    assert all(again.account(key) == chain.account(key) for key in chain.known)


def test_a_transaction_of_a_wrong_shape_is_refused() -> None:
    """Numbers of accounts that do not exist would be a place outside a list."""
    chain = Chain(Genesis(), None, 400)
    payer = Keypair()
    pay = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=LOADER, lamports=1))
    raw = bytearray(bytes(Transaction([payer], Message([pay], payer.pubkey()), chain.blockhash()[0])))
    at = raw.index(bytes([2, 2, 0, 1]))  # program, number of accounts, accounts
    raw[at] = 200
    params = [base64.b64encode(bytes(raw)).decode(), {"encoding": "base64"}]
    answer = json.loads(calls.answer(Methods(chain), json.dumps({"method": "sendTransaction", "params": params})))
    assert answer["error"]["code"] == -32602
