"""Sums over frames, added up a few games at a time: what figures are made of, however many games there are. numpy only.

Errors are of fixed point numbers, multiples of 2^-FRAC_BITS: totals below 2^41 are exact, in whatever pieces and order
they are added up. So figures do not depend on how many games are in memory at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray


class Addable(Protocol):
    """What can be added up."""

    def __add__(self, other: Any, /) -> Self: ...


A = TypeVar("A", bound=Addable)


def added(one: Mapping[str, A], other: Mapping[str, A]) -> dict[str, A]:
    """Sums by name; a name that only one of them has keeps its own."""
    both = {name: part + other[name] for name, part in one.items() if name in other}
    return {**one, **other, **both}


class Summed:
    """A dataclass that is added up field by field; mappings name by name."""

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in fields(cast(Any, self))]
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        return type(self)(*(added(a, b) if isinstance(a, Mapping) else a + b for a, b in pairs))


@dataclass(frozen=True)
class Mean(Summed):
    """The total of so many numbers."""

    total: float
    count: int

    @staticmethod
    def of(values: NDArray[Any]) -> "Mean":
        """Of an array's numbers or flags."""
        return Mean(float(values.sum()), values.size)

    @property
    def value(self) -> float | None:
        """Their mean; None of no number."""
        return self.total / self.count if self.count else None


#: By the name of a metric.
Means = Mapping[str, Mean]


def values(means: Means) -> dict[str, float | None]:
    """Each mean by name."""
    return {name: mean.value for name, mean in means.items()}


@dataclass(frozen=True, eq=False)
class Spread:
    """How numbers are spread: each that came, ascending, and how often it did (U,) int64. Of errors of fixed point
    numbers few are distinct, so that this stays small."""

    numbers: NDArray[np.float64]
    counts: NDArray[np.int64]

    @staticmethod
    def of(numbers: NDArray[np.float64]) -> "Spread":
        """Of an array's numbers."""
        return Spread(*np.unique(numbers, return_counts=True))

    def __add__(self, other: "Spread") -> "Spread":
        numbers, where = np.unique(np.concatenate([self.numbers, other.numbers]), return_inverse=True)
        counts = np.zeros(len(numbers), np.int64)
        np.add.at(counts, where, np.concatenate([self.counts, other.counts]))
        return Spread(numbers, counts)

    def quantile(self, share: float) -> float:
        """What np.quantile gives of all numbers, of which there must be one."""
        ends = np.cumsum(self.counts)
        rank = (int(ends[-1]) - 1) * share
        low = int(rank)
        pair = np.searchsorted(ends, [low, min(low + 1, int(ends[-1]) - 1)], "right")
        return float(np.quantile(self.numbers[pair], rank - low))
