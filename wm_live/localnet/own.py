"""A localnet of its own with a world deployed on it, for checks that must not depend on servers that run already."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from solders.keypair import Keypair

from wm_export.solana.export import Export
from wm_live.chain.rpc import Rpc
from wm_live.chain.wallet import SOL, fund
from wm_live.deploy.deploying import Progress, carry_out, prepare
from wm_live.deploy.target import target_of
from wm_live.localnet.servers import Localnet
from wm_live.session.game import OwnWorld, rollup_identity
from wm_live.session.instructions import DeployedWorld
from wm_live.session.lifecycle import SessionNodes

#: More than any world's rent.
PURSE_SOL = 200


@asynccontextmanager
async def own_world(
    net: Localnet, export: Export, wallet: Keypair, progress: Progress = lambda *_: None
) -> AsyncIterator[OwnWorld]:
    """Deploy a built export on a localnet that runs, with a wallet that gets all it needs from its faucet."""
    target = target_of(export, wallet)
    async with Rpc(net.places.base) as base, Rpc(net.places.rollup) as rollup:
        await fund(base, wallet, PURSE_SOL * SOL)
        await carry_out(base, target, await prepare(base, target), progress)
        places = SessionNodes(base, rollup, await rollup_identity(rollup))
        yield OwnWorld(places, DeployedWorld(export, target.program.pubkey(), wallet.pubkey()), wallet)
