"""A torch network as something that steps a world: frames in, integer heads out."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config, one_network
from wm_train.errors import WmTrainError
from wm_train.fit.batches import seen
from wm_train.games.corpus import Corpus
from wm_train.games.store import open_held_out
from wm_train.grid.arithmetic import FRAC_BITS, Ints, round_half_up, within_floats
from wm_train.measure.evaluate import evaluate
from wm_train.measure.recurrent import NONE, Recurrent, Stretch, Walk
from wm_train.measure.recurrent import Memory as Arrays
from wm_train.measure.rollouts import ROLLOUT_STARTS
from wm_train.measure.window import Predictor, Window, stepper, window_at
from wm_train.measure.worlds import Model, chunks
from wm_train.nets.device import CPU, HERE, find_device, placed
from wm_train.nets.mamba2 import Mamba2, Memory
from wm_train.nets.matmul import use_exact_matmul
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.network import from_arrays
from wm_train.nets.qat import QuantizedMLP
from wm_train.nets.qat_mamba2 import QuantizedMamba2
from wm_train.world.encoding import Encoding
from wm_train.world.step import World, joined_heads


def fixed_heads(world: World, heads: Tensor) -> Ints:
    """What a world reads of float heads (..., outputs), in the heads' fixed point, by the tie rule."""
    return world.read(round_half_up(heads.cpu().double().numpy() * (1 << FRAC_BITS)).astype(np.int64))


def exact_heads(world: World, heads: Tensor) -> Ints:
    """What a world reads of heads (..., outputs) that are integers already."""
    return world.read(heads.cpu().numpy().astype(np.int64))


def float_predictor(net: FrameStackMLP) -> Predictor:
    """The float network; its heads are brought to the heads' fixed point by the tie rule."""
    encoding = net.world.encoding
    net.eval()

    @torch.no_grad()
    def predict(window: Window) -> Ints:
        return fixed_heads(net.world, net(*seen(encoding, window, as_codes=False)))

    return predict


def quantized_predictor(quantized: QuantizedMLP) -> Predictor:
    """A converted network: exact integers."""
    encoding = quantized.net.world.encoding
    quantized.eval()

    @torch.no_grad()
    def predict(window: Window) -> Ints:
        return exact_heads(quantized.net.world, quantized.heads(*seen(encoding, window, as_codes=True)))

    return predict


class TorchMamba2:
    """A Mamba2 as a Recurrent: the float network, or, if it is given, the one that was converted from it. `device` is
    where the network is; memory and heads are arrays of this process."""

    def __init__(self, net: Mamba2, quantized: QuantizedMamba2 | None = None, device: torch.device = HERE) -> None:
        self.net, self.quantized, self.device = net.eval(), quantized, device

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
        with placed(self.device):
            reset = torch.zeros(stretch.frames.shape[:2], dtype=torch.bool)
            read = _read(self.world.encoding, stretch, as_codes=self.quantized is not None)
            if self.quantized is None:
                heads, after = self.net(*read, self._layers(memory), reset)
                return fixed_heads(self.world, heads), _arrays(after)
            exact, after = self.quantized.heads(*read, self._layers(memory), reset)
            return exact_heads(self.world, exact), _arrays(after)

    def _layers(self, memory: Arrays) -> list[Memory]:
        names = [[f"{i}.{name}" for name in Memory._fields] for i in range(len(self.net.blocks))]
        return [Memory(*(torch.as_tensor(memory[name]) for name in layer)) for layer in names]


class SideBySide:
    """Networks with a memory of a world's subsystems as one Recurrent, by key in the order of the rules."""

    def __init__(self, world: World, networks: Mapping[str, Recurrent]) -> None:
        self.world, self._networks = world, networks

    def start(self, worlds: int) -> Arrays:
        """See Recurrent."""
        return self._named({key: net.start(worlds) for key, net in self._networks.items()})

    def run(self, memory: Arrays, stretch: Stretch) -> tuple[Ints, Arrays]:
        """See Recurrent."""
        ran = {
            key: net.run(
                {name[len(key) + 1 :]: kept for name, kept in memory.items() if name.startswith(f"{key}.")}, stretch
            )
            for key, net in self._networks.items()
        }
        return joined_heads([heads for heads, _ in ran.values()]), self._named(
            {key: kept for key, (_, kept) in ran.items()}
        )

    @staticmethod
    def _named(memories: Mapping[str, Arrays]) -> Arrays:
        return {f"{key}.{name}": kept for key, memory in memories.items() for name, kept in memory.items()}


def _arrays(layers: list[Memory]) -> Arrays:
    return {
        f"{i}.{name}": part.cpu().numpy() for i, layer in enumerate(layers) for name, part in layer._asdict().items()
    }


