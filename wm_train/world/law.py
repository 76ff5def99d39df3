"""What a game never shows, and what is put in its place. No field of any game is named here.

A **Law** mends the next Frame after the rules of the subsystems: it reads what they wrote, kept inside the fields'
ranges, and replaces what the game decides by itself. It has no heads, so it can be held against recorded games: where
it changes a true next Frame, the game breaks it. A **Fact** is a number of the session's place that laws read, such as
the height of a floor, with a value for places that are not known.

Glossary, beside that of subsystem.py
    new     field -> its value in the next Frame, as the rules and the laws before this one leave it
    place   fact -> its value in the session's place, for the seat of the player that the law is applied to
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wm_train.world.rule_ops import LawOps, Read

#: (ops, now, new, place) -> the next value of each field of `writes`.
LawRule = Callable[[LawOps, Read, Read, Read], Mapping[str, Any]]


@dataclass(frozen=True)
class Fact:
    """A number of a place. `known`: place -> its value for the first and for the second seat; `unknown` elsewhere."""

    name: str
    unknown: float
    known: Mapping[int, tuple[float, float]]

    def of(self, place: int | None, seat: int) -> float:
        """Its value in a place, which may not be known, for a seat."""
        return self.unknown if place is None or place not in self.known else self.known[place][seat]


@dataclass(frozen=True)
class Law:
    """One law, for one player.

    key     begins the names of what it writes, where those are written down
    writes  fields that it may replace; values must lie in the fields' ranges
    facts   of the place that it reads
    rule    what the fields are, for any Frame whose fields are in their ranges
    """

    name: str
    key: str
    writes: tuple[str, ...]
    facts: tuple[str, ...]
    rule: LawRule
