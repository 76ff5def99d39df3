"""A Frame that a game of Melee may begin with, when the players have come down: they stand on the floor and face each
other."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.stages import GROUNDS
from wm_train.melee.stances import STANDING
from wm_train.world.fields import PLAYERS, Kind, fixed

#: Game units from the middle at which each seat stands.
ACROSS = (-30.0, 30.0)
#: Id of the line that the middle of each stage's floor is, in 72 recorded games.
LINES: Mapping[int, int] = {2: 5, 3: 31, 8: 3, 28: 4, 31: 1, 32: 1}
NO_LINE = STATE[STATE_INDEX["ground"]].vocab - 1


def opening(place: int, cast: Sequence[int]) -> NDArray[np.int32]:
    """(2, len(STATE)) int32 on the stage of that id, with the characters of those ids; on a stage that is not known the
    floor is at 0."""
    frame = np.zeros((PLAYERS, len(STATE)), np.int32)
    for seat, character in enumerate(cast):
        values = {
            "x": ACROSS[seat],
            "y": _height(place, ACROSS[seat]),
            "shield": 60.0,
            "stocks": 4.0,
            "facing": ACROSS[seat] < 0,
            "on_ground": 1,
            "action": STANDING,
            "jumps": 2,
            "character": character,
            "ground": LINES.get(place, NO_LINE),
        }
        for name, value in values.items():
            at = STATE_INDEX[name]
            frame[seat, at] = fixed(value) if STATE[at].kind is Kind.CONTINUOUS else value
    return frame


def _height(place: int, x: float) -> float:
    """Of the floor at `x`."""
    floors = GROUNDS[place].floors if place in GROUNDS else ()
    return next((floor.y for floor in floors if floor.left <= x <= floor.right), 0.0)