def _read(encoding: Encoding, stretch: Stretch, as_codes: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, ·) dense columns, ids and session ids of a stretch."""
    shape = stretch.frames.shape[:2]
    window = Window(*stretch.windows(), np.repeat(stretch.session, shape[1], 0))
    dense, ids, session = (part.unflatten(0, shape) for part in seen(encoding, window, as_codes))
    return dense, ids, session


def checkpoint_model(checkpoint: Checkpoint, device: str = CPU) -> Model:
    """What steps the world of a checkpoint, in its own form, computed on a device (config.DEVICES). WmTrainError where
    its weights are beyond all bounds, or there is no such device."""
    found = find_device(device, exact=checkpoint.form == "qat")
    return model_of(_network(checkpoint, found), checkpoint.config.model.world)


def model_of(network: Predictor | Recurrent, world: World) -> Model:
    """What steps a world by a network's heads."""
    return network if isinstance(network, Recurrent) else stepper(world, network)


def heads_along(checkpoint: Checkpoint, corpus: Corpus, t: Ints) -> Iterator[tuple[Ints, Ints]]:
    """(some of the frames `t`, a checkpoint's heads after them), given the true past, until all of `t` has come.

    t  (B,) ascending; heads (·, read_outputs) integers with FRAC_BITS fractional bits
    """
    yield from heads_of(_network(checkpoint), checkpoint.config.model.world.encoding, corpus, t)


def heads_of(
    network: Predictor | Recurrent, encoding: Encoding, corpus: Corpus, t: Ints
) -> Iterator[tuple[Ints, Ints]]:
    """See heads_along."""
    if isinstance(network, Recurrent):
        yield from Walk(network, corpus, t, NONE).heads()
        return
    for chunk in chunks(t):
        yield chunk, network(window_at(corpus, encoding, chunk))


def _network(checkpoint: Checkpoint, device: torch.device = HERE) -> Predictor | Recurrent:
    """What gives the heads of a checkpoint, in its own form, computed on a device."""
    if checkpoint.parts:
        return _side_by_side(checkpoint, device)
    use_exact_matmul()
    with placed(device):
        net = float_network(checkpoint)
        if checkpoint.form == "float":
            return float_form(net, device)
        from wm_train.nets.door import converted, prepared

        with within_floats(WmTrainError):
            through = converted(prepared(net, checkpoint.config.model, checkpoint.scales))
    if isinstance(through, QuantizedMamba2):
        return TorchMamba2(through.net, through, device)
    return _there(quantized_predictor(through), device)


def _there(predict: Predictor, device: torch.device) -> Predictor:
    """A predictor whose network is on a device."""

    def placed_predict(window: Window) -> Ints:
        with placed(device):
            return predict(window)

    return placed_predict


def _side_by_side(checkpoint: Checkpoint, device: torch.device) -> Predictor | Recurrent:
    """The networks of a composed one, each in its own form."""
    networks = {key: _network(part, device) for key, part in checkpoint.parts.items()}
    recurrent = {key: net for key, net in networks.items() if isinstance(net, Recurrent)}
    if recurrent:
        return SideBySide(checkpoint.config.model.world, recurrent)
    predictors = [net for net in networks.values() if not isinstance(net, Recurrent)]
    return lambda window: joined_heads([predict(window) for predict in predictors])


def float_form(net: FrameStackMLP | Mamba2, device: torch.device = HERE) -> Predictor | Recurrent:
    """What gives the heads of a network in floats, which is on a device."""
    return TorchMamba2(net, device=device) if isinstance(net, Mamba2) else _there(float_predictor(net), device)


def float_network(checkpoint: Checkpoint) -> FrameStackMLP | Mamba2:
    """A checkpoint's parameters in the float network of its config, as they decide."""
    return trained_network(replace(checkpoint, arrays=checkpoint.deciding))


def trained_network(checkpoint: Checkpoint) -> FrameStackMLP | Mamba2:
    """The same as training left them: what goes on in other hands, and comes back by `wmq train --weights`."""
    model = one_network(checkpoint.config.model)
    net = Mamba2(model) if isinstance(model, Mamba2Config) else FrameStackMLP(model)
    return from_arrays(net, checkpoint.arrays)


def held_out_figures(
    checkpoint: Checkpoint, dataset: Path, limit: int = 0, starts: int = ROLLOUT_STARTS
) -> dict[str, Any]:
    """Metrics of a checkpoint, in its own form, on what of a dataset it was not trained on; `limit` and `starts` as of
    evaluate."""
    return figures_of(checkpoint_model(checkpoint), checkpoint, dataset, limit, starts)


def figures_of(model: Model, checkpoint: Checkpoint, dataset: Path, limit: int, starts: int) -> dict[str, Any]:
    """The same of a model that was made of the checkpoint's parameters."""
    encoding = checkpoint.config.model.world.encoding
    games = open_held_out(dataset, encoding, checkpoint.split, checkpoint.config.train.holdout)
    return evaluate(model, games, encoding, limit=limit, starts=starts)
