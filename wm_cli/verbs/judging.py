"""`wmq verify`, `dispute`: a session's log against the chain, and one of its frames computed by the base chain."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import click

from wm_cli import output
from wm_cli.json_keys import AUDIT_KEYS, DISPUTE_KEYS
from wm_cli.options import cluster_option, export_argument, json_option, keypair_option, needed_log_option, verb
from wm_cli.places import address_of, built
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import Sender
from wm_live.chain.wallet import cluster_url, load_keypair
from wm_live.judge.audit import Audit, audit
from wm_live.judge.dispute import Costs, Dispute, SettledDispute
from wm_live.session.log import Log, read_log


@verb(
    "wmq verify --log session-1\nwmq verify --log session-1 --rollup http://127.0.0.1:7799 --json",
    prints=AUDIT_KEYS,
)
@export_argument
@cluster_option
@click.option("--rollup", help="The rollup's node, to compare with what it has now as well.")
@needed_log_option
@json_option
def verify(export: Path, cluster: str, rollup: str | None, folder: Path, as_json: bool) -> None:
    """What a stranger can check: every frame of a log computed again, and its root against the committed one.

    Exit code 1 if a frame is not what the model computes, or the chain has not committed to this log.
    """
    found = verify_session(export, cluster, rollup, folder)
    output.say(as_json, found.to_json(), "\n".join(found.lines()))
    sys.exit(0 if found.ok else 1)


def verify_session(folder: Path, cluster: str, rollup: str | None, log_folder: Path) -> Audit:
    """`wmq verify`: a log against the chain."""
    export = built(folder)

    async def run(log: Log) -> Audit:
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(Rpc(cluster_url(cluster)))
            node = await stack.enter_async_context(Rpc(rollup)) if rollup else None
            bar, task = stack.enter_context(output.progress_bar("verify", max(log.frames, 1)))
            shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
            return await audit(base, node, export, log, address_of(log.about.session), shown)

    with read_log(log_folder) as log:
        return asyncio.run(run(log))


@verb(
    "wmq dispute 7 --log session-1\nwmq dispute 1234 --log session-1 --cluster devnet --dry-run",
    prints=DISPUTE_KEYS,
)
@click.argument("frame", type=click.IntRange(0))
@export_argument
@cluster_option
@keypair_option
@needed_log_option
@click.option("--dry-run", is_flag=True, help="Only say what it takes.")
@click.option("--keep", is_flag=True, help="Leave the verdict's account on the chain.")
@json_option
def dispute(
    frame: int, export: Path, cluster: str, keypair: Path, folder: Path, dry_run: bool, keep: bool, as_json: bool
) -> None:
    """Let the base chain compute one frame of a session again, and say whether the rollup told the truth.

    Exit code 1 if it did not.
    """
    found = dispute_frame(export, cluster, keypair, folder, frame, dry_run, keep)
    if isinstance(found, Costs):
        output.say(as_json, found.to_json(), found.text())
        return
    output.say(as_json, found.to_json(), found.text)
    sys.exit(0 if found.right else 1)


def dispute_frame(
    folder: Path, cluster: str, keypair: Path, log_folder: Path, frame: int, dry_run: bool, keep: bool
) -> Costs | SettledDispute:
    """`wmq dispute`."""
    export, wallet = built(folder), load_keypair(keypair)

    async def run(log: Log) -> Costs | SettledDispute:
        async with Rpc(cluster_url(cluster)) as base:
            dispute = Dispute(Sender(base, wallet), export, log, address_of(log.about.session), frame)
            if dry_run:
                return await dispute.costs()
            with output.progress_bar("dispute", 1) as (bar, task):

                def shown(what: str, done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total, description=f"dispute: {what}")

                return await dispute.run(keep, shown)

    with read_log(log_folder) as log:
        return asyncio.run(run(log))
