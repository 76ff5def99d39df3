"""Games as integer records on disk: parsed, bounded and put into an encoding's order once, then only mapped.

    DATASET/encoded/<identity>/<md5>-<key>.npy     one game as an encoding reads it, one record per frame

One file a game, because a game is what a dataset grows by, what training loads and forgets, and what a killed run has
finished or not. Names say all that a content depends on: `identity` is a hash of what the encoding makes of made-up
columns, `key` of size and time of the game's Parquet file. A file of another name is never opened, so one that is out
of date is not either; the next `encode` removes it. There is no list to keep, so nothing can be out of step.
"""

import contextlib
import hashlib
import io
import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from wm_train.artifact import check_folder, remove_own
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes
from wm_train.games.cluster import spread
from wm_train.games.corpus import game_arrays, place_of, readable_games
from wm_train.games.dataset import ENCODED, StoredGame, game_path, open_dataset, read_game, stored_types
from wm_train.games.workers import in_processes
from wm_train.reading import UnreadableError, one_line, open_file
from wm_train.world.definition import LIST_OFFSETS, Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS
from wm_train.writer import one_writer

#: What `encode` writes, and may delete.
NAME_OF_FILE = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\.npy")
_PROBE_FRAMES = 512
_NUMPY = {"float": "float32"}

Records = NDArray[np.void]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """One game to encode, and the file that is to hold it."""

    dataset: Path
    game: StoredGame
    encoding: Encoding
    path: Path


@dataclass(frozen=True, kw_only=True)
class EncodeReport:
    """What a run did. games = encoded + known; skipped: games that lack a column; removed: files that were out of date;
    bytes: of all games' files."""

    games: int
    encoded: int
    known: int
    skipped: int
    removed: int
    bytes: int
    seconds: float


def record_type(encoding: Encoding) -> np.dtype[np.void]:
    """One frame of a game: frames (2, len(frame_fields)) int32, inputs (2, len(controls)) int8."""
    frames, inputs = (PLAYERS, len(encoding.frame_fields)), (PLAYERS, len(encoding.controls))
    return np.dtype([("frames", "<i4", frames), ("inputs", "i1", inputs)], align=True)


@cache
def identity(encoding: Encoding) -> str:
    """Hash of what an encoding makes of made-up columns: another one wherever fields, order, ranges or rules differ.
    Encodings that differ in their windows only have the same."""
    columns = _probe(encoding.game)
    read = {name: columns[name] for name in (*encoding.read_columns, LIST_OFFSETS)}
    digest = hashlib.sha256(str(record_type(encoding).descr).encode())
    for place in _probed_places(encoding):
        for made in game_arrays(encoding, read, place):
            digest.update(made.tobytes())
    return digest.hexdigest()[:16]


def _probed_places(encoding: Encoding) -> range:
    """Every place, where what is made of columns depends on it."""
    place = encoding.game.place
    return range(place.vocab if place is not None and encoding.sights else 1)


def _probe(game: Game) -> dict[str, NDArray[np.generic]]:
    """Every column of a dataset, half its values anywhere in the column's type, half of them small."""
    rng = np.random.default_rng(0)
    counts, lists = rng.integers(0, 4, _PROBE_FRAMES), {column.name: column.stored for column in game.lists}
    columns: dict[str, NDArray[np.generic]] = {LIST_OFFSETS: np.append(0, np.cumsum(counts))}
    for name, dtype in stored_types(game.columns, game.lists).items():
        text = lists.get(name, str(dtype))
        rows, kind = int(counts.sum()) if name in lists else _PROBE_FRAMES, np.dtype(_NUMPY.get(text, text))
        wide = rng.normal(0, 1000, rows) if kind.kind == "f" else rng.integers(0, 2**31, rows)
        columns[name] = np.where(rng.random(rows) < 0.5, wide, rng.integers(0, 70, rows)).astype(kind)
    return columns


def encoded_path(dataset: Path, game: StoredGame, encoding: Encoding) -> Path:
    """Where the game's records are, or would be. Raises OSError if the game's Parquet file is not there."""
    about = game_path(dataset, game.md5).stat()
    key = hashlib.sha256(f"{about.st_size} {about.st_mtime_ns}".encode()).hexdigest()[:16]
    return dataset / ENCODED / identity(encoding) / f"{game.md5}-{key}.npy"


