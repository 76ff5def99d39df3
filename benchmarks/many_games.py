"""Ingest, encode and train over many games: time, memory and disk of each as a dataset grows.

    python benchmarks/many_games.py ~/Slippi experiments/melee-1.2m.yaml --games 22000 --folder /big/disk

The games are your own, copied under MD5s and matches that no recording has, a part more at a time: as files of the
dataset, and `--fresh` of them as recordings with another seed, which `wmq ingest` then reads. After each part what is
new is encoded, and `--steps` steps are trained, each in processes of its own. Printed are processor seconds, those of
the clock in brackets, and the highest resident set of any of its processes, mapped files included.
What is encoded of copies of one game becomes one file by hard links, so that the disk need not hold all; its size is
counted as if it did. What is made is removed in the end.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
#: In a .slp file: where the table of event sizes says how long it is; how far behind that table's end the seed lies;
#: what the name of a game played online begins with, up to its year, and how far into the file.
TABLE, SEED, ONLINE, ONLINE_WITHIN = 16, 0x13D, b"mode.", 4096


@dataclass(frozen=True)
class Cost:
    """Of a process: processor seconds, seconds of the clock, MiB, and the JSON that it printed."""

    processor: float
    clock: float
    memory: int
    said: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.processor:7,.0f} s ({self.clock:,.0f}), {self.memory:,} MiB"


def cost(*arguments: object) -> Cost:
    """Run Python with these arguments to its end."""
    began, environment = time.monotonic(), {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=out, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise click.ClickException("a process failed; see above")
        out.seek(0)
        said = json.load(out)
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss // 1024, said)


def wmq(*arguments: object) -> Cost:
    """A verb of this checkout."""
    return cost(ROOT / "cli.py", *arguments, "--json")


# ------------------------------------------------------------------------------------------------------------- copies


def another_name(name: str, number: int) -> str:
    """32 hex digits of copy `number` of what has these."""
    return hashlib.md5(f"{name} {number}".encode(), usedforsecurity=False).hexdigest()


class Copies:
    """Copies of a dataset's own games, in turn, within it."""

    def __init__(self, dataset: Path, own: list[Any]) -> None:
        self._dataset, self._own, self._source = dataset, own, dict[str, str]()

    def add(self, count: int) -> None:
        """Store so many more: names in what a Parquet file says of itself have one length, so others fit there."""
        for number in range(len(self._source), len(self._source) + count):
            game = self._own[number % len(self._own)]
            md5 = another_name(game.md5, number)
            data = (self._dataset / f"{game.md5}.parquet").read_bytes().replace(game.md5.encode(), md5.encode())
            data = data.replace(game.match.encode(), another_name(game.match, number).encode())
            (self._dataset / f"{md5}.parquet").write_bytes(data)
            self._source[md5] = game.md5

    def share(self) -> None:
        """Make one file of what is encoded of copies of one game."""
        encoded = {path.name[:32]: path for path in self._dataset.glob("encoded/*/*.npy")}
        for md5, source in self._source.items():
            if not encoded[md5].samefile(encoded[source]):
                link = encoded[md5].with_suffix(".link")
                os.link(encoded[source], link)
                os.replace(link, encoded[md5])


def write_fresh(recordings: list[Path], folder: Path, numbers: range) -> None:
    """Recordings of other games, one for each number: begun with other seeds, those played online in another year."""
    for number in numbers:
        data = bytearray(recordings[number % len(recordings)].read_bytes())
        seed = TABLE + data[TABLE] + SEED
        data[seed : seed + 4] = (1 << 31 | number).to_bytes(4, "big")
        if (online := data.find(ONLINE, 0, ONLINE_WITHIN)) >= 0:
            year = data.index(b"-", online) + 1
            data[year : year + 4] = f"{number % 10_000:04}".encode()
        (folder / f"{number}.slp").write_bytes(data)


# ----------------------------------------------------------------------------------------------------------- training


def usable(dataset: Path, config: Path) -> list[Any]:
    """The games of a dataset that a config takes."""
    from wm_train.config import load_config
    from wm_train.games.corpus import usable_games
    from wm_train.games.dataset import open_dataset

    loaded, by_match = load_config(config), open_dataset(dataset).by_match
    return [by_match[match] for match in usable_games(dataset, loaded.model.world.encoding, loaded.train.only)]


