"""What the verbs share: the decorator that makes a function a verb, and options and arguments that several have."""

import functools
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from wm_cli import project
from wm_cli.errors import INTERRUPTED, WmCliError
from wm_cli.experiments import ConfigFile
from wm_cli.number_types import UNITS, WINDOWS, Units, Whole, seed_type
from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_live.errors import OtherExportError
from wm_train.ranges import ENDLESS

F = TypeVar("F", bound=Callable[..., Any])

#: What Ctrl-C leaves of a verb: words, or a function that says them of the verb's parameters.
Stopped = str | Callable[[dict[str, Any]], str]
NOTHING_KEPT = "nothing was written; the same command begins again"
#: Of a verb that sends transactions, and finds out from the chain what is missing.
SENT_STAYS = "what was sent stays on the chain; the same command goes on"


class Verb(click.Command):
    """A command, and the keys of the JSON object that it prints with --json.

    prints   every key, those of objects inside it included, with spaces between; `name.*` where the keys of the object
             `name` are not listed: layers, horizons, keys of a config
    stopped  what Ctrl-C leaves, and how to go on; or a function that says it of the verb's parameters
    """

    def __init__(self, *args: Any, prints: str = "", stopped: Stopped = NOTHING_KEPT, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prints, self._stopped = frozenset(prints.split()), stopped

    def invoke(self, ctx: click.Context) -> Any:
        """What it does; Ctrl-C ends it with exit code 130, another signal that it heeds with 128 and that one's number,
        and a line that says what there is now.

        An error that an export is the wrong one names the right one.
        """
        try:
            return super().invoke(ctx)
        except OtherExportError as error:
            from wm_cli.artifacts import with_right_export

            raise WmCliError(f"{error}; {with_right_export(error)}") from None
        except KeyboardInterrupt as stop:
            from wm_cli import output  # which loads what --help has no use for

            said = self._stopped if isinstance(self._stopped, str) else self._stopped(ctx.params)
            word, code = _ended(stop)
            output.note(f"{word}; {said}")
            ctx.exit(code)


def _ended(stop: KeyboardInterrupt) -> tuple[str, int]:
    """(in a word how a verb ended, its exit code)."""
    from wm_train.fit.interrupts import Terminated

    if isinstance(stop, Terminated):
        return f"stopped by {stop.number.name}", 128 + stop.number
    return "interrupted", INTERRUPTED


def verb(
    examples: str = "",
    name: str | None = None,
    group: click.Group | None = None,
    prints: str = "",
    stopped: Stopped = NOTHING_KEPT,
) -> Callable[[F], Verb]:
    """A Verb, in a group if one is given, whose help ends with examples, one a line."""
    text = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.splitlines()) if examples else None

    def decorate(function: F) -> Verb:
        made = click.command(name, cls=Verb, epilog=text, prints=prints, stopped=stopped)(function)
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def path_option(flag: str, default: Path, text: str) -> Callable[[F], F]:
    """An option that is a path."""
    return click.option(flag, type=click.Path(path_type=Path), default=default, show_default=True, help=text)


def folder_argument(name: str, default: Path | None) -> Callable[[F], F]:
    """An argument that is a folder, and may be left out."""
    return click.argument(name, type=click.Path(path_type=Path), default=default, required=False)


def export_argument(function: F) -> F:
    """EXPORT, and --program for one that holds several. Gives `export`: its folder, or the named program's."""

    @wraps(function)
    def chosen(*args: Any, export: Path, program: str | None, **options: Any) -> Any:
        from wm_export.manifest import check_name
        from wm_export.solana.export import program_folder

        if program is not None:
            check_name(program)
            export = program_folder(export, program)
        return function(*args, export=export, **options)

    choice = click.option("--program", metavar="NAME", help="A program of an export that holds several.")
    return cast(F, folder_argument("export", project.EXPORT)(choice(chosen)))


overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
dataset_option = path_option("--dataset", project.DATASET, "Dataset folder.")
config_option = click.option(
    "--config", type=ConfigFile(), help="Name of an experiment, or a YAML file; see docs/guide.md for its keys."
)
frames_limit_option = click.option(
    "--limit", type=Whole(1, ENDLESS), default=None, help="At most this many one-step frames, evenly spread."
)
budget_option = click.option(
    "--budget",
    type=Units(1, UNITS),
    default=TRANSACTION_BUDGET,
    show_default=True,
    help="Most units of a transaction, as 1400000, 400K or 1.4M.",
)
seed_option = click.option("--seed", type=seed_type, help="Random seed for initialisation, order and split.")

# ------------------------------------------------------------------------------------------------- chains, sessions

cluster_option = click.option(
    "--cluster", default="localnet", show_default=True, help="localnet, devnet, or a node's URL."
)
keypair_option = path_option("--keypair", project.KEYPAIR, "Keypair file as `solana-keygen new` writes it.")


class _Hash(click.ParamType):
    """A sha256 in hexadecimal."""

    name = "hash"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if len(value) != 64 or not set(value.lower()) <= set("0123456789abcdef"):
            self.fail(f"expected a sha256 as 64 hexadecimal digits, got {value[:80]!r}", param, ctx)
        return value.lower()


def upgradeable_option(text: str) -> Callable[[F], F]:
    """`--allow-upgradeable`, which says in a verb's own words what else is done."""
    return click.option("--allow-upgradeable", is_flag=True, help=text)


yes_option = click.option("--yes", is_flag=True, help="Pay without being asked, off this machine too.")


def trust_options(function: F) -> F:
    """What the user says of a program of others. Gives the argument `trust`, a wm_live.chain.trust.Trust."""

    @functools.wraps(function)
    def with_trust(*args: Any, trust_program: str | None, allow_upgradeable: bool, **kwargs: Any) -> Any:
        from wm_live.chain.trust import Trust

        return function(*args, trust=Trust(trust_program, allow_upgradeable), **kwargs)

    text = "Sign for the program with this sha256 on the chain, though it is not the one built here."
    for option in (
        upgradeable_option("Sign for a program that somebody else can replace."),
        click.option("--trust-program", type=_Hash(), metavar="HASH", help=text),
    ):
        with_trust = option(with_trust)
    return cast(F, with_trust)


log_option = click.option("--log", "folder", type=click.Path(path_type=Path), help="Log folder.  [default: session-ID]")
needed_log_option = click.option(
    "--log", "folder", type=click.Path(path_type=Path), required=True, help="The session's log."
)
start_option = click.option(
    "--start", type=Whole(0, WINDOWS), default=0, show_default=True, help="Which window of a real game to start from."
)


def session_options(function: F) -> F:
    """Where a session is, and which one: the wallet's own, by its number. Gives the arguments of places.Where."""
    number = click.option(
        "--id", "number", type=Whole(0, (1 << 64) - 1), default=0, show_default=True, help="Its number."
    )
    rollup = click.option("--rollup", help="The rollup's node.  [default: the cluster's]")
    for option in (number, keypair_option, rollup, cluster_option, export_argument):
        function = option(function)
    return function
