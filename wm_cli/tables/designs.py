"""The table of `wmq design`."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from wm_cli.tables.plain import compact, plain

Figures = Mapping[str, Any]


def design_table(figures: Figures) -> Table:
    """Shapes that fit, the best first."""
    kind, times = figures["arch"], figures["transactions"]
    table = compact(f"{kind} that fits {times} x {figures['budget']:,} compute units a frame")
    names = ("d_model", "layers", "d_state") if kind == "mamba2" else ("hidden", "slots")
    table.add_column("heads", no_wrap=True)
    numbers = (
        "parameters",
        *names,
        "bits",
        "units",
        "in kernels",
        "digest",
        "around (estimate)",
        "per unit",
        "weights, B",
        "scratch, B",
    )
    for name in (*numbers, *([figures["metric"]] if figures["metric"] else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for row in figures["candidates"]:
        table.add_row(*_row(row), *([row["error"] or plain(row["value"])] if figures["metric"] else []))
    return table


def _row(row: Figures) -> list[str]:
    model = row["model"]
    own = (
        [f"{model[key]}" for key in ("d_model", "n_layers", "d_state")]
        if model["arch"] == "mamba2"
        else [" ".join(map(str, model["hidden"])), f"{model['slots']}"]
    )
    units = [f"{row[key]:,}" for key in ("kernel_cu", "memory_cu", "around_cu")]
    sizes = f"{row['parameters_per_cu']:.3f}", f"{sum(row['shards']):,}", f"{row['scratch']:,}"
    spent = " + ".join(f"{units:,}" for units in row["worst_cu"])
    return [model["heads"], f"{row['parameters']:,}", *own, _bits(row["bits"]), spent, *units, *sizes]


def _bits(bits: Figures) -> str:
    """Bits of the ends and of the middle."""
    first = bits.get("layer1", 8)
    middle = next((some for layer, some in bits.items() if layer not in ("layer1", "heads")), 8)
    return f"{first}/{middle}"
