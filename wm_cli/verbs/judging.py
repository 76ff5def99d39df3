"""`wmq verify`, `unpin`, `dispute`: a session's log against the chain, its pins, one frame that the chain computes."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from wm_cli import output
from wm_cli.artifacts import BOLT_EXPORT, LOG, need
from wm_cli.json_keys import AUDIT_KEYS, DISPUTE_KEYS
from wm_cli.number_types import FRAMES_OF_A_DAY, Whole
from wm_cli.opening import built, open_bolt
from wm_cli.options import (
    SENT_STAYS,
    cluster_option,
    export_argument,
    json_option,
    keypair_option,
    needed_log_option,
    trust_options,
    verb,
    yes_option,
)
from wm_cli.paying import announce
from wm_cli.pins import pinned_text, pinner_of
from wm_cli.places import address_of, comparable
from wm_cli.world_words import log_words
from wm_live.chain.purse import filling, purse, purse_key
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import Sender
from wm_live.chain.trust import Trust, check_code
from wm_live.chain.wallet import cluster_url, load_keypair
from wm_live.deploy.target import built_elf
from wm_live.errors import WmLiveError
from wm_live.judge.audit import Audit, audit, audit_offline
from wm_live.judge.dispute import Costs, Dispute, SettledDispute
from wm_live.judge.pin import Pin, pin_of
from wm_live.judge.pinning import PIN_COST, UNPIN_COST
from wm_live.session.committed import check_log, read_session, read_world
from wm_live.session.log import Log, read_log
from wm_live.session.recompute import Progress


@verb(
    "wmq verify --log session-1\nwmq verify --log session-1 --rollup http://127.0.0.1:7799 --json\n"
    "wmq verify --log session-1 --pin\nwmq verify --log session-1 --offline\n"
    "wmq verify export-bolt --log session-3 --rollup http://127.0.0.1:7799",
    prints=f"{AUDIT_KEYS} pin",
    stopped="a pin that was made stays on the chain; the same command begins again",
)
@export_argument
@cluster_option
@click.option("--rollup", help="The rollup's node, to compare with what it has now as well.")
@needed_log_option
@click.option("--pin", "pins", is_flag=True, help="Keep what is committed now on the base chain, to dispute it later.")
@click.option("--offline", is_flag=True, help="Ask no node: check the log by itself, of a closed session say.")
@keypair_option
@trust_options
@yes_option
@json_option
def verify(
    export: Path,
    cluster: str,
    rollup: str | None,
    folder: Path,
    pins: bool,
    offline: bool,
    keypair: Path,
    trust: Trust,
    yes: bool,
    as_json: bool,
) -> None:
    """What a stranger can check: every frame of a log computed again, and its root against the committed one.

    With --pin the wallet pays for a pin of that root, first of all: whatever is committed later, `wmq dispute` can be
    asked about any frame up to there. Exit code 1 if a frame is not what the model computes, or the chain has not
    committed to this log. Of a session that is closed only pins are left on the chain; --offline does without.

    Of a match (an export to BOLT) every byte of its components is compared: before its end those of --rollup.
    """
    if offline and (pins or rollup):
        raise click.UsageError("--offline asks no node; leave out --pin and --rollup")
    if pins and BOLT_EXPORT.lies_at(export):
        raise click.UsageError("--pin: a match of an export to BOLT has no root to keep")
    pinned = pin_session(export, cluster, keypair, folder, trust, yes) if pins else None
    found = verify_log(export, cluster, rollup, folder, offline)
    lines = [*([pinned_text(pinned)] if pinned else []), *found.lines(log_words(export, cluster, folder))]
    output.say(as_json, found.to_json() | {"pin": str(pinned.address) if pinned else ""}, "\n".join(lines))
    sys.exit(0 if found.ok else 1)


def _log_at(folder: Path) -> Log:
    need(folder, LOG, option="--log")
    return read_log(folder)


def verify_log(folder: Path, cluster: str, rollup: str | None, log_folder: Path, offline: bool) -> Audit:
    """`wmq verify`: a log against the chain, or by itself."""
    alone, asking = (_match_audits if BOLT_EXPORT.lies_at(folder) else _session_audits)(folder)

    async def run(log: Log, shown: Progress) -> Audit:
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(Rpc(cluster_url(cluster)))
            node = await stack.enter_async_context(Rpc(rollup)) if rollup else None
            return await asking(base, node, log, shown)

    with _log_at(log_folder) as log, output.progress_bar("verify", max(log.frames, 1)) as (bar, task):
        shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        return alone(log, shown) if offline else asyncio.run(run(log, shown))


#: What audits a log without a node, and what does with the base chain's node, and the rollup's if that is given.
_Audits = tuple[
    Callable[[Log, Progress], Audit], Callable[[Rpc, Rpc | None, Log, Progress], Coroutine[None, None, Audit]]
]


def _session_audits(folder: Path) -> _Audits:
    export = built(folder)

    async def asking(base: Rpc, node: Rpc | None, log: Log, shown: Progress) -> Audit:
        return await audit(base, node, export, log, address_of(log.about.session), shown)

    return lambda log, shown: audit_offline(export, log, address_of(log.about.session), shown), asking


def _match_audits(folder: Path) -> _Audits:
    """Of an export to BOLT."""
    from wm_live.bolt.match_audit import audit_match, audit_match_offline

    export = open_bolt(folder)

    async def asking(base: Rpc, node: Rpc | None, log: Log, shown: Progress) -> Audit:
        return await audit_match(base, node, export, log, shown)

    return lambda log, shown: audit_match_offline(export, log, shown), asking


def pin_session(folder: Path, cluster: str, keypair: Path, log_folder: Path, trust: Trust, yes: bool) -> Pin:
    """`wmq verify --pin`: what the session of a log has committed now."""
    export, wallet = comparable(folder, trust), load_keypair(keypair)
    with _log_at(log_folder) as log:
        session = address_of(log.about.session)
        program, model = check_log(export, log, session)

    async def run() -> Pin:
        async with Rpc(cluster_url(cluster)) as base:
            pinner = await pinner_of(base, export, wallet, program, trust)
            committed = await read_session(base, await read_world(base, export, program, model), session)
            announce(base.url, wallet.pubkey(), PIN_COST, yes)
            return await pinner.pin(committed)

    return asyncio.run(run())


@verb(
    "wmq unpin 4kQz...\nwmq unpin 4kQz... --cluster devnet --json",
    prints="pin session leaves root lamports",
    stopped=SENT_STAYS,
)
@click.argument("address")
@export_argument
@cluster_option
@keypair_option
@trust_options
@yes_option
@json_option
def unpin(address: str, export: Path, cluster: str, keypair: Path, trust: Trust, yes: bool, as_json: bool) -> None:
    """Close a pin that `--pin` of verify or watch has made; its rent goes back to the wallet.

    After that a frame that only this pin has cannot be disputed any more.
    """
    figures = close_own_pin(export, cluster, keypair, address, trust, yes)
    output.say(as_json, figures, f"pin {address}: closed, {figures['lamports']:,} lamports of rent returned")


def close_own_pin(folder: Path, cluster: str, keypair: Path, address: str, trust: Trust, yes: bool) -> dict[str, Any]:
    """`wmq unpin`."""
    export, wallet, at = comparable(folder, trust), load_keypair(keypair), address_of(address)

    async def run() -> dict[str, Any]:
        async with Rpc(cluster_url(cluster)) as base:
            account = await base.account(at)
            if account is None:
                raise WmLiveError(f"{base.url}: no pin {at} there; was it closed?")
            kept = pin_of(at, account, account.owner)
            pinner = await pinner_of(base, export, wallet, account.owner, trust)
            announce(base.url, wallet.pubkey(), UNPIN_COST, yes)
            await pinner.unpin(kept)
            about = {"session": str(kept.session), "leaves": kept.leaves, "root": kept.root.hex()}
            return {"pin": address, **about, "lamports": account.lamports}

    return asyncio.run(run())


@verb(
    "wmq dispute 7 --log session-1\nwmq dispute 1234 --log session-1 --cluster devnet --dry-run",
    prints=DISPUTE_KEYS,
    stopped=SENT_STAYS,
)
@click.argument("frame", type=Whole(0, FRAMES_OF_A_DAY))
@export_argument
@cluster_option
@keypair_option
@needed_log_option
@trust_options
@click.option("--dry-run", is_flag=True, help="Only say what it takes.")
@click.option("--keep", is_flag=True, help="Leave the verdict's account on the chain.")
@yes_option
@json_option
def dispute(
    frame: int,
    export: Path,
    cluster: str,
    keypair: Path,
    folder: Path,
    trust: Trust,
    dry_run: bool,
    keep: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Let the base chain compute one frame of a session again, and say whether the rollup told the truth.

    The program is the one that the log names: it must be final, and the one built here. What is announced goes to a
    purse, which signs in the wallet's place; what is left of it comes back. Exit code 1 if the rollup did not.
    """
    found = dispute_frame(export, cluster, keypair, folder, frame, dry_run, keep, trust, yes)
    if isinstance(found, Costs):
        output.say(as_json, found.to_json(), found.text())
        return
    output.say(as_json, found.to_json(), found.text)
    sys.exit(0 if found.right else 1)


