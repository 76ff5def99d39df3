"""Slippi replay (.slp) -> Recording. The only file that knows Slippi and its parser.

A replay is hostile until it is read: the parser is native code that panics on many broken files, so every failure comes
out as a RecordingError with a reason, and what the parser would not survive (deep metadata) is refused before that.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from peppi_py._peppi import read_slippi as _read_slippi  # the public wrapper drops the items

from wm_train.games.dataset import MAX_FRAMES, stored_types
from wm_train.games.recordings import Reader, Recording, RecordingError, read_bytes
from wm_train.melee.columns import ITEM_COLUMNS, PLAYER_COLUMNS, off_the_grid
from wm_train.melee.game_kinds import kinds_of
from wm_train.world.fields import Column

PARSER = f"peppi-py {version('peppi-py')}"
MIN_FRAMES = 60
FIRST_FRAME = -123

_MAGIC = b"{U\x03raw[$U#l"
_METADATA_KEY = b"U\x08metadata"
# Real metadata opens about seven maps. The parser recurses, and 200,000 overflow its stack, which ends the process.
_MAX_METADATA_MAPS = 256
_HITSTUN_FLAG = 0x02

#: A piece of the parser's message -> reason. First match wins; a panic with no match is `panic`, the rest `invalid`.
_PARSER_REASONS = {
    "failed to fill whole buffer": "truncated",
    "expected: [123, 85, 3": "not_slp",
    "unknown event": "unknown_event",
    "invalid game end method": "single_player_mode",
    "must contain at least one field": "unsupported_version",  # every 3.0 to 3.6 file
    "must have an equal number of values": "incomplete_frame",
}


def read_replay(path: Path) -> Recording:
    """Read one replay; what is hashed is what is parsed. Raises RecordingError and nothing else for any file.

    Reasons: unreadable, not_a_file, too_large, not_slp, metadata, truncated, unknown_event, single_player_mode,
    unsupported_version, incomplete_frame, invalid, panic, not_1v1, teams, no_frames, frame_ids, too_short, too_long,
    incomplete_frame, bad_values. A panic prints to stderr from native code; see `ingest` for a place where it does not.
    """
    data = read_bytes(path)
    return parse_replay(data, hashlib.md5(data, usedforsecurity=False).hexdigest())


def parse_replay(data: bytes, md5: str) -> Recording:
    """`read_replay` for bytes at hand. Raises RecordingError, which then carries `md5`."""
    try:
        _check_container(data)
        return _build(_parse(data), md5)
    except RecordingError as error:
        raise RecordingError(error.reason, error.detail, md5) from None


def _check_container(data: bytes) -> None:
    if not data.startswith(_MAGIC[: len(data)]) or not data:
        raise RecordingError("not_slp", f"expected a file that starts with {_MAGIC!r}, got {data[: len(_MAGIC)]!r}")
    raw_bytes = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "big")
    # An unfinished recording says 0 bytes: then everything behind the first metadata key counts.
    start = len(_MAGIC) + 4 + raw_bytes if raw_bytes else max(data.find(_METADATA_KEY), 0)
    maps = data.count(b"{", start) if raw_bytes or start else 0
    if maps > _MAX_METADATA_MAPS:
        raise RecordingError("metadata", f"expected at most {_MAX_METADATA_MAPS} maps in the metadata, got {maps}")


def _parse(data: bytes) -> Any:
    """The parser takes a path only: give it a nameless file with exactly the bytes that were hashed."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            file.seek(0)
            return _read_slippi(f"/dev/fd/{file.fileno()}", False)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of the parser does not derive from Exception
        raise _parser_error(error, data) from None


def _parser_error(error: BaseException, data: bytes) -> RecordingError:
    text = " ".join(str(error).split())
    default = "panic" if type(error).__name__ == "PanicException" else "invalid"
    reason = next((reason for piece, reason in _PARSER_REASONS.items() if piece in text), default)
    if reason == "truncated" and _is_whole(data):  # as development versions are, which the parser does not know
        version = ".".join(map(str, data[_start_of(data) + 1 :][:3]))
        return RecordingError(
            "unsupported_version", f"a whole file, but its events are shorter than those of {version}"
        )
    return RecordingError(reason, f"{text:.200}")


def _is_whole(data: bytes) -> bool:
    """Whether a file has all the events that it says it has (one whose recorder was ended says 0 bytes), and behind
    them closes every map that it opens."""
    raw_bytes = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "big")
    behind = data[len(_MAGIC) + 4 + raw_bytes :]
    return raw_bytes > 0 and 0 < behind.count(b"}") == behind.count(b"{") + 1


def _start_of(data: bytes) -> int:
    """Where the event that starts the game begins: behind the table of sizes."""
    table = len(_MAGIC) + 4
    return table + 1 + data[table + 1]


def _build(game: Any, md5: str) -> Recording:
    start = game.start
    players = start["players"]
    if len(players) != 2:
        raise RecordingError("not_1v1", f"expected 2 players, got {len(players)}")
    if start["is_teams"]:
        raise RecordingError("teams", "expected a game without teams")
    names = [player["port"] for player in players]
    frames = _resolve_rollbacks(game.frames)
    rounded = []
    columns: dict[str, pa.Array] = {"frame": _child(frames, "id")}
    for i, name in enumerate(names):
        leader = _child(frames, f"ports.{name}.leader")
        if leader is None:
            raise RecordingError("not_1v1", f"expected frames of port {name}, got none")
        columns |= {f"p{i}_{key}": column for key, column in _player(leader).items()}
        rounded.append(_rounded_sticks(leader))
    columns |= _items(_child(frames, "item"))
    _check_values(columns)
    return Recording(
        md5=md5,
        about={
            "stage": start["stage"],
            "characters": [player["character"] for player in players],
            "ports": [_port_index(name) for name in names],
            "player_types": [player["type"].lower() for player in players],
            "game_kinds": kinds_of(
                start, any(n for n, p in zip(rounded, players, strict=True) if p["type"] == "Human")
            ),
            "rounded_sticks": rounded,
            "slippi_version": ".".join(map(str, start["slippi"]["version"])),
            "end_method": _end_method(game.end),
        },
        table=pa.table({name: columns[name] for name in _types() if name in columns}),
        missing=_missing(columns),
        match=_match(start),
        seed=start["random_seed"],
    )


