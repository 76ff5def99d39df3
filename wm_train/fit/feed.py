"""What a learner is fed: torch batches by step, out of as many games as a dataset has, with memory for a few.

A step's number says what is in its batch, so a resumed run goes on with the batches that it would have seen. Steps in
order are cheapest: the games of the next ones are read while one is in use.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wm_train.fit.batches import Batch, WindowTensors
from wm_train.fit.sought import SoughtWindows
from wm_train.games.augment import Augment
from wm_train.games.corpus import Corpus
from wm_train.games.sequences import Chunk, SequencePlan
from wm_train.games.store import Games
from wm_train.games.stream import WindowBatch, WindowPlan, chunks, window_batches
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding

#: Games whose frames say how far each column spreads, and calibrate a recurrent network.
SAMPLE_GAMES = 32
#: Frames of all lanes that are read and encoded at once, where a step has fewer: much of the work is the same for any
#: count.
READ_AT_ONCE = 4096


def sample(games: Games, encoding: Encoding, as_codes: bool) -> WindowTensors:
    """Tensors of the first games."""
    return WindowTensors(games.corpus(range(min(SAMPLE_GAMES, len(games.names)))), encoding, as_codes)


class Fed(NamedTuple):
    """A batch, and where it is from: its windows end at frames `t` (B,) of `corpus`."""

    batch: Batch
    corpus: Corpus
    t: Ints


class FedChunk(NamedTuple):
    """The same of L frames of B lanes, one after another: B * L windows. reset (B, L) as in a Chunk; kept (B * L,)
    which have a frame after them in their game."""

    batch: Batch
    corpus: Corpus
    t: Ints
    reset: Tensor
    kept: Tensor


class WindowFeed:
    """Batches of windows, shuffled within a buffer of games."""

    def __init__(
        self, games: Games, plan: WindowPlan, as_codes: bool, augment: Augment | None, sought: SoughtWindows | None
    ) -> None:
        self._games, self._plan, self._as_codes = games, plan, as_codes
        self._augment, self._sought = augment, sought
        self._next = -1
        self._batches: Iterator[WindowBatch] = iter(())
        self._held: tuple[Corpus, WindowTensors] | None = None

    def at(self, step: int, share: slice) -> Fed:
        """A share of the batch of a step."""
        if step != self._next:
            self._batches = window_batches(self._games, self._plan, step, self._augment)
        self._next = step + 1
        batch = next(self._batches)
        if self._held is None or self._held[0] is not batch.corpus:
            self._held = None  # before the next group's are made
            self._held = batch.corpus, WindowTensors(batch.corpus, self._plan.encoding, self._as_codes)
        t = (self._sought.around(batch, step) if self._sought else batch.t)[share]
        return Fed(self._held[1].batch(torch.as_tensor(t)), batch.corpus, t)


class ChunkFeed:
    """Chunks of whole games, lane by lane; those of several steps are made at once, as one chunk that is longer."""

    def __init__(
        self, games: Games, encoding: Encoding, plan: SequencePlan, as_codes: bool, augment: Augment | None
    ) -> None:
        self._games, self._encoding, self._as_codes = games, encoding, as_codes
        self._augment, self._length = augment, plan.chunk
        self._steps = max(1, READ_AT_ONCE // (plan.lanes * plan.chunk))
        self._plan = plan.longer(self._steps)
        self._next = -1
        self._chunks: Iterator[tuple[Chunk, Corpus]] = iter(())
        self._held: tuple[Chunk, Corpus, WindowTensors] | None = None

    def at(self, step: int, share: slice) -> FedChunk:
        """A share of the lanes of a step."""
        stretch, part = divmod(step, self._steps)
        chunk, corpus, tensors = self._stretch(stretch)
        lanes, length = chunk.frame.shape
        now = slice(part * self._length, (part + 1) * self._length)
        row = np.arange(lanes * (length + 1)).reshape(lanes, -1)[share, now].ravel()
        reset, valid = (torch.as_tensor(flags[share, now]) for flags in (chunk.reset, chunk.valid))
        if part == self._steps - 1:  # nobody asks for it again, and a large step needs the memory
            self._held = None
        return FedChunk(tensors.batch(torch.as_tensor(row)), corpus, row, reset, valid.flatten())

    def _stretch(self, stretch: int) -> tuple[Chunk, Corpus, WindowTensors]:
        """What the steps of a stretch are parts of."""
        if self._held is None or stretch != self._next - 1:
            if stretch != self._next:
                self._chunks = chunks(self._games, self._plan, stretch, self._augment)
            chunk, corpus = next(self._chunks)
            self._held = chunk, corpus, WindowTensors(corpus, self._encoding, self._as_codes)
            self._next = stretch + 1
        return self._held
