"""The integer network as a torch module: integer values forward, straight-through gradients back.

The forward pass is integer_mlp.py to the last bit (integers held in floats, every bound proved below 2^24 for float32
and 2^53 for float64). The backward pass is that of the float network that has the forward pass's activations: a layer's
gradients are its linear map's, and end where the integer ReLU is closed or its code saturates. The float sums
themselves are never computed. A training step rounds only the folded rows that its batch looks up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wm_train.grid.arithmetic import CODE_MAX, FRAC_BITS, WeightGrid
from wm_train.grid.integer_mlp import IntegerDense, IntegerInput, IntegerMLP, integer_mlp, table_starts
from wm_train.nets.grid_linear import bits_of
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.observers import Observer


def _f32(values: np.ndarray) -> Tensor:
    return torch.as_tensor(values.astype(np.float32, copy=False))


def starts(fields: list[Any]) -> Tensor:
    return torch.as_tensor(table_starts(fields)[:-1])


def exact_dtype(grid: WeightGrid) -> torch.dtype:
    """The float that holds a layer's accumulators exactly."""
    return torch.float32 if grid.exact is np.float32 else torch.float64


@dataclass(frozen=True)
class Layer:
    """An IntegerDense as tensors: rows (N, K) and bias (N,) as exact_dtype says, mult (N,) float64."""

    rows: Tensor
    bias: Tensor
    mult: Tensor
    shift: int

    @staticmethod
    def of(layer: IntegerDense) -> "Layer":
        rows, bias = (torch.as_tensor(part.astype(layer.grid.exact)) for part in (layer.rows, layer.bias))
        return Layer(rows, bias, torch.as_tensor(layer.mult.astype(np.float64)), layer.shift)

    def accumulate(self, codes: Tensor) -> Tensor:
        """(B, K) codes -> (B, N) accumulators."""
        return (codes.to(self.rows.dtype) @ self.rows.T).add_(self.bias)

    def requantize(self, acc: Tensor) -> Tensor:
        """The tie rule on integers held in float64: exact, since |acc * mult| < 2^53."""
        product = acc.double().mul_(self.mult)
        return product.add_(2.0 ** (self.shift - 1)).mul_(2.0**-self.shift).floor_()


@dataclass(frozen=True)
class Input:
    """IntegerInput as tensors: rows (R, N) of the id tables, float32; `place` (all rows,) where each row lies among
    them, None when all are there; k and session_rows as layer1."""

    layer1: Layer
    rows: Tensor
    place: Tensor | None
    k: Tensor
    session_rows: Tensor

    @staticmethod
    def of(ints: IntegerInput, looked_up: Tensor | None) -> "Input":
        """With only the id rows whose numbers are in `looked_up`, or with all of them."""
        numbers = place = None
        if looked_up is not None:
            used = torch.zeros(int(ints.ids.starts[-1]), dtype=torch.bool)
            used[looked_up.flatten()] = True
            numbers, place = used.nonzero().flatten().cpu().numpy(), used.cumsum(0) - 1
        exact = ints.layer1.grid.exact
        k, session = (torch.as_tensor(part.astype(exact)) for part in (ints.gather_k, ints.session_rows))
        return Input(Layer.of(ints.layer1), _f32(ints.pick_rows(numbers)), place, k, session)

    def accumulate(self, codes: Tensor, id_rows: Tensor, session_rows: Tensor) -> Tensor:
        """First accumulators (B, N), from codes and row numbers of the id and session tables."""
        picked = id_rows if self.place is None else self.place[id_rows]
        gathered = functional.embedding_bag(picked, self.rows, mode="sum")
        acc = self.layer1.accumulate(codes).addcmul_(self.k, gathered.to(self.k.dtype))
        if session_rows.shape[1]:
            acc += functional.embedding_bag(session_rows, self.session_rows, mode="sum")
        return acc


@dataclass(frozen=True)
class _Integers:
    """IntegerMLP as tensors."""

    entry: Input
    layer2: Layer
    heads: Layer

    @staticmethod
    def of(ints: IntegerMLP, looked_up: Tensor | None) -> "_Integers":
        """With only the id rows whose numbers are in `looked_up`, or with all of them."""
        return _Integers(Input.of(ints, looked_up), Layer.of(ints.layer2), Layer.of(ints.heads))


