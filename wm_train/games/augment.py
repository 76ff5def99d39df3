"""Games for training turned by their game's symmetries: several for one, made as batches are, never stored.

Each time that a game begins anew, it is turned by chance. What it is turned by follows from the run's seed and from the
**visit**, the number of that beginning in the run: so any step can be asked for again.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding
from wm_train.world.symmetry import MIRROR, SWAP, swapped

#: Sets these draws apart from others of the same seed.
_DRAWS = 0x5EED
#: Visits whose draws are kept: far more than lanes, or games of a buffer.
_KEPT = 1 << 14


@lru_cache(_KEPT)
def _draw(seed: int, visit: int) -> tuple[bool, bool]:
    """Whether a visit is mirrored, and swapped, where its run asks for that: each half the time."""
    mirror, swap = np.random.default_rng((seed % (1 << 64), _DRAWS, visit)).random(2) < 0.5
    return bool(mirror), bool(swap)


@dataclass(frozen=True)
class Augment:
    """Turns games of an encoding by the symmetries of these names."""

    encoding: Encoding
    names: tuple[str, ...]
    seed: int

    def turned(self, corpus: Corpus, visit: Ints) -> Corpus:
        """A Corpus, each frame turned by what is drawn for its visit (T,); mirrored only where the place allows it."""
        symmetry, every = self.encoding.game.symmetry, np.unique(visit)
        draws = np.array([_draw(self.seed, number) for number in every.tolist()])[np.searchsorted(every, visit)]
        frames, inputs = corpus.frames.copy(), corpus.inputs.copy()
        if MIRROR in self.names:
            at = draws[:, 0] & symmetry.mirrors_at(corpus.place)
            frames[at] = symmetry.mirrored(self.encoding.frame_fields, frames[at], corpus.place[at])
            inputs[at] = symmetry.mirrored(self.encoding.controls, inputs[at], corpus.place[at])
        if SWAP in self.names:
            at = draws[:, 1]
            frames[at], inputs[at] = swapped(frames[at]), swapped(inputs[at])
        return replace(corpus, frames=frames, inputs=inputs)


def augment_of(encoding: Encoding, names: tuple[str, ...], seed: int) -> Augment | None:
    """An Augment; None if there are no names."""
    return Augment(encoding, names, seed) if names else None
