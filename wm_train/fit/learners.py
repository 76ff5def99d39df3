"""What the training loop trains: a network together with the order in which it sees games and what it carries along.

A learner answers for batch number `step`: the same number is always the same batch, so a resumed run goes on with the
batches that it would have seen.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config, MLPConfig, RunConfig
from wm_train.fit.batches import Batch, WindowTensors, column_gain, seen
from wm_train.fit.feed import ChunkFeed, Fed, FedChunk, WindowFeed, sample
from wm_train.fit.forcing import Forcing, LossOf, Picks, running
from wm_train.fit.loss import losses
from wm_train.fit.ranks import ALONE, Ranks
from wm_train.fit.sought import SoughtWindows, sought_of
from wm_train.games.augment import augment_of
from wm_train.games.sequences import SequencePlan
from wm_train.games.store import Games
from wm_train.games.stream import WindowPlan
from wm_train.grid.arithmetic import Ints
from wm_train.measure.window import Predictor, Window, window_at, written
from wm_train.nets.device import CPU, find_device, placed
from wm_train.nets.mamba2 import Mamba2, Memory
from wm_train.nets.matmul import training_dtype
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.network import FrameNet, from_arrays, preflight
from wm_train.nets.observers import OBSERVERS
from wm_train.nets.predict import fixed_heads
from wm_train.nets.qat import QuantizedMLP, calibrate
from wm_train.nets.qat_mamba2 import QuantizedMamba2
from wm_train.nets.qat_mamba2 import calibrate as calibrate_mamba2
from wm_train.world.fields import PLAYERS

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

    def losses(self, step: int, done: float = 0.0) -> tuple[dict[str, Tensor], int]:
        """(parts of the loss of batch number `step`, to be summed; the frames that each is a mean over).

        Called with ascending numbers, and with the share of the run that is done, 0..1. With several ranks, batch and
        frames are this rank's share.
        """

    def carried(self) -> dict[str, Tensor]:
        """What goes from step to step besides the parameters; the first axis is lanes."""

    def carry_on(self, carried: Mapping[str, Tensor]) -> None:
        """Take up what `carried` gave."""

    def scales(self) -> dict[str, float]:
        """What one code of each activation is worth: what QAT trained with, or calibrated for a float network."""


class WindowLearner:
    """A FrameStackMLP on windows drawn in shuffled order, an epoch each time."""

    def __init__(
        self, config: RunConfig, games: Games, start: Checkpoint | None, ranks: Ranks, qat: bool, stock: bool
    ) -> None:
        assert isinstance(config.model, MLPConfig)
        self.net = FrameStackMLP(config.model)
        through_grid = qat and not stock
        self.form = "qat" if through_grid else "float"
        self._config, train = config, config.train
        self._forcing = Forcing(config.model.world, train, through_grid)
        plan = WindowPlan(games.lengths, config.model.world.encoding, train.batch, train.buffer_games, train.seed)
        augment = augment_of(plan.encoding, train.augment, train.seed)
        sought = sought_of(config)
        self._feed = WindowFeed(games, plan, through_grid, augment, SoughtWindows(sought) if sought else None)
        tensors = sample(games, plan.encoding, through_grid)
        _begin(self.net, tensors, start)
        pick = torch.randperm(len(tensors.starts), generator=torch.Generator().manual_seed(0), device=CPU)
        self._calibration = tensors.batch(tensors.starts[pick[:CALIBRATION_WINDOWS]])
        self._model: nn.Module = _prepared(self.net, config, start, stock) if start and qat else self.net
        self._model.train()
        if not stock:
            self.net.training_dtype = training_dtype()
        self._batch, self._share = plan.batch, ranks.share()
        ranks.check(plan.batch, "train.batch")

    def losses(self, step: int, done: float = 0.0) -> tuple[dict[str, Tensor], int]:
        """See Learner."""
        fed, asked = self._feed.at(step, self._share), self._config.train.losses
        batch = self._sampled(fed, step, done) if asked.sampling else fed.batch
        heads = self._model(batch.dense, batch.ids, batch.session)
        parts = _losses(self.net, batch.now, batch.after, heads, self._config)
        if asked.horizon:
            parts["ahead"] = self._ahead(fed)
        return parts, len(heads)

    def _sampled(self, fed: Fed, step: int, done: float) -> Batch:
        """With numbers that the network predicts from the windows just before."""
        before, may = self._forcing.before(fed.corpus, fed.t)
        predicted = written(self.net.world, before, self._predict(before))
        picked = self._forcing.picked(step, done, self._batch)[self._share][: len(may)]
        return self._forcing.sampled(fed.corpus, fed.t, predicted, picked & may[:, None])

    def _ahead(self, fed: Fed) -> Tensor:
        """The loss of what comes of the batch's windows, further ahead."""
        batch = self._forcing.ahead(fed.corpus, fed.t, self._predict, 1)
        heads = self._model(batch.dense, batch.ids, batch.session)
        alive = self._forcing.alive(fed.corpus, fed.t)
        return self._forcing.ahead_loss(batch, heads, alive, len(alive), _loss_of(self.net, self._config))

    def _predict(self, window: Window) -> Ints:
        """A Predictor of the network as it is now."""
        with running(self.net):
            return fixed_heads(self.net.world, self._model(*seen(self.net.world.encoding, window, self.form == "qat")))

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
            batch = self._calibration
            observe = OBSERVERS[self._config.train.calibration]
            units = calibrate(self.net, batch.dense, batch.ids, batch.session, observe)
        return {"hidden1": units[0], "hidden2": units[1]}


