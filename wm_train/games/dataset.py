"""A dataset: a folder of games, one Parquet file each, and `meta.json` that lists them.

    DATASET/meta.json         format, version, parser, games (by md5), rejected files and why
    DATASET/<md5>.parquet     one game, one row per frame; <md5> is that of the replay's bytes

Files go by the MD5 of the recording, games by their **match** (match.py), which every recording of a game has: no match
is in a dataset twice, and splits, runs and comparisons name games by it.

A game's file says everything about itself (key-value metadata), so `meta.json` can always be rebuilt. Which columns
there are is the played game's; those of player 0 and 1 carry the prefix `p0_` and `p1_`, lists have one list per frame.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wm_train import json_schema as js
from wm_train.artifact import check_folder
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes, atomic_write_json
from wm_train.naming import NAME
from wm_train.reading import Artifact, JsonArtifact, check_json, parse_json, read_json
from wm_train.world.definition import LIST_OFFSETS, STANDARD, Game
from wm_train.world.fields import PLAYERS, Column
from wm_train.world.registry import DEFAULT_GAME, find_game

FORMAT = "wmq-dataset"
FORMAT_VERSION = 2
META_NAME = "meta.json"
MAX_FRAMES = 1 << 20  # 4.8 hours at 60 frames a second

#: The row's frame number: -123, -122 and so on without a gap.
FRAME = "frame"

_GAME_KEY, _FORMAT_KEY, _PLAYED_KEY = b"wmq_game", b"wmq_format", b"wmq_played"
_AGAIN = "make it from its recordings: `wmq ingest RECORDINGS --out` this folder"
#: Encoded games, beside the games themselves (encoded.py).
ENCODED = "encoded"

_MD5 = js.text(js.MD5)
_REJECTED = js.record({"name": js.text(), "md5": js.nullable(_MD5), "reason": js.text(), "detail": js.text()})
META_JSON = JsonArtifact(
    WmTrainError,
    _AGAIN,
    max_bytes=1 << 28,
    format=FORMAT,
    schema=js.record(
        {
            "format": js.text(),
            "version": js.holds(lambda value: value == FORMAT_VERSION, f"{FORMAT} version {FORMAT_VERSION}"),
            "parser": js.text(),
            # each as `_game_schema` says, once it is known which game is played
            "games": js.list_of(js.anything),
            "rejected": js.list_of(_REJECTED),
        },
        {"game": js.text(NAME)},
    ),
)
#: Of an older dataset no more is asked than that it is one.
OLDER_META_JSON = JsonArtifact(
    WmTrainError,
    _AGAIN,
    max_bytes=META_JSON.max_bytes,
    format=FORMAT,
    schema=js.record({"format": js.text(), "version": js.integer(1, FORMAT_VERSION - 1)}, more=True),
)
#: A game's file, and what it says of itself.
PARQUET = Artifact(WmTrainError, "delete it, run ingest again", max_bytes=1 << 30)
#: What Arrow raises of a file that is none of its own.
_REFUSALS = (pa.ArrowException, OSError, MemoryError, ValueError, KeyError, TypeError, OverflowError)
_ABOUT = JsonArtifact(WmTrainError, PARQUET.again, max_bytes=1 << 20, schema=js.anything)


@dataclass(frozen=True, kw_only=True)
class StoredGame:
    """What is known of a stored game without reading its frames.

    md5: of the recording's bytes, hex. match: what the game goes by, hex. frames: rows. about: facts of the whole game,
    those of Game.facts, in its order. missing: columns (without prefix) that the recording's version lacks. rowless:
    ids of each field that have no row of their own (rowless.py). also: MD5s of other recordings of the game, left out.
    bytes: size of the Parquet file.
    """

    md5: str
    match: str
    frames: int
    about: Mapping[str, Any]
    missing: tuple[str, ...]
    rowless: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, facts beside the rest."""
        parts = asdict(self)
        first, last = ("md5", "match", "frames"), ("missing", "rowless", "also", "bytes")
        return {name: parts[name] for name in first} | parts["about"] | {name: parts[name] for name in last}


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A source file that is not in the dataset: name, md5 (None if it could not be read), why, and more words."""

    name: str
    md5: str | None
    reason: str
    detail: str


@dataclass(frozen=True)
class DatasetMeta:
    """A checked `meta.json`. games: by md5; rejected: by name; parser: the recordings' parser and its version;
    game: the one that is played."""

    path: Path
    parser: str
    games: tuple[StoredGame, ...]
    rejected: tuple[Rejected, ...]
    game: Game = field(default_factory=find_game)

    @property
    def fingerprint(self) -> str:
        """Of all its recordings; see `fingerprint`."""
        return fingerprint(game.md5 for game in self.games)

    def cast(self, game: StoredGame) -> tuple[int, ...]:
        """Ids of who takes part in a game; none where the game has no such fact."""
        return tuple(game.about.get(self.game.facts.cast, ()))

    def kinds(self, game: StoredGame) -> tuple[str, ...]:
        """What sets a game apart, STANDARD alone if nothing does."""
        return tuple(game.about.get(self.game.facts.kinds, ())) or (STANDARD,)

    @cached_property
    def by_match(self) -> dict[str, StoredGame]:
        """Its games by their match."""
        return {game.match: game for game in self.games}

    def stored(self, match: str) -> StoredGame:
        """The game of that match. Raises WmTrainError if it is not listed."""
        if match not in self.by_match:
            listed = f"expected one of the {len(self.games)} listed"
            raise WmTrainError(f"{self.path}: no game {match}, {listed}; see {META_NAME}")
        return self.by_match[match]


def fingerprint(md5s: Iterable[str]) -> str:
    """SHA-256, in hex, of a set of recordings: the same for the same ones in whatever order they came."""
    lines = [f"{FORMAT} {FORMAT_VERSION}", *sorted(set(md5s))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def stored_types(columns: Iterable[Column], lists: Iterable[Column]) -> dict[str, pa.DataType]:
    """Every column name a game's file may have, with its Arrow type, in the order of the file; arguments as in Game."""
    players = {f"p{p}_{c.name}": pa.type_for_alias(c.stored) for p in range(PLAYERS) for c in columns}
    return {FRAME: pa.int32()} | players | {c.name: pa.list_(pa.type_for_alias(c.stored)) for c in lists}


