"""Ids of a recording that have no row of their own in any network: a Frame holds `Field.unknown` in their place."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import numpy as np

from wm_train.games.recordings import Recording
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS, Kind

#: Ids that are kept of one field of a game: a damaged file has any number of them.
MOST = 256


def rowless_ids(recording: Recording, played: Game) -> dict[str, tuple[int, ...]]:
    """Field -> its ids in a recording that have no row, ascending; fields whose ids all have one are left out."""
    table, found = recording.table, dict[str, tuple[int, ...]]()
    if played.place is not None:
        found[played.place.name] = _beyond([recording.about[played.facts.place]], played.place.vocab)
    for field in played.state:
        columns = [f"p{player}_{field.column}" for player in range(PLAYERS)]
        if field.kind is Kind.CATEGORICAL and all(name in table.column_names for name in columns):
            found[field.name] = _beyond([v for name in columns for v in _ids(table.column(name))], field.vocab)
    for column in played.lists:
        if column.ids and column.name in table.column_names:
            found[column.name] = _beyond(_ids(table.column(column.name).combine_chunks().flatten()), column.ids)
    return {name: ids for name, ids in found.items() if ids}


def _ids(column: Any) -> list[int]:
    """Every id of a column once. The largest value of its type is no id: a game says "none" by it."""
    values = column.unique().to_numpy()
    return [int(value) for value in values if value != np.iinfo(values.dtype).max]


def _beyond(ids: Iterable[int], rows: int) -> tuple[int, ...]:
    return tuple(sorted({id_ for id_ in ids if not 0 <= id_ < rows})[:MOST])


def in_words(ids: Mapping[str, Iterable[int]]) -> str:
    """As `action 407-408, 410; stage 100`."""
    return "; ".join(f"{name} {', '.join(_runs(sorted(these)))}" for name, these in ids.items())


def _runs(ids: list[int]) -> list[str]:
    """Ascending ids, neighbours as one piece."""
    pieces = []
    for _, group in groupby(enumerate(ids), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        pieces.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return pieces
