"""A dataset: a folder of games, one Parquet file each, and `meta.json` that lists them.

    DATASET/meta.json         format, version, parser, games (by md5), rejected files and why
    DATASET/<md5>.parquet     one game, one row per frame; <md5> is that of the replay's bytes

A game's file says everything about itself (key-value metadata), so `meta.json` can always be rebuilt. The columns of
player 0 and 1 carry the prefix `p0_` and `p1_`; items are lists, one list per frame.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes, atomic_write_json

FORMAT = "wmq-dataset"
FORMAT_VERSION = 1
META_NAME = "meta.json"
MAX_META_BYTES = 1 << 30
MAX_FRAMES = 1 << 20  # 4.8 hours at 60 frames a second

#: The row's frame number: -123, -122 and so on without a gap.
FRAME = "frame"

#: Columns of one player, without the prefix. Missing ones are named in `Game.missing`.
PLAYER_COLUMNS: Mapping[str, pa.DataType] = {
    "x": pa.float32(),  # game units, dead players keep odd values
    "y": pa.float32(),
    "percent": pa.float32(),
    "shield": pa.float32(),  # 0..60
    "self_x_air": pa.float32(),  # game units a frame, the move from the row before to this one
    "self_y": pa.float32(),
    "knockback_x": pa.float32(),
    "knockback_y": pa.float32(),
    "self_x_ground": pa.float32(),
    "state_age": pa.float32(),  # frames, from -2, may be fractional
    "hitlag": pa.float32(),  # frames left
    "hitstun": pa.float32(),  # frames left, 0 outside hitstun
    "direction": pa.int8(),  # -1 left, 1 right, rarely 0
    "stocks": pa.uint8(),
    "combo_count": pa.uint8(),
    "airborne": pa.uint8(),  # 0 or 1
    "action": pa.uint16(),
    "jumps": pa.uint8(),  # left, the ground jump counted
    "character": pa.uint8(),  # internal id, changes inside a game for Zelda and Sheik
    "l_cancel": pa.uint8(),  # 0 none, 1 success, 2 missed
    "hurtbox": pa.uint8(),  # 0 normal, 1 invulnerable, 2 intangible
    "ground": pa.uint16(),  # last ground id, kept in the air
    "last_attack": pa.uint8(),
    "last_hit_by": pa.uint8(),  # port, 6 nobody
    "animation_index": pa.uint32(),  # 4294967295 none
    "flags0": pa.uint8(),
    "flags1": pa.uint8(),
    "flags2": pa.uint8(),
    "flags3": pa.uint8(),
    "flags4": pa.uint8(),
    "stick_x": pa.int8(),  # the controller of this row: -80..80, in 1/80
    "stick_y": pa.int8(),
    "cstick_x": pa.int8(),
    "cstick_y": pa.int8(),
    "trigger": pa.float32(),  # 0..1
    "buttons": pa.uint16(),  # physical bits
}

#: Columns of the items of a frame; each is stored as a list of this type per row.
ITEM_COLUMNS: Mapping[str, pa.DataType] = {
    "item_type": pa.uint16(),
    "item_state": pa.uint8(),
    "item_direction": pa.float32(),
    "item_x": pa.float32(),
    "item_y": pa.float32(),
    "item_vx": pa.float32(),
    "item_vy": pa.float32(),
    "item_damage": pa.uint16(),
    "item_timer": pa.float32(),
    "item_id": pa.uint32(),
    "item_owner": pa.int8(),  # port, -1 nobody
}

#: Name that `read_game` gives to the borders of the item lists.
ITEM_OFFSETS = "item_offsets"

_GAME_KEY, _FORMAT_KEY = b"wmq_game", b"wmq_format"


@dataclass(frozen=True, kw_only=True)
class Game:
    """What is known of a stored game without reading its frames.

    md5: of the replay's bytes, hex. frames: rows. ports: 0..3 of player 0 and 1. characters: character-select ids.
    end_method: such as GAME or NO_CONTEST, None if the recording has no end. missing: columns (without prefix) that
    the replay's version lacks. bytes: size of the Parquet file.
    """

    md5: str
    frames: int
    stage: int
    characters: tuple[int, ...]
    ports: tuple[int, ...]
    slippi_version: str
    end_method: str | None
    missing: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A source file that is not in the dataset: name, md5 (None if it could not be read), why, and more words."""

    name: str
    md5: str | None
    reason: str
    detail: str


