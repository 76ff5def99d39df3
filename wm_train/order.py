"""The order in which games are met: a function of the seed and the epoch alone, so that any step can be found again."""

import numpy as np

from wm_train.grid import Ints


def epoch_order(seed: int, epoch: int, count: int) -> Ints:
    """(count,) int64, a permutation of 0..count-1 that depends on nothing but the arguments; any int is a seed."""
    rng = np.random.default_rng((seed % (1 << 64), epoch, count))
    return rng.permutation(count).astype(np.int64)
