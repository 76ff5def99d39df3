"""Melee's law of how long an action stays: its animation gets older until it is over, and then something follows.

Within an action the age of the animation never falls but to its beginning: in 1,555,039 recorded frames of players it
fell 7,655 times, each time to 2 frames or less. And it never exceeds what the longest animation of any character has.
What an action of ROWS becomes then is another action, or the same from its beginning.
"""

from typing import Any

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.world.fields import ends, fixed
from wm_train.world.law import Law
from wm_train.world.rule_ops import LawOps, Read, equals

_ACTIONS, _AGE = STATE[STATE_INDEX["action"]].vocab, STATE[STATE_INDEX["state_age"]]
#: Frames of an animation within which it has just begun; and that a row's are exceeded by before an action is over.
BEGINNING, SLACK = 2.0, 2

#: (action, the greatest age of its animation in whole frames, what follows), from 147 recorded games by
#: benchmarks/stays.py.
ROWS: tuple[tuple[int, int, int], ...] = (
    (14, 559, 14), (15, 53, 15), (16, 42, 16), (17, 30, 17), (18, 15, 14), (19, 35, 21), (20, 30, 14), (21, 25, 21),
    (23, 27, 14), (24, 5, 25), (25, 59, 29), (26, 59, 29), (27, 69, 32), (28, 62, 32), (29, 47, 29), (32, 43, 32),
    (35, 49, 35), (38, 39, 38), (39, 7, 40), (40, 78, 41), (41, 9, 14), (42, 29, 14), (43, 30, 14), (44, 27, 14),
    (45, 23, 14), (50, 50, 14), (53, 44, 14), (55, 31, 14), (56, 49, 14), (57, 49, 41), (60, 64, 14), (63, 58, 14),
    (64, 64, 14), (65, 50, 29), (66, 59, 29), (67, 39, 29), (68, 69, 29), (69, 82, 29), (70, 29, 14), (71, 29, 14),
    (72, 29, 14), (73, 30, 14), (74, 59, 14), (75, 11, 14), (76, 23, 14), (77, 30, 29), (78, 11, 14), (79, 23, 14),
    (80, 30, 29), (81, 11, 14), (82, 23, 14), (83, 30, 29), (84, 11, 29), (85, 23, 29), (86, 30, 29), (87, 60, 38),
    (88, 39, 38), (89, 39, 38), (90, 83, 38), (91, 29, 91), (180, 15, 14), (181, 20, 179), (183, 25, 184),
    (184, 69, 184), (186, 29, 14), (187, 49, 14), (188, 35, 14), (191, 25, 192), (192, 138, 192), (193, 13, 29),
    (194, 29, 14), (195, 49, 14), (196, 35, 14), (197, 35, 14), (199, 25, 14), (200, 39, 14), (201, 39, 14),
    (203, 39, 14), (212, 84, 14), (213, 26, 216), (214, 94, 14), (215, 18, 216), (216, 59, 216), (217, 29, 216),
    (219, 49, 14), (220, 50, 14), (221, 70, 14), (222, 70, 14), (223, 2, 224), (224, 48, 224), (225, 19, 224),
    (226, 4, 227), (227, 59, 227), (228, 19, 227), (233, 44, 14), (234, 44, 14), (235, 37, 14), (236, 49, 35),
    (238, 30, 14), (239, 27, 88), (240, 28, 88), (241, 55, 90), (242, 55, 90), (244, 29, 42), (245, 11, 246),
    (251, 25, 38), (252, 7, 253), (253, 55, 253), (255, 34, 14), (257, 54, 14), (259, 49, 14), (261, 38, 29),
    (262, 15, 263), (263, 43, 29), (323, 10, 324),
)  # fmt: skip


def _tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of every action the age that its animation reaches at most, in whole frames, and what follows."""
    longest, following = [int(_AGE.hi)] * _ACTIONS, list(range(_ACTIONS))
    for action, most, after in ROWS:
        longest[action], following[action] = most + SLACK, after
    return tuple(longest), tuple(following)


LONGEST, FOLLOWING = _tables()


def _stays(ops: LawOps, now: Read, new: Read, place: Read) -> dict[str, Any]:
    """An animation gets older, and is over when none is older; then what follows begins."""
    action, before, age = new("action"), now("state_age"), new("state_age")
    same = ops.name("stays_same", equals(action - now("action"), 0))
    falls = same & (before > age) & (age > fixed(BEGINNING))
    older = ops.name("stays_older", ops.where(falls, before + ops.one, age))
    over = ops.name("stays_over", same & (older > ops.pick("longest", LONGEST, action) << FRAC_BITS))
    return {
        "action": ops.where(over, ops.pick("following", FOLLOWING, action), action),
        "state_age": ops.clip(ops.where(over, 0, older), *ends(_AGE)),
    }


STAYS = Law("stays", "stays", ("action", "state_age"), (), _stays)
