"""Laws that Melee keeps, as measures of footage: of a true game or of any world, one that laws.py rules included.

    ground   who is on the ground stands within REACH of a height at which players stand on that stage
    action   an id that belongs to the ground is not shown in the air, and one of the air not on the ground
    dead     nobody who has a stock left is beyond a side or the bottom of the blast zone for more than BEYOND frames in
             a row without a stock lost in the last LOSS frames
    percent  percent does not fall without a stock lost in the last RESPAWN frames

The first two ask what recorded games show (`Standing`). What those do not tell, a stage or an id that they hardly have,
breaks no law; neither does a stage whose blast zone is not known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import Ints, round_half_up
from wm_train.measure.footage import Footage, Mask
from wm_train.measure.measures import MeasuredLaw
from wm_train.measure.sums import Summed
from wm_train.melee.field_table import STAGE, STATE, STATE_INDEX
from wm_train.melee.zones import BLAST_ZONES

#: Game units from a known height within which one stands on it.
REACH = 1.5
#: Heights are counted in steps of so many game units, and known from so many grounded player frames on.
HEIGHT_STEP, HEIGHT_FRAMES = 0.5, 20
#: An id belongs to the ground, or to the air, if it is there in such a share of at least so many player frames.
ID_SHARE, ID_FRAMES = 0.99, 50
#: Frames in a row that one may be beyond the blast zone; frames in which a lost stock explains that; and those in which
#: it explains that percent falls.
BEYOND, LOSS, RESPAWN = 3, 60, 90

_Y, _ACTION = STATE[STATE_INDEX["y"]], STATE[STATE_INDEX["action"]]
_LOWEST = round(_Y.lo / HEIGHT_STEP)
_HEIGHTS = round(_Y.hi / HEIGHT_STEP) - _LOWEST + 1


@dataclass(frozen=True, eq=False)
class Standing(Summed):
    """Where and in which actions players stand, counted in recorded games.

    games, frames  what was counted
    heights        (stages, heights) int64 grounded player frames at each height, from _LOWEST steps on
    actions        (actions, 2) int64 player frames in each action: in the air, on the ground
    """

    games: int
    frames: int
    heights: Ints
    actions: Ints

    def heights_of(self, stage: int) -> NDArray[np.float64]:
        """(n,) game units, ascending: the heights at which players stand on a stage."""
        known = np.flatnonzero(self.heights[stage] >= HEIGHT_FRAMES)
        return np.asarray((known + _LOWEST) * HEIGHT_STEP)

    def bound_to(self, ground: int) -> Mask:
        """(actions,) whether an id is always in the air (0), or always on the ground (1)."""
        total = self.actions.sum(1)
        return np.asarray((total >= ID_FRAMES) & (self.actions[:, ground] >= ID_SHARE * total))

    def to_json(self) -> dict[str, Any]:
        """What was counted, and what follows from it."""
        stages = np.flatnonzero(self.heights.any(1))
        return {
            "games": self.games,
            "frames": self.frames,
            "heights": {str(stage): self.heights_of(int(stage)).tolist() for stage in stages},
            "ids": {name: int(self.bound_to(i).sum()) for i, name in enumerate(("air", "ground"))},
        }


def count(games: Footage) -> Standing:
    """What recorded games show of standing."""
    grounded, action = games.field("on_ground") > 0, games.field("action")
    heights = np.zeros((STAGE.vocab, _HEIGHTS), np.int64)
    step = round_half_up(games.value("y") / HEIGHT_STEP).astype(np.int64) - _LOWEST
    stage = np.broadcast_to(games.place[:, None], step.shape)
    np.add.at(heights, (stage[grounded], step[grounded]), 1)
    actions = np.zeros((_ACTION.vocab, 2), np.int64)
    np.add.at(actions, (action, grounded.astype(np.int64)), 1)
    return Standing(len(np.unique(games.world)), len(games.world), heights, actions)


def _grounded(games: Footage) -> Mask:
    return np.asarray(games.field("on_ground") > 0)


def ground(games: Footage, known: Standing) -> Mask:
    """(T, 2) who stands where that stage has no ground."""
    y, out = games.value("y"), _grounded(games)
    for stage in np.unique(games.place):
        heights, here = known.heights_of(int(stage)), games.place == stage
        out[here] &= _far(y[here], heights)
    return out


def _far(y: NDArray[np.float64], heights: NDArray[np.float64]) -> Mask:
    """Whether each y is more than REACH from all heights; nothing is where there are none."""
    if not len(heights):
        return np.zeros(y.shape, bool)
    above = np.searchsorted(heights, y).clip(max=len(heights) - 1)
    near = np.minimum(np.abs(heights[above] - y), np.abs(heights[np.maximum(above - 1, 0)] - y))
    return np.asarray(near > REACH)


def action(games: Footage, known: Standing) -> Mask:
    """(T, 2) who shows an id of the ground in the air, or one of the air on the ground."""
    shown, grounded = games.field("action"), _grounded(games)
    return np.where(grounded, known.bound_to(0)[shown], known.bound_to(1)[shown])


def _lost(games: Footage) -> Mask:
    return np.asarray(games.change("stocks") < 0)


def dead(games: Footage, known: Standing) -> Mask:
    """(T, 2) who is beyond the blast zone and should have lost a stock by now; whose game is over has none to lose."""
    zones = np.full((STAGE.vocab, 3), [-np.inf, np.inf, -np.inf])
    for stage, (left, right, _, bottom) in BLAST_ZONES.items():
        zones[stage] = left, right, bottom
    left, right, bottom = zones[games.place].T[..., None]
    x, y = games.value("x"), games.value("y")
    outside = (x < left) | (x > right) | (y < bottom)
    plays = games.field("stocks") > 0
    return np.asarray(plays & (games.in_a_row(outside) > BEYOND) & ~games.lately(_lost(games), LOSS))


def percent(games: Footage, known: Standing) -> Mask:
    """(T, 2) whose percent falls although no stock was lost."""
    return np.asarray((games.change("percent") < 0) & ~games.lately(_lost(games), RESPAWN))


#: Frames before a frame that some law looks at.
PAST = max(LOSS, RESPAWN)

LAWS = {
    "ground": MeasuredLaw(broken=ground, reads=("y", "on_ground"), of=_grounded),
    "action": MeasuredLaw(broken=action, reads=("action", "on_ground")),
    "dead": MeasuredLaw(broken=dead, reads=("x", "y", "stocks")),
    "percent": MeasuredLaw(broken=percent, reads=("percent", "stocks")),
}
