"""A small world deployed on a localnet, in one transaction a frame and in three, and games of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from solders.keypair import Keypair

from tests.builds import built
from tests.factories import random_inputs, small_qnet
from tests.records import RECORDS, record_bytes
from tests.wm_live.courts import first_window
from wm_export.solana.export import Export, export_solana, open_export
from wm_live.chain.rpc import Rpc
from wm_live.chain.wallet import SOL, fund
from wm_live.deploy.target import target_of
from wm_live.localnet.own import own_world
from wm_live.localnet.servers import Localnet
from wm_live.session.game import OwnSession, OwnWorld, Recorder, play, rollup_identity
from wm_live.session.inputs import Inputs, replayed
from wm_live.session.instructions import DeployedWorld
from wm_live.session.lifecycle import SessionNodes, window_records
from wm_live.session.log import Log
from wm_live.session.play import Beat
from wm_quant.interp import Interpreter
from wm_train.measure.window import Window

#: Steps of a frame -> ops before which it is cut.
CUTS = {1: (), 3: (2, 5)}
FRAMES = 60
#: Of a session's life on the base chain: create, join, delegate, close.
SIGNATURES = 4
#: What the delegation program keeps of a delegation, and of each commit but the last.
DELEGATION_FEE, COMMIT_FEE = 300_000, 100_000


def small_world(factory: pytest.TempPathFactory, steps: int) -> Export:
    """A small world in so many transactions, built once for all tests of a session."""
    folder = factory.getbasetemp() / f"small-world-{steps}"
    if not folder.exists():
        export_solana(small_qnet(), folder, CUTS[steps])
        built(open_export(folder))
    return open_export(folder)


@dataclass
class Deployed:
    """A world on a localnet, deployed once; each test opens connections of its own, and sessions of new numbers."""

    net: Localnet
    export: Export
    wallet: Keypair = field(default_factory=Keypair)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        async def deploy() -> None:
            async with own_world(self.net, self.export, self.wallet):
                pass

        asyncio.run(deploy())

    @property
    def window(self) -> Window:
        """Where every game starts."""
        return first_window(self.export.net)

    @asynccontextmanager
    async def own(self) -> AsyncIterator[OwnWorld]:
        """The world, and connections to it."""
        async with Rpc(self.net.places.base) as base, Rpc(self.net.places.rollup) as rollup:
            world = DeployedWorld(
                self.export, target_of(self.export, self.wallet).program.pubkey(), self.wallet.pubkey()
            )
            yield OwnWorld(SessionNodes(base, rollup, await rollup_identity(rollup)), world, self.wallet)

    @asynccontextmanager
    async def game(self) -> AsyncIterator[OwnSession]:
        """A new session's game, not opened yet."""
        async with self.own() as own:
            yield own.game(next(self.numbers), self.window)

    def records(self, frames: int, seed: int = 0) -> list[bytes]:
        """What a game on `moves(seed)` should come to: its window, then a record per frame, by the reference."""
        window, interpreter = self.window, Interpreter(self.export.net)
        records, state, inputs = window_records(RECORDS, window), interpreter.begin(window), moves(seed)
        for number in range(frames):
            state = interpreter.step(state, inputs(number)[None])[1]
            records.append(record_bytes(inputs(number), state.frame[0]))
        return records


#: (where it runs, steps of a frame) -> the world, deployed once for all tests of a session.
_DEPLOYED: dict[tuple[str, int], Deployed] = {}


def deployed_on(net: Localnet, factory: pytest.TempPathFactory, steps: int) -> Deployed:
    """The small world in so many transactions a frame, on a localnet."""
    where = net.places.base, steps
    if where not in _DEPLOYED:
        _DEPLOYED[where] = Deployed(net, small_world(factory, steps))
    return _DEPLOYED[where]


def moves(seed: int = 0) -> Inputs:
    """Random inputs, the same for the same seed."""
    return replayed(random_inputs(np.random.default_rng(seed), 2 * FRAMES))


def shifted(inputs: Inputs, first: int) -> Inputs:
    """The inputs from frame `first` on."""
    return lambda number: inputs(first + number)


async def balance(game: OwnSession) -> int:
    """Lamports of the wallet."""
    return await game.places.base.balance(game.party)


async def funded_wallet(rpc: Rpc) -> Keypair:
    """A wallet of somebody else."""
    wallet = Keypair()
    await fund(rpc, wallet, 10 * SOL)
    return wallet


async def played(
    game: OwnSession,
    log: Log,
    inputs: Inputs,
    frames: int,
    fps: float = 0,
    on_beat: Callable[[Beat, NDArray[np.int32]], None] = lambda beat, frame: None,
) -> list[str]:
    """Play on; what was said meanwhile."""
    said: list[str] = []
    await play(game, inputs, frames, fps, Recorder(game, log, on_beat), said.append)
    return said


def on_disk(folder: Path) -> bytes:
    """The records that a log's file holds."""
    return (folder / "records.bin").read_bytes()
