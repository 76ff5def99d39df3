"""What leaves a game as it is: ways to make of a recorded game another one that could have been played. No loop over
frames, and no field of any game is named here.

    mirror  left and right change places: numbers and ids become what Field.mirrored and Field.pairs say
    swap    the players change places

A game lists the places that are their own mirror images. Both are their own inverse, and commute.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import Ints
from wm_train.world.fields import Field, Kind, Mirrored

#: Ids that stand for each other where left and right change places.
Pairs = tuple[tuple[int, int], ...]
A = TypeVar("A", bound=np.generic)
MIRROR, SWAP = "mirror", "swap"


@dataclass(frozen=True, kw_only=True)
class Symmetry:
    """The symmetries of a game.

    swaps    whether its players can change places
    mirrors  place that is its own mirror image -> field -> ids that stand for each other there, beside Field.pairs
             (of a game without places, 0); no other place is mirrored
    """

    swaps: bool = False
    mirrors: Mapping[int, Mapping[str, Pairs]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that the game has."""
        return (MIRROR,) * bool(self.mirrors) + (SWAP,) * self.swaps

    def check(self, fields: Sequence[Field]) -> None:
        """WmTrainError, naming the field, where a value's mirror image is no value of the field."""
        for item in fields:
            ends = {Mirrored.SAME: True, Mirrored.NEGATED: item.lo == -item.hi, Mirrored.FLIPPED: item.hi == 1}
            if not ends[item.mirrored] or (item.mirrored is not Mirrored.SAME and item.kind is Kind.CATEGORICAL):
                raise WmTrainError(f"field {item.name}: {item.lo} to {item.hi} cannot be {item.mirrored.value}")
            for place in self.mirrors:
                ids = [i for pair in self._pairs(item, place) for i in pair]
                if len(set(ids)) < len(ids) or not set(ids) <= set(range(item.vocab)):
                    raise WmTrainError(f"field {item.name}: expected pairs of its ids, each once, got {ids}")

    def _pairs(self, item: Field, place: int) -> Pairs:
        return (*item.pairs, *self.mirrors[place].get(item.name, ()))

    def mirrors_at(self, place: Ints) -> NDArray[np.bool_]:
        """Which places are their own mirror images."""
        return np.isin(place, list(self.mirrors))

    def mirrored(self, fields: Sequence[Field], values: NDArray[A], place: Ints) -> NDArray[A]:
        """Values (N, ..., len(fields)) as in Frames or inputs, in `place` (N,), with left and right exchanged."""
        sides = np.array([item.mirrored is not Mirrored.SAME for item in fields])
        flips = np.array([item.mirrored is Mirrored.FLIPPED for item in fields])
        out: NDArray[A] = np.where(sides, flips - values, values).astype(values.dtype)
        for here in np.unique(place):
            at = place == here
            for i, item in enumerate(fields):
                if pairs := self._pairs(item, here):
                    out[at, ..., i] = _exchanged(pairs, item.vocab)[values[at, ..., i]]
        return out


def _exchanged(pairs: Pairs, vocab: int) -> Any:
    """(vocab,) each id's other one, or itself."""
    table = np.arange(vocab)
    for one, other in pairs:
        table[[one, other]] = other, one
    return table


def swapped(values: NDArray[A]) -> NDArray[A]:
    """Values (N, 2, ...) with the players exchanged."""
    return values[:, ::-1]


def check_names(names: Iterable[str], symmetry: Symmetry) -> str | None:
    """The first of some names that is no symmetry, or that comes twice; None if there is none."""
    seen: list[str] = []
    for name in names:
        if name not in symmetry.names or name in seen:
            return name
        seen.append(name)
    return None