def trained(dataset: Path, config: Path, steps: int, began: float) -> dict[str, float]:
    """Train; seconds of the clock from `began` to the end of the first step, and of the steps after it. Then plan an
    epoch: processor seconds."""
    from wm_train.config import load_config
    from wm_train.fit.train import Job, train
    from wm_train.games.store import open_split

    loaded, moments = load_config(config), list[float]()
    asked = replace(loaded, train=replace(loaded.train, steps=steps, minutes=0.0))
    with tempfile.TemporaryDirectory() as folder:
        train(Job(dataset, Path(folder, "run"), asked), moved=lambda share: moments.append(time.monotonic()))
    games, _, _ = open_split(dataset, asked.model.world.encoding, **asked.train.split)
    planning = time.process_time()
    plan_epoch(asked, games.lengths)
    return {
        "start": moments[0] - began,
        "steps": moments[-1] - moments[0],
        "plan": time.process_time() - planning,
        "frames": int(games.lengths.sum()),
    }


def plan_epoch(config: Any, lengths: Any) -> None:
    """Find the last step of an epoch."""
    from wm_train.config import Mamba2Config
    from wm_train.games.sequences import SequencePlan
    from wm_train.games.stream import WindowPlan

    train = config.train
    if isinstance(config.model, Mamba2Config):
        SequencePlan(lengths, train.lanes, train.chunk, train.seed).at(lengths.sum() // (train.lanes * train.chunk) - 1)
    else:
        plan = WindowPlan(lengths, config.model.world.encoding, train.batch, train.buffer_games, train.seed)
        plan.place(int(plan.batches(0).sum()) - 1)


# --------------------------------------------------------------------------------------------------------------- main


def tell(dataset: Path, config: Path, steps: int, fresh: Path) -> None:
    """Ingest what is new, encode it and train; four lines of what that took."""
    listed = wmq("ingest", fresh, "--out", dataset)
    read, games = listed.said["parsed"], listed.said["games"]
    stored = sum(path.stat().st_size for path in dataset.glob("*.parquet")) / 1e9
    print(f"{games:,} games: {listed.said['frames']:,} frames, {stored:.1f} GB")
    print(f"  ingest {read:7,} new {listed}")
    encoded = wmq("encode", "--dataset", dataset, "--config", config)
    size = f"{encoded.said['bytes'] / 1e9:.1f} GB in all"
    print(f"  encode {encoded.said['encoded']:7,} new {encoded}, {size}", flush=True)
    run = cost(__file__, dataset, config, "--steps", steps, "--began", time.monotonic())
    print(f"  train  {steps:7,} steps {run}; first step after {run.said['start']:.1f} s, the others in "
          f"{run.said['steps']:.0f} s, an epoch of {run.said['frames']:,} frames planned in {run.said['plan']:.2f} s",
          flush=True)  # fmt: skip


@click.command()
@click.argument("recordings", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("config", type=click.Path(path_type=Path, exists=True))
@click.option("--games", default=22_000, show_default=True)
@click.option("--parts", default=8, show_default=True)
@click.option("--fresh", default=100, show_default=True, help="Recordings that are read in each part.")
@click.option("--steps", default=200, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where to work, if not in /tmp.")
@click.option("--began", type=float, hidden=True)
def main(
    recordings: Path, config: Path, games: int, parts: int, fresh: int, steps: int, folder: Path | None, began: float
) -> None:
    """Print what each part took."""
    if began:
        print(json.dumps(trained(recordings, config, steps, began)))
        return
    with tempfile.TemporaryDirectory(dir=folder) as made:
        place, files = Path(made), sorted(recordings.rglob("*.slp"))
        dataset, new = place / "dataset", place / "fresh"
        print(f"your own: ingest {len(files):,} new {wmq('ingest', recordings, '--out', dataset)}")
        own = usable(dataset, config)
        wmq("encode", "--dataset", dataset, "--config", config)
        copies, new_each = Copies(dataset, own), games // parts
        new.mkdir()
        for part in range(parts):
            copies.add(new_each - fresh - (0 if part else len(own)))
            write_fresh(files, new, range(part * fresh, (part + 1) * fresh))
            tell(dataset, config, steps, new)
            copies.share()
            for path in new.iterdir():
                path.unlink()


if __name__ == "__main__":
    main()