def game_path(folder: Path, md5: str) -> Path:
    """Where the game with that md5 lies in a dataset folder."""
    return folder / f"{md5}.parquet"


def write_game(folder: Path, game: StoredGame, table: pa.Table, played: Game) -> StoredGame:
    """Store one game of `played`, whole or not at all; gives `game` with its size in bytes. Raises OSError."""
    data = pack_game(game, table, played)
    write_packed(folder, game, data)
    return replace(game, bytes=len(data))


def write_packed(folder: Path, game: StoredGame, data: bytes) -> None:
    """Store a game that `pack_game` packed, whole or not at all. Raises OSError."""
    atomic_write_bytes(game_path(folder, game.md5), data)


def pack_game(game: StoredGame, table: pa.Table, played: Game) -> bytes:
    """A game's Parquet file: the same bytes wherever it is made."""
    about = {key: value for key, value in game.to_json().items() if key not in ("also", "bytes")}
    keys = {_FORMAT_KEY: str(FORMAT_VERSION), _GAME_KEY: json.dumps(about)}
    keyed = table.replace_schema_metadata(keys | _played(played, _PLAYED_KEY))
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


def _played(game: Game, key: Any) -> dict[Any, str]:
    """The name of the game that is played, where it is not the one that is meant without it."""
    return {} if game.name == DEFAULT_GAME else {key: game.name}


