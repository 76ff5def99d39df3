"""An upload that is interrupted anywhere ends with the same bytes, and writes nothing twice."""

import asyncio
import hashlib
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from solders.keypair import Keypair

from tests.wm_live.chains import SOL, InProcess, KilledError, Recorder, Wire, tiny_world, write_keypair
from tests.wm_live.conftest import BaseChain
from wm_export.solana.export import Export
from wm_export.solana.layout import chunks
from wm_export.solana.toolchain import Toolchain
from wm_live.chain import rpc as rpc_module
from wm_live.chain.addresses import model_address
from wm_live.chain.rpc import Reply, Rpc, RpcError
from wm_live.chain.transactions import Sender, TransactionError
from wm_live.chain.upload import PlannedTransaction, send_all
from wm_live.chain.wallet import fund
from wm_live.deploy.deploying import carry_out, prepare
from wm_live.deploy.program import instruction
from wm_live.deploy.target import DeployTarget, find, read_blob, target_of

ROOT = Path(__file__).resolve().parents[3]
KILLS = 100
#: Far more than anything here takes.
LIMIT_S = 120
#: Deploys, and dies as by `kill -9` when 100 chunks of the model are confirmed.
CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from wm_export.solana.export import open_export
from wm_live.deploy.deploying import carry_out, prepare
from wm_live.chain.rpc import Rpc
from wm_live.deploy.target import target_of
from wm_live.chain.wallet import load_keypair

def die(name, done, total):
    if (name, done) == ("model bytes", 100):
        os.kill(os.getpid(), signal.SIGKILL)

