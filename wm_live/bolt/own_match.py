"""A localnet of its own that has the programs of an export to BOLT, and World."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from solders.keypair import Keypair

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.program_addresses import WORLD, program_key
from wm_export.bolt.std_programs import programs, world_program
from wm_live.bolt.match_weights import Uploaded
from wm_live.bolt.rollup_match import RollupMatch
from wm_live.chain.rpc import Rpc
from wm_live.chain.wallet import SOL, fund
from wm_live.localnet.servers import Localnet
from wm_train.files import atomic_write_bytes

#: More than the rent of any export's weights.
PURSE_SOL = 500


@contextmanager
def programs_of(export: BoltExport) -> Iterator[Path]:
    """A folder of <address>.so: the built programs of an export, and World. A base chain begins with them, as World's
    address is nobody's to deploy to."""
    with tempfile.TemporaryDirectory(prefix="wmq-bolt-") as name:
        folder = Path(name)
        for crate, elf in programs(export).items():
            atomic_write_bytes(folder / f"{program_key(export.network, crate).pubkey()}.so", elf)
        atomic_write_bytes(folder / f"{WORLD}.so", world_program())
        yield folder


@contextmanager
def own_localnet(export: BoltExport) -> Iterator[Localnet]:
    """A localnet whose base chain begins with the programs of an export."""
    with programs_of(export) as folder, Localnet(programs=[folder]) as net:
        yield net


@asynccontextmanager
async def own_match(
    net: Localnet, export: BoltExport, progress: Uploaded = lambda done, total: None
) -> AsyncIterator[RollupMatch]:
    """A world of its own on it, with the weights, for matches; its payer gets all it needs from the faucet."""
    payer = Keypair()
    async with Rpc(net.places.base) as base, Rpc(net.places.rollup) as rollup:
        await fund(base, payer, PURSE_SOL * SOL)
        match = RollupMatch(base, rollup, export, payer)
        await match.open(progress)
        yield match
