"""`wmq report`, `demo`, `doctor`: the page, the whole way once, and what is installed."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from wm_cli import output, project
from wm_cli.artifacts import RUN
from wm_cli.experiments import ConfigFile, experiments
from wm_cli.number_types import Real
from wm_cli.options import dataset_option, json_option, overwrite_option, path_option, verb
from wm_cli.packaged import demo_start, example
from wm_cli.plain_text import plain
from wm_cli.staleness import tell_of_figures
from wm_cli.writing import place_of
from wm_export.schema.sbpf import DEFAULT_ARCH
from wm_live.chain.urls import redacted
from wm_train.ranges import MINUTES

if TYPE_CHECKING:
    from wm_export.doctor import Check


@verb("wmq report\nwmq report --out report.html")
@path_option("--out", project.REPORT, "HTML file.")
@dataset_option
@overwrite_option
def report(out: Path, dataset: Path, overwrite: bool) -> None:
    """One page from what the other verbs have measured: metrics, parity, compute units, and the predicted game.

    An older report is replaced.
    """
    from wm_cli.page.report import is_report, write_report

    with place_of(out, "report", overwrite or is_report(out)):
        write_report(out, dataset)
    tell_of_figures()
    output.out.print(f"{out}: open it in a browser", soft_wrap=True)


@verb(
    f"wmq demo\nwmq demo --replays ~/replays --out demo\nwmq demo --config {example(RUN)} --out demo-other\n"
    "wmq demo --target bolt",
    stopped="stages that were done are kept; the same command goes on",
)
@click.option(
    "--replays",
    type=click.Path(path_type=Path, exists=True),
    help="Your own .slp files instead of the demo's one game.",
)
@click.option(
    "--target",
    type=click.Choice(["solana", "bolt"]),
    default="solana",
    show_default=True,
    help="One network as a Solana program, or its subsystems as BOLT's components and systems; for these, what "
    "scripts/bolt.sh needs is installed where it is missing: Debian packages among it, as root.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Project folder; run again to go on where it stopped.  [default: demo, or demo-bolt]",
)
@click.option(
    "--max-minutes",
    type=Real(0.05, MINUTES.most),
    default=4.0,
    show_default=True,
    help="Float training, of all networks together; QAT gets half of it.",
)
@click.option(
    "--config",
    type=ConfigFile(),
    help="What to train: the run of that name that comes with wmq, further; else an experiment, or a YAML file.  "
    f"[default: {demo_start()}; with --target bolt five of the default's shape, and no other]",
)
def demo(replays: Path | None, target: str, out: Path | None, max_minutes: float, config: Path | None) -> None:
    """The whole way once: replay, training, QAT, integers, program, LiteSVM, parity, report."""
    from wm_cli.demo.journey import run_demo
    from wm_cli.demo.match_journey import run_match_demo

    if target == "bolt":
        if config is not None:
            raise click.UsageError(
                "demo: --config is for one network; --target bolt trains five of the default's shape"
            )
        sys.exit(run_match_demo(replays, out or Path("demo-bolt"), max_minutes))
    sys.exit(run_demo(replays, out or Path("demo"), max_minutes, config or experiments()[demo_start()]))


@verb(
    "wmq doctor\nwmq doctor --cluster devnet\nwmq doctor --json",
    prints="ok checks name found need fix optional",
)
@click.option("--cluster", help="Ask this one too which versions of sBPF it takes: localnet, devnet, or a node's URL.")
@json_option
def doctor(cluster: str | None, as_json: bool) -> None:
    """What is installed, what is missing, and the one command that gets it."""
    from wm_export.doctor import checks
    from wm_export.doctor import report as as_figures

    figures = as_figures([*checks(), *([check_of_cluster(cluster)] if cluster else [])])
    if as_json:
        output.print_json(figures)
    else:
        for check in figures["checks"]:
            colour = "green" if check["ok"] else "yellow" if check.get("optional") else "red"
            hint = "" if check["ok"] else f" (need {check['need']}; get it with: {check['fix']})"
            found = plain(f" {check['name']}: {check['found']}{hint}")
            output.out.print(Text.assemble(("ok     " if check["ok"] else "missing", colour), found), soft_wrap=True)
    sys.exit(0 if figures["ok"] else 1)


def check_of_cluster(cluster: str) -> "Check":
    """Whether a cluster takes new programs in the version of sBPF that `wmq build` makes unless told otherwise."""
    from wm_export.doctor import Check
    from wm_live.chain.rpc import Rpc
    from wm_live.chain.wallet import cluster_url
    from wm_live.deploy.versions import Versions, listed, read_versions
    from wm_live.errors import WmLiveError

    async def ask() -> Versions:
        async with Rpc(cluster_url(cluster)) as rpc:
            return await read_versions(rpc)

    need = f"sBPF {DEFAULT_ARCH} for new programs"
    try:
        found = asyncio.run(ask())
    except WmLiveError as error:
        return Check("cluster", False, str(error), need, "wmq localnet, or another --cluster")
    said = f"{redacted(cluster)} takes sBPF {listed(found.taken)}"
    return Check("cluster", DEFAULT_ARCH in found.taken, said, need, found.way)
