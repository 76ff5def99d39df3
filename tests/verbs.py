"""The verbs as a user types them, in this process."""

import json
from typing import Any

from click.testing import CliRunner, Result

import cli


def run(*arguments: str) -> Result:
    """Any verb."""
    return CliRunner().invoke(cli.main, list(arguments))


def figures(*arguments: str, code: int = 0) -> Any:
    """What a verb prints with --json."""
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)
