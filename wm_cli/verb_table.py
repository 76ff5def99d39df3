"""Which module has which verb; a verb's module is imported when the verb is used, and not before."""

import ast
import inspect
from importlib import import_module
from importlib.resources import files
from typing import Any

import click

#: Verb -> the module of wm_cli.verbs that has a function of that name.
VERBS = {
    "ingest": "data",
    "encode": "data",
    "overlap": "data",
    "train": "training",
    "sweep": "training",
    "compare": "training",
    "compose": "composing",
    "subsystems": "composing",
    "evaluate": "measuring",
    "rollout": "measuring",
    "diagnose": "measuring",
    "speculate": "measuring",
    "study": "studies",
    "quantize": "making",
    "bits": "mixed_bits",
    "design": "designing",
    "export": "making",
    "build": "making",
    "cu": "compute_units",
    "parity": "executors",
    "localnet": "publishing",
    "deploy": "publishing",
    "fund": "publishing",
    "session": "sessions",
    "play": "playing",
    "bench": "live",
    "verify": "judging",
    "unpin": "judging",
    "dispute": "judging",
    "live": "live",
    "watch": "watching",
    "report": "overview",
    "demo": "overview",
    "doctor": "overview",
}


def load_verb(name: str) -> click.Command:
    """The verb, or the group of verbs, of that name."""
    command = getattr(import_module(f"wm_cli.verbs.{VERBS[name]}"), name)
    assert isinstance(command, click.Command)
    return command


def help_of(name: str) -> str:
    """The docstring of a verb, read from its module's text."""
    text = (files("wm_cli") / "verbs" / f"{VERBS[name]}.py").read_text()
    (function,) = (n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name)
    return inspect.cleandoc(ast.get_docstring(function) or "")


class LazyVerb(click.Command):
    """Stands for a verb until it is used: `wmq --help` and completion need no more than its name and first line."""

    def get_short_help_str(self, limit: int = 45) -> str:
        """The beginning of the verb's help."""
        self.help = help_of(str(self.name))
        return super().get_short_help_str(limit)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """The context of the verb itself, which is loaded now."""
        return load_verb(str(self.name)).make_context(*args, **options)
