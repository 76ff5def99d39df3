"""How far a player can be from the middle of each stage: what the world step clamps positions to.

Who passes a stage's blast zone has lost a stock, and lies a little beyond it while the loss is shown; who flies over
the top without being hit comes back down. In 72 recorded games (635,312 frames, 6 stages) nobody was farther out than
16.3 units sideways, 14.0 above and 7.6 below. MARGIN is about twice that: no true position is moved, and what a network
makes up goes no farther.
"""

from collections.abc import Mapping

import numpy as np

from wm_train.encoding import Encoding
from wm_train.frames import STAGE, STATE, STATE_INDEX, fixed
from wm_train.grid import Ints

#: Stage id -> its blast zone as (left, right, top, bottom), in game units; of the other stages it is not known.
BLAST_ZONES: Mapping[int, tuple[float, float, float, float]] = {
    2: (-198.75, 198.75, 202.5, -146.25),
    3: (-230, 230, 180, -111),
    8: (-175.7, 173.6, 168, -91),
    28: (-255, 255, 250, -123),
    31: (-224, 224, 200, -108.8),
    32: (-246, 246, 188, -140),
}
#: Game units beyond the blast zone that a position may lie.
MARGIN = 32.0
#: Fields of a player that a stage bounds; bounds are (low, high) of each, one after the other.
BOUNDED = ("x", "y")
BOUNDS = 2 * len(BOUNDED)


def _own() -> list[int]:
    """Ranges of the fields themselves."""
    fields = [STATE[STATE_INDEX[name]] for name in BOUNDED]
    return [fixed(end) for field in fields for end in (field.lo, field.hi)]


def _zone(left: float, right: float, top: float, bottom: float) -> list[int]:
    """Bounds of a stage, inside the fields' own."""
    ends = (left - MARGIN, right + MARGIN, bottom - MARGIN, top + MARGIN)
    return [(max, min)[i % 2](fixed(end), own) for i, (end, own) in enumerate(zip(ends, _own(), strict=True))]


def stage_bounds(encoding: Encoding) -> Ints:
    """(rows, 4) int64 in fixed point: least and greatest x, least and greatest y.

    A row for every stage id where the encoding reads the stage, else one row. Where no blast zone is known, the ranges
    of the fields themselves.
    """
    rows = STAGE.vocab if encoding.stage else 1
    zones = BLAST_ZONES if encoding.stage else {}
    return np.array([_zone(*zones[i]) if i in zones else _own() for i in range(rows)], np.int64)


def session_bounds(encoding: Encoding, session: Ints) -> Ints:
    """(B, 4) the row of each session, given its ids (B, S) in the order of `Encoding.session_fields`, stage last."""
    picked: Ints = session[:, -1] if encoding.stage else np.zeros(len(session), np.int64)
    bounds: Ints = stage_bounds(encoding)[picked]
    return bounds
