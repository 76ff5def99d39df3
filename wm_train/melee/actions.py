"""What kind of thing an action is: every action id in exactly one of 20 functional categories.

Ids are Melee's action states: 0 to 340 mean the same for every character, those from 341 on are each character's own.
A category holds what obeys the same rules: what moves the player, what can interrupt it, and what may come next. So a
category tells the other heads more than a name does: an aerial and its landing lag look alike and stand apart here.

The losses read this table, and so does a head that is chosen `within` the category (step.py).
"""

from collections.abc import Mapping

import numpy as np

from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import Ints
from wm_train.melee.field_table import STATE, STATE_INDEX

#: Ids of each category, both ends included.
RANGES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "out of play": ((0, 13), (322, 324)),
    "standing": ((14, 14), (245, 246), (264, 265)),
    "walking": ((15, 17),),
    "turning": ((18, 19),),
    "running": ((20, 23),),
    "jumping": ((24, 28), (203, 203)),
    "falling": ((29, 37), (244, 244), (251, 251)),
    "crouching": ((39, 41),),
    "landing": ((42, 43), (70, 74)),
    "ground attack": ((44, 57), (92, 99), (104, 111), (116, 177), (237, 238), (305, 321)),
    "smash": ((58, 64),),
    "aerial": ((65, 69), (100, 103), (112, 115)),
    "special": ((341, 399),),
    "shield": ((178, 182),),
    "dodge": ((233, 236),),
    "grab": ((212, 222),),
    "held": ((223, 232), (239, 243), (266, 304), (325, 334), (336, 340)),
    "hurt": ((75, 91),),
    "down": ((38, 38), (183, 202), (204, 211), (247, 250), (335, 335)),
    "ledge": ((252, 263),),
}

#: Names of the categories, in the order of their numbers.
CATEGORIES: tuple[str, ...] = tuple(RANGES)


def _table() -> Ints:
    """(vocab of the action field,) category of every id; an id that is in none or in two is an error."""
    table = np.full(STATE[STATE_INDEX["action"]].vocab, -1, np.int64)
    for number, ranges in enumerate(RANGES.values()):
        for first, last in ranges:
            if not 0 <= first <= last < len(table) or (table[first : last + 1] >= 0).any():
                raise WmTrainError(f"actions: ids {first} to {last} are outside the field, or in two categories")
            table[first : last + 1] = number
    if (table < 0).any():
        raise WmTrainError(f"actions: id {int(np.argmin(table))} is in no category; add it to RANGES")
    table.flags.writeable = False
    return table


#: (vocab,) int64 number of the category of every action id; read-only.
ACTION_CATEGORY: Ints = _table()
