"""What the training loop trains: a network together with the order in which it sees games and what it carries along.

A learner answers for batch number `step`: the same number is always the same batch, so a resumed run goes on with the
batches that it would have seen.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from wm_train.batches import Batch, WindowTensors, column_gain
from wm_train.checkpoint import Checkpoint, load_checkpoint
from wm_train.config import Mamba2Config, ModelConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.fake_quant import QuantizedMLP, calibrate
from wm_train.fake_quant_mamba2 import QuantizedMamba2
from wm_train.fake_quant_mamba2 import calibrate as calibrate_mamba2
from wm_train.loss import losses
from wm_train.mamba2 import Mamba2, Memory
from wm_train.matmul import training_dtype
from wm_train.mlp import FrameStackMLP
from wm_train.network import FrameNet, from_arrays, preflight
from wm_train.ranks import ALONE, Ranks
from wm_train.sequences import SequencePlan

#: Windows of the calibration batch.
CALIBRATION_WINDOWS = 4096
#: Lanes and frames of a recurrent network's, and which step of such a walk: somewhere in the middle of games.
CALIBRATION_STRETCHES = (16, 256)
CALIBRATION_STEP = 5


class Learner(Protocol):
    """A network in training."""

    @property
    def net(self) -> FrameNet:
        """The parameters."""

    @property
    def form(self) -> str:
        """float or qat."""

    def losses(self, step: int) -> tuple[dict[str, Tensor], int]:
        """(parts of the loss of batch number `step`, to be summed; the frames that each is a mean over).

        Called with ascending numbers. With several ranks, batch and frames are this rank's share.
        """

    def carried(self) -> dict[str, Tensor]:
        """What goes from step to step besides the parameters; the first axis is lanes."""

    def carry_on(self, carried: Mapping[str, Tensor]) -> None:
        """Take up what `carried` gave."""

    def scales(self) -> dict[str, float]:
        """What one code of each activation is worth: what QAT trained with, or calibrated for a float network."""


class WindowOrder:
    """Batches of window ends: epoch after epoch, each in an order that depends on seed and epoch alone."""

    def __init__(self, starts: Tensor, batch: int, seed: int) -> None:
        self._starts, self._size, self._seed = starts, min(batch, len(starts)), seed
        self._epoch, self._shuffled = -1, starts

    def at(self, step: int) -> Tensor:
        """The batch of a step, 0 or more."""
        epoch, at = divmod(step, len(self._starts) // self._size)
        if self._epoch != epoch:
            order = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._shuffled = epoch, self._starts[torch.randperm(len(self._starts), generator=order)]
        return self._shuffled[at * self._size : (at + 1) * self._size]


class WindowLearner:
    """A FrameStackMLP on windows drawn in shuffled order, an epoch each time."""

    def __init__(self, config: RunConfig, tensors: WindowTensors, start: Checkpoint | None, ranks: Ranks) -> None:
        assert isinstance(config.model, ModelConfig)
        self.net = FrameStackMLP(config.model)
        self.form = "qat" if start else "float"
        self._config, self._tensors = config, tensors
        _begin(self.net, tensors, start)
        self._model: nn.Module = self.net
        if start:
            self._model = QuantizedMLP(self.net, (start.scales["hidden1"], start.scales["hidden2"]))
        self._model.train()
        self.net.training_dtype = training_dtype()
        self._order = WindowOrder(tensors.starts, config.train.batch, config.train.seed)
        self._share = ranks.share()
        ranks.check(min(config.train.batch, len(tensors.starts)), "train.batch")

    def losses(self, step: int) -> tuple[dict[str, Tensor], int]:
        """See Learner."""
        batch = self._tensors.batch(self._order.at(step)[self._share])
        heads = self._model(batch.dense, batch.ids, batch.session)
        return _losses(self.net, batch.now, batch.after, heads, self._config), len(heads)

    def carried(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def carry_on(self, carried: Mapping[str, Tensor]) -> None:
        """Nothing."""

    def scales(self) -> dict[str, float]:
        """See Learner."""
        if isinstance(self._model, QuantizedMLP):
            units = self._model.hidden_scales
        else:
            pick = torch.randperm(len(self._tensors.starts), generator=torch.Generator().manual_seed(0))
            batch = self._tensors.batch(self._tensors.starts[pick[:CALIBRATION_WINDOWS]])
            units = calibrate(self.net, batch.dense, batch.ids, batch.session)
        return {"hidden1": units[0], "hidden2": units[1]}


class StreamLearner:
    """A Mamba2 that walks through whole games, `lanes` of them at once; gradients end where a chunk begins."""

    def __init__(self, config: RunConfig, tensors: WindowTensors, start: Checkpoint | None, ranks: Ranks) -> None:
        assert isinstance(config.model, Mamba2Config)
        self.net = Mamba2(config.model)
        self.form = "qat" if start else "float"
        self._config, self._tensors = config, tensors
        _begin(self.net, tensors, start)
        train = config.train
        self._model: Mamba2 | QuantizedMamba2 = QuantizedMamba2(self.net, dict(start.scales)) if start else self.net
        self._plan = SequencePlan(tensors.lengths, train.lanes, train.chunk, train.seed)
        self._share = ranks.share()
        ranks.check(train.lanes, "train.lanes")
        self._memory = self._model.start(len(range(train.lanes)[self._share]))

    def losses(self, step: int) -> tuple[dict[str, Tensor], int]:
        """See Learner."""
        batch, reset, kept = self._chunk(self._plan, step, self._share)
        memory = self._memory if self._config.train.carry else self._model.start(len(reset))
        heads, memory = self._model(*_lanes(batch, reset), memory, reset)
        self._memory = [layer.detached() for layer in memory]
        parts = _losses(self.net, batch.now[kept], batch.after[kept], heads.flatten(0, 1)[kept], self._config)
        return parts, int(kept.sum())

    def _chunk(self, plan: SequencePlan, step: int, share: slice) -> tuple[Batch, Tensor, Tensor]:
        """(batch of B * L frames, reset (B, L), which of the B * L have a frame after them in their game)."""
        frame, reset, valid = (torch.from_numpy(part[share]) for part in plan.at(step))
        return self._tensors.batch(frame.flatten()), reset, valid.flatten()

    def carried(self) -> dict[str, Tensor]:
        """Every layer's memory."""
        return {f"{i}.{name}": part for i, layer in enumerate(self._memory) for name, part in layer._asdict().items()}

    def carry_on(self, carried: Mapping[str, Tensor]) -> None:
        """See Learner."""
        layers = range(len(self._memory))
        self._memory = [Memory(*(carried[f"{i}.{name}"] for name in Memory._fields)) for i in layers]

    def scales(self) -> dict[str, float]:
        """See Learner."""
        if isinstance(self._model, QuantizedMamba2):
            return self._model.scales
        lanes, length = CALIBRATION_STRETCHES
        plan = SequencePlan(self._tensors.lengths, lanes, length, self._config.train.seed)
        batch, reset, _ = self._chunk(plan, CALIBRATION_STEP, ALONE.share())
        return calibrate_mamba2(self.net, *_lanes(batch, reset), reset)


