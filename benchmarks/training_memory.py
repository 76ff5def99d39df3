"""Memory of whole training runs, over a dataset and over ten times its games.

    python benchmarks/training_memory.py dataset experiments/mlp-v22.yaml experiments/mamba2-1.2m.yaml --steps 2000

The larger dataset is made as in loader.py. Each run is a process of its own: it trains in float, measures its held-out
loss on the way, saves, and says what its highest resident set was, mapped files included. Of everything that a run
keeps by the game (those of the buffer, those measured on, those that lanes are in) the smaller dataset has enough, so
that nothing but the number of games differs: the buffer has 12 games, and three fifths of all are held out.
"""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click
from loader import TIMES, multiply, resident

from wm_train.config import RunConfig, load_config
from wm_train.games.dataset import open_dataset
from wm_train.games.encoded import encode

HOLDOUT, BUFFER = 0.6, 12


def limited(config: Path, steps: int) -> RunConfig:
    """A config with these steps and those bounds."""
    loaded = load_config(config)
    train = replace(loaded.train, steps=steps, minutes=0.0, holdout=HOLDOUT, buffer_games=BUFFER)
    return replace(loaded, train=train)


def run(dataset: Path, config: RunConfig) -> None:
    """Train once; prints the peak in MiB."""
    from wm_train.fit.train import Job, train

    with tempfile.TemporaryDirectory() as folder:
        train(Job(dataset, Path(folder, "run"), config))
    print(resident())


def peak(dataset: Path, config: Path, steps: int) -> int:
    """MiB of a run in a process of its own."""
    encode(dataset, limited(config, steps).model.world.encoding)
    command = [sys.executable, __file__, str(dataset), str(config), "--steps", str(steps), "--once"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, exists=True))
@click.argument("configs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--steps", default=2000, show_default=True)
@click.option("--once", is_flag=True, hidden=True)
def main(dataset: Path, configs: tuple[Path, ...], steps: int, once: bool) -> None:
    """Print one line a config."""
    if once:
        return run(dataset, limited(configs[0], steps))
    with tempfile.TemporaryDirectory() as folder:
        fewer, more = Path(folder, "once"), Path(folder, "often")
        fewer.symlink_to(dataset.resolve())
        multiply(fewer, more)
        games = len(open_dataset(fewer).games)
        for config in configs:
            few, many = peak(fewer, config, steps), peak(more, config, steps)
            print(f"{config.stem:14} {steps:,} steps   {games:,} games {few:5} MiB   {games * TIMES:,} games "
                  f"{many:5} MiB   ratio {many / few:.3f}", flush=True)  # fmt: skip
    return None


if __name__ == "__main__":
    main()
