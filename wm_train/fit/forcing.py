"""Training on Frames that the network wrote: a world that runs by itself reads no others, a recorded game has none.

    scheduled sampling   the batch is predicted from true frames, then some of its numbers become the predicted ones,
                         and the network trains on that mixture
    self-forcing         the network runs ahead of a true frame by itself, then trains on the frames it came to

Frames are written as a running world writes them, in integers (evaluate.written), from heads computed as training
computes, and before the pass that trains. So no gradient goes through a Frame that is fed back; through the network's
memory of such Frames it does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wm_train.config import TrainConfig
from wm_train.fit.batches import Batch, in_units, seen
from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Frames, Ints
from wm_train.measure.window import Predictor, Window, window_at, written
from wm_train.world.fields import PLAYERS
from wm_train.world.step import World

Picks = NDArray[np.bool_]
#: The loss of some frames: their now, after and heads.
LossOf = Callable[[Tensor, Tensor, Tensor], Tensor]


@contextmanager
def running(net: nn.Module) -> Iterator[None]:
    """A network in training computes as in a running world: without gradients and dropout."""
    net.eval()
    with torch.no_grad():
        yield
    net.train()


@dataclass(frozen=True)
class Forcing:
    """How a run feeds its network what the network wrote; `as_codes` as in WindowTensors."""

    world: World
    train: TrainConfig
    as_codes: bool

    @property
    def numbers(self) -> list[int]:
        """Places in a Frame of what value heads predict: all that sampling replaces. Flags and ids stay true, so that a
        player's frame is still one animation's."""
        values = {head.name for head in self.world.heads if head.kind == "value"}
        return [place for place, field in enumerate(self.world.game.state) if field.name in values]

    def picked(self, step: int, done: float, *shape: int) -> Picks:
        """(*shape, 2) whose numbers are predicted ones. The chance grows linearly from 0 to `sampling`; draws depend on
        seed and step alone, and are those of the whole batch, whichever share of it a rank has."""
        draws = np.random.default_rng((self.train.seed % (1 << 64), step)).random((*shape, PLAYERS))
        return draws < self.train.losses.sampling * min(done, 1.0)

    def before(self, corpus: Corpus, t: Ints) -> tuple[Window, Picks]:
        """(windows that predict the newest Frames shown by those that end at `t` (B,), which of them there are)."""
        encoding = self.world.encoding
        end = t - encoding.lookahead
        begin = end - encoding.span + 1
        there = (begin >= 0) & (corpus.game[np.maximum(begin, 0)] == corpus.game[t])
        return window_at(corpus, encoding, np.maximum(end, encoding.span - 1)), there

    def sampled(self, corpus: Corpus, t: Ints, predicted: Frames, picked: Picks) -> Batch:
        """Windows that end at `t` (B,), with the numbers of `predicted` (B, 2, F) in the newest Frames that they show,
        where `picked` (B, 2)."""
        encoding = self.world.encoding
        window, place = window_at(corpus, encoding, t), encoding.slots - 1
        true, frames = window.frames[:, place], window.frames.copy()
        for number in self.numbers:
            frames[:, place, :, number] = np.where(picked, predicted[..., number], true[..., number])
        return self._batch(replace(window, frames=frames), true, corpus.frames[t + 1])

    def alive(self, corpus: Corpus, t: Ints) -> Tensor:
        """(B, weights of horizon) whether the game of each frame `t` (B,) has the frame that the weight is for."""
        frame = t[:, None] + np.arange(2, len(self.train.losses.horizon) + 2)
        inside = _inside(corpus, frame)
        return torch.as_tensor((inside == frame) & (corpus.game[inside] == corpus.game[t][:, None]))

    def ahead(self, corpus: Corpus, t: Ints, predict: Predictor, first: int) -> Batch:
        """Worlds that run by themselves from windows that end at `t` (B,), as far as there are weights of `horizon`.

        returns windows number `first`.. of each world, world after world: 0 is the true one, 1 has one Frame that the
        network wrote, and so on
        """
        encoding, steps = self.world.encoding, len(self.train.losses.horizon)
        worlds = [window_at(corpus, encoding, t)]
        for step in range(1, steps + 1):
            frames = written(self.world, worlds[-1], predict(worlds[-1]))
            worlds.append(worlds[-1].advanced(frames, corpus.inputs[_inside(corpus, t + step + 1)]))
        end = (t[:, None] + np.arange(first, steps + 1)).ravel()
        true, after = (corpus.frames[_inside(corpus, end + further)] for further in (1 - encoding.lookahead, 1))
        return self._batch(_one_after_another(worlds[first:]), true, after)

    def ahead_loss(self, batch: Batch, heads: Tensor, alive: Tensor, worlds: float, loss_of: LossOf) -> Tensor:
        """The weighed loss of what `ahead` gave, a mean over `worlds`.

        heads  (B * windows of a world, outputs); alive (B, weights of horizon) whether a world's game has that frame
        """
        horizon = self.train.losses.horizon
        parts = [part.unflatten(0, (len(alive), -1)) for part in (batch.now, batch.after, heads)]
        total = torch.zeros(())
        for step, weight in enumerate(horizon):
            rows = alive[:, step]
            if rows.any():
                now, after, out = (part[:, step - len(horizon)][rows] for part in parts)
                total = total + weight * float(rows.sum()) / worlds * loss_of(now, after, out)
        return total

    def _batch(self, window: Window, true: Frames, after: Frames) -> Batch:
        """What is trained on of windows with Frames that the network wrote. `true` is the Frame that the newest shown
        one stands for, `after` the one to be predicted: (B, 2, F)."""
        encoding, counts = self.world.encoding, self.world.game.at(*self.world.game.roles.counts)
        now, wanted = window.frames[:, encoding.slots - 1], after.copy()
        wanted[..., counts] += now[..., counts] - true[..., counts]
        read = seen(encoding, window, self.as_codes)
        return Batch(*read, in_units(encoding, now), in_units(encoding, wanted))


def _inside(corpus: Corpus, frame: Ints) -> Ints:
    """Frame numbers; past the corpus' end the last one stands in."""
    return np.minimum(frame, len(corpus.game) - 1)


def _one_after_another(windows: list[Window]) -> Window:
    """The windows of each world in turn, world after world."""
    stacked = (np.stack([getattr(window, part.name) for window in windows], 1) for part in fields(Window))
    return Window(*(np.concatenate(list(part)) for part in stacked))
