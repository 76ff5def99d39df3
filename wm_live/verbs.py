"""What the verbs of a deployment do from end to end: each opens a node, does one thing, and gives its figures."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from wm_export.solana import Export
from wm_live.deploy import Progress, Refund, abort, carry_out, prepare
from wm_live.deployment import Deployment
from wm_live.errors import WmLiveError
from wm_live.rpc import Rpc
from wm_live.target import target_of
from wm_live.verify import Verification, verify
from wm_live.wallet import SOL, cluster_url, fund, load_keypair, new_keypair


def run_deploy(
    export: Export,
    cluster: str,
    keypair: Path,
    dry_run: bool,
    final: bool,
    show: Callable[[Deployment], None],
    progress: Progress,
) -> dict[str, Any]:
    """Deploy a built export and verify what is on chain then; with `dry_run` only say what it would cost.

    `show` gets the Deployment before anything is sent. Figures as Deployment.to_json; after a deployment also what it
    took, the addresses, and the Verification. WmLiveError if it cannot be done, or is not the export in the end.
    """
    target = target_of(export, load_keypair(keypair))

    async def run() -> dict[str, Any]:
        async with Rpc(cluster_url(cluster)) as rpc:
            deployment = await prepare(rpc, target, final)
            show(deployment)
            figures = {"program": str(target.program.pubkey()), "model": str(target.model)} | deployment.to_json()
            if dry_run:
                return figures | {"dry_run": True}
            start = time.monotonic()
            await carry_out(rpc, target, deployment, progress)
            seconds, after = time.monotonic() - start, await rpc.balance(target.payer)
            found = await verify(rpc, export, target.model)
            if not found.ok:
                raise WmLiveError("deployed, but not the export: " + "; ".join(found.lines()))
            spent = {"dry_run": False, "seconds_taken": round(seconds, 2), "balance_after": after}
            return figures | spent | {"verification": found.to_json()}

    return asyncio.run(run())


def run_verify(export: Export, cluster: str, model: str | None, keypair: Path | None) -> Verification:
    """Compare a model on chain, named or the one that `keypair` deploys, with an export."""
    if (model is None) == (keypair is None):
        raise WmLiveError("verify: expected --model ADDRESS or --keypair FILE, one of the two")
    address = _address(model) if model is not None else None
    if keypair is not None:
        address = target_of(export, load_keypair(keypair)).model

    async def run() -> Verification:
        async with Rpc(cluster_url(cluster)) as rpc:
            assert address is not None
            return await verify(rpc, export, address)

    return asyncio.run(run())


def run_abort(export: Export, cluster: str, keypair: Path) -> Refund:
    """Give up an unfinished deployment; what came back."""
    target = target_of(export, load_keypair(keypair))

    async def run() -> Refund:
        async with Rpc(cluster_url(cluster)) as rpc:
            return await abort(rpc, target)

    return asyncio.run(run())


def run_fund(cluster: str, keypair: Path, sol: float) -> dict[str, Any]:
    """Ask the cluster for lamports until the keypair has `sol` SOL; a keypair file that is not there is made."""
    payer = load_keypair(keypair) if keypair.exists() else new_keypair(keypair)

    async def run() -> int:
        async with Rpc(cluster_url(cluster)) as rpc:
            return await fund(rpc, payer, round(sol * SOL))

    return {"payer": str(payer.pubkey()), "balance": asyncio.run(run())}


def _address(text: str) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise WmLiveError(f"model {text!r}: expected an address in base58") from None
