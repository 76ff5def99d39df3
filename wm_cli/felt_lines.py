"""Lines of tables about what a player would notice: events, the damage of hits, and coverage, in several columns."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wm_cli.metric_names import COVERAGE_METRICS, EVENT_METRICS, HIT_METRICS, Metric

#: Figures of evaluations by the name of their column.
Rows = Mapping[str, Mapping[str, Any]]


class Line(NamedTuple):
    """what: the event, or how often training has seen something; about: the first column's figures of it; values by
    column."""

    what: str
    about: Mapping[str, Any]
    metric: Metric
    values: dict[str, float | None]


def seen(row: Mapping[str, Any]) -> str:
    """How often training has seen what a row of coverage is of."""
    least, end = row["seen_from"], row["seen_to"]
    if end is None:
        return f"{least:,} times and more"
    return f"{least:,} to {end - 1:,} times" if end > 1 else "never"


def event_lines(rows: Rows) -> Iterator[Line]:
    """Every metric of the events that all columns have, then of the damage of hits."""
    parts = {name: row.get("events", {}) for name, row in rows.items()}
    first = next(iter(parts.values()))
    for event in (event for event in first if all(event in part for part in parts.values())):
        for metric in EVENT_METRICS:
            values = {name: part[event][metric.key] for name, part in parts.items()}
            yield Line(event, first[event], metric, values)
    if first and all("hit_damage" in row for row in rows.values()):
        hits = {name: row["hit_damage"] for name, row in rows.items()}
        for metric in HIT_METRICS:
            yield Line("hit_damage", {}, metric, {name: part[metric.key] for name, part in hits.items()})


def coverage_lines(rows: Rows) -> Iterator[Line]:
    """Every metric of what training has seen so often, where all columns have frames of that kind."""
    parts = {name: {one["seen_from"]: one for one in row.get("coverage", ())} for name, row in rows.items()}
    first = next(iter(parts.values()))
    for least in (least for least in first if all(least in part for part in parts.values())):
        for metric in COVERAGE_METRICS:
            values = {name: part[least][metric.key] for name, part in parts.items()}
            yield Line(seen(first[least]), first[least], metric, values)