@dataclass(frozen=True)
class DatasetMeta:
    """A checked `meta.json`. games: by md5; rejected: by name; parser: the replay parser and its version."""

    path: Path
    parser: str
    games: tuple[Game, ...]
    rejected: tuple[Rejected, ...]

    @property
    def fingerprint(self) -> str:
        """Of all its games; see `fingerprint`."""
        return fingerprint(game.md5 for game in self.games)

    def game(self, md5: str) -> Game:
        """The game with that md5. Raises WmTrainError if it is not listed."""
        for game in self.games:
            if game.md5 == md5:
                return game
        raise WmTrainError(f"{self.path}: no game {md5}, expected one of the {len(self.games)} listed; see {META_NAME}")


def fingerprint(md5s: Iterable[str]) -> str:
    """SHA-256, in hex, of a set of games: the same for the same replays in whatever order they came."""
    lines = [f"{FORMAT} {FORMAT_VERSION}", *sorted(set(md5s))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def stored_types() -> dict[str, pa.DataType]:
    """Every column name a game's file may have, with its Arrow type, in the order of the file."""
    players = {f"p{i}_{name}": dtype for i in range(2) for name, dtype in PLAYER_COLUMNS.items()}
    items = {name: pa.list_(dtype) for name, dtype in ITEM_COLUMNS.items()}
    return {FRAME: pa.int32()} | players | items


def game_path(folder: Path, md5: str) -> Path:
    """Where the game with that md5 lies in a dataset folder."""
    return folder / f"{md5}.parquet"


def write_game(folder: Path, game: Game, table: pa.Table) -> Game:
    """Store one game, whole or not at all; gives `game` with its size in bytes. Raises OSError."""
    data = pack_game(game, table)
    write_packed(folder, game, data)
    return replace(game, bytes=len(data))


def write_packed(folder: Path, game: Game, data: bytes) -> None:
    """Store a game that `pack_game` packed, whole or not at all. Raises OSError."""
    atomic_write_bytes(game_path(folder, game.md5), data)


def pack_game(game: Game, table: pa.Table) -> bytes:
    """A game's Parquet file: the same bytes wherever it is made."""
    about = {key: value for key, value in asdict(game).items() if key != "bytes"}
    keyed = table.replace_schema_metadata({_FORMAT_KEY: str(FORMAT_VERSION), _GAME_KEY: json.dumps(about)})
    sink = pa.BufferOutputStream()
    # Dictionaries pay for integers only, and not for the row number. Measured over real games, level 9 is the smallest
    # and as quick as 6; level 1 takes twice the time. Nobody asks for statistics.
    coded = [field.name for field in keyed.schema if field.name != FRAME and not pa.types.is_floating(field.type)]
    pq.write_table(
        keyed,
        sink,
        compression="GZIP",
        compression_level=9,
        write_statistics=False,
        use_dictionary=coded,
        column_encoding={FRAME: "DELTA_BINARY_PACKED"},
    )
    return bytes(sink.getvalue())


def write_meta(meta: DatasetMeta) -> None:
    """Write `meta.json`. Raises OSError."""
    atomic_write_json(
        meta.path / META_NAME,
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "parser": meta.parser,
            "games": [asdict(game) for game in meta.games],
            "rejected": [asdict(rejected) for rejected in meta.rejected],
        },
    )


def open_dataset(path: Path) -> DatasetMeta:
    """Read and check `path`/meta.json and that every listed game's file is there with its size.

    Raises WmTrainError on anything that `write_meta` cannot have written, or if files changed since.
    """
    meta = read_meta(path)
    for game in meta.games:
        if not is_stored(path, game):
            raise WmTrainError(f"{game_path(path, game.md5)}: expected a file of {game.bytes} bytes; run ingest again")
    return meta


