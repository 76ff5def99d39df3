"""What a game lets be measured of its footage: laws that it keeps, and events that a player would name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from wm_train.measure.footage import Footage, Mask, Read
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding


class Known(Protocol):
    """What recorded games show, as counts: two of them add up."""

    def __add__(self, other: Any, /) -> Self: ...

    def to_json(self) -> dict[str, Any]:
        """What was counted, and what follows from it."""


def everyone(games: Footage) -> Mask:
    """(T, 2) every player in every frame."""
    return np.ones(games.frames.shape[:2], bool)


@dataclass(frozen=True, kw_only=True)
class MeasuredLaw:
    """What a true game does not do.

    broken  (footage, what recorded games show) -> (T, 2) who breaks the law in a frame
    reads   fields that it asks for
    of      footage -> (T, 2) player frames that the law is about, which shares are of
    """

    broken: Callable[[Footage, Any], Mask]
    reads: tuple[str, ...]
    of: Callable[[Footage], Mask] = everyone


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happens between a frame and the next.

    happens  (fields of the frame before, fields of the frame) -> (..., 2) whether it happens to a player
    reads    fields that it asks for
    within   frames that a prediction may be early or late by and count as found, in the lenient figure
    """

    happens: Callable[[Read, Read], Mask]
    reads: tuple[str, ...]
    within: int = 2


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is measured of a game's footage.

    laws    by name; events: by name
    past    frames before a frame that some law looks at
    count   what recorded footage shows of what the laws ask for; None if they ask for nothing
    """

    laws: Mapping[str, MeasuredLaw] = field(default_factory=dict)
    events: Mapping[str, Event] = field(default_factory=dict)
    past: int = 0
    count: Callable[[Footage], Known] | None = None

    def of(self, encoding: Encoding) -> "Measures":
        """Those that read nothing but what an encoding reads: its other fields stay 0 in a Frame."""
        read = {item.name for item in encoding.state}
        return Measures(
            laws={name: law for name, law in self.laws.items() if read.issuperset(law.reads)},
            events={name: event for name, event in self.events.items() if read.issuperset(event.reads)},
            past=self.past,
            count=self.count,
        )


def measures_of(encoding: Encoding) -> Measures:
    """What is measured of worlds of an encoding; nothing where the game has no measures."""
    game: Game = encoding.game
    measures: Measures = game.measures() if game.measures else Measures()
    return measures.of(encoding)