def write_meta(meta: DatasetMeta) -> None:
    """Write `meta.json`. Raises OSError."""
    atomic_write_json(
        meta.path / META_NAME,
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "parser": meta.parser,
            **_played(meta.game, "game"),
            "games": [game.to_json() for game in meta.games],
            "rejected": [asdict(rejected) for rejected in meta.rejected],
        },
    )


#: A dataset: its folder, or what was read of it already, which takes a second for 22,000 games.
Dataset = DatasetMeta | Path


def open_dataset(dataset: Dataset) -> DatasetMeta:
    """Read and check a folder's meta.json and that every listed game's file is there with its size; what is open
    already is given back.

    Raises WmTrainError on anything that `write_meta` cannot have written, or if files changed since.
    """
    if isinstance(dataset, DatasetMeta):
        return dataset
    meta = read_meta(dataset)
    for game in meta.games:
        if not is_stored(dataset, game):
            raise WmTrainError(
                f"{game_path(dataset, game.md5)}: expected a file of {game.bytes} bytes; run ingest again"
            )
    return meta


def read_meta(path: Path) -> DatasetMeta:
    """`open_dataset` without a look at the games' files."""
    where = path / META_NAME
    check_folder(path, WmTrainError, inner=(ENCODED,))
    raw = read_json(where, META_JSON)
    played = _found(raw.get("game", DEFAULT_GAME), where)
    games_schema = js.list_of(_game_schema(played))
    check_json(raw["games"], games_schema, where, META_JSON, "games")
    games = tuple(_stored_game(game, played) for game in raw["games"])
    if any(a.md5 >= b.md5 for a, b in pairwise(games)) or len({game.match for game in games}) < len(games):
        raise META_JSON.refuse(where, "games must be in the order of md5, each match once")
    return DatasetMeta(path, raw["parser"], games, tuple(Rejected(**entry) for entry in raw["rejected"]), played)


def is_older(path: Path) -> bool:
    """Whether a folder is a dataset of an older version: its recordings must be read again."""
    try:
        return bool(read_json(path / META_NAME, OLDER_META_JSON))
    except WmTrainError:
        return False


def _found(name: str, where: Path) -> Game:
    try:
        return find_game(name)
    except WmTrainError as error:
        raise WmTrainError(f"{where}: {error}") from None


def is_stored(folder: Path, game: StoredGame) -> bool:
    """Whether the file of a listed game is there and has the listed size."""
    path = game_path(folder, game.md5)
    return path.is_file() and path.stat().st_size == game.bytes


def read_header(folder: Path, md5: str) -> StoredGame:
    """What a game's file says of itself, checked, frames not read. Raises WmTrainError."""
    path = game_path(folder, md5)
    with _open_parquet(path) as file:
        return _header(file, path, md5)


