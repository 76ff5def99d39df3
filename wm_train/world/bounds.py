"""How far a place lets its bounded fields go (Game.zones): what the world step clamps them to."""

from collections.abc import Sequence

import numpy as np

from wm_train.grid.arithmetic import Ints
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import fixed


def _own(game: Game) -> list[int]:
    """Ranges of the fields themselves."""
    return [fixed(end) for name in game.bounded for end in (game.field(name).lo, game.field(name).hi)]


def _zone(game: Game, zone: Sequence[tuple[float, float]]) -> list[int]:
    """Bounds of a place, inside the fields' own."""
    ends = [fixed(end) for pair in zone for end in pair]
    return [(max, min)[i % 2](end, own) for i, (end, own) in enumerate(zip(ends, _own(game), strict=True))]


def place_bounds(encoding: Encoding) -> Ints:
    """(rows, 2 * bounded fields) int64 in fixed point: least and greatest value of each of Game.bounded.

    A row for every place id where the encoding reads the place, else one row. Where no zone is known, the ranges of the
    fields themselves.
    """
    game = encoding.game
    rows, zones = (encoding.place[0].vocab, game.zones) if encoding.place else (1, {})
    bounds = [_zone(game, zones[i]) if i in zones else _own(game) for i in range(rows)]
    return np.array(bounds, np.int64).reshape(rows, 2 * len(game.bounded))


def session_bounds(encoding: Encoding, session: Ints) -> Ints:
    """(B, 2 * bounded fields) the row of each session, given its ids (B, S) in the order of `Encoding.session_fields`,
    the place last."""
    picked: Ints = session[:, -1] if encoding.place else np.zeros(len(session), np.int64)
    bounds: Ints = place_bounds(encoding)[picked]
    return bounds
