"""Weights averaged over the steps of a run (EMA): what is measured and saved, while the optimizer goes its own way."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of a network's parameters. `decay` 0 is the parameters themselves.

    Early steps count for little: at step t the decay is at most (1 + t) / (10 + t), so that the start is forgotten.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._net, self._decay = net, decay
        self.weights = {name: value.detach().clone() for name, value in net.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after step number `step`, 0 or more."""
        kept = min(self._decay, (1 + step) / (10 + step))
        for name, mean in self.weights.items():
            mean.lerp_(self._net.get_parameter(name), 1 - kept)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take up what `weights` was."""
        for name, mean in self.weights.items():
            mean.copy_(weights[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network holds the average; afterwards its own parameters again, to the last bit."""
        own = {name: self._net.get_parameter(name).detach().clone() for name in self.weights}
        self._set(self.weights)
        try:
            yield
        finally:
            self._set(own)

    @torch.no_grad()
    def _set(self, weights: Mapping[str, Tensor]) -> None:
        for name, value in weights.items():
            self._net.get_parameter(name).copy_(value)
