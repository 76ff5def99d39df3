"""A torch network as something that steps a world: frames in, integer heads out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config
from wm_train.errors import WmTrainError
from wm_train.fit.batches import seen
from wm_train.games.corpus import Corpus, held_out
from wm_train.grid.arithmetic import FRAC_BITS, Ints, round_half_up, within_floats
from wm_train.measure.evaluate import ROLLOUT_STARTS, Model, Predictor, Window, chunks, evaluate, stepper, window_at
from wm_train.measure.recurrent import Memory as Arrays
from wm_train.measure.recurrent import Recurrent, Stretch, forced_heads
from wm_train.nets.mamba2 import Mamba2, Memory
from wm_train.nets.matmul import use_exact_matmul
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.network import from_arrays
from wm_train.nets.qat import QuantizedMLP
from wm_train.nets.qat_mamba2 import QuantizedMamba2
from wm_train.world.encoding import Encoding
from wm_train.world.step import World


def fixed_heads(heads: Tensor) -> Ints:
    """Float heads in the heads' fixed point, by the tie rule."""
    out: Ints = round_half_up(heads.double().numpy() * (1 << FRAC_BITS)).astype(np.int64)
    return out


def float_predictor(net: FrameStackMLP) -> Predictor:
    """The float network; its heads are brought to the heads' fixed point by the tie rule."""
    encoding = net.world.encoding
    net.eval()

    @torch.no_grad()
    def predict(window: Window) -> Ints:
        return fixed_heads(net(*seen(encoding, window, as_codes=False)))

    return predict


def quantized_predictor(quantized: QuantizedMLP) -> Predictor:
    """The QAT network: exact integers."""
    encoding = quantized.net.world.encoding
    quantized.eval().freeze()

    @torch.no_grad()
    def predict(window: Window) -> Ints:
        heads: Ints = quantized.heads(*seen(encoding, window, as_codes=True)).numpy().astype(np.int64)
        return heads

    return predict


class TorchMamba2:
    """A Mamba2 as a Recurrent: the float network, or through the grid if `quantized` is given."""

    def __init__(self, net: Mamba2, quantized: QuantizedMamba2 | None = None) -> None:
        self.net, self.quantized = net.eval(), quantized.freeze() if quantized else None

    @property
    def world(self) -> World:
        """Encoding and heads."""
        return self.net.world

    def start(self, worlds: int) -> Arrays:
        """Memory of worlds that have seen nothing."""
        return _arrays((self.quantized or self.net).start(worlds))

    @torch.no_grad()
    def run(self, memory: Arrays, stretch: Stretch) -> tuple[Ints, Arrays]:
        """See Recurrent."""
        reset = torch.zeros(stretch.frames.shape[:2], dtype=torch.bool)
        read = _read(self.world.encoding, stretch, as_codes=self.quantized is not None)
        if self.quantized is None:
            heads, after = self.net(*read, self._layers(memory), reset)
            return fixed_heads(heads), _arrays(after)
        exact, after = self.quantized.heads(*read, self._layers(memory), reset)
        return exact.numpy().astype(np.int64), _arrays(after)

    def _layers(self, memory: Arrays) -> list[Memory]:
        names = [[f"{i}.{name}" for name in Memory._fields] for i in range(len(self.net.blocks))]
        return [Memory(*(torch.from_numpy(memory[name]) for name in layer)) for layer in names]


def _arrays(layers: list[Memory]) -> Arrays:
    return {f"{i}.{name}": part.numpy() for i, layer in enumerate(layers) for name, part in layer._asdict().items()}


def _read(encoding: Encoding, stretch: Stretch, as_codes: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, ·) dense columns, ids and session ids of a stretch."""
    shape = stretch.frames.shape[:2]
    window = Window(*stretch.windows(), np.repeat(stretch.session, shape[1], 0))
    dense, ids, session = (part.unflatten(0, shape) for part in seen(encoding, window, as_codes))
    return dense, ids, session


def checkpoint_model(checkpoint: Checkpoint) -> Model:
    """What steps the world of a checkpoint, in its own form. WmTrainError where its weights are beyond all bounds."""
    network = _network(checkpoint)
    return network if isinstance(network, Recurrent) else stepper(checkpoint.config.model.world, network)


def heads_along(checkpoint: Checkpoint, corpus: Corpus, t: Ints) -> Iterator[tuple[Ints, Ints]]:
    """(some of the frames `t`, a checkpoint's heads after them), given the true past, until all of `t` has come.

    t  (B,) ascending; heads (·, outputs) integers with FRAC_BITS fractional bits
    """
    network, encoding = _network(checkpoint), checkpoint.config.model.world.encoding
    if isinstance(network, Recurrent):
        yield from forced_heads(network, corpus, t)
        return
    for chunk in chunks(t):
        yield chunk, network(window_at(corpus, encoding, chunk))


def _network(checkpoint: Checkpoint) -> Predictor | Recurrent:
    """What gives the heads of a checkpoint, in its own form."""
    use_exact_matmul()
    model, scales = checkpoint.config.model, checkpoint.scales
    with within_floats(WmTrainError):
        if isinstance(model, Mamba2Config):
            recurrent = from_arrays(Mamba2(model), checkpoint.deciding)
            return TorchMamba2(
                recurrent, QuantizedMamba2(recurrent, dict(scales)) if checkpoint.form == "qat" else None
            )
        net = from_arrays(FrameStackMLP(model), checkpoint.deciding)
        if checkpoint.form == "float":
            return float_predictor(net)
        return quantized_predictor(QuantizedMLP(net, (scales["hidden1"], scales["hidden2"])))


def held_out_figures(
    checkpoint: Checkpoint, dataset: Path, limit: int = 0, starts: int = ROLLOUT_STARTS
) -> dict[str, Any]:
    """Metrics of a checkpoint, in its own form, on what of a dataset it was not trained on; `limit` and `starts` as of
    evaluate."""
    encoding = checkpoint.config.model.world.encoding
    corpus = held_out(dataset, encoding, checkpoint.split, checkpoint.config.train.holdout)
    return evaluate(checkpoint_model(checkpoint), corpus, encoding, limit=limit, starts=starts)
