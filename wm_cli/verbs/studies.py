"""`wmq study`: several runs that differ in one thing, trained and measured by one command.

A study that was interrupted goes on: runs that are finished are taken as they are, and so are figures of such a run.
"""

import click

from wm_cli.verbs.character_study import character
from wm_cli.verbs.qat_study import qat
from wm_cli.verbs.rivals_study import rivals


@click.group(
    epilog="\b\nExamples:\n  wmq study character --character 9 --max-minutes 10\n  wmq study character --character all"
)
def study() -> None:
    """Train and measure several runs that differ in one thing."""


study.add_command(character)
study.add_command(qat)
study.add_command(rivals)