def encode_game(dataset: Path, game: StoredGame, encoding: Encoding) -> Records:
    """(frames,) records of one game, from its columns. Raises WmTrainError."""
    frames, inputs = game_arrays(
        encoding, read_game(dataset, game.md5, encoding.read_columns), place_of(encoding.game, game)
    )
    records = np.zeros(len(frames), record_type(encoding))
    records["frames"], records["inputs"] = frames, inputs
    return records


def map_game(dataset: Path, game: StoredGame, encoding: Encoding) -> Records | None:
    """The game's records, mapped and not read; None if it is not encoded. WmTrainError if the file is damaged."""
    path = encoded_path(dataset, game, encoding)
    check_folder(path.parent.parent, WmTrainError)
    if not os.path.lexists(path):
        return None
    try:
        with open_file(path, linked=False) as file:
            return _mapped(file, game.frames, record_type(encoding))
    except (UnreadableError, OSError, ValueError) as error:
        raise WmTrainError(f"{path}: {one_line(error)}; delete it, run `wmq encode` again") from None


def _mapped(file: BinaryIO, frames: int, kind: np.dtype[np.void]) -> Records:
    """The records of an open file, mapped; ValueError where it is not as `_write` writes it, byte for byte up to the
    first record: what a file says of its own type and shape is compared, not believed."""
    head, size = _header(frames, kind), os.fstat(file.fileno()).st_size
    if file.read(len(head)) != head or size != len(head) + frames * kind.itemsize:
        raise ValueError(f"expected records of {frames} frames, got {size} bytes of others")
    return np.memmap(file, kind, "r", len(head), (frames,))


def _header(frames: int, kind: np.dtype[np.void]) -> bytes:
    """What a file of that many records begins with."""
    head = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (frames,)}
    np.lib.format.write_array_header_1_0(head, about)
    return head.getvalue()


def encode(
    dataset: Path,
    encoding: Encoding,
    workers: int | None = None,
    progress: Progress | None = None,
    address: str | None = None,
) -> EncodeReport:
    """Encode every game that an encoding can read and that is not encoded yet; remove what is out of date.

    `workers` processes (None: one per core), or the machines of the Ray cluster at `address`, which must see the
    dataset under the same path. `progress(done, total)` is called for each game. Killed anywhere it leaves whole files
    only, and the next run goes on. Raises WmTrainError for a dataset or a game that cannot be read, a busy folder, or a
    disk that is full.
    """
    began, meta = time.monotonic(), open_dataset(dataset.resolve())
    games, folder = readable_games(meta, encoding), meta.path / ENCODED / identity(encoding)
    try:
        with one_writer(folder, "encode"):
            tasks = [Task(meta.path, game, encoding, encoded_path(meta.path, game, encoding)) for game in games]
            removed = remove_own(folder, NAME_OF_FILE, {task.path.name for task in tasks}, WmTrainError)
            missing = [task for task in tasks if not task.path.exists()]
            work = spread(address, _write, missing) if address else in_processes(_write, missing, workers)
            with contextlib.closing(work) as run:
                for done, _ in enumerate(run, len(tasks) - len(missing) + 1):
                    if progress:
                        progress(done, len(tasks))
            size = sum(task.path.stat().st_size for task in tasks)
    except OSError as error:
        raise WmTrainError(f"{dataset}: cannot encode: {error.strerror}; once that is mended, run again") from None
    return EncodeReport(
        games=len(tasks),
        encoded=len(missing),
        known=len(tasks) - len(missing),
        skipped=len(meta.games) - len(games),
        removed=removed,
        bytes=size,
        seconds=time.monotonic() - began,
    )


def _write(task: Task) -> None:
    """In a worker: encode one game and store it, whole or not at all."""
    if not task.path.parent.is_dir():
        raise WmTrainError(f"{task.dataset}: {platform.node()} does not see it; put the dataset on a shared folder")
    buffer = io.BytesIO()
    np.save(buffer, encode_game(task.dataset, task.game, task.encoding), allow_pickle=False)
    atomic_write_bytes(task.path, buffer.getbuffer())
