"""Tables of sweeps, and of two runs side by side."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def sweep_table(figures: Mapping[str, Any]) -> Table:
    """Trials, best first."""
    keys = list(figures["trials"][0]["values"])
    table = Table(*keys, figures["metric"], title=f"{figures['metric']}, {figures['mode']} first", title_justify="left")
    for trial in figures["trials"]:
        value = trial["error"] if trial["value"] is None else f"{trial['value']:.4f}"
        table.add_row(*(f"{trial['values'][key]:.4g}" if isinstance(trial["values"][key], float)
                        else str(trial["values"][key]) for key in keys), value)  # fmt: skip
    return table


def compare_table(figures: Mapping[str, Any]) -> Table:
    """What differs: config keys, games, and every metric."""
    table = Table("", title="Two runs", title_justify="left")
    for name in ("first", "second", "difference"):
        table.add_column(name, justify="right")
    for row in figures["config"]:
        table.add_row(f"config {row['key']}", str(row["first"]), str(row["second"]), "differs")
    for use, only in figures["games"].items():
        if any(only.values()):
            table.add_row(f"games only here: {use}", str(len(only["first"])), str(len(only["second"])), "differs")
    for row in figures["metrics"]:
        mark = "" if row["ok"] else " !"
        table.add_row(row["metric"], f"{row['first']:.4f}", f"{row['second']:.4f}", f"{row['difference']:.2%}{mark}")
    return table
