"""Who stands, by action: what each id shows in recorded games, and what it becomes where that cannot be.

In 170 recorded games (2,086,088 frames of a player) an id that is on the ground in at least 99 % of 50 frames or more
is GROUND, one that is in the air in as many is AIR, every other EITHER. Ids from SPECIAL on mean another thing for each
character and are counted by character. Whom the other player holds or throws is carried besides.

In some actions the age of the animation says it: who is thrown down bounces, who climbs a ledge comes to stand. In 147
recorded games each character left the ground and came back to it at one age of each of them, all 1,041 and 923 times.
"""

from collections.abc import Iterable, Mapping

from wm_train.melee.actions import RANGES
from wm_train.melee.field_table import STATE, STATE_INDEX

AIR, EITHER, GROUND = range(3)
#: Added to the stance of an action in which a player is carried.
CARRIED = 4

_VOCAB, _CHARACTERS = (STATE[STATE_INDEX[name]].vocab for name in ("action", "character"))
_Ranges = tuple[tuple[int, int], ...]
#: First id of a character's own actions; a character has room for 1 << SPECIAL_BITS of them in its table.
SPECIAL = RANGES["special"][0][0]
SPECIAL_BITS = 6

_GROUND: _Ranges = (
    *((14, 21), (23, 24), (39, 46), (48, 48), (50, 51), (53, 53), (55, 58), (60, 60), (63, 64), (70, 74), (81, 81)),
    *((94, 94), (108, 109), (178, 182), (184, 184), (186, 189), (192, 192), (194, 197), (199, 201), (212, 217)),
    *((219, 222), (226, 228), (233, 235), (237, 238), (245, 246), (264, 264)),
)
_AIR: _Ranges = (
    *((0, 13), (25, 29), (32, 32), (35, 35), (38, 38), (65, 69), (87, 91), (112, 113), (203, 203), (223, 225)),
    *((236, 236), (244, 244), (247, 247), (251, 253), (260, 263), (275, 275), (304, 304), (322, 324)),
)
#: By character.
_SPECIAL_GROUND: Mapping[int, _Ranges] = {
    1: ((341, 343), (347, 347), (349, 349), (353, 353), (357, 357), (360, 361), (363, 364)),
    2: ((347, 347), (349, 350), (357, 358), (360, 360)),
    3: ((351, 351), (353, 354)),
    4: ((356, 356), (358, 359), (367, 367)),
    7: ((341, 344), (349, 349), (351, 351), (356, 357)),
    8: ((341, 341),),
    9: ((349, 349), (351, 352)),
    10: ((341, 341), (343, 343)),
    13: ((343, 345), (350, 350)),
    15: ((369, 369), (371, 371)),
    16: ((341, 342), (345, 345), (359, 359)),
    17: ((341, 341), (357, 357)),
    18: ((342, 343), (349, 349), (369, 370)),
    20: ((344, 346), (350, 350), (356, 356), (358, 358)),
    22: ((341, 343), (347, 347), (349, 349), (353, 353), (355, 355), (357, 357), (360, 361), (363, 364)),
    24: ((341, 341), (345, 346), (350, 353), (355, 355), (357, 363)),
    25: ((347, 347), (358, 358)),
}
_SPECIAL_AIR: Mapping[int, _Ranges] = {
    0: ((346, 346),),
    1: ((344, 346), (350, 352), (354, 354), (356, 356), (358, 359), (365, 366), (368, 369)),
    2: ((351, 351), (354, 356), (359, 359), (361, 361)),
    3: ((375, 375), (382, 382)),
    4: ((341, 342), (347, 347), (371, 372), (374, 374)),
    6: ((357, 357),),
    7: ((345, 348), (358, 360)),
    9: ((341, 342), (344, 346), (363, 363)),
    10: ((345, 345), (354, 354)),
    12: ((358, 358),),
    13: ((342, 342), (351, 352), (354, 354), (356, 358)),
    15: ((341, 342), (364, 364), (370, 370)),
    16: ((346, 347), (352, 352), (356, 358)),
    17: ((342, 342), (349, 352), (356, 356), (358, 358)),
    18: ((347, 347), (358, 358), (368, 368)),
    20: ((347, 347), (349, 349), (353, 353), (357, 357), (359, 361)),
    22: ((344, 346), (350, 352), (354, 354), (356, 356), (358, 358), (365, 366), (368, 369)),
    24: ((347, 349), (364, 365), (368, 368), (371, 371), (373, 374), (378, 378)),
    25: ((354, 356), (359, 359), (361, 361)),
}

