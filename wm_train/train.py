"""The training loop: float, then (or at once) through the grid. Callable; nothing runs at import."""

import hashlib
import io
import json
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wm_train.batches import WindowTensors
from wm_train.checkpoint import Checkpoint, save_checkpoint
from wm_train.config import RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes
from wm_train.learners import Learner, learner, parent_of
from wm_train.matmul import use_fast_matmul
from wm_train.network import to_arrays
from wm_train.windows import Split, load_split

REPORT_EVERY = 100
SAVE_SECONDS = 60.0
RESUME_FILE = "resume.pt"
#: Share of a QAT run's work that is done in float, if it has no float run to start from.
FLOAT_SHARE = 0.6
#: A QAT run that starts from a float checkpoint moves less.
QAT_LEARNING_RATE = 0.3


@dataclass(frozen=True)
class Progress:
    """One report of the loop: share done 0..1, steps, seconds, mean losses by name since the last report."""

    share: float
    step: int
    seconds: float
    losses: dict[str, float]


@dataclass
class _State:
    """What the loop carries, and what resuming needs."""

    learner: Learner
    optimizer: torch.optim.Optimizer
    peak_rate: float
    step: int = 0
    seconds: float = 0.0
    saved: float = field(default_factory=time.monotonic)


def _rate(share: float, warmup: float) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine to zero."""
    if share < warmup:
        return min(1.0, (share + 1e-4) / warmup)
    return 0.5 * (1 + cos(pi * min(1.0, (share - warmup) / (1 - warmup))))


def _share(config: RunConfig, state: _State) -> float:
    by_time = state.seconds / (60 * config.train.minutes) if config.train.minutes else 0.0
    return max(state.step / config.train.steps, by_time)


def _one_step(config: RunConfig, state: _State) -> dict[str, Tensor]:
    train = config.train
    for group in state.optimizer.param_groups:
        group["lr"] = state.peak_rate * _rate(_share(config, state), train.warmup)
    parts = state.learner.losses(state.step)
    total = sum(parts.values(), torch.zeros(()))
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_(state.learner.net.parameters(), 5.0)
    state.optimizer.step()
    if not torch.isfinite(total):
        raise WmTrainError(
            f"training diverged at step {state.step}: loss is {float(total.detach())}; lower train.learning_rate"
        )
    return {name: value.detach() for name, value in parts.items()}


def _loop(config: RunConfig, state: _State, save: Callable[[], None], report: Callable[[Progress], None]) -> None:
    with _interrupts() as interrupted:
        for _ in _steps(config, state, report):
            if interrupted() or time.monotonic() - state.saved > SAVE_SECONDS:
                save()
                state.saved = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: asked between two steps, where the state is whole and can be kept."""
    pressed = threading.Event()
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield pressed.is_set
        return
    signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _steps(config: RunConfig, state: _State, report: Callable[[Progress], None]) -> Iterator[None]:
    """One optimizer step at a time, until the work is done."""
    sums: dict[str, Tensor] = {}
    summed = 0
    began = time.monotonic() - state.seconds
    while True:
        for name, value in _one_step(config, state).items():
            sums[name] = sums.get(name, torch.zeros(())) + value
        state.step += 1
        summed += 1
        state.seconds = time.monotonic() - began
        done = _share(config, state) >= 1
        if done or state.step % REPORT_EVERY == 0:
            means = {name: float(value) / summed for name, value in sums.items()}
            report(Progress(min(1.0, _share(config, state)), state.step, state.seconds, means))
            sums, summed = {}, 0
        if done:
            return
        yield


@dataclass(frozen=True)
class Job:
    """What `train` is asked for. `start` is a float run that `qat` begins from; without one it trains that first."""

    dataset: Path
    run: Path
    config: RunConfig
    qat: bool = False
    start: Path | None = None
    resume: bool = False


def train(job: Job, report: Callable[[Progress], None] = lambda progress: None) -> Checkpoint:
    """Train and save a Checkpoint; the newest state is kept in the run folder, for `resume`, as the loop goes."""
    if job.qat and job.start is None:
        return _train_both(job, report)
    start = parent_of(job.start, job.qat) if job.start else None
    config = _adopted(job.config, start)
    encoding = config.model.world.encoding
    use_fast_matmul(config.train.threads)
    corpus, _, split = load_split(job.dataset, encoding, config.train.holdout, config.train.seed)
    tensors = WindowTensors(corpus, encoding, as_codes=job.qat)
    if not len(tensors.starts):
        raise WmTrainError(f"{job.dataset}: no game has {encoding.slots + 1} frames in a row; ingest longer games")
    state = _begin(config, tensors, start)
    job.run.mkdir(parents=True, exist_ok=True)
    if job.resume:
        _restore(job.run, state, config)
    with (job.run / "log.jsonl").open("a" if job.resume else "w") as log:
        _loop(config, state, lambda: _keep(job.run, state, config), _logged(log, report))
    checkpoint = _finished(job, config, state, split)
    save_checkpoint(job.run, checkpoint)
    (job.run / RESUME_FILE).unlink(missing_ok=True)
    return checkpoint