def read_meta(path: Path) -> DatasetMeta:
    """`open_dataset` without a look at the games' files."""
    where = path / META_NAME
    raw = _load_json(where)
    if not isinstance(raw, dict) or raw.keys() != {"format", "version", "parser", "games", "rejected"}:
        raise WmTrainError(f"{where}: expected the keys format, version, parser, games, rejected; run ingest again")
    if (raw["format"], raw["version"]) != (FORMAT, FORMAT_VERSION):
        got = f"{raw['format']!r:.40} version {raw['version']!r:.20}"
        raise WmTrainError(f"{where}: expected {FORMAT} version {FORMAT_VERSION}, got {got}; run ingest again")
    if not (isinstance(raw["games"], list) and isinstance(raw["rejected"], list) and _is_text(raw["parser"])):
        raise WmTrainError(f"{where}: games and rejected must be lists, parser a text; run ingest again")
    games = tuple(_checked_game(game, f"{where}: games[{i}]") for i, game in enumerate(raw["games"]))
    rejected = tuple(_checked_rejected(entry, f"{where}: rejected[{i}]") for i, entry in enumerate(raw["rejected"]))
    if any(a.md5 >= b.md5 for a, b in pairwise(games)):
        raise WmTrainError(f"{where}: games must be in the order of md5, each once; run ingest again")
    return DatasetMeta(path, raw["parser"], games, rejected)


def is_stored(folder: Path, game: Game) -> bool:
    """Whether the file of a listed game is there and has the listed size."""
    path = game_path(folder, game.md5)
    return path.is_file() and path.stat().st_size == game.bytes


def read_header(folder: Path, md5: str) -> Game:
    """What a game's file says of itself, checked, frames not read. Raises WmTrainError."""
    path = game_path(folder, md5)
    with _open_parquet(path) as file:
        return _header(file, path, md5)