class StreamLearner:
    """A Mamba2 that walks through whole games, `lanes` of them at once; gradients end where a chunk begins."""

    def __init__(
        self, config: RunConfig, games: Games, start: Checkpoint | None, ranks: Ranks, qat: bool, stock: bool
    ) -> None:
        assert isinstance(config.model, Mamba2Config)
        self.net = Mamba2(config.model)
        through_grid = qat and not stock
        self.form = "qat" if through_grid else "float"
        self._config, train, encoding = config, config.train, config.model.world.encoding
        self._forcing = Forcing(config.model.world, train, through_grid)
        sought = sought_of(config)
        moments = sought.moments_of(games) if sought else None
        plan = SequencePlan(games.lengths, train.lanes, train.chunk, train.seed, moments)
        augment = augment_of(encoding, train.augment, train.seed)
        self._feed = ChunkFeed(games, encoding, plan, through_grid, augment)
        tensors = sample(games, encoding, through_grid)
        _begin(self.net, tensors, start)
        self._calibration = _stretches(tensors, train.seed)
        through = _prepared(self.net, config, start, stock) if start and qat else self.net
        assert isinstance(through, Mamba2 | QuantizedMamba2)
        self._model = through
        self._share = ranks.share()
        ranks.check(train.lanes, "train.lanes")
        self._memory = self._model.start(len(range(train.lanes)[self._share]))

    def losses(self, step: int, done: float = 0.0) -> tuple[dict[str, Tensor], int]:
        """See Learner."""
        fed, asked = self._feed.at(step, self._share), self._config.train.losses
        batch, reset, kept = fed.batch, fed.reset, fed.kept
        memory = self._memory if self._config.train.carry else self._model.start(len(reset))
        model = self._present() if asked.sampling or asked.horizon else self._model
        if asked.sampling:
            picked = self._forcing.picked(step, done, self._config.train.lanes, self._config.train.chunk)
            batch = self._sampled(model, fed, memory, picked[self._share])
        heads, left = model(*_lanes(batch, reset), memory, reset)
        self._memory = [layer.detached() for layer in left]
        flat, now, after = heads.flatten(0, 1), batch.now, batch.after
        if not kept.all():  # at the end of a game
            flat, now, after = flat[kept], now[kept], after[kept]
        parts = _losses(self.net, now, after, flat, self._config)
        if asked.horizon:
            parts["ahead"] = self._ahead(model, fed, memory)
        return parts, int(kept.sum())

    def _present(self) -> Mamba2 | QuantizedMamba2:
        """The model for the passes of one step: its parameters are rounded once."""
        return self._model.present() if isinstance(self._model, QuantizedMamba2) else self._model

    def _sampled(self, model: nn.Module, fed: FedChunk, memory: list[Memory], picked: Picks) -> Batch:
        """With numbers that the network predicts in the frames just before. `picked` (B, L, 2); the first frame of a
        chunk stays true, and that of a game."""
        world, kept = self.net.world, fed.kept.view_as(fed.reset).cpu().numpy()
        with running(self.net):
            heads, _ = model(*_lanes(fed.batch, fed.reset), memory, fed.reset)
        window = window_at(fed.corpus, world.encoding, fed.t)
        predicted = np.roll(written(world, window, fixed_heads(world, heads.flatten(0, 1))), 1, 0)
        picked = picked & np.pad(kept, ((0, 0), (1, 0)))[:, :-1, None]
        return self._forcing.sampled(fed.corpus, fed.t, predicted, picked.reshape(-1, PLAYERS))

    def _ahead(self, model: nn.Module, fed: FedChunk, memory: list[Memory]) -> Tensor:
        """The loss of what comes of each lane's first frame, further ahead."""
        steps = len(self._config.train.losses.horizon)
        reset, t = fed.reset[:, : steps + 1], fed.t.reshape(fed.reset.shape)[:, 0]
        predict = self._walking(model, memory, reset[:, :1])
        batch = self._forcing.ahead(fed.corpus, t, predict, 0)
        heads, _ = model(*_lanes(batch, reset), memory, reset)
        alive = fed.kept.view_as(fed.reset).cumprod(1)[:, 1 : steps + 1].bool()
        # As many as the frames of the step are chunks of: so the ranks' losses add up to that of one process.
        worlds = int(fed.kept.sum()) / fed.reset.shape[1]
        return self._forcing.ahead_loss(batch, heads.flatten(0, 1), alive, worlds, _loss_of(self.net, self._config))

    def _walking(self, model: nn.Module, memory: list[Memory], reset: Tensor) -> Predictor:
        """A Predictor of the frames after those that `memory` is of, one at a time; `reset` (B, 1) of the first."""

        def predict(window: Window) -> Ints:
            nonlocal memory, reset
            read = seen(self.net.world.encoding, window, self.form == "qat")
            with running(self.net):
                heads, memory = model(*(part[:, None] for part in read), memory, reset)
            reset = torch.zeros_like(reset)
            return fixed_heads(self.net.world, heads[:, 0])

        return predict

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
        batch, reset = self._calibration
        with running(self.net):
            return calibrate_mamba2(self.net, *_lanes(batch, reset), reset, OBSERVERS[self._config.train.calibration])


