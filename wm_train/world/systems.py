"""A head set's subsystems as systems of an entity component system: who reads and writes what, and in which order.

The table follows from the head set: there is no second list. Each system has a network of its own. That network reads
what any network of the world reads, the encoded window of both players and their inputs, and gives the heads of both
players; the system's rule then runs for each player.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wm_train.world.subsystem import Head, HeadSet


@dataclass(frozen=True)
class System:
    """One row.

    key     its name in commands, folders and programs
    place   number of its turn in a frame, from 0 on
    reads   fields of the player's current Frame that its rule reads
    takes   field of the player's next Frame that it reads -> key of the system that wrote it before: as that rule left
            it, before it is kept inside the field's range
    writes  fields of the next Frame that it alone writes
    heads   what its network gives for each player, in the order of the head set
    """

    key: str
    place: int
    reads: tuple[str, ...]
    takes: Mapping[str, str]
    writes: tuple[str, ...]
    heads: tuple[Head, ...]


def systems(heads: HeadSet) -> tuple[System, ...]:
    """The table of a head set, in the order in which its systems run; its laws come after the last of them."""
    rows: list[System] = []
    for place, part in enumerate(heads.subsystems):
        takes = {name: next(row.key for row in rows if name in row.writes) for name in part.reads_new}
        own = tuple(head for head in heads.heads if head in part.heads)
        rows.append(System(part.key, place, part.reads, takes, part.writes, own))
    return tuple(rows)


def passed_on(rows: tuple[System, ...], key: str) -> tuple[str, ...]:
    """Fields that a system writes and a later one takes: those it hands over before they are kept in their ranges."""
    (row,) = (row for row in rows if row.key == key)
    return tuple(name for name in row.writes if any(other.takes.get(name) == key for other in rows))
