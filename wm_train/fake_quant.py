"""The integer network as a torch module: integer values forward, straight-through gradients back.

The forward pass is wm_train.integer to the last bit (integers held in floats, every bound proved below 2^24 for float32
and 2^53 for float64). The backward pass is that of the float network on the same inputs and codes.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wm_train.errors import WmTrainError
from wm_train.grid import CODE_MAX, FRAC_BITS
from wm_train.integer import IntegerDense, integer_mlp, table_starts
from wm_train.mlp import FrameStackMLP, to_arrays


def _f32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _requantize(acc: Tensor, layer: IntegerDense) -> Tensor:
    """The tie rule on integers held in float64: exact, since |acc * mult| < 2^53."""
    product = acc.double() * torch.from_numpy(layer.mult.astype(np.float64))
    return torch.floor((product + 2.0 ** (layer.shift - 1)) * 2.0**-layer.shift)


def _straight_through(exact: Tensor, proxy: Tensor) -> Tensor:
    return proxy + (exact.to(proxy.dtype) - proxy).detach()


class QuantizedMLP(nn.Module):
    """A FrameStackMLP seen through the grid.

    hidden_scales  what one code of each hidden layer is worth; set by `calibrate`, kept in the checkpoint
    """

    def __init__(self, net: FrameStackMLP, hidden_scales: tuple[float, float]) -> None:
        super().__init__()
        self.net = net
        self.hidden_scales = hidden_scales
        encoding = net.world.encoding
        places = list(encoding.dense_fields())
        self.worth = _f32(np.array([field.scale * field.step for _, _, field in places]))
        self.id_starts = torch.from_numpy(table_starts([f for _, _, f in encoding.id_fields()])[:-1])
        self.session_starts = torch.from_numpy(table_starts([f for _, f in encoding.session_fields()])[:-1])
        self._frozen: tuple[Tensor, ...] | None = None

    def _tensors(self) -> tuple:  # type: ignore[type-arg]
        ints = integer_mlp(self.net.world, to_arrays(self.net), self.hidden_scales)
        return ints, _f32(ints.gather_rows), _f32(ints.gather_k), _f32(ints.session_rows)

    def freeze(self) -> "QuantizedMLP":
        """Keep the integers of the present parameters: for evaluation, where they do not change."""
        self._frozen = self._tensors()
        return self

    def heads(self, codes: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """Integer heads (B, outputs) in float64, FRAC_BITS fractional bits: what the QNet computes.

        codes    (B, dense_columns) float32 holding INT8 codes
        ids, session  as in FrameStackMLP.inputs
        """
        ints, rows, k, session_rows = self._frozen or self._tensors()
        acc = self._acc1(ints.layer1, rows, k, session_rows, codes, ids, session)
        for layer, following in ((ints.layer1, ints.layer2), (ints.layer2, ints.heads)):
            hidden = _requantize(acc, layer).clamp(0, CODE_MAX).float()
            acc = hidden @ _f32(following.rows).T + _f32(following.bias)
        return _requantize(acc, ints.heads)

    def _acc1(self, layer: IntegerDense, rows: Tensor, k: Tensor, session_rows: Tensor, codes: Tensor, ids: Tensor,
              session: Tensor) -> Tensor:  # fmt: skip
        acc = codes @ _f32(layer.rows).T + _f32(layer.bias)
        acc = acc + k * F.embedding_bag(ids + self.id_starts, rows, mode="sum")
        if session.shape[1]:
            acc = acc + F.embedding_bag(session + self.session_starts, session_rows, mode="sum")
        return acc

    def forward(self, codes: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """Heads (B, outputs) float32 in their own units, on the grid; gradients pass straight through."""
        with torch.no_grad():
            ints, rows, k, session_rows = self._frozen or self._tensors()
            acc = self._acc1(ints.layer1, rows, k, session_rows, codes, ids, session)
        proxy = self.net.layer1(self.net.inputs(codes * self.worth, ids, session))
        for index, (layer, following, linear) in enumerate(
            ((ints.layer1, ints.layer2, self.net.layer2), (ints.layer2, ints.heads, self.net.heads))
        ):
            unit = self.hidden_scales[index]
            with torch.no_grad():
                code = _requantize(acc, layer).clamp(0, CODE_MAX).float()
                acc = code @ _f32(following.rows).T + _f32(following.bias)
            # The gradient is that of the float ReLU, and stops where the code would saturate.
            seen = _straight_through(code * unit, proxy.clamp(0, CODE_MAX * unit))
            proxy = linear(seen)
        return _straight_through(_requantize(acc, ints.heads) * 2.0**-FRAC_BITS, proxy)


@torch.no_grad()
def calibrate(net: FrameStackMLP, dense: Tensor, ids: Tensor, session: Tensor) -> tuple[float, float]:
    """Scales of the two hidden layers: the quantum with the least squared error over a calibration batch."""
    first = torch.relu(net.layer1(net.inputs(dense, ids, session)))
    second = torch.relu(net.layer2(first))
    return _best_unit(first), _best_unit(second)


def _best_unit(values: Tensor) -> float:
    peak = float(values.max())
    if not peak > 0:
        raise WmTrainError("calibration: a hidden layer is zero everywhere; train the float model first")
    sample = values.flatten()[:: max(1, values.numel() // 1_000_000)]
    units = [peak / CODE_MAX * shrink for shrink in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15)]
    errors = [float(((sample / u).round().clamp(0, CODE_MAX) * u - sample).square().mean()) for u in units]
    return units[errors.index(min(errors))]