def dispute_frame(
    folder: Path,
    cluster: str,
    keypair: Path,
    log_folder: Path,
    frame: int,
    dry_run: bool,
    keep: bool,
    trust: Trust,
    yes: bool,
) -> Costs | SettledDispute:
    """`wmq dispute`."""
    export, wallet = comparable(folder, trust), load_keypair(keypair)

    async def run(log: Log) -> Costs | SettledDispute:
        session = address_of(log.about.session)
        named, _ = check_log(export, log, session)
        async with Rpc(cluster_url(cluster)) as base:
            program = await check_code(base, named, partial(built_elf, export), wallet.pubkey(), trust)
            planned = Dispute(Sender(base, purse_key(wallet, named)), export, log, session, frame)
            if dry_run:
                return await planned.costs()
            await planned.check()
            announce(base.url, wallet.pubkey(), filling(planned.budget).at_most, yes)
            with output.progress_bar("dispute", 1) as (bar, task):

                def shown(what: str, done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total, description=f"dispute: {what}")

                def computing(done: int, total: int) -> None:
                    text = f"dispute: computing the log up to frame {total:,}"
                    bar.update(task, completed=done, total=total, description=text)

                async with purse(base, wallet, program, planned.budget) as sender:
                    return await Dispute(sender, export, log, session, frame, computing).run(keep, shown)

    with _log_at(log_folder) as log:
        return asyncio.run(run(log))
