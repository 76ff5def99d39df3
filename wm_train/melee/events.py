"""Events of a game of Melee that a player would name, as changes from a frame to the next, of the player they befall.

hits       percent rises
grabs      is caught: an action of CAUGHT, from one that is none
landings   on the ground, and in the air the frame before
take_offs  in the air, and on the ground the frame before
kos        a stock is lost
"""

import numpy as np

from wm_train.grid.arithmetic import Ints
from wm_train.measure.footage import Mask, Read
from wm_train.measure.measures import Event

#: First and last action of a player whom another one holds: pulled in, held and hit, high and low.
CAUGHT = (223, 228)


def _caught(action: Ints) -> Mask:
    return np.asarray((action >= CAUGHT[0]) & (action <= CAUGHT[1]))


def _hit(now: Read, after: Read) -> Mask:
    return np.asarray(after("percent") > now("percent"))


def _grab(now: Read, after: Read) -> Mask:
    return np.asarray(_caught(after("action")) & ~_caught(now("action")))


def _landing(now: Read, after: Read) -> Mask:
    return np.asarray((after("on_ground") > 0) & (now("on_ground") == 0))


def _take_off(now: Read, after: Read) -> Mask:
    return np.asarray((after("on_ground") == 0) & (now("on_ground") > 0))


def _ko(now: Read, after: Read) -> Mask:
    return np.asarray(after("stocks") < now("stocks"))


EVENTS = {
    "hits": Event(happens=_hit, reads=("percent",)),
    "grabs": Event(happens=_grab, reads=("action",)),
    "landings": Event(happens=_landing, reads=("on_ground",)),
    "take_offs": Event(happens=_take_off, reads=("on_ground",)),
    "kos": Event(happens=_ko, reads=("stocks",), within=3),
}
