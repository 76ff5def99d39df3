"""Tables, progress and errors on the terminal. Figures go to standard output, everything else to standard error."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def speaks() -> bool:
    """Whether this process prints: of several that train together (torchrun says who is who) only the first does."""
    return os.environ.get("RANK", "0") == "0"


def print_tables(tables: Iterable[Table]) -> None:
    """One below the other."""
    for i, table in enumerate(tables):
        out.print(*[""] * (i > 0), table, sep="\n")


def print_json(figures: Mapping[str, Any]) -> None:
    """One object on standard output."""
    print(json.dumps(figures, indent=1))


@contextmanager
def progress_bar(text: str, total: float | None) -> Iterator[tuple[Progress, Any]]:
    """A bar on standard error; gives (progress, task)."""
    counted = [] if total == 1 else [MofNCompleteColumn()]
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    columns += [TextColumn("{task.percentage:>3.0f}%"), *counted, TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=err, disable=not speaks()) as progress:
        yield progress, progress.add_task(text, total=total)


def metrics_table(rows: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """Models and baselines side by side; `rows` by name."""
    table = _figures_table(title, [NARROW.get(name, name) for name in rows])
    for metric in METRICS:
        table.add_row(metric, *(f"{row[metric]:.4f}" for row in rows.values()))
    for horizon in next(iter(rows.values()))["rollout"]:
        for key in ("position_mae_mean", "position_mae_last", "action_acc_last", "percent_mae_last"):
            table.add_row(f"K{horizon} {key}", *(f"{row['rollout'][horizon][key]:.4f}" for row in rows.values()))
    return table


def differences_table(rows: Sequence[Mapping[str, Any]], bars: Mapping[str, float]) -> Table:
    """What models lost or won against the first one; a mark where that is more than the bar."""
    table = _figures_table(f"Against {rows[0]['from']}", [str(row["to"]) for row in rows])
    for key in [key for key in rows[0] if key not in ("from", "to", "within")]:
        bar = bars.get(key)
        over = [bar is not None and (row[key] < bar if bar < 0 else row[key] > bar) for row in rows]
        cells = (f"{row[key]:+.2f}{' !' if marked else ''}" for row, marked in zip(rows, over, strict=True))
        table.add_row(key + ("" if bar is None else f" (bar {bar:+g})"), *cells)
    return table


def track_table(error: Sequence[float]) -> Table:
    """Position error of one world after some lengths of time."""
    table = _figures_table("Position error", ["game units"])
    for ahead in sorted({1, 5, 10, 20, 60, 120, 300, 600, len(error)}):
        if ahead <= len(error):
            table.add_row(f"frame {ahead}", f"{error[ahead - 1]:.3f}")
    return table


#: Curves of a drift, as the JSON names them.
DRIFT_CURVES = ("position_p50", "position_p90", "action_acc", "stocks_acc", "inside", "plausible")


def drift_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Free runs: what is so after some lengths of time, and habits beside those of the real games."""
    curves = _figures_table(f"{figures['starts']} worlds, {figures['frames']:,} frames each", list(DRIFT_CURVES))
    ahead = figures["frames_ahead"]
    for i in sorted({round(share * (len(ahead) - 1)) for share in (0, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1)}):
        curves.add_row(f"frame {ahead[i]}", *(f"{figures[key][i]:.3f}" for key in DRIFT_CURVES))
    whole = _figures_table("Over all frames", ["predicted", "real"])
    whole.add_row("apart_after (frames)", f"{figures['apart_after']:g}", "")
    for part in ("usual", "habits"):
        predicted, real = figures[part]["predicted"], figures[part]["real"]
        for key in predicted:
            whole.add_row(key, f"{predicted[key]:.3f}", f"{real[key]:.3f}")
    return [curves, whole]


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
        table = _figures_table(f"Inputs late: {late}", [heading for *_, heading in SPECULATION])
        for i, delay in enumerate(figures["delays"]):
            table.add_row(f"{delay} frames", *(f"{figures[part][late][key][i]:.3f}" for part, key, _ in SPECULATION))
        tables.append(table)
    return tables


def character_table(study: Mapping[str, Any]) -> Table:
    """A character's two runs beside the baselines."""
    table = metrics_table(study["arms"] | study["baselines"], f"Character {study['character']}")
    for key in study["arms"]["seen"]["own"]:
        rows = (study["arms"] | study["baselines"]).values()
        table.add_row(f"own {key}", *(f"{row['own'][key]:.4f}" for row in rows))
    for key in ("train_games", "with_character"):
        table.add_row(key, *(f"{study[key][arm]}" for arm in study["arms"]))
    table.add_row("test_games", f"{study['test_games']}")
    return table


def qat_table(config: Mapping[str, Any]) -> Table:
    """Means over seeds of one config's forms, and what each lost against float."""
    title = f"{config['config']}: {config['parameters']:,} parameters, mean of {config['seeds']} seeds"
    table = metrics_table(config["means"], title)
    for key in ("action_change_points", "k10_percent", "k20_percent"):
        table.add_row(f"{key} against float", "", *(f"{row[key]:+.2f}" for row in config["lost"]))
    return table


def _figures_table(title: str, columns: Sequence[str]) -> Table:
    table = _compact(title)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def bits_table(figures: Mapping[str, Any]) -> Table:
    """`wmq bits`: without INT4, each layer with it, and the choice if there is one."""
    table = _compact(f"INT4 weights, post training; {figures['kernel_cu'] + figures['around_cu']:,} units without")
    table.add_column("INT4 in", no_wrap=True)
    for name in ("units saved", "loss", "position_mae", "action_change_acc", "k10"):
        table.add_column(name, justify="right", no_wrap=True)

    def row(name: str, saved: str, loss: str, measured: Mapping[str, Any]) -> None:
        table.add_row(name, saved, loss, *(f"{measured[k]:.4f}" for k in ("position_mae", "action_change_acc", "k10")))

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
