"""Tables, progress and errors on the terminal. Figures go to standard output, everything else to standard error."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from wm_quant.cost import Cost

out = Console()
err = Console(stderr=True)

METRICS = (
    "action_acc",
    "action_change_acc",
    "action_change_acc_p0",
    "position_mae",
    "position_p50",
    "position_p95",
    "velocity_mae",
    "damage_mae",
)


def print_json(figures: Mapping[str, Any]) -> None:
    """One object on standard output."""
    print(json.dumps(figures, indent=1))


@contextmanager
def progress_bar(text: str, total: float | None) -> Iterator[tuple[Progress, Any]]:
    """A bar on standard error; gives (progress, task)."""
    counted = [] if total == 1 else [MofNCompleteColumn()]
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    columns += [TextColumn("{task.percentage:>3.0f}%"), *counted, TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=err) as progress:
        yield progress, progress.add_task(text, total=total)


def metrics_table(rows: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """Models and baselines side by side; `rows` by name."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in rows:
        table.add_column(name.replace("_", " "), justify="right")
    for metric in METRICS:
        table.add_row(metric, *(f"{row[metric]:.4f}" for row in rows.values()))
    for horizon in next(iter(rows.values()))["rollout"]:
        for key in ("position_mae_mean", "position_mae_last", "action_acc_last", "percent_mae_last"):
            table.add_row(f"K{horizon} {key}", *(f"{row['rollout'][horizon][key]:.4f}" for row in rows.values()))
    return table


def cost_table(cost: Cost, metered: Mapping[str, int] | None = None) -> Table:
    """Compute units op by op."""
    table = Table(title="Compute units of a frame", title_justify="left")
    for name in ("op", "kind"):
        table.add_column(name)
    for name in ("MACs", "in kernels", "around them", "predicted", *(["metered"] if metered else [])):
        table.add_column(name, justify="right")
    for op in cost.ops:
        extra = [f"{metered[op.name]:,}"] if metered else []
        table.add_row(
            op.name,
            op.kind,
            f"{op.macs:,}" if op.macs else "",
            f"{op.kernel_cu:,}",
            f"{op.overhead_cu:,}",
            f"{op.cu:,}",
            *extra,
        )
    for index, (own, total) in enumerate(zip(cost.steps, cost.transactions, strict=True)):
        table.add_row(
            f"transaction {index}", "entry, checks", "", "", f"{own:,}", f"{total:,}", *([""] if metered else [])
        )
    return table
