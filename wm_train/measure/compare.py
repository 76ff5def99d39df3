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


def first_difference(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Where two nested mappings of plain values differ first, in words; "" if they do not. A tuple equals a list of the
    same; of lists it says how many entries only one of them has."""
    one, other = dict(flat(kept)), dict(flat(asked))
    for key in [*one, *(key for key in other if key not in one)]:
        was, now = (list(v) if isinstance(v, tuple) else v for v in (one.get(key), other.get(key)))
        if was == now:
            continue
        if isinstance(was, list) and isinstance(now, list):
            gone, new = (sum(entry not in there for entry in here) for here, there in ((was, now), (now, was)))
            return f"{key}: {gone} of its {len(was)} are gone, {new} are new"
        return f"{key} was {_short(was)}, now {_short(now)}"
    return ""


def _short(value: object) -> str:
    return f"{value!r:.60}"


def game_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Matches that only one of two splits has, by what they are used for."""
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
        compared = other.get(metric)
        if isinstance(value, float) and isinstance(compared, float):
            apart = abs(value - compared) / max(abs(value), abs(compared), LEAST)
            both: dict[str, str | float | bool] = {"metric": metric, "first": value, "second": compared}
            rows.append(both | {"difference": apart, "ok": apart <= tolerance})
    return rows
