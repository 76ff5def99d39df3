"""Frames a second of training: this version by device, and side by side with another one.

    python benchmarks/training_speed.py dataset experiments/melee-1.2m.yaml
    python benchmarks/training_speed.py dataset experiments/melee-1.2m.yaml --against ../before --rounds 5
    python benchmarks/training_speed.py dataset experiments/melee-1.2m.yaml --device cpu --device cuda --steps 400
    python benchmarks/training_speed.py dataset experiments/tx.yaml --start run --against ../before

`--start` names a float run that is trained further through the grid. `--against` names a checkout of another version
(`git worktree add ../before COMMIT`). Each run is a process of its own, with one thread unless the config says more.
They take turns of a few steps, and only one computes at a time, so that what else the machine does meets neighbouring
turns alike: the ratio is the median of theirs, beside its quartiles. A round begins new processes, as where their
memory lies has its part. Frames are counted per processor second, per second where another device computes. The first
steps warm up and are not counted. It says also how far the versions' losses are apart: they are the means over the same
frames, of runs with the same seed.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from subprocess import PIPE
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
WARM = 10
#: Steps of a turn.
TURN = 5


def measured(dataset: Path, config: Path, device: str, steps: int, start: Path | None) -> dict[str, Any]:
    """One run by the wmq that Python finds: frames a second of each turn, and parts of the mean loss of all its steps.
    It pauses before its first turn and after each."""
    from wm_train.config import Mamba2Config, load_config
    from wm_train.fit import train as module

    last = WARM + steps + 1  # after the last turn, as it reports and measures
    module.REPORT_EVERY = module.HELD_OUT_EVERY = last
    module.SAVE_SECONDS = math.inf
    loaded = load_config(config)
    train = replace(loaded.train, steps=last, minutes=0.0, device=device)
    clock = time.process_time if device == "cpu" else time.monotonic
    taken, pauses, reports = count(1 - WARM), list[tuple[float, float]](), list[dict[str, float]]()

    def moved(_: float) -> None:
        step = next(taken)
        if step >= 0 and step % TURN == 0:
            ended = clock()
            pause()
            pauses.append((ended, clock()))

    with tempfile.TemporaryDirectory() as folder:
        run = replace(loaded, train=train)
        job = module.Job(dataset, Path(folder, "run"), run, qat=start is not None, start=start)
        module.train(job, lambda told: reports.append(told.losses), moved)
    frames = TURN * (train.lanes * train.chunk if isinstance(loaded.model, Mamba2Config) else train.batch)
    speeds = [frames / (ended - began) for (_, began), (ended, _) in pairwise(pauses)]
    return {"speeds": speeds, "losses": reports[0]}


def pause() -> None:
    """Says so in an empty line, and waits for one; where standard input is at its end, nobody takes turns."""
    print(flush=True)
    sys.stdin.readline()


class Run:
    """`measured` in a process of its own, by the wmq of a checkout. Made, it is warm and waits for its first turn."""

    def __init__(self, root: Path, *arguments: str) -> None:
        environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": str(root)}
        command = [sys.executable, __file__, *arguments, "--once"]
        self._process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=environment)
        self._until_pause()

    def turn(self) -> None:
        """Let it take so many steps."""
        print(file=self._process.stdin, flush=True)
        self._until_pause()

    def result(self) -> dict[str, Any]:
        """What `measured` gives, after the last turn."""
        result: dict[str, Any] = json.loads(self._process.communicate("\n")[0])
        return result

    def _until_pause(self) -> None:
        assert self._process.stdout
        if not self._process.stdout.readline():
            raise click.ClickException(f"a run has ended with {self._process.wait()}, expected it to pause")


def told(name: str, speeds: list[float]) -> None:
    """Prints a line of one version on one device: the median of its turns, and its quartiles."""
    low, middle, high = statistics.quantiles(speeds, n=4)
    print(f"{name:16} {middle:9,.0f} frames/s   {low:,.0f} to {high:,.0f}", flush=True)


def speeds_of(runs: list[dict[str, Any]]) -> list[float]:
    """Those of all turns, in order."""
    return [speed for run in runs for speed in run["speeds"]]


def compared(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """How many times as fast one version is as the other."""
    ratios = [here / there for here, there in zip(speeds_of(ours), speeds_of(theirs), strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    difference = apart(ours[0]["losses"], theirs[0]["losses"])
    return f"{middle:.3f} times, quartiles {low:.3f} to {high:.3f}; losses differ by {difference:.1e} at most"


def apart(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Largest difference between two runs' parts of the loss, as a share of the whole loss."""
    return max(abs(ours[name] - theirs[name]) for name in ours) / sum(theirs.values())


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, exists=True))
@click.argument("config", type=click.Path(path_type=Path, exists=True))
@click.option("--device", "devices", multiple=True, default=("cpu",), show_default=True, help="Repeatable.")
@click.option("--start", type=click.Path(path_type=Path, exists=True), help="Float run that QAT begins from.")
@click.option("--against", type=click.Path(path_type=Path, exists=True), help="Checkout of another version.")
@click.option("--steps", default=100, show_default=True, type=click.IntRange(2 * TURN), help=f"Multiple of {TURN}.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--once", is_flag=True, hidden=True)
def main(
    dataset: Path,
    config: Path,
    devices: tuple[str, ...],
    start: Path | None,
    against: Path | None,
    steps: int,
    rounds: int,
    once: bool,
) -> None:
    """Print one line a version and device, and their ratio."""
    if once:
        from wm_train.errors import WmTrainError

        try:
            print(json.dumps(measured(dataset, config, devices[0], steps, start)))
        except WmTrainError as error:
            raise click.ClickException(str(error)) from None
        return
    versions = {"here": ROOT} | ({"there": against.resolve()} if against else {})
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {(v, d): [] for d in devices for v in versions}
    common = (str(dataset), str(config), "--steps", str(steps), *(("--start", str(start)) if start else ()))
    for _ in range(rounds):
        begun = {key: Run(versions[key[0]], *common, "--device", key[1]) for key in runs}
        for _ in range(steps // TURN):
            for run in begun.values():
                run.turn()
        for key, run in begun.items():
            runs[key].append(run.result())
    for device in devices:
        for version in versions:
            told(f"{version}, {device}", speeds_of(runs[version, device]))
        if against:
            print(f"{device}: {compared(runs['here', device], runs['there', device])}")


if __name__ == "__main__":
    main()
