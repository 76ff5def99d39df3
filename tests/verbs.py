"""The verbs as a user types them, in this process."""

import json
from collections.abc import Mapping
from typing import Any

import click
from click.testing import CliRunner, Result

import cli
from wm_cli.options import Verb
from wm_cli.verb_table import load_verb


def run(*arguments: str) -> Result:
    """Any verb."""
    return CliRunner().invoke(cli.main, list(arguments))


def figures(*arguments: str, code: int = 0) -> Any:
    """What a verb prints with --json; every key of it is one that the verb declares."""
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    assert sorted(undeclared(found, verb_of(arguments).prints)) == []
    return found


def verb_of(arguments: tuple[str, ...]) -> Verb:
    """The verb that a command line names."""
    command = load_verb(arguments[0])
    if isinstance(command, click.Group):
        command = command.commands[arguments[1]]
    assert isinstance(command, Verb)
    return command


def undeclared(figures: Any, declared: frozenset[str]) -> set[str]:
    """Keys of an object, and of those inside it, that are not declared; below a declared `name.*` any key may stand."""
    if isinstance(figures, list):
        return set().union(*(undeclared(item, declared) for item in figures))
    if not isinstance(figures, Mapping):
        return set()
    found = {key for key in figures if key not in declared and f"{key}.*" not in declared}
    for key, inner in figures.items():
        free = f"{key}.*" in declared and isinstance(inner, Mapping)
        found |= undeclared(list(inner.values()) if free else inner, declared)
    return found
