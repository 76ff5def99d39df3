"""The baseline of a world without a network: the rules of hits and movement, with every head at rest."""

from typing import Any

import numpy as np

from wm_train.grid.arithmetic import Frames
from wm_train.melee.field_table import KNOCKBACK, STATE_INDEX
from wm_train.melee.rules import HIT_DETECTION, MOVEMENT, VELOCITIES
from wm_train.world.rule_ops import NumpyOps


def coasted(frames: Frames, freeze: bool) -> Frames:
    """The next Frames (N, 2, F) int32 where velocities stay, on the ground that of the ground for that of the air.

    freeze  nothing moves while hitlag lasts; else hitlag counts down and stops nothing
    """
    field = {name: frames[..., place].astype(np.int64) for name, place in STATE_INDEX.items()}
    seen = field | {"self_x_air": np.where(field["on_ground"] > 0, field["self_x_ground"], field["self_x_air"])}

    def at_rest(name: str) -> Any:
        return np.zeros_like(field["x"])

    ops = NumpyOps()
    hitlag = HIT_DETECTION.rule(ops, seen.__getitem__, at_rest, at_rest)["hitlag"]
    new = {name: seen[name] for name in KNOCKBACK} | {"hitlag": hitlag if freeze else np.zeros_like(hitlag)}
    moved = MOVEMENT.rule(ops, seen.__getitem__, new.__getitem__, at_rest)
    after = frames.copy()
    for name, value in {"hitlag": hitlag, **{axis: moved[axis] for axis in VELOCITIES}}.items():
        after[..., STATE_INDEX[name]] = value
    return after
