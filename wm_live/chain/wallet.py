"""Keypair files, cluster URLs, and the faucet (requestAirdrop)."""

import asyncio
import json
import os
import shlex
import stat
from pathlib import Path
from urllib.parse import urlsplit

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_live.chain.rpc import Rpc, RpcError
from wm_live.chain.urls import is_local, redacted
from wm_live.errors import WmLiveError
from wm_live.localnet.servers import BASE_PORT, HOST, ROLLUP_PORT
from wm_train import json_schema as js
from wm_train.reading import JsonArtifact, parse_json

SOL = 1_000_000_000
#: The cluster that verbs use if none is named.
LOCALNET = "localnet"
#: Nodes of the base chain, and of the rollup beside each.
CLUSTERS = {LOCALNET: f"http://{HOST}:{BASE_PORT}", "devnet": "https://api.devnet.solana.com"}
ROLLUPS = {LOCALNET: f"http://{HOST}:{ROLLUP_PORT}", "devnet": "https://devnet.magicblock.app"}
_KEYPAIR = "expected a JSON array of 64 numbers, as `solana-keygen new` writes it"
#: 64 numbers take up to 320 bytes; more is no keypair.
KEYPAIR_JSON = JsonArtifact(
    WmLiveError, _KEYPAIR, max_bytes=4_096, linked=True, schema=js.list_of(js.integer(0, 255), 64, 64)
)
#: Bits of a file's mode that let anybody but its owner at it.
OTHERS = 0o077
#: Largest airdrop of a public faucet, in SOL.
AIRDROP_SOL = 2
#: Of a faucet whose node is behind.
SPARE_AIRDROPS = 3
#: Until the balance tells what became of a request whose answer was lost.
LOST_AIRDROP_S = 3.0
#: Where devnet gives more, to people.
FAUCET_PAGE = "https://faucet.solana.com"


def cluster_url(cluster: str) -> str:
    """The RPC URL of `localnet`, `devnet`, or the http(s) URL that is given. WmLiveError for anything else."""
    url = CLUSTERS.get(cluster, cluster)
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise WmLiveError(f"cluster {redacted(cluster)!r}: expected {', '.join(CLUSTERS)} or http(s)://HOST[:PORT]")
    return url


def load_keypair(path: Path) -> Keypair:
    """The keypair of a file as Solana's tools write it: a JSON array of 64 bytes, secret then public.

    WmLiveError for any other file, and for one that others than its owner may read or write; what is in it is never
    part of the text.
    """
    if not path.exists():
        name = shlex.quote(str(path))
        raise WmLiveError(
            f"keypair {path}: is not there; `wmq fund` makes it; next: wmq fund --keypair {name} --sol 60"
        )
    raw, mode = KEYPAIR_JSON.read(path), stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS:
        raise WmLiveError(f"keypair {path}: mode {mode:04o}, so others can read it; next: chmod 600 {path}")
    try:
        values = parse_json(raw, path, KEYPAIR_JSON)
    except WmLiveError:  # which says what was found: a part of a secret
        raise WmLiveError(f"keypair {path}: {_KEYPAIR}, got something else") from None
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


def announced(payer: Pubkey | str, lamports: int) -> str:
    """What a verb says before it signs anything: no more than so many lamports leave a wallet."""
    return f"takes at most {sol(lamports)} SOL from {payer}"


async def fund(rpc: Rpc, keypair: Keypair, lamports: int) -> int:
    """Request airdrops until the keypair's balance is at least `lamports`; returns the balance in lamports.

    WmLiveError if the faucet refuses, has a limit that is reached, or gives less than it says.
    """
    step = lamports if is_local(rpc.url) else AIRDROP_SOL * SOL
    for _ in range(SPARE_AIRDROPS + -(-lamports // step)):
        if (balance := await rpc.balance(keypair.pubkey())) >= lamports:
            return balance
        try:
            signature = await rpc.airdrop(keypair.pubkey(), min(step, lamports - balance))
        except RpcError as error:
            if not error.maybe_done:
                raise WmLiveError(f"{error}; {_without_faucet(rpc, keypair, balance, lamports)}") from None
            await asyncio.sleep(LOST_AIRDROP_S)  # the balance says whether it was done
            continue
        (status,) = await rpc.confirm([signature])
        if status is None or status.error is not None:
            raise WmLiveError(f"{rpc.url}: gave no lamports; {_without_faucet(rpc, keypair, balance, lamports)}")
    balance = await rpc.balance(keypair.pubkey())
    if balance >= lamports:
        return balance
    raise WmLiveError(
        f"{rpc.url}: gave lamports, it says, and did not; {_without_faucet(rpc, keypair, balance, lamports)}"
    )


def _without_faucet(rpc: Rpc, keypair: Keypair, balance: int, lamports: int) -> str:
    """What a keypair has, and where the rest may come from."""
    elsewhere = "" if is_local(rpc.url) else f", or give {FAUCET_PAGE} this address, or send it SOL of another wallet"
    has = f"{keypair.pubkey()} has {sol(balance)} SOL of {sol(lamports)}"
    return f"{has}; next: run the same again later{elsewhere}"
