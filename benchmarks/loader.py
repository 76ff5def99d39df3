"""Speed and memory of the loaders, over a dataset and over ten times its games: `python benchmarks/loader.py DATASET`.

The larger dataset is made in a temporary folder: every game ten times, under MD5s that no replay has. Each pass runs in
a process of its own: an epoch of windows in batches of 512 from a buffer of 16 games, or as many frames in chunks of
64 lanes by 128. Its memory is the highest resident set, mapped files included; `opened` is that before the first batch.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from wm_train.dataset import DatasetMeta, Game, game_path, open_dataset, write_game, write_meta
from wm_train.encoded import encode
from wm_train.frames import Encoding
from wm_train.games import StoredGames
from wm_train.sequences import SequencePlan
from wm_train.stream import WindowPlan, chunks, window_batches
from wm_train.windows import usable_games

ENCODING = Encoding("v2.2")
TIMES, BATCH, BUFFER, LANES, CHUNK = 10, 512, 16, 64, 128


def _resident() -> int:
    """Highest resident set of this process so far, MiB (that of getrusage begins with its parent's). Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _copies(dataset: Path, out: Path, game: Game) -> list[Game]:
    table = pq.read_table(game_path(dataset, game.md5), use_threads=False)
    names = [hashlib.md5(f"{game.md5} {i}".encode(), usedforsecurity=False).hexdigest() for i in range(TIMES)]
    return [write_game(out, replace(game, md5=name), table) for name in names]


def _multiply(dataset: Path, out: Path) -> None:
    games = [copy for game in open_dataset(dataset).games for copy in _copies(dataset, out, game)]
    write_meta(DatasetMeta(out, "copies", tuple(sorted(games, key=lambda game: game.md5)), ()))


def _pass(kind: str, dataset: Path) -> None:
    """One pass over a dataset, and a line of what it took."""
    games = StoredGames(dataset, usable_games(dataset, ENCODING), ENCODING)
    opened, began, frames = _resident(), time.perf_counter(), 0
    if kind == "windows":
        plan = WindowPlan(games.lengths, ENCODING, BATCH, BUFFER, seed=0)
        for batch in islice(window_batches(games, plan, 0), int(plan.batches(0).sum())):
            frames += len(batch.t)
    else:
        order = SequencePlan(games.lengths, LANES, CHUNK, seed=0)
        for _, rows in islice(chunks(games, order, 0), int(games.lengths.sum()) // (LANES * CHUNK)):
            frames += len(rows.game)
    seconds = time.perf_counter() - began
    print(f"{kind:9} {len(games.names):6,} games {frames:10,} frames {frames / seconds:12,.0f} frames/s   "
          f"opened {opened:4} MiB, highest {_resident():4} MiB", flush=True)  # fmt: skip


def main() -> None:
    """Both passes over both datasets."""
    if len(sys.argv) > 2:
        return _pass(sys.argv[2], Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        once, often = Path(folder, "once"), Path(folder, "often")
        once.symlink_to(Path(sys.argv[1]).resolve())
        often.mkdir()
        _multiply(once, often)
        for dataset in (once, often):
            encode(dataset, ENCODING)
            for kind in ("windows", "sequences"):
                subprocess.run([sys.executable, __file__, str(dataset), kind], check=True)
    return None


if __name__ == "__main__":
    main()
