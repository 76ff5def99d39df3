"""Tables of what evaluations and studies measure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from wm_cli.felt_lines import coverage_lines, event_lines
from wm_cli.metric_names import METRICS, ROLLOUT_METRICS
from wm_cli.tables.plain import figures_table, plain

#: Names of baselines broken into lines, so that seven columns of figures fit into 80 characters.
NARROW = {
    "persistence": "persis-\ntence",
    "constant_velocity": "constant\nvelocity",
    "constant_velocity_freeze": "constant\nvelocity\nfreeze",
}


def metrics_table(rows: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """Models and baselines side by side; `rows` by name."""
    table = figures_table(title, [NARROW.get(name, name) for name in rows])
    for metric in METRICS:
        table.add_row(metric.key, *(plain(row[metric.key]) for row in rows.values()))
    for horizon, known in next(iter(rows.values()))["rollout"].items():
        for metric in (metric for metric in ROLLOUT_METRICS if metric.key in known):
            cells = (f"{row['rollout'][horizon][metric.key]:.4f}" for row in rows.values())
            table.add_row(f"K{horizon} {metric.key}", *cells)
    return table


def felt_tables(rows: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Events, the damage of hits, and errors by how often training has seen something, as far as that is measured."""
    names = [NARROW.get(name, name) for name in rows]
    parts = {
        "Events, one frame ahead": event_lines(rows),
        "By how often training has seen who does what": coverage_lines(rows),
    }
    tables = []
    for title, lines in parts.items():
        table = figures_table(title, names)
        for line in lines:
            near = f" {line.about['within']}" if line.metric.key.endswith("_within") else ""
            table.add_row(f"{line.what} {line.metric.key}{near}", *map(plain, line.values.values()))
        tables += [table] * bool(table.row_count)
    return tables


def differences_table(rows: Sequence[Mapping[str, Any]], bars: Mapping[str, float]) -> Table:
    """Differences of models from the first one; `!` marks a loss beyond the bar."""
    table = figures_table(f"Against {rows[0]['from']}", [str(row["to"]) for row in rows])
    for key in [key for key in rows[0] if key not in ("from", "to", "within")]:
        bar = bars.get(key)
        cells = (_difference(row[key], bar) for row in rows)
        table.add_row(key + ("" if bar is None else f" (bar {bar:+g})"), *cells)
    return table


def _difference(value: float | None, bar: float | None) -> str:
    if value is None:
        return ""
    over = bar is not None and (value < bar if bar < 0 else value > bar)
    return f"{value:+.2f}{' !' if over else ''}"


def character_table(study: Mapping[str, Any], cast: str) -> Table:
    """A character's two runs beside the baselines; `cast` is what the game calls a character."""
    table = metrics_table(study["arms"] | study["baselines"], f"{cast.capitalize()} {study[cast]}")
    for key in study["arms"]["seen"]["own"]:
        rows = (study["arms"] | study["baselines"]).values()
        table.add_row(f"own {key}", *(f"{row['own'][key]:.4f}" for row in rows))
    for key in ("train_games", f"with_{cast}"):
        table.add_row(key, *(f"{study[key][arm]}" for arm in study["arms"]))
    table.add_row("test_games", f"{study['test_games']}")
    return table


def rivals_table(study: Mapping[str, Any]) -> Table:
    """A float run's forms side by side, what each lost against float, and why a form has no figures."""
    measured = {form: figures for form, figures in study["forms"].items() if "why" not in figures}
    named = {form.replace("_", "_\n", 1): figures for form, figures in measured.items()}
    table = metrics_table(named, f"{study['run']}: {study['parameters']:,} parameters")
    for key in ("action_change_points", "k10_percent", "k20_percent"):
        table.add_row(
            f"{key} against float", "", *("" if row[key] is None else f"{row[key]:+.2f}" for row in study["lost"])
        )
    missing = (f"{form}: {figures['why']}" for form, figures in study["forms"].items() if "why" in figures)
    table.caption = "\n".join(missing) or None
    return table


def qat_table(config: Mapping[str, Any]) -> Table:
    """Means over seeds of one config's forms, and what each lost against float."""
    title = f"{config['config']}: {config['parameters']:,} parameters, mean of {config['seeds']} seeds"
    table = metrics_table(config["means"], title)
    for key in ("action_change_points", "k10_percent", "k20_percent"):
        table.add_row(f"{key} against float", "", *(f"{row[key]:+.2f}" for row in config["lost"]))
    return table
