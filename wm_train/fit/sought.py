"""Rare events shown often: moments of games at which something happens, which a share of training is around.

Each event is shown as often as each other, its moments in shuffled order; losses weigh those frames as all others. So a
network comes to expect what is shown to it more often than it happens.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_train.config import RunConfig
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, spread_out
from wm_train.games.sequences import Moments
from wm_train.games.store import Games
from wm_train.games.stream import WindowBatch
from wm_train.grid.arithmetic import Ints
from wm_train.measure.found_events import happening
from wm_train.measure.measures import Event, measures_of
from wm_train.world.encoding import Encoding

#: Sets these draws apart from others of the same seed.
_DRAWS = 0xE7E7
#: Games that a network which remembers is shown events of, at most: all are read when a training begins.
SOUGHT_GAMES = 2048
#: Frames by which a window ends before or after the one that predicts an event, at most.
NEAR = 4


@dataclass(frozen=True)
class Sought:
    """The events that a run asks for, and the share of its windows or lanes that is around them."""

    encoding: Encoding
    events: dict[str, Event]
    share: float
    seed: int

    def moments(self, corpus: Corpus) -> list[Ints]:
        """Of each event, (E,) the frames after which it happens to a player."""
        pairs = corpus.pairs()
        happens = happening(self.encoding.game, self.events, corpus.frames[pairs], corpus.frames[pairs + 1])
        return [pairs[happens[..., i].any(1)] for i in range(len(self.events))]

    def moments_of(self, games: Games) -> Moments:
        """Those of SOUGHT_GAMES at most, evenly spread, each read once; events that never happen are left out."""
        starts, numbers = np.cumsum(games.lengths) - games.lengths, spread_out(len(games.lengths), SOUGHT_GAMES)
        every = [[kind + starts[i] for kind in self.moments(games.corpus([i]))] for i in numbers.tolist()]
        found = [np.concatenate(of) for of in zip(*every, strict=True)]
        kinds = tuple(moments for moments in found if len(moments))
        if not kinds:
            raise WmTrainError(f"no game for training has any of {', '.join(self.events)}; leave train.events out")
        return Moments(kinds, self.share)


class SoughtWindows:
    """Batches of windows, the first of which end near events of the same games."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._corpus: Corpus | None = None
        self._kinds: list[Ints] = []
        self._there: NDArray[np.bool_] = np.zeros(0, bool)

    def around(self, batch: WindowBatch, step: int) -> Ints:
        """(B,) where the windows of a batch end. Follows from batch, seed and step alone."""
        if self._corpus is not batch.corpus:
            self._take(batch.corpus)
        if not self._kinds:
            return batch.t
        rng = np.random.default_rng((self._sought.seed % (1 << 64), _DRAWS, step))
        count = round(len(batch.t) * self._sought.share)
        kinds = [self._kinds[i] for i in np.arange(count) % len(self._kinds)]
        ends = np.array([kind[rng.integers(len(kind))] for kind in kinds], np.int64)
        ends = np.clip(ends + rng.integers(-NEAR, NEAR + 1, count), 0, len(self._there) - 1)
        out = batch.t.copy()
        out[:count] = np.where(self._there[ends], ends, out[:count])
        return out

    def _take(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._kinds = [moments for moments in self._sought.moments(corpus) if len(moments)]
        self._there = np.zeros(len(corpus.game), bool)
        self._there[corpus.windows(self._sought.encoding)] = True


def sought_of(config: RunConfig) -> Sought | None:
    """What a run asks for; None if nothing. WmTrainError names the first event that the encoding's game has not."""
    encoding, asked = config.model.world.encoding, config.train
    known = measures_of(encoding).events
    for name in asked.events:
        if name not in known or asked.events.count(name) > 1:
            expected = f"each once: {', '.join(known) or 'none, as the game has no events'}"
            raise WmTrainError(f"config: train.events = {list(asked.events)}, expected {expected}")
    events = {name: known[name] for name in asked.events}
    return Sought(encoding, events, asked.event_share, asked.seed) if events else None
