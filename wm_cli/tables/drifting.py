"""Tables of free runs, of speculative execution, and of a diagnosis."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from wm_cli.tables.accuracy import felt_tables
from wm_cli.tables.plain import compact, figures_table


def track_table(error: Sequence[float]) -> Table:
    """Position error of one world after some lengths of time."""
    table = figures_table("Position error", ["game units"])
    for ahead in sorted({1, 5, 10, 20, 60, 120, 300, 600, len(error)}):
        if ahead <= len(error):
            table.add_row(f"frame {ahead}", f"{error[ahead - 1]:.3f}")
    return table


def drift_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Free runs: error and plausibility by frames ahead, and habits beside those of the real games."""
    names = [name for name, values in figures.items() if isinstance(values, list) and name != "frames_ahead"]
    curves = figures_table(f"{figures['starts']} worlds, {figures['frames']:,} frames each", names)
    ahead = figures["frames_ahead"]
    for i in sorted({round(share * (len(ahead) - 1)) for share in (0, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1)}):
        curves.add_row(f"frame {ahead[i]}", *(f"{figures[key][i]:.3f}" for key in names))
    whole = figures_table("Over all frames", ["predicted", "real"])
    whole.add_row("apart_after (frames)", f"{figures['apart_after']:g}", "")
    for part in ("usual", "habits"):
        predicted, real = figures[part]["predicted"], figures[part]["real"]
        for key in predicted:
            whole.add_row(key, f"{predicted[key]:.3f}", f"{real[key]:.3f}")
    return [curves, whole, *law_tables(figures)]


def law_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Laws, of a world or of many, beside the real games; none if none was measured."""
    if "laws" not in figures:
        return []
    laws, table = figures["laws"], figures_table("Laws of the game", ["predicted", "real"])
    kinds = ("predicted", "real")
    table.add_row("lawful frames", *(f"{laws[kind]['lawful']:.4f}" for kind in kinds))
    for name in laws["real"]["broken"]:
        table.add_row(f"broken: {name}", *(f"{laws[kind]['broken'][name]:.4f}" for kind in kinds))
    first = (laws[kind]["first_broken"] for kind in kinds)
    table.add_row("first_broken (s, median)", *("none" if value is None else f"{value:.2f}" for value in first))
    table.add_row("unbroken worlds", *(f"{laws[kind]['unbroken']:.3f}" for kind in kinds))
    return [table]


#: Columns of a speculation: part of the figures, key, heading.
SPECULATION = (
    ("inputs", "right", "inputs\nright"),
    ("inputs", "recomputed", "recom-\nputed"),
    ("outcome", "right", "frame\nright"),
    ("outcome", "different", "and\ndifferent"),
    ("outcome", "jump_mean", "jump,\nmean"),
    ("outcome", "jump_p99", "jump,\np99"),
)


def speculation_tables(figures: Mapping[str, Any]) -> list[Table]:
    """By delay: how often the guess is right, and what is computed again."""
    tables = []
    for late in [name for name, one in figures["inputs"].items() if isinstance(one, Mapping)]:
        table = figures_table(f"Inputs late: {late}", [heading for *_, heading in SPECULATION])
        for i, delay in enumerate(figures["delays"]):
            table.add_row(f"{delay} frames", *(f"{figures[part][late][key][i]:.3f}" for part, key, _ in SPECULATION))
        tables.append(table)
    return tables


def intervention_tables(figures: Mapping[str, Any] | None) -> list[Table]:
    """What a player's inputs change, by how they were changed; none if no game was long enough."""
    if figures is None:
        return []
    kinds = {name: about for name, about in figures.items() if isinstance(about, Mapping)}
    table = figures_table(f"On other inputs, {figures['frames']} frames", list(kinds))
    table.add_row("same on the same inputs", *["yes" if figures["same"] else "NO"] * len(kinds))
    for key in next(iter(kinds.values())):
        table.add_row(key, *(f"{about[key]:,}" if key == "runs" else f"{about[key]:.3f}" for about in kinds.values()))
    return [table]


def diagnosis_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Gates, the heads whose embeddings one of them is about, events and coverage, and interventions."""
    gates = compact(f"{figures['frames']:,} held-out frames")
    for name in ("measure", "opens"):
        gates.add_column(name)
    for name in ("value", "threshold", "gate"):
        gates.add_column(name, justify="right", no_wrap=True)
    for gate in figures["gates"]:
        value = "too few frames" if gate["value"] is None else f"{gate['value']:.3f}"
        state = {True: "open", False: "shut", None: ""}[gate["open"]]
        gates.add_row(gate["measure"], gate["opens"], value, f"{gate['threshold']:g}", state)
    heads = compact("Ids where they change")
    for name in ("id", "ids", "width", "changes", "right, rare", "right, common"):
        heads.add_column(name, justify="left" if name == "id" else "right", no_wrap=True)
    for head in figures["heads"]:
        shares = ("" if head[key] is None else f"{head[key]:.3f}" for key in ("rare", "common"))
        heads.add_row(head["name"], str(head["ids"]), str(head["width"]), f"{head['changes']:,}", *shares)
    felt = felt_tables({figures["model"]["form"]: figures})
    return [gates, heads, *felt, *intervention_tables(figures["interventions"])]
