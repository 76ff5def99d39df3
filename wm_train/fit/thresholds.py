"""Where an event's head is cut: at the value with the best F1 on held-out games.

A head is the logit of an event's probability. What happens once in a hundred frames and cannot be told to the frame is
hardly ever more likely than not: cut at 0 it never happens in a world that runs by itself. The cut is a number for each
event, chosen once after training and taken from the heads' biases (Checkpoint.deciding), so that it costs nothing on
chain.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wm_train.checkpoint import THRESHOLD_MAX, Checkpoint
from wm_train.fit.batches import in_units
from wm_train.fit.loss import happened
from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.nets.predict import heads_along
from wm_train.world.fields import PLAYERS

#: Held-out frames that thresholds are chosen on, at most.
FRAMES = 65_536
#: An event that happens to players less often than this in those frames keeps its threshold of 0.
LEAST = 8
#: So does one that a network tells no better than this, by F1: cut where that is best, it would happen wrongly again
#: and again, and a world with a wrong teleport is farther from its game than one without a true one.
LEAST_F1 = 0.15


def best_cut(values: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """The cut above which `values` (N,) call `true` (N,) best, by F1: half way to the next value below. 0 where that
    is below LEAST_F1."""
    order = np.argsort(-values, kind="stable")
    ordered, right = values[order], np.cumsum(true[order])
    f1 = 2 * right / (np.arange(1, len(values) + 1) + right[-1])
    # Who has the same value is on the same side.
    f1[:-1][ordered[:-1] == ordered[1:]] = 0
    last = int(f1.argmax())
    if f1[last] < LEAST_F1:
        return 0.0
    below = ordered[last + 1] if last + 1 < len(values) else ordered[last] - 1
    return float(np.clip((ordered[last] + below) / 2, -THRESHOLD_MAX, THRESHOLD_MAX))


def thresholds(checkpoint: Checkpoint, held_out: Corpus) -> Mapping[str, float]:
    """Event head -> its best cut, whatever thresholds the checkpoint has; both players have the same."""
    world = checkpoint.config.model.world
    t = held_out.windows(world.encoding)[:FRAMES]
    asked = world.head_set.happenings
    if not asked or not len(t):
        return {}
    # Of a network's thousand numbers a frame, those alone that are asked for: all of them would be gigabytes.
    columns = [world.span(player, name).start for name in asked for player in range(PLAYERS)]
    found = [(some, heads[:, columns]) for some, heads in heads_along(replace(checkpoint, thresholds={}), held_out, t)]
    at = np.concatenate([some for some, _ in found])
    values = np.concatenate([some for _, some in found]) / float(1 << FRAC_BITS)
    by_event = dict(zip(asked, np.split(values, len(asked), 1), strict=True))
    shown = at + 1 - world.encoding.lookahead
    true = happened(world, *(in_units(world.encoding, held_out.frames[frame]) for frame in (shown, at + 1)))
    return {
        name: best_cut(by_event[name].T.ravel(), true[name].numpy().T.ravel())
        for name in asked
        if int(true[name].sum()) >= LEAST
    }