def _stretches(tensors: WindowTensors, seed: int) -> tuple[Batch, Tensor]:
    """The batch of B * L frames that a recurrent network is calibrated on, and reset (B, L)."""
    lanes, length = CALIBRATION_STRETCHES
    chunk = SequencePlan(tensors.lengths, lanes, length, seed).at(CALIBRATION_STEP)
    return tensors.batch(torch.as_tensor(chunk.frame.ravel())), torch.as_tensor(chunk.reset)


def _lanes(batch: Batch, reset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a network reads of a batch, (B, L, ·)."""
    dense, ids, session = (part.unflatten(0, reset.shape) for part in (batch.dense, batch.ids, batch.session))
    return dense, ids, session


def _losses(net: FrameNet, now: Tensor, after: Tensor, heads: Tensor, config: RunConfig) -> dict[str, Tensor]:
    decision = net.world.head_set.decision
    embedding = net.embeddings[decision.head].weight if decision else None
    assert embedding is None or isinstance(embedding, Tensor)
    return losses(net.world, now, after, heads, config.train.losses, embedding)


def _loss_of(net: FrameNet, config: RunConfig) -> LossOf:
    return lambda now, after, heads: sum(_losses(net, now, after, heads, config).values(), torch.zeros(()))


def _begin(net: FrameNet, tensors: WindowTensors, start: Checkpoint | None) -> None:
    """From a float run's parameters, or afresh with the data's gain."""
    probe: Batch = tensors.batch(tensors.starts[:2])
    preflight(net, probe.dense, probe.ids, probe.session)
    if start is None:
        net.gain.copy_(column_gain(tensors))
    else:
        from_arrays(net, start.arrays)


def _prepared(net: FrameNet, config: RunConfig, start: Checkpoint, stock: bool) -> nn.Module:
    """The network through the grid, with the scales of the float run that QAT starts from; or with torchao's own fake
    quantizers in it."""
    # These import torchao.
    from wm_train.nets.door import prepared
    from wm_train.nets.rivals import fake_quantized

    return fake_quantized(net, config.model) if stock else prepared(net, config.model, start.scales)


class PlacedLearner:
    """A learner whose tensors are on a device other than the CPU."""

    def __init__(self, made: Learner, device: torch.device) -> None:
        self._made, self._device = made, device
        self.net, self.form = made.net, made.form

    def losses(self, step: int, done: float = 0.0) -> tuple[dict[str, Tensor], int]:
        """See Learner."""
        with placed(self._device):
            return self._made.losses(step, done)

    def carried(self) -> dict[str, Tensor]:
        """See Learner."""
        return self._made.carried()

    def carry_on(self, carried: Mapping[str, Tensor]) -> None:
        """See Learner."""
        self._made.carry_on({name: part.to(self._device) for name, part in carried.items()})

    def scales(self) -> dict[str, float]:
        """See Learner."""
        with placed(self._device):
            return self._made.scales()


def learner(
    config: RunConfig,
    games: Games,
    start: Checkpoint | None,
    ranks: Ranks = ALONE,
    stock: bool = False,
    qat: bool | None = None,
) -> Learner:
    """The learner of a config's architecture, which begins with the parameters of `start`, a float run; through the
    grid if `qat`, which needs one, and which a start means if nothing is said; or, if `stock` as well, through
    torchao's own fake quantizers. WmTrainError if no game is long enough."""
    torch.manual_seed(config.train.seed)
    through = start is not None if qat is None else qat
    kind: type[StreamLearner] | type[WindowLearner] = (
        StreamLearner if isinstance(config.model, Mamba2Config) else WindowLearner
    )
    device = find_device(config.train.device, exact=through and not stock)
    with placed(device):
        made = kind(config, games, start, ranks, through, stock)
    return made if device.type == CPU else PlacedLearner(made, device)
