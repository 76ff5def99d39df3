"""Two runs side by side: were they asked for the same, saw they the same games, and are they worth the same?"""

from collections.abc import Iterator, Mapping
from typing import Any

from wm_train.config import RunConfig

#: Differences are relative to the larger figure, which counts as at least this.
LEAST = 1e-6


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of nested mappings."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def config_differences(first: RunConfig, second: RunConfig) -> list[dict[str, Any]]:
    """Keys that differ, with both values; None where a config has no such key."""
    one, other = (dict(flat(config.to_json())) for config in (first, second))
    keys = [*one, *(key for key in other if key not in one)]
    return [
        {"key": key, "first": one.get(key), "second": other.get(key)} for key in keys if one.get(key) != other.get(key)
    ]


def game_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """MD5s that only one of two splits has, by what they are used for."""
    return {
        use: {
            "first": sorted(set(first.get(use, ())) - set(second.get(use, ()))),
            "second": sorted(set(second.get(use, ())) - set(first.get(use, ()))),
        }
        for use in ("train", "valid")
    }


def metric_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], tolerance: float
) -> list[dict[str, str | float | bool]]:
    """Every metric of both, their relative difference, and whether it is within the tolerance."""
    other = dict(flat(second))
    rows: list[dict[str, str | float | bool]] = []
    for metric, value in flat(first):
        if isinstance(value, float):
            apart = abs(value - other[metric]) / max(abs(value), abs(other[metric]), LEAST)
            both = {"metric": metric, "first": value, "second": other[metric]}
            rows.append(both | {"difference": apart, "ok": apart <= tolerance})
    return rows
