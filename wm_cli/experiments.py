"""Configs by name: the experiments that come with wmq, and those of a project in experiments/."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from wm_cli.errors import WmCliError
from wm_export.solana.sources import EXPERIMENTS

#: A project's own, which go before those of the same name that come with wmq.
OWN = Path("experiments")


def experiments() -> dict[str, Path]:
    """Every experiment that has a name here."""
    return {path.stem: path for folder in (EXPERIMENTS, OWN) for path in sorted(folder.glob("*.yaml"))}


def need_config(path: Path | None) -> None:
    """WmCliError, which lists the names, for a config that is no file."""
    if path is not None and not path.is_file():
        raise WmCliError(f"{path}: no file and no experiment; there are {', '.join(sorted(experiments()))}")


class ConfigFile(click.ParamType):
    """A config: the path of a YAML file, or the name of an experiment. Gives a path whose stem is that name."""

    name = "config"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The file of that path, or of the experiment of that name; where there is none, `need_config` says it."""
        path = Path(value)
        return path if path.is_file() else experiments().get(str(value), path)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Files, or the names that begin so."""
        names = [CompletionItem(name) for name in sorted(experiments()) if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]
