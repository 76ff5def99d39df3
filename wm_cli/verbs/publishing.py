"""`wmq localnet`, `deploy`, `fund`: nodes on this machine, and a built export onto a chain."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from wm_cli import output
from wm_cli.asking import somebody_there
from wm_cli.json_keys import VERIFICATION_KEYS
from wm_cli.number_types import Real, Whole
from wm_cli.opening import built, open_bolt, open_export
from wm_cli.options import (
    SENT_STAYS,
    cluster_option,
    export_argument,
    json_option,
    keypair_option,
    upgradeable_option,
    verb,
    yes_option,
)
from wm_cli.paying import announce, ask
from wm_cli.places import address_of
from wm_cli.put_on_chain import keep_deployment, tell_of_deployment
from wm_export.schema.sbpf import Arch
from wm_export.solana.export import Export
from wm_live.chain.rpc import Rpc
from wm_live.chain.wallet import SOL, announced, cluster_url, load_keypair, new_keypair
from wm_live.chain.wallet import fund as ask_faucet
from wm_live.chain.wallet import sol as in_sol
from wm_live.deploy.deployed import Reference, Verification, rebuilt, verify
from wm_live.deploy.deploying import Progress, Refund, abort, carry_out, prepare, refund_budget
from wm_live.deploy.deployment import Deployment
from wm_live.deploy.rent import rent_of_export, rent_of_shape
from wm_live.deploy.target import model_of, target_of
from wm_live.errors import WmLiveError
from wm_live.localnet.servers import Localnet, LocalnetPlaces
from wm_live.localnet.servers import run as run_localnet
from wm_quant.presets import PRESETS, untrained
from wm_quant.presets import preset as known_shape
from wm_train.config import load_config
from wm_train.shapes import parameter_count


@verb(
    "wmq localnet\nwmq localnet --storage net --base-chain surfpool --json\nwmq localnet --storage net --bolt export",
    prints="base rollup identity storage",
)
@click.option(
    "--base-chain",
    "base",
    default="lite",
    show_default=True,
    help="lite, solana-test-validator, surfpool, or the URL of one that runs.",
)
@click.option(
    "--storage",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for state and logs, taken up again.  [default: a temporary one]",
)
@click.option(
    "--port",
    type=Whole(1, 65_000),
    default=8899,
    show_default=True,
    help="Of the base chain; the next is taken too.",
)
@click.option(
    "--rollup-port",
    type=Whole(1, 65_000),
    default=7799,
    show_default=True,
    help="Of the rollup; the next two are taken too.",
)
@click.option(
    "--bolt",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="EXPORT",
    help="A built export to BOLT, with whose programs, and World, the base chain begins.",
)
@json_option
def localnet(base: str, storage: Path | None, port: int, rollup_port: int, bolt: Path | None, as_json: bool) -> None:
    """Run a base chain and the real MagicBlock validator on this machine until Ctrl-C.

    Needs `make rollup` once. Everything listens on 127.0.0.1 only.
    """
    if bolt is not None and base != "lite":
        raise click.UsageError(f"--bolt: only with --base-chain lite, got {base}")

    def ready(at: LocalnetPlaces) -> None:
        where = {"base": at.base, "rollup": at.rollup, "identity": str(at.identity), "storage": str(at.storage)}
        output.say(as_json, where, "\n".join(f"{name:9} {value}" for name, value in where.items()))
        sys.stdout.flush()

    with ExitStack() as stack:
        programs = [stack.enter_context(_programs_of(bolt))] if bolt is not None else []
        run_localnet(Localnet(base, storage, (port, rollup_port), programs=programs), ready)


def _programs_of(export: Path) -> AbstractContextManager[Path]:
    """The folder of the programs of a built export to BOLT."""
    from wm_live.bolt.own_match import programs_of

    return programs_of(open_bolt(export))


class _DeployGroup(click.Group):
    """`wmq deploy [EXPORT]` deploys; only where the first word is another verb of the group it is that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        if args and not known and not Path(args[0]).exists():
            for meant in get_close_matches(args[0], self.commands, 1):
                raise click.UsageError(f"No such command or export {args[0]!r}. Did you mean {meant!r}?", ctx)
        completes = ctx.resilient_parsing and not args
        return super().parse_args(ctx, args if known or completes else ["run", *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Its verbs, and what `run` takes, which need not be typed."""
        return [*super().shell_complete(ctx, incomplete), *self.commands["run"].shell_complete(ctx, incomplete)]


@click.group(
    cls=_DeployGroup,
    epilog="\b\nExamples:\n  wmq deploy --keypair payer.json --dry-run\n  wmq deploy export --cluster devnet --keypair "
    "payer.json --final --max-sol 60\n  wmq deploy rent --preset mlp\n  wmq deploy verify --model ADDRESS\n"
    "  wmq deploy abort --keypair payer.json",
)
def deploy() -> None:
    """Put a built export on a chain: its program, and its weights, frozen for ever.

    \b
    wmq deploy [run] [EXPORT]   deploys, or goes on where it stopped (see wmq deploy run --help)
    wmq deploy rent [EXPORT]    says what each part costs to keep, of an export or before anything is trained
    wmq deploy verify [EXPORT]  compares the chain with an export
    wmq deploy abort [EXPORT]   gives up an unfinished deployment
    """


#: Of WorldRent.to_json.
RENT_KEYS = "parts name bytes rent back kept sections.* smaller how"


@verb(
    name="run",
    group=deploy,
    prints=(
        f"{VERIFICATION_KEYS} verification cluster sbpf taken features.* payer accounts address bytes rent there steps "
        "transactions fees total at_most needs balance seconds dry_run seconds_taken balance_after "
        f"world_rent {RENT_KEYS}"
    ),
    stopped="what was sent stays on the chain; run the same again to go on, or `wmq deploy abort` to get the rent back",
)
@export_argument
@cluster_option
@keypair_option
@click.option("--dry-run", is_flag=True, help="Say what it takes and costs; send nothing.")
@click.option("--max-sol", type=Real(0, 100_000, above=True), help="Send nothing if it might take more SOL.")
@click.option(
    "--final/--upgradeable",
    default=None,
    help="Nobody can ever replace the program; or the keypair can, at any time. Asked for if neither is said.",
)
@yes_option
@json_option
def deploy_run(
    export: Path,
    cluster: str,
    keypair: Path,
    dry_run: bool,
    max_sol: float | None,
    final: bool | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy an export. Interrupted, it goes on where it stopped: everything is read back from the chain."""
    opened, show = built(export), output.err if as_json else output.out
    chosen = bool(final) if dry_run or final is not None else _asked_for_final()

    def planned(deployment: Deployment) -> None:
        bar.stop()
        show.print("\n".join(deployment.lines()))
        deployment.check_version()
        if max_sol is not None:
            deployment.check_limit(round(max_sol * SOL))
        if deployment.steps and not dry_run:
            deployment.check_balance()
            ask(deployment.url, announced(deployment.payer, deployment.budget().at_most), yes)
        bar.start()

    with output.progress_bar("reading the chain", None) as (bar, task):
        figures = run_deploy(
            opened,
            cluster,
            keypair,
            dry_run,
            chosen,
            planned,
            lambda name, done, total: bar.update(task, description=name, completed=done, total=total),
        )
    if not dry_run:
        keep_deployment(cluster, figures | {"manifest_sha256": opened.manifest.hash.hex()})
    done = "nothing was sent" if dry_run else f"deployed and verified in {figures.get('seconds_taken')} s"
    output.say(as_json, figures, f"{done}\nprogram {figures['program']}\nmodel   {figures['model']}")


def _asked_for_final() -> bool:
    """Whether the program is to be final, by who sits at the terminal; a usage error if nobody does."""
    if not somebody_there():
        raise click.UsageError(
            "expected --final (nobody, you included, can ever replace the program: what others can rely on) "
            "or --upgradeable (this keypair can, at any time)"
        )
    output.note(
        "A final program can never be replaced, by nobody: others can rely on it, and faults stay for ever.\n"
        "An upgradeable one can be replaced by this keypair at any time: others have to trust its owner."
    )
    return bool(click.prompt("Which", type=click.Choice(["final", "upgradeable"]), err=True) == "final")


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
            own = Reference(target.elf, "what `wmq build` made of the export")
            found = await verify(rpc, export, target.model, lambda _: own, upgradeable=not final)
            if not found.ok:
                raise WmLiveError("deployed, but not the export: " + "; ".join(found.lines()))
            spent = {"dry_run": False, "seconds_taken": round(seconds, 2), "balance_after": after}
            return figures | spent | {"verification": found.to_json()}

    return asyncio.run(run())


@verb(
    "wmq deploy rent\nwmq deploy rent --preset mlp\nwmq deploy rent --config small.yaml --json",
    name="rent",
    group=deploy,
    prints=f"parameters program_bytes built {RENT_KEYS}",
)
@export_argument
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A config, before it is trained.")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="A known shape instead.")
@json_option
def deploy_rent(export: Path, config: Path | None, preset: str | None, as_json: bool) -> None:
    """What each part of a world costs to keep, what comes back when, and what smaller shapes would cost.

    Asks no node, and needs no compilers: of a program that is not built yet the bytes are estimated.
    """
    figures, lines = run_rent(export, config, preset)
    output.say(as_json, figures, "\n".join(lines))


def run_rent(folder: Path, config: Path | None, preset: str | None) -> tuple[dict[str, Any], list[str]]:
    """(figures, the same in words) of a config, of a preset, or else of an export."""
    if config is not None and preset is not None:
        raise click.UsageError("expected --config or --preset, one of the two")
    built = False
    if config is not None or preset is not None:
        net = untrained(load_config(config).model) if preset is None else known_shape(preset)
        rent = rent_of_shape(net)
    else:
        export = open_export(folder)
        net, built, rent = export.net, export.program.exists(), rent_of_export(export)
    count = parameter_count(net.model)
    sized = "built" if built else f"of about {rent.program_bytes:,} bytes, once it is built"
    about = {"parameters": count, "program_bytes": rent.program_bytes, "built": built}
    return about | rent.to_json(), [f"{count:,} parameters; program {sized}", "", *rent.lines()]


@verb(
    name="verify",
    group=deploy,
    prints=VERIFICATION_KEYS,
)
@export_argument
@cluster_option
@click.option("--keypair", type=click.Path(path_type=Path), help="Keypair that deployed it, instead of --model.")
@click.option("--model", metavar="ADDRESS", help="The model account, instead of the keypair that deployed it.")
@upgradeable_option("Exit code 0 for a program that somebody can replace, too.")
@json_option
def deploy_verify(
    export: Path, cluster: str, keypair: Path | None, model: str | None, allow_upgradeable: bool, as_json: bool
) -> None:
    """Compare program and weights on a chain with an export, whose program is rebuilt from its QNet.

    Exit code 1 if anything differs, or if somebody can replace the program.
    """
    found = run_verify(open_export(export), cluster, model, keypair, allow_upgradeable)
    output.say(as_json, found.to_json(), "\n".join(found.lines()))
    sys.exit(0 if found.ok else 1)


def run_verify(
    export: Export, cluster: str, model: str | None, keypair: Path | None, upgradeable: bool
) -> Verification:
    """Compare a model on chain, named or the one that `keypair` deploys, with an export and its rebuilt program."""
    if (model is None) == (keypair is None):
        raise WmLiveError("verify: expected --model ADDRESS or --keypair FILE, one of the two")
    address = address_of(model) if model is not None else None
    if keypair is not None:
        address = model_of(export, load_keypair(keypair))

    def rebuild(arch: Arch) -> Reference:
        output.note(f"rebuilding the program from the QNet, for sBPF {arch}")
        return rebuilt(export, arch)

    async def run() -> Verification:
        async with Rpc(cluster_url(cluster)) as rpc:
            assert address is not None
            if keypair is not None:
                await tell_of_deployment(rpc, export.folder, cluster, keypair)
            return await verify(rpc, export, address, rebuild, upgradeable)

    return asyncio.run(run())


@verb(
    name="abort",
    group=deploy,
    prints="returned model buffer fees total",
    stopped=SENT_STAYS,
)
@export_argument
@cluster_option
@keypair_option
@yes_option
@json_option
def deploy_abort(export: Path, cluster: str, keypair: Path, yes: bool, as_json: bool) -> None:
    """Close an unfinished model and a program's left-over buffer, and get their rent back."""
    figures = run_abort(open_export(export), cluster, keypair, yes).to_json()
    names = " and ".join(figures["returned"]) or "nothing to close"
    output.say(
        as_json,
        figures,
        f"{names}: {in_sol(figures['total'])} SOL came back, {in_sol(figures['fees'])} of fees deducted",
    )


def run_abort(export: Export, cluster: str, keypair: Path, yes: bool) -> Refund:
    """Give up an unfinished deployment; what came back."""
    target = target_of(export, load_keypair(keypair))

    async def run() -> Refund:
        async with Rpc(cluster_url(cluster)) as rpc:
            announce(rpc.url, target.payer, refund_budget(target).at_most, yes)
            return await abort(rpc, target)

    return asyncio.run(run())


@verb(
    "wmq fund --keypair payer.json --sol 60\nwmq fund --cluster devnet --keypair payer.json --sol 2",
    prints="payer balance",
)
@cluster_option
@keypair_option
@click.option("--sol", type=Real(0, 100_000, above=True), required=True, help="Target balance in SOL.")
@json_option
def fund(cluster: str, keypair: Path, sol: float, as_json: bool) -> None:
    """Ask a cluster's faucet for SOL until the keypair has enough. Devnet gives a few a day.

    A keypair file that is not there is made, readable by you alone.
    """
    figures = run_fund(cluster, keypair, sol)
    output.say(as_json, figures, f"{figures['payer']} has {in_sol(figures['balance'])} SOL")


def run_fund(cluster: str, keypair: Path, sol: float) -> dict[str, Any]:
    """Ask the cluster for lamports until the keypair has `sol` SOL; a keypair file that is not there is made."""
    payer = load_keypair(keypair) if keypair.exists() else new_keypair(keypair)

    async def run() -> int:
        async with Rpc(cluster_url(cluster)) as rpc:
            return await ask_faucet(rpc, payer, round(sol * SOL))

    return {"payer": str(payer.pubkey()), "balance": asyncio.run(run())}