def read_game(dataset: DatasetMeta | Path, md5: str, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Read some columns of one game, and only those.

    Gives `{name: (frames,) array}`, read-only, with the dtypes of `stored_types()`. An item column is flat, `(items,)`;
    with it comes `item_offsets`, `(frames + 1,)` int32: the items of row t are `[offsets[t]:offsets[t + 1]]`.
    Raises WmTrainError if the game or a column is not there, or the file is not what `write_game` writes.
    """
    folder = dataset.path if isinstance(dataset, DatasetMeta) else dataset
    path, wanted = game_path(folder, md5), list(dict.fromkeys(columns))
    with _open_parquet(path) as file:
        game = _header(file, path, md5)
        _check_columns(file, path, wanted, game)
        try:
            table = file.read(columns=wanted, use_threads=False)
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise _damaged(path, error) from None
    out: dict[str, np.ndarray] = {}
    for name in wanted:
        out.update(_to_numpy(name, table.column(name), path))
    return out


def _check_columns(file: pq.ParquetFile, path: Path, wanted: list[str], game: Game) -> None:
    types, schema = stored_types(), file.schema_arrow
    for name in wanted:
        if name not in types:
            raise WmTrainError(f"{path}: there is no column {name!r}; columns are those of dataset.stored_types()")
        if name.removeprefix("p0_").removeprefix("p1_") in game.missing:
            raise WmTrainError(f"{path}: Slippi {game.slippi_version} has no {name!r}; leave this game or column out")
        index = schema.get_field_index(name)
        if index < 0 or schema.field(index).type != types[name]:
            got = "nothing" if index < 0 else schema.field(index).type
            raise WmTrainError(
                f"{path}: column {name!r}: expected {types[name]}, got {got}; delete it, run ingest again"
            )


def _to_numpy(name: str, chunked: pa.ChunkedArray, path: Path) -> dict[str, np.ndarray]:
    column = chunked.combine_chunks()
    if column.null_count:
        raise WmTrainError(f"{path}: column {name!r} has nulls, expected none; delete it, run ingest again")
    if name not in ITEM_COLUMNS:
        return {name: column.to_numpy()}
    values = column.flatten()
    if values.null_count:
        raise WmTrainError(f"{path}: column {name!r} has nulls, expected none; delete it, run ingest again")
    offsets = column.offsets.to_numpy()
    return {name: values.to_numpy(), ITEM_OFFSETS: offsets - offsets[0]}


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> WmTrainError:
    return WmTrainError(f"{path}: expected a game's Parquet file, got {error!s:.200}; delete it, run ingest again")


def _header(file: pq.ParquetFile, path: Path, md5: str) -> Game:
    keys = file.metadata.metadata or {}
    if keys.get(_FORMAT_KEY) != str(FORMAT_VERSION).encode():
        raise WmTrainError(
            f"{path}: expected dataset format {FORMAT_VERSION}, got {keys.get(_FORMAT_KEY)}; ingest again"
        )
    try:
        about = json.loads(keys.get(_GAME_KEY, b""))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    about = about | {"bytes": path.stat().st_size} if isinstance(about, dict) else about
    game = _checked_game(about, str(path))
    if game.md5 != md5 or game.frames != file.metadata.num_rows:
        got = f"game {game.md5} with {file.metadata.num_rows} rows"
        raise WmTrainError(
            f"{path}: expected game {md5} with {game.frames} rows, got {got}; delete it, run ingest again"
        )
    return game


def _load_json(path: Path) -> object:
    try:
        if path.stat().st_size > MAX_META_BYTES:
            raise WmTrainError(f"{path}: larger than {MAX_META_BYTES} bytes, no meta.json of ours; run ingest again")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise WmTrainError(f"{path}: {error.strerror}; expected a dataset folder made by ingest") from None
    except (ValueError, RecursionError) as error:
        raise WmTrainError(f"{path}: expected JSON, got {error!s:.200}; run ingest again") from None


def _is_int(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 4096


def _is_md5(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None


def _is_pair(value: object, high: int) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_int(v, 0, high) for v in value)


def _is_missing(value: object) -> bool:
    known = PLAYER_COLUMNS.keys() | ITEM_COLUMNS.keys()
    return isinstance(value, list) and all(isinstance(name, str) and name in known for name in value)


_GAME_CHECKS: dict[str, Callable[[object], bool]] = {
    "md5": _is_md5,
    "frames": lambda v: _is_int(v, 1, MAX_FRAMES),
    "stage": lambda v: _is_int(v, 0, 0xFFFF),
    "characters": lambda v: _is_pair(v, 0xFF),
    "ports": lambda v: _is_pair(v, 3),
    "slippi_version": lambda v: isinstance(v, str) and re.fullmatch(r"\d{1,3}\.\d{1,3}\.\d{1,3}", v, re.A) is not None,
    "end_method": lambda v: v is None or _is_text(v),
    "missing": _is_missing,
    "bytes": lambda v: _is_int(v, 1, 1 << 40),
}

_REJECTED_CHECKS: dict[str, Callable[[object], bool]] = {
    "name": _is_text,
    "md5": lambda v: v is None or _is_md5(v),
    "reason": _is_text,
    "detail": _is_text,
}


def _check(raw: object, checks: Mapping[str, Callable[[object], bool]], where: str) -> dict[str, Any]:
    if not isinstance(raw, dict) or raw.keys() != checks.keys():
        raise WmTrainError(f"{where}: expected the keys {', '.join(checks)}; run ingest again")
    for key, check in checks.items():
        if not check(raw[key]):
            raise WmTrainError(f"{where}: {key} cannot be {raw[key]!r:.80}; run ingest again")
    return raw


def _checked_game(raw: object, where: str) -> Game:
    known = _check(raw, _GAME_CHECKS, where)
    return Game(**(known | {key: tuple(known[key]) for key in ("characters", "ports", "missing")}))


def _checked_rejected(raw: object, where: str) -> Rejected:
    return Rejected(**_check(raw, _REJECTED_CHECKS, where))
