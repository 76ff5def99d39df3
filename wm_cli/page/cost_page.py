"""The page of `wmq cu`: what a frame costs, by transaction, layer and op; of one model, or of several side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from wm_cli.frame_cost import KNOWN
from wm_cli.page.charts import bars, side_by_side_bars
from wm_cli.page.document import document
from wm_cli.page.markup import Cell, counted, details, paragraph, section, table, tiles
from wm_cli.tables.costs import count, cu_of, paired, per_unit

TITLE = "wmq compute units"
Figures = Mapping[str, Any]
#: A row of two models: its name, and what each has.
Pair = tuple[str, Figures | None, Figures | None]


def cost_page(models: Sequence[Figures]) -> str:
    """The page of figures as cost_figures.frame_figures gives them: a section for each model, and one for the two."""
    names = " beside ".join(f"`{one['model']}`" for one in models)
    beside = _beside(*models) if len(models) == 2 else ""
    titles = [f"{i}: {one['model']}" if len(models) > 1 else str(one["model"]) for i, one in enumerate(models, 1)]
    body = beside + "".join(map(_model, titles, models))
    return document(TITLE, paragraph(f"One frame of {names}.", "note"), body)


def _model(title: str, figures: Figures) -> str:
    worst = max(step["cu_worst"] for step in figures["transactions"])
    fits = worst <= figures["budget"]
    said = (
        f"{'Fits' if fits else 'Does not fit'}: a transaction takes {worst:,} units at most, "
        f"{worst / figures['budget']:.1%} of the budget of {figures['budget']:,}."
    )
    return section(
        title,
        tiles(_tiles(figures)),
        paragraph(said, "verdict" if fits else "verdict worse"),
        paragraph(f"Kernels are exact, by formula. The compiled code around them is {KNOWN[figures['around_known']]}."),
        paragraph(_metered(figures)),
        _chart("layer", figures["layers"]),
        _rows("By layer", figures, "layers"),
        _chart("op", figures["ops"]),
        _rows("By op", figures, "ops"),
        _transactions(figures),
    )


def _tiles(figures: Figures) -> list[tuple[str, str, str]]:
    accounts, steps = figures["accounts"], counted(len(figures["transactions"]), "transaction")
    cell = figures["cu_per_cell"]
    sizes = counted(len(accounts["shards"]), "model account")
    return [
        (
            "Compute units a frame",
            f"{figures['total_cu']:,}",
            f"{steps}; at most {figures['worst_cu']:,}{_mark(figures)}",
        ),
        ("Units per MAC", f"{figures['cu_per_mac']:.4f}", "matrix products, calls included"),
        *([("Units per state cell", f"{cell:.4f}", "the recurrence, calls included")] if cell else []),
        ("Parameters", f"{figures['parameters']:,}", str(figures["arch"])),
        ("Weights", f"{accounts['blob']:,}", f"bytes in {sizes}"),
        ("Scratch account", f"{accounts['scratch']:,}", "bytes: memory and work area"),
    ]


def _mark(figures: Figures) -> str:
    return " (estimate)" if figures["around_known"] == "estimate" else ""


def _metered(figures: Figures) -> str:
    if not figures["frames_metered"]:
        return "No frame was metered: that needs a built export."
    return f"{figures['frames_metered']} frames metered, {figures['frames_different']} differ from the prediction."


def _chart(what: str, rows: Sequence[Figures]) -> str:
    costly = [(str(row["name"]), row["cu"], f"{row['cu']:,} ({row['share']:.1%})") for row in rows if row["cu"]]
    alt = f"Compute units of each {what}: " + ", ".join(f"{name} {value}" for name, _, value in costly)
    return f"<figure>{bars(costly, alt)}</figure>"


def _rows(caption: str, figures: Figures, key: str) -> str:
    """The table of ops or of layers."""
    metered = [Cell("metered")] if figures["frames_metered"] and key == "ops" else []
    mark = _mark(figures)
    numbers = (
        "MACs",
        "cells",
        "weights, bytes",
        "memory, bytes",
        "work area, bytes",
        "in kernels",
        f"around them{mark}",
    )
    head: list[Cell | str] = ["name", *numbers, f"predicted{mark}", *metered, "per unit", "share"]
    return table(caption, head, [_row(row, bool(metered)) for row in figures[key]])


def _row(row: Figures, metered: bool) -> list[Cell | str]:
    sizes = [count(row[key]) for key in ("macs", "cells", "weight_bytes", "memory_bytes", "work_bytes")]
    units = [f"{row[key]:,}" for key in ("kernel_cu", "around_cu", "cu")]
    known = [_known(row["cu"], row["cu_metered"])] if metered else []
    return [str(row["name"]), *sizes, *units, *known, " ".join(per_unit(row)), f"{row['share']:.1%}"]


def _known(predicted: int, metered: int | None) -> Cell:
    return Cell("") if metered is None else Cell(f"{metered:,}", "" if metered == predicted else "bad")


def _transactions(figures: Figures) -> str:
    mark = _mark(figures)
    head: list[Cell | str] = [
        "transaction",
        f"first frame{mark}",
        f"most expensive frame{mark}",
        "of the budget",
        "metered",
    ]
    rows: list[list[Cell | str]] = [
        [
            str(step["step"]),
            f"{step['cu_predicted']:,}",
            f"{step['cu_worst']:,}",
            Cell(f"{step['cu_worst'] / figures['budget']:.1%}", "bad" if step["cu_worst"] > figures["budget"] else ""),
            _known(step["cu_predicted"], step["cu_metered"]),
        ]
        for step in figures["transactions"]
    ]
    memory = f", memory digest ({figures['memory_cu']:,} in the last)" if figures["memory_cu"] else ""
    return table(f"By transaction: ops, entrypoint, checks, both inputs, hash tree{memory}", head, rows)


def _beside(first: Figures, second: Figures) -> str:
    """Both models in one chart and one table, layer by layer and op by op."""
    more = second["total_cu"] - first["total_cu"]
    each = [f"{one['parameters'] / one['total_cu']:.2f} parameters a unit" for one in (first, second)]
    said = (
        f"{second['model']} takes {abs(more):,} units {'more' if more >= 0 else 'fewer'} than {first['model']}: "
        f"{second['total_cu']:,} ({each[1]}) beside {first['total_cu']:,} ({each[0]})."
    )
    names = str(first["model"]), str(second["model"])
    by_layer, by_op = (
        _compared(what, names, list(paired(first[key], second[key])))
        for what, key in (("layer", "layers"), ("op", "ops"))
    )
    return section("Side by side", paragraph(said), by_layer, details("Op by op", by_op))


def _compared(what: str, names: tuple[str, str], rows: Sequence[Pair]) -> str:
    """A chart of both models, and its numbers."""
    values = [(name, (cu_of(a), cu_of(b))) for name, a, b in rows if cu_of(a) or cu_of(b)]
    chart = side_by_side_bars(values, names, f"Compute units of each {what}")
    head: list[Cell | str] = [what, names[0], "per unit", names[1], "per unit", "difference"]
    cells: list[list[Cell | str]] = [[name, *_half(a), *_half(b), f"{cu_of(b) - cu_of(a):+,}"] for name, a, b in rows]
    return f"<figure>{chart}</figure>{table(f'Compute units by {what}', head, cells)}"


def _half(row: Figures | None) -> tuple[str, str]:
    return ("", "") if row is None else (f"{row['cu']:,}", " ".join(per_unit(row)))
