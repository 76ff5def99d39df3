"""A wallet that pins commits: its program checked, what it pays said before, what it made said after."""

from functools import partial
from pathlib import Path

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_cli import output
from wm_cli.paying import announce
from wm_cli.places import address_of, comparable, found_session
from wm_export.solana.export import Export
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import Trust, check_code
from wm_live.chain.urls import redacted
from wm_live.chain.wallet import cluster_url, load_keypair
from wm_live.deploy.target import built_elf
from wm_live.errors import WmLiveError
from wm_live.judge.pin import Pin
from wm_live.judge.pinning import MOST_PINS, PIN_COST, Pinner


async def pinner_of(base: Rpc, export: Export, wallet: Keypair, program: Pubkey, trust: Trust) -> Pinner:
    """The wallet as a pinner of sessions of this program, which is checked."""
    checked = await check_code(base, program, partial(built_elf, export), wallet.pubkey(), trust)
    return Pinner(base, wallet, checked)


def pinned_text(pin: Pin) -> str:
    """One line."""
    back = f"`wmq unpin {pin.address}` returns its rent"
    return f"pinned: {pin.leaves:,} records, root {pin.root.hex()}; {back}"


def announce_pins(cluster: str, keypair: Path, yes: bool) -> None:
    """What `follow` costs at most, said and asked for before it begins."""
    more = f" for each commit, of {MOST_PINS} commits at most"
    announce(redacted(cluster_url(cluster)), load_keypair(keypair).pubkey(), PIN_COST, yes, more)


async def follow(folder: Path, cluster: str, keypair: Path, address: str, trust: Trust) -> None:
    """`wmq watch --pin`: pin each commit of a session that is seen; how it ends is said, whatever happens."""
    export, wallet, at = comparable(folder, trust), load_keypair(keypair), address_of(address)
    try:
        async with Rpc(cluster_url(cluster)) as base:
            world = (await found_session(base, export, at)).session.world
            pinner = await pinner_of(base, export, wallet, world.program, trust)
            await pinner.follow(world, at, lambda pin: output.note(pinned_text(pin)))
    except WmLiveError as error:
        output.note(f"nothing is pinned any more: {error}")
        return
    output.note(f"nothing is pinned any more: the session is closed, or {MOST_PINS} commits are pinned")
