"""What of Melee is the same in a mirror, and with its players exchanged.

Stages that are their own mirror images, and which of their lines (`ground`) stand for each other: read off where
players stand in 181 recorded games. A line without a partner keeps its id: it goes through the middle, or it is of a
transformation, of which no Frame tells.

    2   Fountain of Dreams  exact: each side platform moves by itself, both alike
    3   Pokemon Stadium     but for its transformations, on which 1.6 % of its grounded players stand
    28  Dream Land          but for 0.1 units in height and 1.6 in length of its side platforms
    31  Battlefield         exact
    32  Final Destination   exact
    8   Yoshi's Story       not: its cloud flies around it, and its blast zone is 2.1 units wider on the left

Where a player comes back is not mirrored, and on 31 and 32 not exchanged: there each seat has its own point, and
whoever comes back faces the same way. All else that is decided by a side, or by the order of the players, is who gets
what both reach for in the same frame.
"""

from wm_train.world.symmetry import Symmetry

SYMMETRY = Symmetry(
    swaps=True,
    mirrors={
        2: {"ground": ((0, 1), (3, 7), (4, 6))},
        3: {},
        28: {"ground": ((0, 1), (3, 5))},
        31: {"ground": ((0, 5), (2, 4))},
        32: {"ground": ((0, 2),)},
    },
)