def _match(start: Mapping[str, Any]) -> str:
    """The name that a game played online has on both sides (Slippi 3.14 and newer), "" for others."""
    match = start.get("match") or {}
    return f"{match['id']} {match['game']} {match['tiebreaker']}" if match.get("id") else ""


def _resolve_rollbacks(frames: pa.StructArray | None) -> pa.StructArray:
    """One row per frame: the last copy of each id is the one the game went on with."""
    if frames is None or not len(frames):
        raise RecordingError("no_frames", "expected frames, got none")
    stored = frames.field("id").to_numpy()
    ids, from_end = np.unique(stored[::-1], return_index=True)
    if ids[0] != FIRST_FRAME or ids[-1] - ids[0] != len(ids) - 1:
        detail = f"got {len(ids)} ids, {ids[0]} to {ids[-1]}"
        raise RecordingError("frame_ids", f"expected ids without a gap from {FIRST_FRAME}, {detail}")
    if len(ids) < MIN_FRAMES:
        raise RecordingError("too_short", f"expected at least {MIN_FRAMES} frames, got {len(ids)}")
    if len(ids) > MAX_FRAMES:
        raise RecordingError("too_long", f"expected at most {MAX_FRAMES} frames, got {len(ids)}")
    last = len(stored) - 1 - from_end
    return frames if np.array_equal(ids, stored) else frames.take(pa.array(last))


def _child(struct: pa.StructArray, path: str) -> pa.Array | None:
    """The field at a dotted path, None if the version lacks it. Nulls (a player out of the game) are refused."""
    for name in path.split("."):
        if struct.type.get_field_index(name) < 0:
            return None
        parent_nulls, struct = struct.null_count, struct.field(name)
        if parent_nulls or struct.null_count:
            nulls = parent_nulls or struct.null_count
            raise RecordingError("incomplete_frame", f"{path}: {nulls} rows without a value")
    return struct


def _player(leader: pa.StructArray) -> dict[str, pa.Array]:
    """Columns of one player, those of PLAYER_COLUMNS that the file records."""
    columns = {column.name: _recorded(leader, column) for column in PLAYER_COLUMNS if column.source}
    columns["hitstun"] = _hitstun(columns["flags3"], _child(leader, "post.misc_as"))
    return {key: column for key, column in columns.items() if column is not None}


def _rounded_sticks(leader: pa.StructArray) -> int:
    """Positions of a player's sticks, of all frames and axes, that storing them changed."""
    sticks = [
        _child(leader, column.source) for column in PLAYER_COLUMNS if column.name.endswith(("stick_x", "stick_y"))
    ]
    return sum(int(off_the_grid(stick.to_numpy()).sum()) for stick in sticks if stick is not None)


def _recorded(struct: pa.StructArray, column: Column) -> pa.Array | None:
    """A column's values as they are stored, None if the version lacks it."""
    values = _child(struct, column.source)
    return column.convert(values, column.name) if values is not None and column.convert else values


def _hitstun(flags3: pa.Array | None, misc: pa.Array | None) -> pa.Array | None:
    """Frames left, float32; the field holds other data, reread as a float, when the flag is off."""
    if flags3 is None or misc is None:
        return None
    active = (flags3.to_numpy() & _HITSTUN_FLAG) != 0
    return pa.array(np.where(active, misc.to_numpy(), np.float32(0)))


def _items(lists: pa.ListArray | None) -> dict[str, pa.Array]:
    """One list array per item column, a list for each frame."""
    if lists is None:
        return {}
    offsets = pc.subtract(lists.offsets, lists.offsets[0])  # flatten() starts at the first list's first item
    items = lists.flatten()
    found = {column.name: _recorded(items, column) for column in ITEM_COLUMNS}
    return {key: pa.ListArray.from_arrays(offsets, column) for key, column in found.items() if column is not None}


def _check_values(columns: dict[str, pa.Array]) -> None:
    """The stored types and finite floats: what everybody behind this file relies on (`_child` refused nulls)."""
    types = _types()
    for name, column in columns.items():
        if column.type != types[name]:
            raise RecordingError("invalid", f"{name}: expected {types[name]}, got {column.type}")
        values = column.values if pa.types.is_list(column.type) else column
        if pa.types.is_floating(values.type) and not np.isfinite(values.to_numpy()).all():
            raise RecordingError("bad_values", f"{name}: expected finite numbers")


def _missing(columns: dict[str, pa.Array]) -> tuple[str, ...]:
    players = [c.name for c in PLAYER_COLUMNS if f"p0_{c.name}" not in columns or f"p1_{c.name}" not in columns]
    return tuple(players + [c.name for c in ITEM_COLUMNS if c.name not in columns])


def _types() -> dict[str, pa.DataType]:
    return stored_types(PLAYER_COLUMNS, ITEM_COLUMNS)


def _port_index(name: str) -> int:
    return int(name.removeprefix("P")) - 1


def _end_method(end: dict[str, Any] | None) -> str | None:
    """NoContest -> NO_CONTEST."""
    if end is None:
        return None
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(end["method"])).upper()


READER = Reader(parser=PARSER, suffix=".slp", parse=parse_replay)
