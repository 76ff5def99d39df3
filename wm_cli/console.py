"""Tables, progress and errors on the terminal. Figures go to standard output, everything else to standard error."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from rich import box
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

#: Names of baselines broken into lines, so that seven columns of figures fit into 80 characters.
NARROW = {
    "persistence": "persis-\ntence",
    "constant_velocity": "constant\nvelocity",
    "constant_velocity_freeze": "constant\nvelocity\nfreeze",
}


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
    table = _compact(title)
    table.add_column("", no_wrap=True)
    for name in rows:
        table.add_column(NARROW.get(name, name), justify="right", no_wrap=True)
    for metric in METRICS:
        table.add_row(metric, *(f"{row[metric]:.4f}" for row in rows.values()))
    for horizon in next(iter(rows.values()))["rollout"]:
        for key in ("position_mae_mean", "position_mae_last", "action_acc_last", "percent_mae_last"):
            table.add_row(f"K{horizon} {key}", *(f"{row['rollout'][horizon][key]:.4f}" for row in rows.values()))
    return table


def proof_table(parity: Mapping[str, Any], cu: Mapping[str, Any]) -> Table:
    """Parity by executor, then compute units (an empty `cu` where none were metered); in short."""
    table = _compact("Parity and cost")
    table.add_column("against the interpreter", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for row in parity["outcomes"]:
        table.add_row(f"parity {row['executor']}", f"{row['frames']:,} frames, {row['mismatches']} differ")
    if cu:
        table.add_section()
        table.add_row("compute units a frame", f"{cu['total_cu']:,} of {cu['budget']:,}")
        table.add_row(
            "predicted = metered", f"{cu['frames_metered'] - cu['frames_different']} of {cu['frames_metered']} frames"
        )
        table.add_row("units per MAC", f"{cu['cu_per_mac']:.4f}")
        for op in cu["ops"]:
            table.add_row(f"  {op['name']}", f"{op['cu']:,}")
    return table


def diagnosis_tables(figures: Mapping[str, Any]) -> tuple[Table, Table]:
    """Gates, and the heads whose embeddings one of them is about."""
    gates = _compact(f"{figures['frames']:,} held-out frames")
    for name in ("measure", "opens"):
        gates.add_column(name)
    for name in ("value", "threshold", "gate"):
        gates.add_column(name, justify="right", no_wrap=True)
    for gate in figures["gates"]:
        value = "too few frames" if gate["value"] is None else f"{gate['value']:.3f}"
        state = {True: "open", False: "shut", None: ""}[gate["open"]]
        gates.add_row(gate["measure"], gate["opens"], value, f"{gate['threshold']:g}", state)
    heads = _compact("Ids where they change")
    for name in ("id", "ids", "width", "changes", "right, rare", "right, common"):
        heads.add_column(name, justify="left" if name == "id" else "right", no_wrap=True)
    for head in figures["heads"]:
        shares = ("" if head[key] is None else f"{head[key]:.3f}" for key in ("rare", "common"))
        heads.add_row(head["name"], str(head["ids"]), str(head["width"]), f"{head['changes']:,}", *shares)
    return gates, heads


def _compact(title: str) -> Table:
    """A table with as little around its columns as stays readable."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)


def cost_table(cost: Cost, metered: Mapping[str, int] = MappingProxyType({})) -> Table:
    """Compute units op by op."""
    cells = {name: f"{cu:,}" for name, cu in metered.items()}
    table = Table(title="Compute units of a frame", title_justify="left")
    for name in ("op", "kind"):
        table.add_column(name)
    for name in ("MACs", "in kernels", "around them", "predicted", *(["metered"] if metered else [])):
        table.add_column(name, justify="right")
    for op in cost.ops:
        extra = [cells.get(op.name, "")] if metered else []
        table.add_row(
            op.name,
            op.kind,
            f"{op.macs:,}" if op.macs else "",
            f"{op.kernel_cu:,}",
            f"{op.overhead_cu:,}",
            f"{op.cu:,}",
            *extra,
        )
    for index, (own, total) in enumerate(zip(cost.steps, cost.transactions(frame=0), strict=True)):
        table.add_row(
            f"transaction {index}", "entry, checks", "", "", f"{own:,}", f"{total:,}", *([""] if metered else [])
        )
    return table
