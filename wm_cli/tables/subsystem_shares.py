"""Tables of `wmq subsystems`."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from wm_cli.tables.plain import figures_table

#: Predictions that are compared, and kinds of shares, in their order.
KINDS = ("whole", "alone", "together")
VERDICTS = {True: "yes", False: "no", None: ""}
SHARES = {"every": "of all frames", "changes": "where it changes"}


def percent(value: float | None) -> str:
    """A share; nothing where there was no case."""
    return "" if value is None else f"{value:.2f} %"


def shares_of(row: Mapping[str, Any], share: str) -> list[str]:
    """What of a row's fields is right, of each prediction."""
    return [percent(row[kind][share]) if row[kind] else "" for kind in KINDS]


def world_lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """(what, its figure for each of the worlds)."""
    worlds = figures["worlds"].values()
    yield "parameters", [f"{world['parameters']:,}" for world in worlds]
    yield "kernels, compute units", [f"{world['cu']:,}" for world in worlds]
    yield "action right", [percent(100 * world["action_acc"]) for world in worlds]
    for horizon in ("10", "20"):
        means = [f"{world['rollout'][horizon]['position_mae_mean']:.4f}" for world in worlds]
        yield f"K{horizon} position error, mean", means
    for event in next(iter(worlds)).get("events", {}):
        yield f"{event}, F1", [f"{world['events'][event]['f1'] or 0:.3f}" for world in worlds]


def share_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Subsystems on the fields that they write; then the worlds."""
    tables = []
    for share, words in SHARES.items():
        made = figures_table(f"Right one frame ahead, {words}", [*KINDS, "parameters", "kernels, CU", "decomposes"])
        for row in figures["subsystems"]:
            made.add_row(row["subsystem"], *shares_of(row, share), f"{row['parameters']:,}", f"{row['cu']:,}",
                         VERDICTS[row["decomposes"]])  # fmt: skip
        tables.append(made)
    worlds = figures_table("Worlds", list(figures["worlds"]))
    for what, values in world_lines(figures):
        worlds.add_row(what, *values)
    return [*tables, worlds]