def read_game(dataset: Dataset, md5: str, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Read some columns of one game, and only those.

    Gives `{name: (frames,) array}`, read-only, with the dtypes of `stored_types`. A list column is flat, `(entries,)`;
    with it comes LIST_OFFSETS, `(frames + 1,)` int32: the entries of row t are `[offsets[t]:offsets[t + 1]]`.
    Raises WmTrainError if the game or a column is not there, or the file is not what `write_game` writes.
    """
    folder = dataset.path if isinstance(dataset, DatasetMeta) else dataset
    path, wanted = game_path(folder, md5), list(dict.fromkeys(columns))
    with _open_parquet(path) as file:
        played = _game_of(file, path)
        types = stored_types(played.columns, played.lists)
        _check_columns(file, path, wanted, _header(file, path, md5), types)
        try:
            table = file.read(columns=wanted, use_threads=False)
        except _REFUSALS as error:
            raise _damaged(path, error) from None
    out: dict[str, np.ndarray] = {}
    for name in wanted:
        out.update(_to_numpy(name, table.column(name), path))
    return out


def _check_columns(
    file: pq.ParquetFile, path: Path, wanted: list[str], game: StoredGame, types: Mapping[str, pa.DataType]
) -> None:
    schema = file.schema_arrow
    for name in wanted:
        if name not in types:
            raise WmTrainError(f"{path}: there is no column {name!r}; columns are those of dataset.stored_types")
        if name.removeprefix("p0_").removeprefix("p1_") in game.missing:
            raise WmTrainError(f"{path}: its recording has no {name!r}; leave this game or column out")
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
    if not pa.types.is_list(column.type):
        return {name: column.to_numpy()}
    values = column.flatten()
    if values.null_count:
        raise WmTrainError(f"{path}: column {name!r} has nulls, expected none; delete it, run ingest again")
    offsets = column.offsets.to_numpy()
    return {name: values.to_numpy(), LIST_OFFSETS: offsets - offsets[0]}


def _open_parquet(path: Path) -> pq.ParquetFile:
    PARQUET.check(path)
    try:
        file = pq.ParquetFile(path, thrift_string_size_limit=1 << 20, thrift_container_size_limit=1 << 16)
    except _REFUSALS as error:
        raise _damaged(path, error) from None
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    if file.metadata.num_rows > MAX_FRAMES or sum(group.total_byte_size for group in groups) > PARQUET.max_bytes:
        raise _damaged(path, ValueError(f"{file.metadata.num_rows} rows, or more bytes unpacked than a game has"))
    return file


def _damaged(path: Path, error: BaseException) -> Exception:
    return PARQUET.refuse(path, f"expected a game's Parquet file, got {error}")


def _game_of(file: pq.ParquetFile, path: Path) -> Game:
    """The game that is played in a file."""
    try:
        return find_game((file.metadata.metadata or {}).get(_PLAYED_KEY, DEFAULT_GAME.encode()).decode())
    except (UnicodeDecodeError, WmTrainError) as error:
        raise WmTrainError(f"{path}: {error}") from None


def _header(file: pq.ParquetFile, path: Path, md5: str) -> StoredGame:
    keys = file.metadata.metadata or {}
    if keys.get(_FORMAT_KEY) != str(FORMAT_VERSION).encode():
        raise WmTrainError(f"{path}: expected dataset format {FORMAT_VERSION}, got {keys.get(_FORMAT_KEY)}; {_AGAIN}")
    about, played = parse_json(keys.get(_GAME_KEY, b""), path, _ABOUT), _game_of(file, path)
    about = about | {"also": [], "bytes": path.stat().st_size} if isinstance(about, dict) else about
    check_json(about, _game_schema(played), path, _ABOUT)
    game = _stored_game(about, played)
    if game.md5 != md5 or game.frames != file.metadata.num_rows:
        got = f"game {game.md5} with {file.metadata.num_rows} rows"
        raise WmTrainError(
            f"{path}: expected game {md5} with {game.frames} rows, got {got}; delete it, run ingest again"
        )
    return game


def _game_schema(game: Game) -> js.Schema:
    """The schema of a stored game's description."""
    columns = [column.name for column in game.columns + game.lists]
    facts = {name: js.holds(check, f"a fact of {game.title}") for name, check in game.facts.checks.items()}
    frames, size = js.integer(1, MAX_FRAMES), js.integer(1, PARQUET.max_bytes)
    return js.record(
        {
            **{"md5": _MD5, "match": _MD5, "frames": frames, **facts, "missing": js.list_of(js.one_of(*columns))},
            **{"rowless": js.mapping(js.list_of(js.integer())), "also": js.list_of(_MD5), "bytes": size},
        }
    )


def _stored_game(known: Mapping[str, Any], game: Game) -> StoredGame:
    about = {name: known[name] for name in game.facts.checks}
    return StoredGame(
        md5=known["md5"],
        match=known["match"],
        frames=known["frames"],
        about=about,
        missing=tuple(known["missing"]),
        rowless={name: tuple(ids) for name, ids in known["rowless"].items()},
        also=tuple(known["also"]),
        bytes=known["bytes"],
    )