#: Who comes back from a lost stock, and waits then; every action after these is one of play.
RETURNING, WAITING = 12, 13
#: First and last id of a climb from a ledge.
CLIMBS = (254, 259)
#: Bounces of who is thrown down, face up and face down.
BOUNCES = (183, 191)
#: Action -> character -> the last whole ages of its animation on the ground (-1: none) and in the air, from recorded
#: games by benchmarks/stances.py.
_TIMED: Mapping[int, Mapping[int, tuple[int, int]]] = {
    183: {
        1: (3, 21),
        2: (3, 21),
        7: (3, 22),
        9: (6, 17),
        10: (6, 21),
        13: (2, 21),
        15: (0, 16),
        16: (3, 21),
        17: (0, 21),
        18: (1, 21),
        20: (0, 20),
        22: (2, 21),
        24: (6, 24),
        25: (2, 21),
        26: (2, 21),
    },
    191: {
        1: (1, 21),
        2: (3, 21),
        7: (3, 22),
        8: (0, 21),
        9: (4, 17),
        10: (0, 22),
        13: (3, 21),
        15: (1, 16),
        18: (1, 21),
        20: (2, 20),
        22: (1, 21),
        25: (2, 21),
    },
    254: {1: (-1, 52), 2: (-1, 36), 7: (-1, 52), 9: (-1, 39), 16: (-1, 43), 22: (-1, 52)},
    255: {
        1: (-1, 22),
        2: (-1, 18),
        7: (-1, 22),
        10: (-1, 19),
        13: (-1, 18),
        16: (-1, 19),
        17: (-1, 19),
        18: (-1, 15),
        22: (-1, 22),
    },
    256: {1: (-1, 52), 9: (-1, 33), 10: (-1, 50), 22: (-1, 52), 24: (-1, 36), 25: (-1, 27)},
    257: {1: (-1, 22), 2: (-1, 20), 7: (-1, 26), 9: (-1, 8), 10: (-1, 29), 13: (-1, 18), 18: (-1, 16), 22: (-1, 22)},
    258: {1: (-1, 52), 7: (-1, 52)},
    259: {1: (-1, 20), 7: (-1, 20), 17: (-1, 19), 18: (-1, 16), 22: (-1, 20), 24: (-1, 15), 25: (-1, 16)},
}
#: The same of a bounce of characters whose bounces are not known.
_BOUNCE = (2, 21)

STANDING = 14
#: Falling, and landing from it and from a helpless fall.
FALLING, LANDING, HELPLESS_LANDING = 29, 42, 43


def _ids(ranges: Iterable[tuple[int, int]]) -> Iterable[int]:
    return (i for first, last in ranges for i in range(first, last + 1))


def _stances() -> tuple[int, ...]:
    table = [EITHER] * _VOCAB
    for stance, ranges in ((GROUND, _GROUND), (AIR, _AIR)):
        for i in _ids(ranges):
            table[i] = stance
    for i in _ids(RANGES["held"]):
        table[i] += CARRIED
    return tuple(table)


def _special_stances() -> tuple[int, ...]:
    table = [EITHER] * (_CHARACTERS << SPECIAL_BITS)
    for stance, by_character in ((GROUND, _SPECIAL_GROUND), (AIR, _SPECIAL_AIR)):
        for character, ranges in by_character.items():
            for i in _ids(ranges):
                table[(character << SPECIAL_BITS) + i - SPECIAL] = stance
    return tuple(table)


def _timed() -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(vocab,) where an action's characters begin in the others, whose first entries are those of no such action; and
    by them the first whole ages in the air and on the ground again, which is 0 where that is not known."""
    begins, rises, lands = [0] * _VOCAB, [0] * _CHARACTERS, [0] * _CHARACTERS
    for action, known in _TIMED.items():
        begins[action] = len(rises)
        usual = _BOUNCE if action in BOUNCES else (-1, -1)
        ages = [known.get(character, usual) for character in range(_CHARACTERS)]
        rises += [last + 1 for last, _ in ages]
        lands += [last + 1 for _, last in ages]
    return tuple(begins), tuple(rises), tuple(lands)


def _becomes(usual: int, others: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(others.get(i, usual) for i in range(_VOCAB))


#: (vocab,) the stance of every action below SPECIAL, + CARRIED where it is; and of the others, by character.
STANCE, SPECIAL_STANCE = _stances(), _special_stances()
#: Where the ages of an action begin, and the ages by it and character.
TIMED, RISES_AT, LANDS_AT = _timed()
#: (vocab,) what an action becomes that has no surface left, and one that lands.
LEAVES_AS = _becomes(FALLING, {24: 25, 39: 244, 178: 244, 179: 244, 182: 244, 181: 251})
LANDS_AS = _becomes(
    LANDING,
    {
        **{65: 70, 66: 71, 67: 72, 68: 73, 69: 74, 35: HELPLESS_LANDING, 236: HELPLESS_LANDING},
        **{action: action for action in BOUNCES},
        **{38: 199, 87: 183, 88: 183, 89: 191, 90: 183, 91: 191},
    },
)