class _StraightThrough(torch.autograd.Function):
    """`exact` forward; backward the gradients of `weight @ x + bias`, nothing where `open_` is False."""

    @staticmethod
    def forward(ctx: Any, exact: Tensor, open_: Tensor | None, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(open_, x, weight)
        return exact

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        open_, x, weight = ctx.saved_tensors
        (gradient,) = gradients
        if open_ is not None:
            gradient = gradient * open_
        total, gradient = gradient.sum(0), gradient.to(x.dtype)
        into = gradient @ weight.to(x.dtype) if ctx.needs_input_grad[2] else None
        return None, None, into, (gradient.T @ x).to(weight.dtype), total


def _through(exact: Tensor, open_: Tensor | None, x: Tensor, linear: nn.Linear) -> Tensor:
    out: Tensor = _StraightThrough.apply(exact, open_, x, linear.weight, linear.bias)
    return out


class QuantizedMLP(nn.Module):
    """A FrameStackMLP seen through the grid; door.py makes it.

    hidden_scales  what one code of each hidden layer is worth; set by `calibrate`, kept in the checkpoint
    """

    def __init__(self, net: FrameStackMLP, hidden_scales: tuple[float, float]) -> None:
        super().__init__()
        self.net = net
        self.hidden_scales = hidden_scales
        encoding = net.world.encoding
        places = list(encoding.dense_fields())
        self.worth = _f32(np.array([field.scale * field.step for _, _, field in places]))
        self.id_starts = starts([f for _, _, f in encoding.id_fields()])
        self.session_starts = starts([f for _, f in encoding.session_fields()])
        self._frozen: _Integers | None = None

    def _integers(self, looked_up: Tensor | None = None) -> _Integers:
        arrays = {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}
        return _Integers.of(integer_mlp(self.net.world, arrays, self.hidden_scales, bits_of(self.net)), looked_up)

    def freeze(self) -> "QuantizedMLP":
        """Keep the integers of the present parameters: for evaluation, where they do not change."""
        self._frozen = self._integers()
        return self

    @torch.no_grad()
    def heads(self, codes: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """Integer heads (B, outputs) in float64, FRAC_BITS fractional bits: what the QNet computes.

        codes    (B, dense_columns) float32 holding INT8 codes
        ids, session  as in FrameStackMLP.inputs
        """
        ints = self._frozen or self._integers()
        acc = ints.entry.accumulate(codes, ids + self.id_starts, session + self.session_starts)
        for layer, following in ((ints.entry.layer1, ints.layer2), (ints.layer2, ints.heads)):
            acc = following.accumulate(layer.requantize(acc).clamp_(0, CODE_MAX).float())
        return ints.heads.requantize(acc)

    def forward(self, codes: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """Heads (B, outputs) float32 in their own units, on the grid; gradients pass straight through."""
        net, id_rows = self.net, ids + self.id_starts
        seen = net.inputs(codes * self.worth, ids, session)
        with torch.no_grad():
            ints = self._frozen or self._integers(id_rows)
            acc = ints.entry.accumulate(codes, id_rows, session + self.session_starts)
        stages = ((ints.entry.layer1, ints.layer2, net.layer1), (ints.layer2, ints.heads, net.layer2))
        for (layer, following, linear), unit in zip(stages, self.hidden_scales, strict=True):
            with torch.no_grad():
                scaled = layer.requantize(acc).float()
                open_ = (acc > 0) & (scaled <= CODE_MAX)
                code = scaled.clamp_(0, CODE_MAX)
                acc = following.accumulate(code)
            seen = _through(code * unit, open_, seen, linear)
        return _through(ints.heads.requantize(acc).float() * 2.0**-FRAC_BITS, None, seen, net.heads)


@torch.no_grad()
def calibrate(
    net: FrameStackMLP, dense: Tensor, ids: Tensor, session: Tensor, observe: Observer
) -> tuple[float, float]:
    """Scales of the two hidden layers, as an observer of a calibration batch finds them."""
    # In float32, whatever a network in training computes in.
    first = torch.relu(net.layer1(net.inputs(dense, ids, session).float()))
    second = torch.relu(net.layer2(first))
    return observe("hidden1", first, CODE_MAX), observe("hidden2", second, CODE_MAX)
