"""The training loop: float, then (or at once) through the grid. Callable; nothing runs at import."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import cos, inf, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wm_train.checkpoint import Checkpoint, load_checkpoint, need_storable, save_checkpoint
from wm_train.config import RunConfig, TrainConfig, need_category_loss, one_network
from wm_train.errors import WmTrainError
from wm_train.fit.alone import Alone
from wm_train.fit.average import Average
from wm_train.fit.curves import need_wandb
from wm_train.fit.held_out import HELD_OUT_GAMES, HeldOut
from wm_train.fit.interrupts import ended_by, interrupts
from wm_train.fit.learners import learner
from wm_train.fit.parents import adopted, parent_digest, parent_of, with_parents_games
from wm_train.fit.ranks import Agreed, Ranks, joined
from wm_train.fit.record import Record
from wm_train.fit.resume import (
    BEST,
    FLOAT,
    RESUME_FILE,
    TrainState,
    check_place,
    finished,
    forget,
    forget_results,
    keep,
    need_same,
    settled,
    take_up,
)
from wm_train.fit.thresholds import thresholds
from wm_train.games.corpus import Split, split_games, window_counts
from wm_train.games.store import Games, HeldGames, open_split
from wm_train.nets.device import CPU, begin_chance, find_device, named
from wm_train.nets.matmul import use_fast_matmul, use_tensor_cores
from wm_train.nets.network import to_arrays
from wm_train.writer import one_writer

#: Steps between two reports, two measurements of the held-out loss, and two of worlds alone (multiples).
REPORT_EVERY = 100
HELD_OUT_EVERY = 500
ALONE_EVERY = 4000
SAVE_SECONDS = 60.0
#: Length that a gradient, of all parameters together, is cut to.
GRADIENT_MOST = 5.0
#: Share of a QAT run's work that is done in float, if it has no float run to start from.
FLOAT_SHARE = 0.6
#: A run that starts from a float run moves less.
STARTED_LEARNING_RATE = 0.3


@dataclass(frozen=True)
class Progress:
    """One report of the loop.

    share     of the run that is done, 0..1
    step      steps taken; epoch: frames seen, in passes over the training games
    seconds   processor seconds, of all threads and ranks; seconds of all ranks where another device computes;
              frames_per_second: of those too
    losses    means by name since the last report; held_out: the same on held-out games, where they were measured
    alone     what the network's world did by itself in held-out games (Alone.figures), where it was measured
    """

    share: float
    step: int
    epoch: float
    seconds: float
    learning_rate: float
    frames_per_second: float
    losses: dict[str, float]
    held_out: dict[str, float] | None = None
    alone: dict[str, float] | None = None


@dataclass(frozen=True)
class Job:
    """What `train` is asked for.

    start      a float run that this one begins from; without one `qat` trains that first
    weights    of a start: a file with weights of its network, which this one begins with instead (weights.py)
    stock      of `qat` with a start: through torchao's own fake quantizers, not through the grid; the outcome is float
    resume     go on with the run that was interrupted in the folder `run`, if there is one
    auto       with `resume`: where that run has come to its end it is the outcome, and not an error
    overwrite  lose what the folder holds; without it nothing but a run to be gone on with may lie there
    """

    dataset: Path
    run: Path
    config: RunConfig
    qat: bool = False
    start: Path | None = None
    resume: bool = False
    auto: bool = False
    overwrite: bool = False
    stock: bool = False
    weights: Path | None = None


Report = Callable[[Progress], None]
Moved = Callable[[float], None]


def _nobody(_: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Watcher:
    """Who is told as the loop goes: `report` each Progress, `moved` after every step the share that is done, 0..1."""

    report: Report = _nobody
    moved: Moved = _nobody

    def of_part(self, done: float, share: float) -> "Watcher":
        """The same for a part of the run, which is `share` of it and begins where `done` of it is."""
        return Watcher(
            lambda progress: self.report(replace(progress, share=done + share * progress.share)),
            lambda moved: self.moved(done + share * moved),
        )


def train(job: Job, report: Report = _nobody, moved: Moved = _nobody) -> Checkpoint:
    """Train and save a Checkpoint; the newest state is kept in the run folder, for `resume`, as the loop goes.

    Under torchrun every process calls this with the same job; the first one writes and reports. WmTrainError if another
    process writes into the run folder, or if what it holds may not be overwritten.
    """
    if job.weights and job.start is None:
        raise WmTrainError(f"{job.weights}: weights take the place of a run's, and none is named; name it as the start")
    with joined() as ranks, one_writer(job.run, "train") if ranks.first else nullcontext():
        if ranks.first:
            check_place(job.run, job.resume, job.overwrite)
        if job.resume and job.auto and settled(job.run):
            return _outcome(job)
        every = _train_both if job.qat and job.start is None else _train_one
        return every(job, ranks, Watcher(report, moved) if ranks.first else Watcher())


def _train_one(job: Job, ranks: Ranks, watcher: Watcher, outer: Path | None = None) -> Checkpoint:
    """One phase; what the run folder `outer` holds is older than it, and goes once this one has begun."""
    run = _Run(job, ranks, watcher)
    if not (job.resume and run.take_up()):
        run.start_over()
    if outer and ranks.first:
        forget(outer)
    with run.record or nullcontext():
        run.loop()
        return run.finish()


def phases(config: RunConfig) -> tuple[RunConfig, RunConfig]:
    """What QAT from nothing is made of: the first FLOAT_SHARE of the work in float, the rest through the grid."""

    def part(share: float) -> RunConfig:
        steps, minutes = max(1, round(config.train.steps * share)), config.train.minutes * share
        return replace(config, train=replace(config.train, steps=steps, minutes=minutes))

    return part(FLOAT_SHARE), part(1 - FLOAT_SHARE)


def _train_both(job: Job, ranks: Ranks, watcher: Watcher) -> Checkpoint:
    """QAT from nothing: the float phase in RUN/FLOAT, then the one through the grid in RUN."""
    start = job.run / FLOAT
    floating = replace(job, run=start, config=phases(job.config)[0], qat=False)
    if job.resume and finished(start):
        _outcome(floating)
    else:
        with one_writer(start, "train") if ranks.first else nullcontext():
            _train_one(floating, ranks, watcher.of_part(0.0, FLOAT_SHARE), outer=job.run)
    return _train_one(_through(job), ranks, watcher.of_part(FLOAT_SHARE, 1 - FLOAT_SHARE))


def _through(job: Job) -> Job:
    """The second phase of QAT from nothing."""
    return replace(job, config=phases(job.config)[1], start=job.run / FLOAT)


def _outcome(job: Job) -> Checkpoint:
    """The finished run in the job's folder. WmTrainError unless it is what the job would train."""
    if job.qat and job.start is None:
        job = _through(job)
    kept, start = load_checkpoint(job.run), parent_of(job.start, job.weights) if job.start else None
    config = _config_of(job, start)
    split = _split_of(job, start, split_games(job.dataset, config.model.world.encoding, **config.train.split))
    asked = replace(
        kept,
        config=config,
        form="qat" if job.qat and not job.stock else "float",
        split=split.to_json(),
        parent=parent_digest(job.start, job.run) if job.start else None,
        weights=start.weights if start else None,
    )
    need_same(job.run / "run.json", _made_of(kept), _made_of(asked))
    return kept


