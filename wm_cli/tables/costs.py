"""Tables of compute units and of parity."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rich.table import Table

from wm_cli.tables.plain import compact, plain
from wm_export.lower.cost import Cost


def cost_table(cost: Cost, metered: Mapping[str, int] = MappingProxyType({})) -> Table:
    """Compute units op by op."""
    cells = {name: f"{cu:,}" for name, cu in metered.items()}
    table = compact("Compute units of a frame")
    for name in ("op", "kind"):
        table.add_column(name, no_wrap=True)
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


def bits_table(figures: Mapping[str, Any]) -> Table:
    """`wmq bits`: without INT4, each layer with it, and the choice if there is one."""
    table = compact(f"INT4 weights, post training; {figures['kernel_cu'] + figures['around_cu']:,} units without")
    table.add_column("INT4 in", no_wrap=True)
    for name in ("units saved", "loss", "position_mae", "action_change_acc", "k10"):
        table.add_column(name, justify="right", no_wrap=True)

    def row(name: str, saved: str, loss: str, measured: Mapping[str, Any]) -> None:
        table.add_row(name, saved, loss, *(plain(measured[k]) for k in ("position_mae", "action_change_acc", "k10")))

    row("nothing", "", "", figures["base"])
    for layer in figures["layers"]:
        row(layer["layer"], f"{layer['saved_cu']:,}", f"{layer['loss']:.4f}", layer)
    if choice := figures.get("choice"):
        saved = figures["kernel_cu"] + figures["around_cu"] - choice["frame_cu"]
        table.add_section()
        narrow = [layer for layer, bits in choice["bits"].items() if bits < 8]
        row(", ".join(narrow) or "nothing", f"{saved:,}", "", choice)
        fits = "" if figures["ok"] else ": too many"
        table.caption = f"{choice['frame_cu']:,} of {figures['budget']:,} units{fits}"
    return table


def proof_table(parity: Mapping[str, Any], cu: Mapping[str, Any]) -> Table:
    """Parity by executor, then compute units (an empty `cu` where none were metered); in short."""
    table = compact("Parity and cost")
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
