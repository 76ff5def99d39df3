"""The verbs are found without loading them, and what is shown of them then is what they say."""

import inspect
import subprocess
from pathlib import Path

import click
import pytest

import cli
from tests.verbs import run, undeclared
from wm_cli.verb_table import VERBS, LazyVerb, help_of, load_verb

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "pyarrow", "solders", "numpy", "onnx", "onnxruntime", "aiohttp", "rich"}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_stands_in_its_module_under_its_name(name: str) -> None:
    command = load_verb(name)
    assert command.name == name and inspect.cleandoc(str(command.help)) == help_of(name)
    assert command.get_short_help_str(60) == LazyVerb(name).get_short_help_str(60)


def test_every_command_of_a_verb_module_is_in_the_table() -> None:
    modules = {path.stem for path in (ROOT / "wm_cli" / "verbs").glob("*.py") if "@verb(" in path.read_text()}
    inner = {command.callback.__module__.rpartition(".")[2] for command in commands() if command.callback}
    assert modules == inner


def commands() -> list[click.Command]:
    """Every command, those of groups as well."""
    found = [load_verb(name) for name in VERBS]
    return [c for one in found for c in (one.commands.values() if isinstance(one, click.Group) else [one])]


def test_help_loads_nothing_heavy_and_lists_every_verb(python: str) -> None:
    code = "import cli, sys\ntry: cli.main(['--help'])\nexcept SystemExit: print('\\n'.join(sys.modules))"
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    words = {line.split()[0].partition(".")[0] for line in done.stdout.splitlines() if line.strip()}
    assert set(VERBS) <= words and not words & HEAVY


def test_completion_knows_the_verbs() -> None:
    names = [item.value for item in cli.main.shell_complete(click.Context(cli.main, info_name="wmq"), "st")]
    assert names == ["study"]


def test_a_verb_that_is_not_there_is_a_usage_error() -> None:
    assert run("stages").exit_code == 2


def test_an_undeclared_key_is_found_at_any_depth() -> None:
    figures = {"a": [{"b": 1, "c": {"x": {"d": 1}}}], "e": 1}
    assert undeclared(figures, frozenset({"a", "b", "c", "x", "d", "e"})) == set()
    assert undeclared(figures, frozenset({"a", "b", "c.*", "e"})) == {"d"}
    assert undeclared(figures, frozenset({"a", "c.*", "d"})) == {"b", "e"}