def _train_both(job: Job, report: Callable[[Progress], None]) -> Checkpoint:
    """QAT from nothing: the first FLOAT_SHARE of the work in float, in RUN/float, the rest through the grid."""
    train_config, start = job.config.train, job.run / "float"

    def part(share: float) -> RunConfig:
        steps, minutes = max(1, round(train_config.steps * share)), train_config.minutes * share
        return replace(job.config, train=replace(train_config, steps=steps, minutes=minutes))

    def scaled(first: float, share: float) -> Callable[[Progress], None]:
        return lambda progress: report(replace(progress, share=first + share * progress.share))

    if not (job.resume and (start / "run.json").exists()):
        floating = replace(job, run=start, config=part(FLOAT_SHARE), qat=False)
        train(floating, scaled(0.0, FLOAT_SHARE))
    through = replace(job, config=part(1 - FLOAT_SHARE), start=start)
    return train(through, scaled(FLOAT_SHARE, 1 - FLOAT_SHARE))


def _adopted(config: RunConfig, start: Checkpoint | None) -> RunConfig:
    """The model's shape comes from the run that QAT starts from; the split must stay that run's too. The bits of its
    weights matter only now: those of this config count, if it names any."""
    if start is None:
        return config
    kept = {key: getattr(start.config.train, key) for key in ("seed", "holdout")}
    model = replace(start.config.model, bits=config.model.bits or start.config.model.bits)
    return RunConfig(model, replace(config.train, **kept))


def _begin(config: RunConfig, tensors: WindowTensors, start: Checkpoint | None) -> _State:
    trained = learner(config, tensors, start)
    peak = config.train.learning_rate * (QAT_LEARNING_RATE if start else 1.0)
    parameters = trained.net.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=peak, weight_decay=config.train.weight_decay, fused=True)
    return _State(trained, optimizer, peak)


def _finished(job: Job, config: RunConfig, state: _State, split: Split) -> Checkpoint:
    games = {"train": split.train, "valid": split.valid, "skipped": split.skipped, "fingerprint": split.fingerprint}
    figures = {"steps": state.step, "seconds": round(state.seconds, 1)}
    trained, parent = state.learner, _parent(job.start)
    return Checkpoint(config, trained.form, to_arrays(trained.net), games, figures, trained.scales(), parent)


def _parent(start: Path | None) -> str | None:
    return hashlib.sha256((start / "run.json").read_bytes()).hexdigest() if start else None


def _logged(log: Any, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def both(progress: Progress) -> None:
        log.write(json.dumps(vars(progress)) + "\n")
        log.flush()
        report(progress)

    return both


def _keep(run: Path, state: _State, config: RunConfig) -> None:
    """Write what `resume` needs beside the run."""
    buffer = io.BytesIO()
    torch.save(
        {
            "config": json.dumps(config.to_json()),
            "form": state.learner.form,
            "net": state.learner.net.state_dict(),
            "carried": state.learner.carried(),
            "optimizer": state.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "step": state.step,
            "seconds": state.seconds,
        },
        buffer,
    )
    atomic_write_bytes(run / RESUME_FILE, buffer.getvalue())


def _restore(run: Path, state: _State, config: RunConfig) -> None:
    path = run / RESUME_FILE
    if not path.exists() and (run / "run.json").exists():
        raise WmTrainError(f"{run}: is finished, there is nothing to resume; train without --resume to start over")
    if not path.exists():
        return
    try:
        kept = torch.load(path, weights_only=True)
        if kept["config"] != json.dumps(config.to_json()) or kept["form"] != state.learner.form:
            raise WmTrainError(
                f"{path}: was written with another config or form; resume with that one, or train without"
            )
        state.learner.net.load_state_dict(kept["net"])
        state.learner.carry_on(kept["carried"])
        state.optimizer.load_state_dict(kept["optimizer"])
        torch.set_rng_state(kept["random"])
        state.step, state.seconds = kept["step"], kept["seconds"]
    except (KeyError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise WmTrainError(f"{path}: cannot be resumed from ({error}); train without --resume") from None
