"""A base chain in the test's own process, with a wire that can be cut, and a small world to deploy on it."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction

from tests.builds import built
from tests.factories import small_model, small_qnet
from wm_export.schema.accounts import discriminator
from wm_export.solana.export import Export, export_solana, open_export
from wm_live.chain.addresses import LOADER
from wm_live.chain.answers import Blockhash
from wm_live.chain.rpc import Reply, Rpc
from wm_live.deploy.target import DeployTarget, target_of
from wm_live.localnet.base_chain.chain import Chain, Landed
from wm_live.localnet.base_chain.genesis import Genesis
from wm_live.localnet.base_chain.methods import CallError, Methods

SOL = 1_000_000_000
WRITE_CHUNK = discriminator("global", "write_chunk")
LOADER_WRITE = (1).to_bytes(4, "little")


def tiny_world(factory: pytest.TempPathFactory) -> Export:
    """The smallest world that there is, built; one for all tests of a session."""
    folder = factory.getbasetemp() / "tiny-world"
    if not folder.exists():
        model = small_model("v1", "published", 1)
        export_solana(small_qnet(type(model)(**vars(model) | {"hidden": (8, 8)})), folder)
        built(open_export(folder))
    return open_export(folder)


class KilledError(Exception):
    """What the process of a test would not have lived to see."""


@dataclass
class Wire:
    """What happens between client and chain.

    kill_at   number of the transaction, from 0, at which the client dies: it may have landed or not
    before    called with each call before the chain gets it; may raise, or give an answer in the chain's place
    """

    kill_at: int | None = None
    before: Callable[[str, list[Any]], Any] = lambda method, params: None
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    sent: int = 0
    dead: bool = False


class InProcess(Rpc):
    """A client of a chain in this process."""

    def __init__(self, chain: Chain, wire: Wire | None = None) -> None:
        super().__init__("http://127.0.0.1:1")
        self.chain, self.wire = chain, wire or Wire()
        self._methods = Methods(chain)

    async def __aenter__(self) -> Self:
        self._clock = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clock.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._clock

    async def latest_blockhash(self) -> Blockhash:
        """The newest one, always: there is no way to it that is worth sparing."""
        self._blockhash = None
        return await super().latest_blockhash()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.chain.slot_ms / 1000)
            self.chain.tick()

    async def _post(self, method: str, body: dict[str, Any]) -> Reply:
        await self._pause()
        last = self._count(method)
        if last and self.wire.rng.random() < 0.5:
            raise KilledError
        answer = self.wire.before(method, body["params"])
        if answer is None:
            answer = self._call(method, body["params"])
        if last:
            raise KilledError
        await self._pause()  # the answers of others come first, or never
        return Reply(200, json.dumps(answer).encode())

    def _call(self, method: str, params: list[Any]) -> dict[str, Any]:
        try:
            return {"result": self._methods.call(method, params)}
        except CallError as error:
            return {"error": error.json()}

    async def _pause(self) -> None:
        for _ in range(self.wire.rng.integers(1, 4)):
            await asyncio.sleep(0)
        if self.wire.dead:
            raise KilledError

    def _count(self, method: str) -> bool:
        """Is this the call that the client does not survive?"""
        last = method == "sendTransaction" and self.wire.sent == self.wire.kill_at
        self.wire.sent += method == "sendTransaction"
        self.wire.dead |= last
        return last


class Recorder:
    """A chain, and what landed on it."""

    def __init__(self, slot_ms: float = 20) -> None:
        self.chain = Chain(Genesis(), None, slot_ms)
        self.landed: list[Landed] = []
        self.chain.landed = self.landed.append

    def written(self) -> Counter[tuple[str, int]]:
        """How often each part of a model or buffer was written: by (account, chunk or offset)."""
        counts: Counter[tuple[str, int]] = Counter()
        for landed in self.landed:
            if landed.raw and landed.error is None:
                message = VersionedTransaction.from_bytes(landed.raw).message
                for instruction in message.instructions:
                    data, keys = bytes(instruction.data), message.account_keys
                    program, accounts = keys[instruction.program_id_index], bytes(instruction.accounts)
                    if data[:8] == WRITE_CHUNK:
                        counts[str(keys[accounts[1]]), int.from_bytes(data[8:12], "little")] += 1
                    elif program == LOADER and data[:4] == LOADER_WRITE:
                        counts[str(keys[accounts[0]]), int.from_bytes(data[4:8], "little")] += 1
        return counts

    def fund(self, export: Export, lamports: int = 100 * SOL) -> DeployTarget:
        """A new payer with lamports, who is to deploy the export."""
        payer = Keypair()
        self.chain.airdrop(payer.pubkey(), lamports)
        return target_of(export, payer)

    @contextlib.asynccontextmanager
    async def client(self, wire: Wire | None = None) -> AsyncIterator[InProcess]:
        """A client of the chain."""
        async with InProcess(self.chain, wire) as rpc:
            yield rpc

    def balance(self, target: DeployTarget) -> int:
        """Lamports of the payer."""
        account = self.chain.account(target.payer)
        return account.lamports if account else 0


def write_keypair(path: Path, keypair: Keypair) -> Path:
    """A keypair file as Solana's tools write it."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(list(bytes(keypair))))
    return path
