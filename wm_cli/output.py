"""Output on the terminal: figures on standard output, progress and errors on standard error.

What is printed is text, never markup: names in replays, QNets and logs are strangers'. Colour comes from rich's Text.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from wm_cli.plain_text import plain, plain_lines


class PlainConsole(Console):
    """A console that every string, a table's cells and titles too, passes as plain text."""

    def __init__(self, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Where rich makes a Text of each string that it is given."""
        return super().render_str(plain_lines(text), **options | {"markup": False, "emoji": False})


#: Columns of a terminal that is wide enough for every table.
_ENDLESS = 10_000

out = PlainConsole()
err = PlainConsole(stderr=True)


def speaks() -> bool:
    """Whether this process prints: of several that train together (torchrun says who is who) only the first does."""
    return os.environ.get("RANK", "0") == "0"


def say(as_json: bool, figures: Mapping[str, Any], text: str) -> None:
    """A verb's result: its figures with --json, else the text. Nothing in a process that does not print."""
    if not speaks():
        return
    if as_json:
        print_json(figures)
    else:
        out.print(text, soft_wrap=True)


def show(as_json: bool, figures: Mapping[str, Any], *tables: Table) -> None:
    """A verb's result: its figures with --json, else as tables."""
    if as_json:
        print_json(figures)
    else:
        print_tables(tables)


def note(text: str) -> None:
    """A remark on standard error."""
    err.print(text, soft_wrap=True)


def print_tables(tables: Iterable[Table]) -> None:
    """One below the other; a table whose figures need more columns than the terminal has is as wide as they are."""
    for i, table in enumerate(tables):
        for column in table.columns:
            if column.justify == "right" or column.no_wrap:
                lines = [line for cell in (column.header, *column.cells) for line in str(cell).split("\n")]
                column.min_width = max(map(cell_len, lines))
        needed = Measurement.get(out, out.options.update(max_width=_ENDLESS), table).minimum
        PlainConsole(width=max(out.width, needed)).print(*[""] * (i > 0), table, sep="\n")


def print_json(figures: Mapping[str, Any]) -> None:
    """One object on standard output."""
    print(json.dumps(figures, indent=1).replace("\x7f", "\\u007f"))


class _Description(TextColumn):
    """What is being done: a run's name, a step that a node's answer names."""

    def render(self, task: Task) -> Text:
        """It, as plain text."""
        return Text(plain(task.description))


@contextmanager
def progress_bar(text: str, total: float | None) -> Iterator[tuple[Progress, Any]]:
    """A bar on standard error; gives (progress, task). One that has not moved when an error comes leaves nothing."""
    counted = [] if total == 1 else [MofNCompleteColumn()]
    columns: list[ProgressColumn] = [_Description(""), BarColumn()]
    columns += [TextColumn("{task.percentage:>3.0f}%"), *counted, TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=err, disable=not speaks()) as progress:
        task = progress.add_task(text, total=total)
        try:
            yield progress, task
        except Exception:
            progress.live.transient = not progress.tasks[0].completed
            raise