def _lanes(batch: Batch, reset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a network reads of a batch, (B, L, ·)."""
    dense, ids, session = (part.unflatten(0, reset.shape) for part in (batch.dense, batch.ids, batch.session))
    return dense, ids, session


def _losses(net: FrameNet, now: Tensor, after: Tensor, heads: Tensor, config: RunConfig) -> dict[str, Tensor]:
    embedding = net.embeddings["action"].weight
    assert isinstance(embedding, Tensor)
    return losses(net.world, now, after, heads, config.train.losses, embedding)


def _begin(net: FrameNet, tensors: WindowTensors, start: Checkpoint | None) -> None:
    """From a float run's parameters, or afresh with the data's gain."""
    probe: Batch = tensors.batch(tensors.starts[:2])
    preflight(net, probe.dense, probe.ids, probe.session)
    if start is None:
        net.gain.copy_(column_gain(tensors))
    else:
        from_arrays(net, start.arrays)


def parent_of(start: Path, qat: bool) -> Checkpoint:
    """The float run that QAT begins from."""
    parent = load_checkpoint(start)
    if not qat or parent.form != "float":
        raise WmTrainError(f"{start}: only `--qat` starts from a run, and from a float one; this one is {parent.form}")
    return parent


def learner(config: RunConfig, tensors: WindowTensors, start: Checkpoint | None, ranks: Ranks = ALONE) -> Learner:
    """The learner of a config's architecture; through the grid if it starts from a float run."""
    torch.manual_seed(config.train.seed)
    kind: type[StreamLearner] | type[WindowLearner] = (
        StreamLearner if isinstance(config.model, Mamba2Config) else WindowLearner
    )
    return kind(config, tensors, start, ranks)
