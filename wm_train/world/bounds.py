"""Numbers of a place: how far it lets its bounded fields go (Game.zones), to which the world step clamps them, and the
facts that laws read (Game.facts_of_places).
"""

from collections.abc import Sequence

from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, fixed


def _own(game: Game) -> list[int]:
    """Ranges of the fields themselves."""
    return [fixed(end) for name in game.bounded for end in (game.field(name).lo, game.field(name).hi)]


def _zone(game: Game, zone: Sequence[tuple[float, float]]) -> list[int]:
    """Bounds of a place, inside the fields' own."""
    ends = [fixed(end) for pair in zone for end in pair]
    return [(max, min)[i % 2](end, own) for i, (end, own) in enumerate(zip(ends, _own(game), strict=True))]


def seats_of(facts: Sequence[str]) -> int:
    """Seats that have numbers of their own: every seat where laws read facts, else one for all."""
    return PLAYERS if facts else 1


def place_row(game: Game, facts: Sequence[str], place: int | None) -> list[int]:
    """Numbers of one place in fixed point, seat after seat: least and greatest value of each of Game.bounded, then the
    named facts. Of a place that is not known, or None, the ranges of the fields themselves and what facts are there."""
    bounds = _own(game) if place is None or place not in game.zones else _zone(game, game.zones[place])
    known = {fact.name: fact for fact in game.facts_of_places}
    row: list[int] = []
    for seat in range(seats_of(facts)):
        values = [known[name].of(place, seat) for name in facts]
        row += [*bounds, *map(fixed, values)]
    return row


def place_rows(encoding: Encoding, facts: Sequence[str]) -> list[list[int]]:
    """A row for every place id where the encoding reads the place, else one row: of a place that is not known."""
    if not encoding.place:
        return [place_row(encoding.game, facts, None)]
    return [place_row(encoding.game, facts, place) for place in range(encoding.place[0].vocab)]
