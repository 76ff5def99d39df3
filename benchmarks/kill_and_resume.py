"""Kills a run with SIGKILL at random moments, resumes it, and compares the outcome with an undisturbed run's.

    python benchmarks/kill_and_resume.py dataset experiments/mlp-v22.yaml --steps 300
    python benchmarks/kill_and_resume.py dataset experiments/mamba2-1.2m.yaml --qat experiments/mlp-v22.yaml --steps 40

Each trial is a run of its own, in a process of its own, killed once; every second one after its first step. Exit code 1
unless every file of every trial's checkpoints has the bytes of the undisturbed one's.
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
from pathlib import Path

import click
import torch

from wm_train.config import load_config
from wm_train.fit import train as module
from wm_train.fit.resume import RESUME_FILE
from wm_train.fit.train import Job, Progress, Report, train

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
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def wait(child: int) -> None:
    """Until it has ended well."""
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise click.ClickException("a run failed; see above")


def kill(job: Job, seconds: float, least: int) -> None:
    """Train, and kill so long after the state of step `least` was kept. After its last step a run waits for that."""
    last = job.run.with_suffix(".last")

    def hold(progress: Progress) -> None:
        if progress.share > 0.999:
            last.touch()
            signal.pause()

    child = begin(job, hold)
    while max(kept_steps(job.run).values(), default=-1) < least and not last.exists():
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            raise click.ClickException("a run failed; see above")
        time.sleep(0.005)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


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


def trial(job: Job, seconds: float, least: int, expected: list[bytes]) -> bool:
    """One run, killed within its `seconds` and resumed; whether it ends in the expected bytes."""
    moment = random.uniform(0, seconds)
    kill(job, moment, least)
    kept = ", ".join(f"{stage}: {step}" for stage, step in kept_steps(job.run).items())
    text = f"killed after {moment:5.2f} s; kept step {kept}"
    wait(begin(replace(job, resume=True)))
    equal = outcome(job.run) == expected
    print(f"{text}; resumed: {'equal' if equal else 'DIFFERENT'}", flush=True)
    return equal


def trials_of(dataset: Path, config: Path, qat: bool, steps: int, trials: int) -> int:
    """How many trials of one config end in the bytes of its undisturbed run."""
    loaded = load_config(config)
    limited = replace(loaded, train=replace(loaded.train, steps=steps, minutes=0.0))
    with tempfile.TemporaryDirectory() as folder:
        straight = Job(dataset, Path(folder, "straight"), limited, qat)
        began = time.monotonic()
        wait(begin(straight))
        seconds = time.monotonic() - began
        expected = outcome(straight.run)
        jobs = [replace(straight, run=Path(folder, str(number))) for number in range(trials)]
        equal = sum(trial(job, seconds, number % 2, expected) for number, job in enumerate(jobs))
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
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(
    dataset: Path, floats: tuple[Path], qats: tuple[Path], steps: int, trials: int, save_seconds: float, seed: int
) -> None:
    """Print one line a trial, then how many were equal, for each config."""
    module.SAVE_SECONDS = save_seconds
    torch.optim.AdamW([torch.zeros(1)])  # torch loads half of itself for the first one: here, not in every process
    random.seed(seed)
    asked = [(path, False) for path in floats] + [(path, True) for path in qats]
    equal = [trials_of(dataset, path, qat, steps, trials) for path, qat in asked]
    sys.exit(0 if all(count == trials for count in equal) else 1)


if __name__ == "__main__":
    main()
