"""The held-out loss: the training loss on games that are not trained on, always on the same few thousand frames, all of
them true ones."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config, RunConfig
from wm_train.errors import WmTrainError
from wm_train.fit.learners import learner
from wm_train.games.corpus import window_counts
from wm_train.games.store import Games
from wm_train.nets.network import FrameNet

#: Frames that are measured each time: about as much work as ten training steps of the default size.
HELD_OUT_FRAMES = 8192
#: Games that they are taken from, at most: they stay in memory.
HELD_OUT_GAMES = 32


class HeldOut:
    """A twin of the network in training, on held-out games. Measuring draws nothing from the run's own order."""

    def __init__(self, config: RunConfig, games: Games, start: Checkpoint | None, stock: bool = False) -> None:
        lanes = min(config.train.lanes, len(games.lengths))
        losses = replace(config.train.losses, sampling=0.0, horizon=())
        alike = RunConfig(config.model, replace(config.train, lanes=lanes, losses=losses, augment=(), events=()))
        streams = isinstance(config.model, Mamba2Config)
        frames = int(window_counts(games.lengths, config.model.world.encoding).sum())
        batch = lanes * config.train.chunk if streams else config.train.batch
        self._steps = max(1, min(HELD_OUT_FRAMES, frames) // batch)
        self._twin = learner(alike, games, start, stock=stock)
        self._twin.net.eval()
        self._nothing = self._twin.carried()

    def need_parts(self, names: Sequence[str]) -> None:
        """WmTrainError unless all are parts of the loss, each once."""
        known = self.losses(self._twin.net)
        if len(set(names)) < len(names) or not known.keys() >= set(names):
            expected = f"parts of the loss, each once: {', '.join(known)}"
            raise WmTrainError(f"config: train.best = {list(names)}, expected {expected}")

    @torch.no_grad()
    def losses(self, net: FrameNet) -> dict[str, float]:
        """Parts of the loss by name, of a network of the same shape."""
        self._twin.net.load_state_dict(net.state_dict())
        self._twin.carry_on(self._nothing)
        sums: dict[str, Tensor] = {}
        seen = 0
        for step in range(self._steps):
            parts, frames = self._twin.losses(step)
            sums = {name: sums.get(name, torch.zeros(())) + value * frames for name, value in parts.items()}
            seen += frames
        return {name: float(value) / seen for name, value in sums.items()}
