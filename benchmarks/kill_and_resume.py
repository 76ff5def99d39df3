"""Kills runs at random moments, resumes them, and compares the outcome with an undisturbed run's.

    python benchmarks/kill_and_resume.py dataset experiments/mlp-v22.yaml --steps 300
    python benchmarks/kill_and_resume.py dataset experiments/mamba2-1.2m.yaml --qat experiments/mlp-v22.yaml --steps 40
    python benchmarks/kill_and_resume.py dataset experiments/mlp-v22.yaml --steps 300 --terminate

Each trial is a run of its own, in a process of its own, killed once by SIGKILL; every second one after its first step.
With --terminate it is SIGTERM, as a cluster sends it that takes the machine back: a run that is among its steps keeps
the one it is at, and says that it was stopped. Exit code 1 unless it did, and every file of every trial's checkpoints
has the bytes of the undisturbed one's.
"""

import os
import random
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path

import click
import torch

from wm_train.config import load_config
from wm_train.fit import train as module
from wm_train.fit.interrupts import Terminated
from wm_train.fit.resume import RESUME_FILE
from wm_train.fit.train import Job, Progress, Report, train

#: Exit code of a process whose run SIGTERM ended.
STOPPED = 143
FILES = ("model.safetensors", "run.json", "best/model.safetensors", "best/run.json")


def begin(job: Job, report: Report = lambda progress: None) -> int:
    """Train in a process of its own; its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        train(job, report)
        status = 0
    except Terminated as stop:
        status = STOPPED
        print(f"stopped by {stop.number.name}; ", end="", flush=True)
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def wait(child: int, *fine: int) -> int:
    """Until it has ended, with 0 or one of these exit codes, which is given."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, *fine):
        raise click.ClickException("a run failed; see above")
    return code


def kill(job: Job, seconds: float, least: int) -> None:
    """Train, and kill so long after the state of step `least` was kept. After its last step a run waits for that."""
    last = job.run.with_suffix(".last")

    def hold(progress: Progress) -> None:
        if progress.share > 0.999:
            last.touch()
            signal.pause()

    child = begin(job, hold)
    while max(kept_steps(job.run).values(), default=-1) < least and not last.exists():
        need_running(child)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def terminate(job: Job, seconds: float) -> None:
    """Train, and ask to end so long after the first state was kept."""
    child = begin(job)
    while not kept_steps(job.run):
        need_running(child)
    time.sleep(seconds)
    os.kill(child, signal.SIGTERM)
    # Before the first step and after the last one a run does not listen.
    if wait(child, STOPPED, -signal.SIGTERM) == STOPPED and not kept_steps(job.run):
        raise click.ClickException("a run was stopped, and kept nothing")


def need_running(child: int) -> None:
    """A moment later the process is still there."""
    if os.waitpid(child, os.WNOHANG) != (0, 0):
        raise click.ClickException("a run failed; see above")
    time.sleep(0.005)


def kept_steps(run: Path) -> dict[str, int]:
    """Where the newest state in a folder, and in those below it, stands."""
    steps = {}
    for path in sorted(run.rglob(RESUME_FILE)):
        with suppress(FileNotFoundError):  # its stage has just ended
            steps[str(path.parent.relative_to(run))] = torch.load(path, weights_only=True)["step"]
    return steps


def outcome(run: Path) -> list[bytes]:
    """What must be equal."""
    return [(run / name).read_bytes() for name in FILES]


def trial(job: Job, seconds: float, least: int | None, expected: list[bytes]) -> bool:
    """One run, killed within its `seconds`, or asked to end if `least` is None, and resumed; whether it ends in the
    expected bytes."""
    moment = random.uniform(0, seconds)
    if least is None:
        terminate(job, moment)
    else:
        kill(job, moment, least)
    kept = ", ".join(f"{stage}: {step}" for stage, step in kept_steps(job.run).items())
    text = f"after {moment:5.2f} s; kept step {kept or 'none, it had ended'}"
    wait(begin(replace(job, resume=True, auto=least is None)))
    equal = outcome(job.run) == expected
    print(f"{text}; resumed: {'equal' if equal else 'DIFFERENT'}", flush=True)
    return equal


def trials_of(dataset: Path, config: Path, qat: bool, steps: int, trials: int, asked: bool) -> int:
    """How many trials of one config end in the bytes of its undisturbed run."""
    loaded = load_config(config)
    limited = replace(loaded, train=replace(loaded.train, steps=steps, minutes=0.0))
    with tempfile.TemporaryDirectory() as folder:
        straight = Job(dataset, Path(folder, "straight"), limited, qat)
        child = begin(straight)
        while not kept_steps(straight.run):
            need_running(child)
        began = time.monotonic()
        wait(child)
        seconds = time.monotonic() - began
        expected = outcome(straight.run)
        jobs = [replace(straight, run=Path(folder, str(number))) for number in range(trials)]
        leasts = [None if asked else number % 2 for number in range(trials)]
        equal = sum(trial(job, seconds, least, expected) for job, least in zip(jobs, leasts, strict=True))
    print(f"{config.name}, {'qat' if qat else 'float'}: {equal} of {trials}", flush=True)
    return equal


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, exists=True))
@click.argument("floats", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--qat",
    "qats",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A config to be trained in float, then through the grid; repeatable.",
)
@click.option("--steps", default=300, show_default=True)
@click.option("--trials", default=10, show_default=True)
@click.option("--save-seconds", default=0.5, show_default=True, help="Between two states that are kept.")
@click.option("--terminate", "asked", is_flag=True, help="By SIGTERM, with nothing kept beside what that keeps.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(
    dataset: Path,
    floats: tuple[Path],
    qats: tuple[Path],
    steps: int,
    trials: int,
    save_seconds: float,
    asked: bool,
    seed: int,
) -> None:
    """Print one line a trial, then how many were equal, for each config."""
    module.SAVE_SECONDS = inf if asked else save_seconds
    torch.optim.AdamW([torch.zeros(1)])  # torch loads half of itself for the first one: here, not in every process
    random.seed(seed)
    every = [(path, False) for path in floats] + [(path, True) for path in qats]
    equal = [trials_of(dataset, path, qat, steps, trials, asked) for path, qat in every]
    sys.exit(0 if all(count == trials for count in equal) else 1)


if __name__ == "__main__":
    main()
