"""What every network shares: the input it reads from frames, and the heads at their end.

Dense columns and embeddings are laid out as encoding.Encoding says; `gain` (fixed, from the training data) brings each
dense column to unit spread.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wm_train.errors import WmTrainError
from wm_train.nets.assemble import Assemble
from wm_train.nets.matmul import linear
from wm_train.world.fields import PLAYERS
from wm_train.world.step import World

N = TypeVar("N", bound="FrameNet")


class Linear(nn.Linear):
    """A linear layer that computes in what its input is of."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        if x.dtype is self.weight.dtype:
            return linear(x, self.weight, self.bias)
        return functional.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class FrameNet(nn.Module):
    """Embeddings, the first linear layer (input_dims -> `wide`) and the last (`narrow` -> outputs)."""

    gain: Tensor
    #: What a network in training computes in before its heads; in evaluation it is always float32.
    training_dtype: torch.dtype = torch.float32

    def __init__(self, world: World, wide: int, narrow: int) -> None:
        super().__init__()
        self.world = world
        encoding = world.encoding
        self.embeddings = nn.ModuleDict({f.name: nn.Embedding(f.vocab, f.width) for f in encoding.embeddings})
        self.layer1 = Linear(encoding.input_dims, wide)
        self.heads = Linear(narrow, world.outputs)
        self.register_buffer("gain", torch.ones(encoding.dense_columns))
        self._start_at_rest()

    @torch.no_grad()
    def _start_at_rest(self) -> None:
        """Value heads start at zero: the untrained world keeps its velocities, the best guess without data."""
        for player in range(PLAYERS):
            for head in self.world.heads:
                if head.kind == "value":
                    rows = self.world.span(player, head.name)
                    self.heads.weight[rows] = 0
                    self.heads.bias[rows] = 0

    def inputs(self, dense: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """The first layer's input (B, input_dims), in `training_dtype` or float32.

        dense    (B, dense_columns) float: value * scale
        ids      (B, id_columns) int64, in the order of Encoding.id_fields
        session  (B, session ids) int64, in the order of Encoding.session_fields
        """
        tables = [self.embeddings[f.name].weight for f in self.world.encoding.embeddings]
        dtype = self.training_dtype if self.training else torch.float32
        x: Tensor = Assemble.apply(self.world.encoding, dtype, dense * self.gain, ids, session, *tables)
        return x


def preflight(net: FrameNet, dense: Any, ids: Any, session: Any) -> None:
    """WmTrainError naming the first batch array whose width is not what the encoding asks for."""
    e = net.world.encoding
    expected = {"dense": e.dense_columns, "ids": e.id_columns, "session": len(list(e.session_fields()))}
    for (name, width), array in zip(expected.items(), (dense, ids, session), strict=True):
        if array.ndim != 2 or array.shape[1] != width:
            raise WmTrainError(
                f"shape preflight: {name} is {tuple(array.shape)}, expected (batch, {width}) "
                f"for encoding {e.name} with {e.slots} slots"
            )


def to_arrays(net: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers as numpy arrays, by their dotted names."""
    return {name: value.detach().cpu().numpy().copy() for name, value in net.state_dict().items()}


def from_arrays(net: N, arrays: Mapping[str, np.ndarray]) -> N:
    """Load what `to_arrays` gave; the inverse."""
    net.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    return net