async def main(folder, keypair, url):
    target = target_of(open_export(Path(folder)), load_keypair(Path(keypair)))
    async with Rpc(url) as rpc:
        deployment = await prepare(rpc, target)
        await carry_out(rpc, target, deployment, die)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def tiny(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return tiny_world(tmp_path_factory)


async def deploy(rpc: Rpc, target: DeployTarget) -> None:
    await carry_out(rpc, target, await prepare(rpc, target))


async def killed(chain: Recorder, target: DeployTarget, rng: np.random.Generator) -> None:
    """Go on with a deployment; its client dies at a random one of the transactions that are left."""
    async with chain.client() as rpc:
        at = int(rng.integers((await prepare(rpc, target)).transactions))
    with pytest.raises(KilledError):
        async with chain.client(Wire(at, rng=np.random.default_rng(at))) as rpc:
            await deploy(rpc, target)


async def completed(chain: Recorder, target: DeployTarget) -> str:
    """Go on with it to its end; sha256 of the blob that is frozen then."""
    async with chain.client() as rpc:
        await deploy(rpc, target)
        found = await find(rpc, target)
        assert all(shard.frozen for shard in found.shards)
        return hashlib.sha256(await read_blob(rpc, target.shards[0])).hexdigest()


def test_killed_at_100_random_points_and_resumed(tiny: Export) -> None:
    rng, expected = np.random.default_rng(7), hashlib.sha256(tiny.blob).hexdigest()
    equal, chain = 0, Recorder()
    first = chain.fund(tiny)
    for deployment in range(KILLS):
        target = chain.fund(tiny)
        if deployment % 5:  # the others begin with a program of their own
            target = with_program(target, first)
        else:
            first = target
        asyncio.run(killed(chain, target, rng))
        equal += asyncio.run(completed(chain, target)) == expected
    written = chain.written()
    assert (equal, set(written.values())) == (KILLS, {1})
    assert len(written) > KILLS * chunks(len(tiny.blob))


def with_program(target: DeployTarget, other: DeployTarget) -> DeployTarget:
    """The same payer, who uploads a model of his own for another one's program."""
    model = model_address(target.payer, target.export.manifest.hash, other.program.pubkey())
    return replace(target, program=other.program, shards=[replace(target.shards[0], address=model)])


def test_a_process_that_is_killed_is_resumed_by_the_next(
    tiny: Export, base: BaseChain, tmp_path: Path, python: str
) -> None:
    payer = Keypair()
    keypair = write_keypair(tmp_path / "payer.json", payer)
    asyncio.run(_funded(base.url, payer))
    command = [python, "-c", CHILD, str(tiny.folder), str(keypair), base.url]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    missing, blob = asyncio.run(_resumed(base.url, target_of(tiny, payer)))
    assert 0 < missing <= chunks(len(tiny.blob)) - 100
    assert blob == tiny.blob


async def _funded(url: str, payer: Keypair) -> None:
    async with Rpc(url) as rpc:
        await fund(rpc, payer, 100 * SOL)


async def _resumed(url: str, target: DeployTarget) -> tuple[int, bytes]:
    """(chunks that were missing, the blob on chain at the end)"""
    async with Rpc(url) as rpc:
        missing = len((await find(rpc, target)).shards[0].stale)
        await deploy(rpc, target)
        return missing, await read_blob(rpc, target.shards[0])


def test_blockhashes_that_expire_on_the_way(tiny: Export, hurried_base: BaseChain) -> None:
    payer = Keypair()
    asyncio.run(_funded(hurried_base.url, payer))
    assert asyncio.run(_resumed(hurried_base.url, target_of(tiny, payer)))[1] == tiny.blob


def test_what_a_node_drops_until_it_expires_is_signed_again_and_lands_once(tiny: Export) -> None:
    chain = Recorder(slot_ms=2)
    target, dropped = chain.fund(tiny), set()

    def drop(method: str, params: list[Any]) -> Any:
        """Takes every seventh transaction, and every resending of it, and forgets it."""
        if method == "sendTransaction" and params[1]["skipPreflight"]:
            signature = hashlib.sha256(params[0].encode()).digest()
            if signature[0] % 7 == 0:
                dropped.add(signature)
                return {"result": "1" * 64}
        return None

    asyncio.run(_deployed(chain, target, Wire(before=drop)))
    assert len(dropped) > 10
    assert set(chain.written().values()) == {1}


async def _deployed(chain: Recorder, target: DeployTarget, wire: Wire) -> bytes:
    async with chain.client(wire) as rpc:
        await asyncio.wait_for(deploy(rpc, target), LIMIT_S)
        return await read_blob(rpc, target.shards[0])


class Deaf(InProcess):
    """The chain gets every transaction, but every third answer is lost."""

    async def _post(self, method: str, body: dict[str, Any]) -> Reply:
        answer = await super()._post(method, body)
        if method == "sendTransaction" and self.wire.sent % 3 == 0:
            raise RpcError("no answer")
        return answer


def test_a_lost_answer_is_not_a_lost_transaction(tiny: Export) -> None:
    chain = Recorder()
    target = chain.fund(tiny)

    async def deployed() -> bytes:
        async with Deaf(chain.chain) as rpc:
            await deploy(rpc, target)
            return await read_blob(rpc, target.shards[0])

    assert asyncio.run(deployed()) == tiny.blob
    assert set(chain.written().values()) == {1}


def test_the_first_failure_ends_it_with_the_programs_own_error(tiny: Export) -> None:
    chain = Recorder()
    target = chain.fund(tiny)
    asyncio.run(_deployed(chain, target, Wire()))
    accounts = {"authority": target.payer, "model": target.model}
    jobs = [
        PlannedTransaction((instruction(target.program.pubkey(), "write_chunk", accounts, index=i, data=bytes(960)),))
        for i in range(100)
    ]
    done: list[int] = []

    async def write() -> None:
        async with chain.client() as rpc:
            await send_all(Sender(rpc, target.authority), jobs, 8, done.append)

    with pytest.raises(TransactionError) as error:
        asyncio.run(write())
    assert error.value.name == "ModelFrozen" and not done
    assert sum(landed.error is not None for landed in chain.landed) <= 8


def test_the_same_message_twice_runs_twice(tiny: Export) -> None:
    chain = Recorder()
    target = chain.fund(tiny)
    job = PlannedTransaction(())

    async def send() -> int:
        async with chain.client() as rpc:
            before = chain.balance(target)
            await send_all(Sender(rpc, target.authority), [job] * 3, 3)
            return before - chain.balance(target)

    assert asyncio.run(send()) == 3 * 5_000


def test_a_node_that_goes_away_is_an_error_that_names_it(tiny: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module, "BUSY_WAIT_S", 0.0)
    chain = Recorder()
    target = chain.fund(tiny)

    def gone(method: str, params: list[Any]) -> Any:
        raise RpcError("http://127.0.0.1:1: no answer", code=502)

    with pytest.raises(RpcError, match=r"127\.0\.0\.1"):
        asyncio.run(_deployed(chain, target, Wire(before=gone)))
