"""Speed and memory of the loaders, over a dataset and over ten times its games: `python benchmarks/loader.py DATASET`.

The larger dataset is made in a temporary folder: every game ten times, under MD5s that no replay has. Each pass hands
out six million frames in a process of its own: windows in batches of 512 from a buffer of 16 games, or chunks of 64
lanes by 128 frames. Its memory is the highest resident set, mapped files included; `opened` is that before the first.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from wm_train.games.corpus import usable_games
from wm_train.games.dataset import DatasetMeta, StoredGame, game_path, open_dataset, write_game, write_meta
from wm_train.games.encoded import encode
from wm_train.games.sequences import SequencePlan
from wm_train.games.store import StoredGames
from wm_train.games.stream import WindowPlan, chunks, window_batches
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

ENCODING = Encoding("v2.2")
TIMES, FRAMES, BATCH, BUFFER, LANES, CHUNK = 10, 6_000_000, 512, 16, 64, 128


def resident() -> int:
    """Highest resident set of this process so far, MiB (that of getrusage begins with its parent's). Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _copies(dataset: Path, out: Path, game: StoredGame) -> list[StoredGame]:
    table = pq.read_table(game_path(dataset, game.md5), use_threads=False)
    names = [hashlib.md5(f"{game.md5} {i}".encode(), usedforsecurity=False).hexdigest() for i in range(TIMES)]
    return [write_game(out, replace(game, md5=name, match=name), table, GAME) for name in names]


def multiply(dataset: Path, out: Path) -> None:
    """Make a dataset of every game of another, TIMES times."""
    out.mkdir()
    games = [copy for game in open_dataset(dataset).games for copy in _copies(dataset, out, game)]
    write_meta(DatasetMeta(out, "copies", tuple(sorted(games, key=lambda game: game.md5)), ()))


def _frames(kind: str, games: StoredGames) -> Iterator[int]:
    """How many frames each step hands out."""
    if kind == "windows":
        yield from (len(t) for *_, t in window_batches(games, WindowPlan(games.lengths, ENCODING, BATCH, BUFFER, 0), 0))
    order = SequencePlan(games.lengths, LANES, CHUNK, seed=0)
    yield from (len(rows.game) for _, rows in chunks(games, order, 0))


def _pass(kind: str, dataset: Path) -> None:
    """One pass over a dataset, and a line of what it took."""
    games = StoredGames(dataset, usable_games(dataset, ENCODING), ENCODING)
    opened, began, frames, steps = resident(), time.perf_counter(), 0, _frames(kind, games)
    while frames < FRAMES:
        frames += next(steps)
    seconds = time.perf_counter() - began
    print(f"{kind:9} {len(games.names):6,} games {frames:10,} frames {frames / seconds:12,.0f} frames/s   "
          f"opened {opened:4} MiB, highest {resident():4} MiB", flush=True)  # fmt: skip


def main() -> None:
    """Both passes over both datasets."""
    if len(sys.argv) > 2:
        return _pass(sys.argv[2], Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        once, often = Path(folder, "once"), Path(folder, "often")
        once.symlink_to(Path(sys.argv[1]).resolve())
        multiply(once, often)
        for dataset in (once, often):
            encode(dataset, ENCODING)
            for kind in ("windows", "sequences"):
                subprocess.run([sys.executable, __file__, str(dataset), kind], check=True)
    return None


if __name__ == "__main__":
    main()
