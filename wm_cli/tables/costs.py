"""Tables of compute units and of parity."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from rich.table import Table

from wm_cli.tables.plain import compact, plain

Figures = Mapping[str, Any]


def cost_table(figures: Figures) -> Table:
    """Compute units op by op, bytes beside them; an estimate is marked as one."""
    metered = any(op["cu_metered"] is not None for op in figures["ops"])
    table = compact(f"Compute units of a frame of {figures['model']}")
    for name in ("op", "kind"):
        table.add_column(name, no_wrap=True)
    estimate = " (estimate)" if figures["around_known"] == "estimate" else ""
    numbers = ("MACs", "weights, B", "memory, B", "work, B", "in kernels", f"around{estimate}", f"predicted{estimate}")
    for name in (*numbers, *(["metered"] if metered else []), "per unit", "", "share"):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=True)
    for op in figures["ops"]:
        known = [count(op["cu_metered"])] if metered else []
        sizes = (count(op[key]) for key in ("macs", "weight_bytes", "memory_bytes", "work_bytes"))
        units = (f"{op[key]:,}" for key in ("kernel_cu", "around_cu", "cu"))
        table.add_row(op["name"], op["kind"], *sizes, *units, *known, *per_unit(op), f"{op['share']:.1%}")
    table.add_section()
    for layer in figures["layers"]:
        table.add_row(*_layer_row(layer, metered))
    table.add_section()
    for step in figures["transactions"]:
        known = [count(step["cu_metered"])] if metered else []
        share = f"{step['cu_predicted'] / figures['total_cu']:.1%}"
        entry, whole = f"{step['entry_cu']:,}", f"{step['cu_predicted']:,}"
        table.add_row(f"transaction {step['step']}", "entry, checks", *[""] * 5, entry, whole, *known, "", "", share)
    if memory := figures["memory_cu"]:
        row = ("memory digest", "sha256", *[""] * 4, "", "", f"{memory:,}")
        table.add_row(*row, *[""] * metered, "", "", f"{memory / figures['total_cu']:.1%}")
    return table


def _layer_row(layer: Figures, metered: bool) -> list[str]:
    sizes = [count(layer[key]) for key in ("macs", "weight_bytes", "memory_bytes", "work_bytes")]
    units = [f"{layer[key]:,}" for key in ("kernel_cu", "around_cu", "cu")]
    return [layer["name"], "layer", *sizes, *units, *[""] * metered, *per_unit(layer), f"{layer['share']:.1%}"]


def count(number: int | None) -> str:
    """A count; nothing for none."""
    return f"{number:,}" if number else ""


def per_unit(row: Figures) -> tuple[str, str]:
    """What a row costs a unit, and which unit that is."""
    return ("", "") if row["cu_per_unit"] is None else (f"{row['cu_per_unit']:.3f}", f"/{row['unit']}")


def side_by_side_table(first: Figures, second: Figures) -> Table:
    """Compute units of two models, op by op and layer by layer, and how many more the second takes."""
    table = compact(f"Compute units of a frame: {first['model']} (A) beside {second['model']} (B)")
    for name in ("op", "A", "A per unit", "share", "B", "B per unit", "share", "B - A"):
        table.add_column(name, justify="left" if name == "op" else "right", no_wrap=True)
    for rows in ("ops", "layers"):
        for name, a, b in paired(first[rows], second[rows]):
            table.add_row(name, *_half(a), *_half(b), f"{cu_of(b) - cu_of(a):+,}")
        table.add_section()
    totals = first["total_cu"], second["total_cu"]
    table.add_row("frame", f"{totals[0]:,}", "", "", f"{totals[1]:,}", "", "", f"{totals[1] - totals[0]:+,}")
    return table


def _half(row: Figures | None) -> tuple[str, str, str]:
    if row is None:
        return "", "", ""
    return f"{row['cu']:,}", "".join(per_unit(row)), f"{row['share']:.1%}"


def cu_of(row: Figures | None) -> int:
    """Compute units of a row; none where a model has none such."""
    return row["cu"] if row else 0


def paired(first: Sequence[Figures], second: Sequence[Figures]) -> Iterator[tuple[str, Figures | None, Figures | None]]:
    """Rows of two models by name, each in its order, one that only one of them has where it belongs."""
    names = [[row["name"] for row in rows] for rows in (first, second)]
    known = [dict(zip(own, rows, strict=True)) for own, rows in zip(names, (first, second), strict=True)]
    for _, a, upto_a, b, upto_b in SequenceMatcher(None, names[0], names[1], autojunk=False).get_opcodes():
        for name in dict.fromkeys([*names[0][a:upto_a], *names[1][b:upto_b]]):
            yield name, known[0].get(name), known[1].get(name)


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
