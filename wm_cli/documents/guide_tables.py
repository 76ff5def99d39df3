"""Tables of docs/guide.md: the verbs, and the keys of a config."""

from collections.abc import Iterator
from dataclasses import fields

import click

from wm_cli.documents.markdown import table
from wm_cli.verb_table import VERBS, load_verb
from wm_train.config import LossConfig, Mamba2Config, MLPConfig, TrainConfig
from wm_train.world.flags import Flags


def config_table() -> str:
    """Keys of a config, their defaults, what they do, and the numbers that they may have."""
    rows: dict[str, tuple[str, ...]] = {}
    parts = (("model", MLPConfig), ("model", Mamba2Config), ("train", TrainConfig), ("train.losses", LossConfig))
    for section, cls in parts:
        for item in fields(cls):
            default = getattr(cls(), item.name)
            if default == LossConfig():
                continue
            default = list(default) if isinstance(default, tuple) else default
            default = {} if isinstance(default, Flags) else default
            key = f"{section}.{item.name}"
            within = str(item.metadata.get("within") or "")
            rows.setdefault(key, (f"`{key}`", f"`{default}`", item.metadata["text"], within))
    return table(("key", "default", "meaning", "numbers"), list(rows.values()))


def _sentence(command: click.Command) -> str:
    """First sentence of a verb's help."""
    paragraph = " ".join(str(command.help).strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")


def _options(command: click.Command) -> str:
    flags = [o for o in command.params if isinstance(o, click.Option) and o.name != "help"]
    return ", ".join(f"`{option.opts[-1]}`" for option in flags)


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Every verb with its full name, those of groups as well."""
    for name in VERBS:
        command = load_verb(name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def verbs_table() -> str:
    """Every verb with its arguments and options."""
    rows = []
    for name, command in leaves():
        arguments = [str(p.name).upper() for p in command.params if isinstance(p, click.Argument)]
        rows.append((f"`{name}`", " ".join(arguments), _options(command), _sentence(command)))
    return table(("verb", "argument", "options", "what it does"), rows)
