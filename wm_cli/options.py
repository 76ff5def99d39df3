"""What the verbs share: the decorator that makes a function a verb, and options and arguments that several have."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from wm_cli import project

F = TypeVar("F", bound=Callable[..., Any])


class Verb(click.Command):
    """A command, and the keys of the JSON object that it prints with --json.

    prints  every key, those of objects inside it included, with spaces between; `name.*` where the keys of the object
            `name` are not listed: layers, horizons, keys of a config
    """

    def __init__(self, *args: Any, prints: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.prints = frozenset(prints.split())


def verb(
    examples: str = "", name: str | None = None, group: click.Group | None = None, prints: str = ""
) -> Callable[[F], Verb]:
    """A Verb, in a group if one is given, whose help ends with examples, one a line."""
    text = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.splitlines()) if examples else None

    def decorate(function: F) -> Verb:
        made = click.command(name, cls=Verb, epilog=text, prints=prints)(function)
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


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
dataset_option = path_option("--dataset", project.DATASET, "Dataset folder.")
config_option = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file; see docs/guide.md for its keys."
)
frames_limit_option = click.option(
    "--limit", type=click.IntRange(1), default=None, help="At most this many one-step frames, evenly spread."
)
seed_option = click.option("--seed", type=int, help="Of initialisation, order and split.")

# ------------------------------------------------------------------------------------------------- chains, sessions

cluster_option = click.option(
    "--cluster", default="localnet", show_default=True, help="localnet, devnet, or a node's URL."
)
keypair_option = path_option("--keypair", project.KEYPAIR, "Keypair file as `solana-keygen new` writes it.")
log_option = click.option("--log", "folder", type=click.Path(path_type=Path), help="Log folder.  [default: session-ID]")
needed_log_option = click.option(
    "--log", "folder", type=click.Path(path_type=Path), required=True, help="The session's log."
)
start_option = click.option(
    "--start", type=click.IntRange(0), default=0, show_default=True, help="Which window of a real game to start from."
)


def session_options(function: F) -> F:
    """Where a session is, and which one: the wallet's own, by its number. Gives the arguments of places.Where."""
    number = click.option("--id", "number", type=click.IntRange(0), default=0, show_default=True, help="Its number.")
    rollup = click.option("--rollup", help="The rollup's node.  [default: the cluster's]")
    for option in (number, keypair_option, rollup, cluster_option, export_argument):
        function = option(function)
    return function
