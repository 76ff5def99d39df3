"""Empty tables of two kinds."""

from collections.abc import Sequence

from rich import box
from rich.table import Table


def compact(title: str) -> Table:
    """A table with as little around its columns as stays readable."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)


def figures_table(title: str, columns: Sequence[str]) -> Table:
    """A compact table with a column of names and columns of figures."""
    table = compact(title)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def plain(value: float | None) -> str:
    """A figure; nothing where it could not be measured."""
    return "" if value is None else f"{value:.4f}"
