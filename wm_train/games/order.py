"""Shuffled orders that follow from their arguments alone, so that any step of a run can be found again."""

import numpy as np

from wm_train.grid.arithmetic import Ints


def shuffled(count: int, seed: int, *place: int) -> Ints:
    """(count,) int64, a permutation of 0..count-1; `seed` is any int, `place` (such as the epoch) 0 or more."""
    rng = np.random.default_rng((seed % (1 << 64), *place, count))
    return rng.permutation(count).astype(np.int64)
