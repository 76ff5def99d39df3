"""The base chain through its own front door: what a client of devnet relies on holds here too."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.wm_live.conftest import BaseChain
from tests.wm_live.deploying import (
    EMPTY_PROGRAM,
    PROGRAM_DATA_HEADER,
    code_address,
    deployed,
    funded,
    paying,
    signed,
    upgraded,
    uploaded,
)
from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.chain.answers import Blockhash
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc, RpcError, websocket_url
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.genesis import Genesis, read_programs, rollup_accounts
from wm_live.localnet.base_chain.ledger import TRANSACTION, Ledger, LedgerRecord, Moment

T = TypeVar("T")
SOL = 10**9
#: Far more than anything here takes.
LIMIT_S = 300


def talk(base: BaseChain, work: Callable[[Rpc], Awaitable[T]]) -> T:
    """Run `work` with a client of the chain."""

    async def run() -> T:
        async with asyncio.timeout(LIMIT_S), Rpc(base.url) as rpc:
            return await work(rpc)

    return asyncio.run(run())


def test_transfer(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer, other = await funded(rpc, 2 * SOL), Keypair().pubkey()
        signature = await rpc.send(await signed(rpc, [payer], paying(payer, other, SOL)))
        (status,) = await rpc.confirm([signature])
        assert status is not None and status.error is None
        assert await rpc.balance(other) == SOL
        assert await rpc.balance(payer.pubkey()) == SOL - 5_000
        info = await rpc.transaction(signature)
        assert info is not None and info.cu == 150 and info.slot == status.slot and len(info.logs) == 2

    talk(base, work)


def test_every_transaction_has_its_own_slot(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        sent = [await signed(rpc, [payer], paying(payer, Keypair().pubkey(), SOL + n)) for n in range(20)]
        statuses = await rpc.confirm(await asyncio.gather(*(rpc.send(raw) for raw in sent)))
        assert len({status.slot for status in statuses if status}) == 20

    talk(base, work)


def test_failing_program_with_and_without_preflight(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc, SOL)
        raw = await signed(rpc, [payer], paying(payer, Keypair().pubkey(), 9 * SOL))
        with pytest.raises(RpcError, match="simulation failed") as refused:
            await rpc.send(raw)
        assert refused.value.code == -32002 and refused.value.custom == 1
        assert "insufficient lamports" in "".join(refused.value.logs)
        assert await rpc.balance(payer.pubkey()) == SOL
        (status,) = await rpc.confirm([await rpc.send(raw, skip_preflight=True)])
        assert status is not None and status.custom == 1
        assert await rpc.balance(payer.pubkey()) == SOL - 5_000

    talk(base, work)


def test_what_cannot_land_does_not(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer, poor = await funded(rpc), Keypair()
        good = await signed(rpc, [payer], paying(payer, Keypair().pubkey(), SOL))
        forged = good[:1] + bytes(64) + good[65:]
        for raw in (forged, await signed(rpc, [poor], paying(poor, payer.pubkey(), 1))):
            with pytest.raises(RpcError):
                await rpc.send(raw)
            assert await rpc.statuses([await rpc.send(raw, skip_preflight=True)]) == [None]
        assert await rpc.balance(payer.pubkey()) == 10**11

    talk(base, work)


def test_missing_program_lands_and_says_so(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        raw = await signed(rpc, [payer], Instruction(Pubkey.new_unique(), b"", []))
        (status,) = await rpc.confirm([await rpc.send(raw, skip_preflight=True)])
        assert status is not None and status.error == "ProgramAccountNotFound"

    talk(base, work)


def test_a_repeated_transaction_lands_once(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer, other = await funded(rpc), Keypair().pubkey()
        raw = await signed(rpc, [payer], paying(payer, other, SOL))
        signature = await rpc.send(raw)
        assert await rpc.send(raw, skip_preflight=True) == signature
        with pytest.raises(RpcError) as again:
            await rpc.send(raw)
        assert again.value.error == "AlreadyProcessed"
        assert await rpc.balance(other) == SOL

    talk(base, work)


async def fresh(rpc: Rpc) -> Blockhash:
    """A blockhash that the chain has found valid, asked for until it was there before a third of a second was over."""
    while True:
        rpc._blockhash = None
        blockhash = await rpc.latest_blockhash()
        if await rpc.is_valid(blockhash.hash):
            return blockhash


def test_blockhash_expires(hurried_base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer, other = await funded(rpc), Keypair().pubkey()
        raw = await signed(rpc, [payer], paying(payer, other, SOL))
        blockhash = await fresh(rpc)
        while await rpc.height() <= blockhash.last_valid_height + 1:
            await asyncio.sleep(0.05)
        assert not await rpc.is_valid(blockhash.hash)
        with pytest.raises(RpcError) as late:
            await rpc.send(raw)
        assert late.value.error == "BlockhashNotFound"
        signature = await rpc.send(raw, skip_preflight=True)
        assert await rpc.confirm([signature], timeout_s=0.1) == [None]
        assert await rpc.balance(other) == 0

    talk(hurried_base, work)


def test_accounts_and_their_parts(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        buffer, data = await uploaded(rpc, payer, EMPTY_PROGRAM), EMPTY_PROGRAM
        whole, absent = await rpc.accounts([buffer.pubkey(), Keypair().pubkey()])
        part = await rpc.account(buffer.pubkey(), offset=37, length=4)
        assert absent is None and whole is not None and part is not None
        assert whole.owner == LOADER and whole.data[37:] == data and part.data == data[:4]
        assert whole.lamports == rent_exempt(37 + len(data)) == 6_960 * (128 + 37 + len(data))

    talk(base, work)


def test_program_accounts_are_filtered(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        buffer = await uploaded(rpc, payer, EMPTY_PROGRAM + bytes(1))
        size = {"dataSize": 38 + len(EMPTY_PROGRAM)}
        starts = {"memcmp": {"offset": 5, "bytes": str(payer.pubkey())}}
        for filters, found in (([size], 1), ([starts], 1), ([size, starts], 1), ([starts, {"dataSize": 1}], 0)):
            answer = await rpc.call("getProgramAccounts", [str(LOADER), {"encoding": "base64", "filters": filters}])
            assert [account["pubkey"] for account in answer] == [str(buffer.pubkey())] * found

    talk(base, work)


def test_deploy_and_upgrade(base: BaseChain, clock_program: bytes) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        program = await deployed(rpc, payer, clock_program)
        account, code = await rpc.accounts([program, code_address(program)])
        assert account is not None and account.executable and account.owner == LOADER
        assert code is not None and code.data[PROGRAM_DATA_HEADER:] == clock_program.ljust(
            2 * len(clock_program), b"\0"
        )
        call = Instruction(program, b"", [AccountMeta(payer.pubkey(), True, True)])
        with pytest.raises(RpcError) as seven:
            await rpc.send(await signed(rpc, [payer], call))
        assert seven.value.custom == 7
        await upgraded(rpc, payer, program, EMPTY_PROGRAM)
        (status,) = await rpc.confirm([await rpc.send(await signed(rpc, [payer], call))])
        assert status is not None and status.error is None

    talk(base, work)


def test_a_broken_program_is_not_deployed(base: BaseChain, clock_program: bytes) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        with pytest.raises(RpcError) as broken:
            await deployed(rpc, payer, clock_program[: len(clock_program) // 2])
        assert broken.value.error == {"InstructionError": [1, "InvalidAccountData"]}

    talk(base, work)


def test_subscriptions(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer, other = await funded(rpc), Keypair().pubkey()
        subscribed = asyncio.Event()
        changes = rpc.subscribe_account(other, subscribed)
        first = asyncio.ensure_future(anext(changes))
        await subscribed.wait()
        await rpc.send(await signed(rpc, [payer], paying(payer, other, SOL)))
        account = await first
        assert account is not None and account.lamports == SOL and account.owner == SYSTEM_PROGRAM
        await changes.aclose()

    talk(base, work)


def test_a_signature_is_told_even_late(base: BaseChain) -> None:
    async def work(rpc: Rpc) -> None:
        payer = await funded(rpc)
        signature = await rpc.send(await signed(rpc, [payer], paying(payer, Keypair().pubkey(), SOL)))
        async with aiohttp.ClientSession() as session, session.ws_connect(websocket_url(base.url)) as socket:
            await socket.send_json({"jsonrpc": "2.0", "id": 5, "method": "signatureSubscribe", "params": [signature]})
            confirmed, told = await socket.receive_json(), await socket.receive_json()
        assert confirmed["id"] == 5
        assert told["method"] == "signatureNotification" and told["params"]["result"]["value"] == {"err": None}

    talk(base, work)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("getNothing", [], -32601),
        ("getBalance", [], -32602),
        ("getBalance", [7], -32602),
        ("getBalance", ["0OIl"], -32602),
        ("requestAirdrop", [str(SYSTEM_PROGRAM), -1], -32602),
        ("getAccountInfo", [str(SYSTEM_PROGRAM), {"dataSlice": {"offset": -1, "length": 2}}], -32602),
        ("getMultipleAccounts", [["1"] * 101], -32602),
        ("getSignatureStatuses", [[3]], -32602),
        ("sendTransaction", ["????", {"encoding": "base64"}], -32602),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}], -32602),
        ("sendTransaction", ["A" * 1700, {"encoding": "base64"}], -32602),
        ("getProgramAccounts", [str(SYSTEM_PROGRAM), {"filters": ["no"]}], -32602),
    ],
)
def test_bad_calls_are_refused(base: BaseChain, method: str, params: list[Any], code: int) -> None:
    async def work(rpc: Rpc) -> None:
        with pytest.raises(RpcError) as refused:
            await rpc.call(method, params)
        assert refused.value.code == code
        assert await rpc.call("getHealth") == "ok"

    talk(base, work)


def test_killed_and_started_again(base: BaseChain, clock_program: bytes) -> None:
    async def before(rpc: Rpc) -> tuple[Keypair, Pubkey, str, Hash, int]:
        payer = await funded(rpc)
        program = await deployed(rpc, payer, clock_program)
        signature = await rpc.send(await signed(rpc, [payer], paying(payer, Keypair().pubkey(), SOL)))
        return payer, program, signature, (await rpc.latest_blockhash()).hash, await rpc.slot()

    payer, program, signature, blockhash, slot = talk(base, before)
    balance = talk(base, lambda rpc: rpc.balance(payer.pubkey()))
    base.server.kill()
    with pytest.raises(RpcError, match="the node has to run"):
        talk(base, lambda rpc: rpc.slot())
    base.server.start()

    async def after(rpc: Rpc) -> None:
        assert await rpc.balance(payer.pubkey()) == balance
        assert (await rpc.statuses([signature]))[0] is not None
        assert await rpc.is_valid(blockhash) and await rpc.slot() > slot
        with pytest.raises(RpcError) as seven:
            await rpc.send(await signed(rpc, [payer], Instruction(program, b"", [])))
        assert seven.value.custom == 7

    talk(base, after)


# --- the parts ---


def test_torn_tail_of_a_ledger_is_dropped(tmp_path: Path) -> None:
    path, digest = tmp_path / "ledger.bin", bytes(32)
    records = [LedgerRecord(TRANSACTION, Moment(n, n, n), bytes([n]) * 50) for n in range(1, 4)]
    with closing(Ledger(path, digest)) as ledger:
        for record in records:
            ledger.add(record)
    whole = path.read_bytes()
    for cut in range(len(whole) - 80, len(whole)):
        path.write_bytes(whole[:cut])
        with closing(Ledger(path, digest)) as torn:
            assert list(torn.records()) == records[:2]
            torn.add(records[2])
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-1] + b"\0")
    with closing(Ledger(path, digest)) as damaged:
        assert list(damaged.records()) == records[:2]


def test_a_ledger_of_another_genesis_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.bin", bytes(32)).close()
    with pytest.raises(WmLiveError, match="Remove the folder"):
        Ledger(tmp_path / "ledger.bin", bytes(31) + b"1")


def test_replayed_chain_is_the_same(tmp_path: Path) -> None:
    genesis = Genesis({}, rollup_accounts(Pubkey.new_unique()))
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        chain = Chain(genesis, ledger, slot_ms=400)
        for n in range(5):
            chain.tick()
            chain.airdrop(Pubkey(bytes([n + 1]) * 32), SOL)
    with closing(Ledger(tmp_path / "ledger.bin", genesis.digest())) as ledger:
        again = Chain(genesis, ledger, slot_ms=400)
    assert list(again.transactions) == list(chain.transactions)
    assert again.now.slot > chain.now.slot and again.now.height > chain.now.height
    assert all(again.account(key) == chain.account(key) for key in chain.known)
    assert again.is_fresh(chain.blockhash()[0])


def test_programs_are_named_by_address(tmp_path: Path) -> None:
    address = Pubkey.new_unique()
    (tmp_path / f"{address}.so").write_bytes(EMPTY_PROGRAM)
    assert read_programs([tmp_path]) == {address: EMPTY_PROGRAM}
    (tmp_path / "world.so").write_bytes(EMPTY_PROGRAM)
    with pytest.raises(WmLiveError, match=re.escape("world.so")):
        read_programs([tmp_path])


def test_a_broken_program_in_the_genesis_is_refused() -> None:
    with pytest.raises(WmLiveError, match="does not load"):
        Chain(Genesis({Pubkey.new_unique(): b"\x7fELF no more"}), None, slot_ms=400)
