"""What players see of a Frame that none of its fields says: made of both players' fields and of the place, by rule.

A **Sight** is fields that a flag appends to a player's state. They follow from the Frame that they stand in, so a world
makes them anew in each frame: the step does where it runs by itself, and so does what reads recorded games. No field of
any game is named here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import Ints
from wm_train.world.fields import PLAYERS, Field, Kind, ends
from wm_train.world.rule_ops import LawOps, NumpyOps, Read

#: (ops, me, other, place) -> the value of each of a sight's fields: of the player's own fields, of the other one's and
#: of the facts of the place for the player's seat.
SightRule = Callable[[LawOps, Read, Read, Read], Mapping[str, Any]]


@dataclass(frozen=True)
class Sight:
    """Fields of a player that follow from a Frame.

    fields  numbers in fixed point; what the rule gives is kept inside their ranges
    facts   of the place that the rule reads
    rule    what they are, for any Frame whose fields are in their ranges
    """

    fields: tuple[Field, ...]
    facts: tuple[str, ...]
    rule: SightRule


def seen(ops: LawOps, sights: Sequence[Sight], me: Read, other: Read, place: Read) -> dict[str, Any]:
    """Field name -> its value in fixed point, of every sight of one player."""
    values: dict[str, Any] = {}
    for sight in sights:
        made = sight.rule(ops, me, other, place)
        values |= {f.name: ops.clip(made[f.name], *ends(f)) for f in sight.fields}
    return values


def fields_of(sights: Sequence[Sight]) -> tuple[Field, ...]:
    """Fields of sights, in the order of the Frame."""
    return tuple(f for sight in sights for f in sight.fields)


def facts_of(sights: Sequence[Sight]) -> tuple[str, ...]:
    """Facts of a place that sights read, each once."""
    return tuple(dict.fromkeys(name for sight in sights for name in sight.facts))


def sight_columns(
    sights: Sequence[Sight], index: Mapping[str, int], frames: NDArray[Any], places: Sequence[Read]
) -> Ints:
    """What each player of Frames sees.

    index   field of the state -> where it lies in a Frame
    frames  (N, 2, fields) integers
    places  facts of the place for the first and for the second seat: numbers, or (N,)
    returns (N, 2, len(fields_of(sights))) int64
    """
    made = [_of_player(sights, index, frames, player, places[player]) for player in range(PLAYERS)]
    return np.stack(made, 1)


def _of_player(
    sights: Sequence[Sight], index: Mapping[str, int], frames: NDArray[Any], player: int, place: Read
) -> Ints:
    def reader(of: int) -> Read:
        return lambda name: frames[:, of, index[name]].astype(np.int64)

    values = seen(NumpyOps(), sights, reader(player), reader(1 - player), place)
    return np.stack([np.broadcast_to(values[f.name], len(frames)) for f in fields_of(sights)], -1)


def check(sight: Sight) -> str | None:
    """What is wrong with a sight's fields, or None: a network reads them as numbers in fixed point, no recording has
    them."""
    for item in sight.fields:
        if item.kind is not Kind.CONTINUOUS or item.column:
            return f"field {item.name} of a sight is no number by rule"
    return None
