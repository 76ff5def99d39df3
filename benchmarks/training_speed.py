"""Frames a second of training: this version by device, and side by side with another one.

    python benchmarks/training_speed.py dataset experiments/melee-1.2m.yaml
    python benchmarks/training_speed.py dataset experiments/melee-1.2m.yaml --against ../before --rounds 5
    python benchmarks/training_speed.py dataset experiments/melee-1.2m.yaml --device cpu --device cuda --steps 400

`--against` names a checkout of another version (`git worktree add ../before COMMIT`). Each run is a process of its own,
with one thread unless the config says more; versions and devices take turns, round by round, so that what else the
machine does meets all of them. Frames are counted per processor second, per second where another device computes. The
first steps warm up and are not counted. It says also how far the versions' losses are apart: they are the means over
the same frames, of runs with the same seed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
WARM = 10


def measured(dataset: Path, config: Path, device: str, steps: int) -> dict[str, Any]:
    """One run by the wmq that Python finds: frames a second, and parts of the mean loss of all its steps."""
    from wm_train.config import Mamba2Config, load_config
    from wm_train.fit import train as module

    module.REPORT_EVERY = module.HELD_OUT_EVERY = steps + WARM  # what is measured besides is not training
    loaded = load_config(config)
    train = replace(loaded.train, steps=steps + WARM + 1, minutes=0.0, device=device)
    clock = time.process_time if device == "cpu" else time.monotonic
    moments, reports = list[float](), list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as folder:
        job = module.Job(dataset, Path(folder, "run"), replace(loaded, train=train))
        module.train(job, lambda told: reports.append(told.losses), lambda share: moments.append(clock()))
    batch = train.lanes * train.chunk if isinstance(loaded.model, Mamba2Config) else train.batch
    # The step after these reports and measures.
    return {"speed": batch * (steps - 1) / (moments[WARM + steps - 2] - moments[WARM - 1]), "losses": reports[0]}


def run(root: Path, *arguments: str) -> dict[str, Any]:
    """`measured` in a process of its own, by the wmq of a checkout."""
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, __file__, *arguments, "--once"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def told(name: str, runs: list[dict[str, Any]]) -> float:
    """Prints a line of one version on one device; its median speed."""
    speeds = sorted(run["speed"] for run in runs)
    middle = statistics.median(speeds)
    print(f"{name:16} {middle:9,.0f} frames/s   {speeds[0]:,.0f} to {speeds[-1]:,.0f}", flush=True)
    return middle


def apart(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Largest difference between two runs' parts of the loss, as a share of the whole loss."""
    return max(abs(ours[name] - theirs[name]) for name in ours) / sum(theirs.values())


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, exists=True))
@click.argument("config", type=click.Path(path_type=Path, exists=True))
@click.option("--device", "devices", multiple=True, default=("cpu",), show_default=True, help="Repeatable.")
@click.option("--against", type=click.Path(path_type=Path, exists=True), help="Checkout of another version.")
@click.option("--steps", default=100, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--once", is_flag=True, hidden=True)
def main(
    dataset: Path, config: Path, devices: tuple[str, ...], against: Path | None, steps: int, rounds: int, once: bool
) -> None:
    """Print one line a version and device, and their ratio."""
    if once:
        print(json.dumps(measured(dataset, config, devices[0], steps)))
        return
    versions = {"here": ROOT} | ({"there": against.resolve()} if against else {})
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {(v, d): [] for d in devices for v in versions}
    for _ in range(rounds):
        for version, device in runs:
            arguments = (str(dataset), str(config), "--device", device, "--steps", str(steps))
            runs[version, device].append(run(versions[version], *arguments))
    for device in devices:
        middle = {version: told(f"{version}, {device}", runs[version, device]) for version in versions}
        if against:
            difference = apart(runs["here", device][0]["losses"], runs["there", device][0]["losses"])
            print(f"{device}: {middle['here'] / middle['there']:.2f} times; losses differ by {difference:.1e} at most")


if __name__ == "__main__":
    main()
