"""Keypair files, cluster URLs, and the faucet (requestAirdrop)."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from solders.keypair import Keypair

from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError
from wm_live.localnet.servers import BASE_PORT, HOST, ROLLUP_PORT

SOL = 1_000_000_000
#: Nodes of the base chain, and of the rollup beside each.
CLUSTERS = {"localnet": f"http://{HOST}:{BASE_PORT}", "devnet": "https://api.devnet.solana.com"}
ROLLUPS = {"localnet": f"http://{HOST}:{ROLLUP_PORT}", "devnet": "https://devnet.magicblock.app"}
#: 64 numbers take up to 320 bytes; more is no keypair.
KEYPAIR_MAX_BYTES = 4_096
#: Largest airdrop of a public faucet, in SOL.
AIRDROP_SOL = 2


def cluster_url(cluster: str) -> str:
    """The RPC URL of `localnet`, `devnet`, or the http(s) URL that is given. WmLiveError for anything else."""
    url = CLUSTERS.get(cluster, cluster)
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise WmLiveError(f"cluster {cluster!r}: expected {', '.join(CLUSTERS)} or http(s)://HOST[:PORT]")
    return url


def is_local(url: str) -> bool:
    """Whether a node is on this machine."""
    return urlsplit(url).hostname in (HOST, "localhost", "::1")


def load_keypair(path: Path) -> Keypair:
    """The keypair of a file as Solana's tools write it: a JSON array of 64 bytes, secret then public.

    WmLiveError for any other file; what is in it is never part of the text.
    """
    wanted = "expected a JSON array of 64 numbers, as `solana-keygen new` writes it"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WmLiveError(f"keypair {path}: {error.strerror}; {wanted}") from None
    try:
        values = json.loads(raw) if len(raw) <= KEYPAIR_MAX_BYTES else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or len(values) != 64 or not all(type(v) is int and 0 <= v < 256 for v in values):
        raise WmLiveError(f"keypair {path}: {wanted}, got something else")
    try:
        keypair = Keypair.from_seed(bytes(values[:32]))
    except ValueError:
        keypair = None
    if keypair is None or bytes(keypair.pubkey()) != bytes(values[32:]):
        raise WmLiveError(f"keypair {path}: its public half does not belong to its secret half; is the file damaged?")
    return keypair


def new_keypair(path: Path) -> Keypair:
    """Make a keypair and write it to a file that nobody else may read; OSError if there is one already."""
    keypair = Keypair()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(list(bytes(keypair))))
    return keypair


def sol(lamports: int) -> str:
    """Lamports as SOL, to the last digit."""
    sign, value = ("-" if lamports < 0 else ""), abs(lamports)
    return f"{sign}{value // SOL:,}.{value % SOL:09d}".rstrip("0").rstrip(".")


async def fund(rpc: Rpc, keypair: Keypair, lamports: int) -> int:
    """Request airdrops until the keypair's balance is at least `lamports`; returns the balance in lamports.

    RpcError or WmLiveError if the faucet refuses, or has a limit that is reached.
    """
    step = lamports if is_local(rpc.url) else AIRDROP_SOL * SOL
    while (balance := await rpc.balance(keypair.pubkey())) < lamports:
        signature = await rpc.airdrop(keypair.pubkey(), min(step, lamports - balance))
        (status,) = await rpc.confirm([signature])
        if status is None or status.error is not None:
            raise WmLiveError(
                f"{rpc.url}: gave no lamports; {keypair.pubkey()} has {sol(balance)} SOL of {sol(lamports)}. "
                "Ask again later, or a faucet's page"
            )
    return balance