def _made_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a finished run was made of."""
    kept = checkpoint
    return {"config": kept.config.to_json(), "form": kept.form, "games": dict(kept.split), "parent": kept.parent,
            "weights": kept.weights}  # fmt: skip


def _config_of(job: Job, start: Checkpoint | None) -> RunConfig:
    """The job's config, with what the run decides that it begins from."""
    return adopted(job.config, start, job.start, job.qat) if start and job.start else job.config


def _split_of(job: Job, start: Checkpoint | None, split: Split) -> Split:
    """A split of the job's dataset, with the games of the run that it begins from."""
    return with_parents_games(split, start, job.start, job.qat) if start and job.start else split


def learning_rate(train: TrainConfig, share: float, started: bool) -> float:
    """At a share of the run: linear warm-up, then a cosine to zero; less for one that is `started` from another."""
    peak = train.learning_rate * (STARTED_LEARNING_RATE if started else 1.0)
    if share < train.warmup:
        return peak * min(1.0, (share + 1e-4) / train.warmup)
    return peak * 0.5 * (1 + cos(pi * min(1.0, (share - train.warmup) / (1 - train.warmup))))


class _Run:
    """One run in progress."""

    def __init__(self, job: Job, ranks: Ranks, watcher: Watcher) -> None:
        start = parent_of(job.start, job.weights) if job.start else None
        self.job, self.ranks, self._watcher = job, ranks, watcher
        self.config = _config_of(job, start)
        one_network(self.config.model)
        need_category_loss(self.config)
        need_storable(self.config.model)
        need_wandb(self.config.train.wandb)
        self._parent = parent_digest(job.start, job.run) if job.start else None
        self._weights = start.weights if start else None
        use_fast_matmul(self.config.train.threads)
        self._exact = job.qat and not job.stock
        self._device = find_device(self.config.train.device, self._exact)
        use_tensor_cores(self._exact)
        # What another device computes in takes this process's processor seconds only where it waits for it.
        self._clock = time.process_time if self._device.type == CPU else time.monotonic
        games = self._open(start)
        begun = self._calibrated(start, games)
        self._held_out = self._measures(begun)
        self._alone = self._free_runs()
        self._frames = int(window_counts(games.lengths, self.config.model.world.encoding).sum())
        trained = learner(self.config, games, begun, ranks, job.stock, job.qat)
        decay, net = self.config.train.weight_decay, trained.net
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, weight_decay=decay, fused=True)
        self.state = TrainState(trained, optimizer, Average(net, self.config.train.ema))
        self._made_of = {
            "asked": job.config.to_json(),
            "config": self.config.to_json(),
            "device": self._device.type,
            "form": trained.form,
            "games": self._split.to_json(),
            "parent": self._parent,
            "scales": dict(start.scales) if start else {},
            "stock": job.stock,
            "weights": self._weights,
        }
        self._saved = time.monotonic()
        self.record = self._new_record() if ranks.first else None

    def _open(self, start: Checkpoint | None) -> Games:
        """The training games; the held-out ones are set aside."""
        encoding = self.config.model.world.encoding
        games, valid, split = open_split(self.job.dataset, encoding, **self.config.train.split)
        self._split = _split_of(self.job, start, split)
        held_out = valid.corpus(range(min(HELD_OUT_GAMES, len(valid.names))))
        measures = self.ranks.first and len(held_out.windows(encoding))
        self._games_held_out = held_out if measures else None
        return games

    def _calibrated(self, start: Checkpoint | None, games: Games) -> Checkpoint | None:
        """A start with the scales of its activations: weights from elsewhere need others than the run that had them."""
        if start is None or not (self.job.qat and self._weights):
            return start
        return replace(start, scales=learner(self.config, games, start, qat=False).scales())

    def _measures(self, start: Checkpoint | None) -> HeldOut | None:
        """What the held-out loss is measured with, where games are held out."""
        if self._games_held_out is None:
            return None
        quantized = start if self.job.qat else None
        held_out = HeldOut(self.config, HeldGames(self._games_held_out), quantized, self.job.stock)
        if self.config.train.best:
            held_out.need_parts(self.config.train.best)
        return held_out

    def _free_runs(self) -> Alone | None:
        """What its worlds are run alone with, where games are held out."""
        if self._games_held_out is None:
            return None
        return Alone(self.job.dataset, self.config, self._games_held_out, self._split.to_json())

    def _new_record(self) -> Record:
        asked = {"config": self.config.to_json(), "form": self.state.learner.form, "parent": self._parent}
        asked |= {"weights": self._weights}
        self.job.run.mkdir(parents=True, exist_ok=True)
        return Record(self.job.run, asked, self._split.to_json(), self.ranks.size, named(self._device))

    def take_up(self) -> bool:
        """Go on where a killed run stopped; whether there was one."""
        there = take_up(self.job.run, self.state, self._made_of, self.ranks)
        if there and self.record:
            self.record.go_on(self.state.step)
            if not self.state.step:  # killed before the results of the run before were gone
                forget_results(self.job.run)
        return there

    def start_over(self) -> None:
        """Begin; what the folder held is another run's, and goes once this one's state is on the disk."""
        self.keep()
        if self.ranks.first:
            forget_results(self.job.run)

    def loop(self) -> None:
        """Steps until the work is done. KeyboardInterrupt where a signal asks to end (interrupts.py), with the state of
        the step kept."""
        self._lap = self._clock()
        with interrupts() as asked:
            while self._share() < 1:
                agreed = self._step(asked() > 0)
                done = self._share() >= 1
                if done or self.state.step % REPORT_EVERY == 0:
                    self._tell(done or self.state.step % HELD_OUT_EVERY == 0)
                self._watcher.moved(min(1.0, self._share()))
                if not done and (agreed.save or agreed.stop):
                    self.keep()
                if agreed.stop and not done:
                    raise ended_by(asked())

    def _share(self) -> float:
        train = self.config.train
        by_time = self.state.seconds / (60 * train.minutes) if train.minutes else 0.0
        return max(self.state.step / train.steps, by_time)

    def _step(self, interrupted: bool) -> Agreed:
        state, net = self.state, self.state.learner.net
        for group in state.optimizer.param_groups:
            group["lr"] = self._rate()
        begin_chance(self._device, _chance(self.config.train.seed, state.step, self.ranks.rank))
        parts, frames = state.learner.losses(state.step, self._share())
        total = torch.stack(list(parts.values())).sum()
        if frames:
            self._need_finite("loss", total.detach())
        means = {name: value.detach() if frames else torch.zeros(()) for name, value in parts.items()}
        save = time.monotonic() - self._saved > SAVE_SECONDS
        before, self._lap = self._lap, self._clock()
        agreed = self.ranks.agree(Agreed(means, frames, self._lap - before, save, interrupted))
        state.optimizer.zero_grad(set_to_none=True)
        if frames:
            (total * (frames / agreed.frames)).backward()
        self.ranks.add_gradients(net.parameters())
        self._clip(list(net.parameters()))
        state.optimizer.step()
        state.average.update(state.step)
        self._count(agreed)
        return agreed

    def _clip(self, parameters: list[nn.Parameter]) -> None:
        """Gradients at most so long; most are, and are left as they are."""
        length = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
        self._need_finite("gradient", length)
        if length > GRADIENT_MOST:
            nn.utils.clip_grads_with_norm_(parameters, GRADIENT_MOST, length)

    def _need_finite(self, what: str, got: Tensor) -> None:
        """WmTrainError where a number that training goes on from is none."""
        if not torch.isfinite(got):
            best = self.job.run / BEST
            kept = f"; the best network so far is in {best}" if self.state.best < inf else ""
            raise WmTrainError(
                f"training diverged at step {self.state.step}: {what} is {float(got)}; lower train.learning_rate{kept}"
            )

    def _rate(self) -> float:
        return learning_rate(self.config.train, self._share(), self.job.start is not None)

    def _count(self, agreed: Agreed) -> None:
        state = self.state
        for name, value in agreed.losses.items():
            state.sums[name] = state.sums.get(name, torch.zeros(())) + value
        state.step, state.summed = state.step + 1, state.summed + 1
        state.frames, state.seconds = state.frames + agreed.frames, state.seconds + agreed.seconds

    def _tell(self, measure: bool) -> None:
        """Report the steps since the last report, with the held-out loss if `measure`."""
        state = self.state
        held_out = self._measure() if measure and self._held_out else None
        alone = self._run_alone(self._alone) if self._alone and state.step % ALONE_EVERY == 0 else None
        frames, seconds = state.frames - state.reported[0], state.seconds - state.reported[1]
        progress = Progress(
            share=min(1.0, self._share()),
            step=state.step,
            epoch=state.frames / self._frames,
            seconds=state.seconds,
            learning_rate=self._rate(),
            frames_per_second=frames / seconds if seconds > 0 else 0.0,
            losses={name: float(value) / state.summed for name, value in state.sums.items()},
            held_out=held_out,
            alone=alone,
        )
        state.sums, state.summed, state.reported = {}, 0, (state.frames, state.seconds)
        if self.record:
            self.record.add(vars(progress))
        self._watcher.report(progress)

    def _measure(self) -> dict[str, float]:
        """The held-out loss; what is better than all before is saved."""
        assert self._held_out
        with self.state.average.in_place():
            losses = self._held_out.losses(self.state.learner.net)
            self.state.held_out = sum(losses.values())
            self._need_finite("held-out loss", torch.tensor(self.state.held_out))
            decides = sum(losses[name] for name in self.config.train.best or losses)
            if decides < self.state.best:
                self.state.best = decides
                (self.job.run / BEST).mkdir(exist_ok=True)
                save_checkpoint(self.job.run / BEST, self._checkpoint())
        return losses

    def _run_alone(self, runs: Alone) -> dict[str, float]:
        """See Alone.figures. They are measured as evaluation measures; training goes on as it did."""
        with self.state.average.in_place():
            checkpoint = self._checkpoint()
        try:
            return runs.figures(checkpoint)
        finally:
            use_fast_matmul(self.config.train.threads)
            use_tensor_cores(self._exact)

    def keep(self) -> None:
        """Write what `take_up` needs: the reports first, as they may be ahead of the state but never behind."""
        keep(self.job.run, self.state, self._made_of, self.ranks, self.record.files() if self.record else {})
        self._saved = time.monotonic()

    def _checkpoint(self) -> Checkpoint:
        trained = self.state.learner
        figures = {"steps": self.state.step, "held_out": self.state.held_out}
        return Checkpoint(self.config, trained.form, to_arrays(trained.net), self._split.to_json(), figures,
                          trained.scales(), self._parent, weights=self._weights)  # fmt: skip

    def finish(self) -> Checkpoint:
        """Save the outcome, with its thresholds; nothing is left to resume."""
        with self.state.average.in_place():
            checkpoint = self._checkpoint()
        if self.record:
            checkpoint = self._cut(checkpoint)
            if self.state.best < inf:
                best = load_checkpoint(self.job.run / BEST)
                last = best.figures["steps"] == checkpoint.figures["steps"]
                best = replace(best, thresholds=checkpoint.thresholds) if last else self._cut(best)
                save_checkpoint(self.job.run / BEST, best)
            save_checkpoint(self.job.run, checkpoint, self.record.files())
            (self.job.run / RESUME_FILE).unlink(missing_ok=True)
        self.ranks.wait()
        return checkpoint

    def _cut(self, checkpoint: Checkpoint) -> Checkpoint:
        """With the thresholds of its events, where games are held out."""
        if self._games_held_out is None:
            return checkpoint
        return replace(checkpoint, thresholds=thresholds(checkpoint, self._games_held_out))


def _chance(seed: int, step: int, rank: int) -> int:
    """Where a step's random numbers (dropout) begin, so that they depend on nothing that came before."""
    entropy = (seed % (1 << 64), step, rank)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
