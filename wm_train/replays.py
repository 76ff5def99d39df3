"""Slippi replay (.slp) -> Replay. The only file that knows Slippi and its parser.

A replay is hostile until it is read: the parser is native code that panics on many broken files, so every failure comes
out as a ReplayError with a reason, and what the parser would not survive (deep metadata) is refused before it sees it.
"""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from peppi_py._peppi import read_slippi as _read_slippi  # the public wrapper drops the items

from wm_train.dataset import ITEM_COLUMNS, MAX_FRAMES, PLAYER_COLUMNS, stored_types
from wm_train.errors import WmTrainError

PARSER = f"peppi-py {version('peppi-py')}"
MAX_BYTES = 256 << 20
MIN_FRAMES = 60
FIRST_FRAME = -123
STICK_STEPS = 80
STICK_LIMIT = 1.0001  # sticks are multiples of 1/80 in float32; anything past 1 is a damaged file

_MAGIC = b"{U\x03raw[$U#l"
_METADATA_KEY = b"U\x08metadata"
# Real metadata opens about seven maps. The parser recurses, and 200,000 overflow its stack, which ends the process.
_MAX_METADATA_MAPS = 256
_HITSTUN_FLAG = 0x02

#: Column -> field of a port's leader, copied as it is.
_COPIED = {
    "x": "post.position.x",
    "y": "post.position.y",
    "percent": "post.percent",
    "shield": "post.shield",
    "self_x_air": "post.velocities.self_x_air",
    "self_y": "post.velocities.self_y",
    "knockback_x": "post.velocities.knockback_x",
    "knockback_y": "post.velocities.knockback_y",
    "self_x_ground": "post.velocities.self_x_ground",
    "state_age": "post.state_age",
    "hitlag": "post.hitlag",
    "stocks": "post.stocks",
    "combo_count": "post.combo_count",
    "airborne": "post.airborne",
    "action": "post.state",
    "jumps": "post.jumps",
    "character": "post.character",
    "l_cancel": "post.l_cancel",
    "hurtbox": "post.hurtbox_state",
    "ground": "post.ground",
    "last_attack": "post.last_attack_landed",
    "last_hit_by": "post.last_hit_by",
    "animation_index": "post.animation_index",
    "flags0": "post.state_flags.0",
    "flags1": "post.state_flags.1",
    "flags2": "post.state_flags.2",
    "flags3": "post.state_flags.3",
    "flags4": "post.state_flags.4",
    "trigger": "pre.triggers",
    "buttons": "pre.buttons_physical",
}

_STICKS = {
    "stick_x": "pre.joystick.x",
    "stick_y": "pre.joystick.y",
    "cstick_x": "pre.cstick.x",
    "cstick_y": "pre.cstick.y",
}

_ITEM_FIELDS = {
    "item_type": "type",
    "item_state": "state",
    "item_direction": "direction",
    "item_x": "position.x",
    "item_y": "position.y",
    "item_vx": "velocity.x",
    "item_vy": "velocity.y",
    "item_damage": "damage",
    "item_timer": "timer",
    "item_id": "id",
    "item_owner": "owner",
}

#: A piece of the parser's message -> reason. First match wins; a panic with no match is `panic`, the rest `invalid`.
_PARSER_REASONS = {
    "failed to fill whole buffer": "truncated",
    "expected: [123, 85, 3": "not_slp",
    "unknown event": "unknown_event",
    "invalid game end method": "single_player_mode",
    "must contain at least one field": "unsupported_version",  # every 3.0 to 3.6 file
    "must have an equal number of values": "incomplete_frame",
}


class ReplayError(WmTrainError):
    """A file is not a usable replay. `reason` is one word for tables, `detail` says more; md5 if it was read."""

    def __init__(self, reason: str, detail: str, md5: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.md5 = reason, detail, md5

    def __reduce__(self) -> tuple[type, tuple[str, str, str | None]]:
        return ReplayError, (self.reason, self.detail, self.md5)


@dataclass(frozen=True)
class Replay:
    """A 1v1 game, rollbacks resolved.

    md5: of the file's bytes, hex. stage, characters: ids of the select screens, players in port order; ports: 0..3.
    end_method: such as GAME or NO_CONTEST, None if the recording has no end. table: one row per frame, `frame`
    contiguous from -123, columns and types as `dataset.stored_types()`, without nulls; floats are finite. missing:
    columns (without the player's prefix) that the file's version does not record, absent from the table.
    """

    md5: str
    slippi_version: str
    stage: int
    ports: tuple[int, int]
    characters: tuple[int, int]
    end_method: str | None
    table: pa.Table
    missing: tuple[str, ...]


def read_replay(path: Path) -> Replay:
    """Read one replay; what is hashed is what is parsed. Raises ReplayError and nothing else for any file.

    Reasons: unreadable, not_a_file, too_large, not_slp, metadata, truncated, unknown_event, single_player_mode,
    unsupported_version, incomplete_frame, invalid, panic, not_1v1, teams, no_frames, frame_ids, too_short, too_long,
    incomplete_frame, bad_values. A panic prints to stderr from native code; see `ingest` for a place where it does not.
    """
    data = read_bytes(path)
    return parse_replay(data, hashlib.md5(data, usedforsecurity=False).hexdigest())


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most MAX_BYTES. Raises ReplayError (unreadable, not_a_file, too_large)."""
    try:
        # O_NONBLOCK: opening a pipe must not wait for a writer. The check is on what was opened, not on its name.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise ReplayError("not_a_file", "expected a regular file")
            data = file.read(min(about.st_size, MAX_BYTES) + 1)
    except OSError as error:
        raise ReplayError("unreadable", error.strerror or type(error).__name__) from None
    if len(data) > MAX_BYTES:
        raise ReplayError("too_large", f"expected at most {MAX_BYTES} bytes")
    return data


def parse_replay(data: bytes, md5: str) -> Replay:
    """`read_replay` for bytes at hand. Raises ReplayError, which then carries `md5`."""
    try:
        _check_container(data)
        return _build(_parse(data), md5)
    except ReplayError as error:
        raise ReplayError(error.reason, error.detail, md5) from None


def _check_container(data: bytes) -> None:
    if not data.startswith(_MAGIC[: len(data)]) or not data:
        raise ReplayError("not_slp", f"expected a file that starts with {_MAGIC!r}, got {data[: len(_MAGIC)]!r}")
    raw_bytes = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "big")
    # An unfinished recording says 0 bytes: then everything behind the first metadata key counts.
    start = len(_MAGIC) + 4 + raw_bytes if raw_bytes else max(data.find(_METADATA_KEY), 0)
    maps = data.count(b"{", start) if raw_bytes or start else 0
    if maps > _MAX_METADATA_MAPS:
        raise ReplayError("metadata", f"expected at most {_MAX_METADATA_MAPS} maps in the metadata, got {maps}")


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
        raise _parser_error(error) from None


def _parser_error(error: BaseException) -> ReplayError:
    text = " ".join(str(error).split())
    default = "panic" if type(error).__name__ == "PanicException" else "invalid"
    reason = next((reason for piece, reason in _PARSER_REASONS.items() if piece in text), default)
    return ReplayError(reason, f"{text:.200}")


def _build(game: Any, md5: str) -> Replay:
    start = game.start
    players = start["players"]
    if len(players) != 2:
        raise ReplayError("not_1v1", f"expected 2 players, got {len(players)}")
    if start["is_teams"]:
        raise ReplayError("teams", "expected a game without teams")
    names = [player["port"] for player in players]
    frames = _resolve_rollbacks(game.frames)
    columns: dict[str, pa.Array] = {"frame": _child(frames, "id")}
    for i, name in enumerate(names):
        leader = _child(frames, f"ports.{name}.leader")
        if leader is None:
            raise ReplayError("not_1v1", f"expected frames of port {name}, got none")
        columns |= {f"p{i}_{key}": column for key, column in _player(leader).items()}
    columns |= _items(_child(frames, "item"))
    _check_values(columns)
    return Replay(
        md5=md5,
        slippi_version=".".join(map(str, start["slippi"]["version"])),
        stage=start["stage"],
        ports=(_port_index(names[0]), _port_index(names[1])),
        characters=(players[0]["character"], players[1]["character"]),
        end_method=_end_method(game.end),
        table=pa.table({name: columns[name] for name in stored_types() if name in columns}),
        missing=_missing(columns),
    )


def _resolve_rollbacks(frames: pa.StructArray | None) -> pa.StructArray:
    """One row per frame: the last copy of each id is the one the game went on with."""
    if frames is None or not len(frames):
        raise ReplayError("no_frames", "expected frames, got none")
    stored = frames.field("id").to_numpy()
    ids, from_end = np.unique(stored[::-1], return_index=True)
    if ids[0] != FIRST_FRAME or ids[-1] - ids[0] != len(ids) - 1:
        detail = f"got {len(ids)} ids, {ids[0]} to {ids[-1]}"
        raise ReplayError("frame_ids", f"expected ids without a gap from {FIRST_FRAME}, {detail}")
    if len(ids) < MIN_FRAMES:
        raise ReplayError("too_short", f"expected at least {MIN_FRAMES} frames, got {len(ids)}")
    if len(ids) > MAX_FRAMES:
        raise ReplayError("too_long", f"expected at most {MAX_FRAMES} frames, got {len(ids)}")
    last = len(stored) - 1 - from_end
    return frames if np.array_equal(ids, stored) else frames.take(pa.array(last))


def _child(struct: pa.StructArray, path: str) -> pa.Array | None:
    """The field at a dotted path, None if the version lacks it. Nulls (a player out of the game) are refused."""
    for name in path.split("."):
        if struct.type.get_field_index(name) < 0:
            return None
        parent_nulls, struct = struct.null_count, struct.field(name)
        if parent_nulls or struct.null_count:
            raise ReplayError("incomplete_frame", f"{path}: {parent_nulls or struct.null_count} rows without a value")
    return struct


def _player(leader: pa.StructArray) -> dict[str, pa.Array]:
    """Columns of one player, those of PLAYER_COLUMNS that the file records."""
    columns = {key: _child(leader, path) for key, path in _COPIED.items()}
    columns["direction"] = _direction(_child(leader, "post.direction"))
    columns |= {key: _stick(_child(leader, path), key) for key, path in _STICKS.items()}
    columns["hitstun"] = _hitstun(columns["flags3"], _child(leader, "post.misc_as"))
    return {key: column for key, column in columns.items() if column is not None}


def _direction(column: pa.Array | None) -> pa.Array | None:
    """-1.0, 0.0 or 1.0 -> int8."""
    if column is None:
        return None
    values = column.to_numpy()
    if not np.isin(values, (-1.0, 0.0, 1.0)).all():
        raise ReplayError("bad_values", "direction must be -1, 0 or 1")
    return pa.array(values.astype(np.int8))


def _stick(column: pa.Array | None, name: str) -> pa.Array | None:
    """Float -1..1 in steps of 1/80 -> int8 -80..80, without loss."""
    if column is None:
        return None
    values = column.to_numpy()
    if not (np.abs(values) <= STICK_LIMIT).all():
        raise ReplayError("bad_values", f"{name} must be -1..1")
    return pa.array(np.rint(values * STICK_STEPS).astype(np.int8))


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
    found = {key: _child(items, path) for key, path in _ITEM_FIELDS.items()}
    return {key: pa.ListArray.from_arrays(offsets, column) for key, column in found.items() if column is not None}


def _check_values(columns: dict[str, pa.Array]) -> None:
    """The stored types and finite floats: what everybody behind this file relies on (`_child` refused nulls)."""
    types = stored_types()
    for name, column in columns.items():
        if column.type != types[name]:
            raise ReplayError("invalid", f"{name}: expected {types[name]}, got {column.type}")
        values = column.values if pa.types.is_list(column.type) else column
        if pa.types.is_floating(values.type) and not np.isfinite(values.to_numpy()).all():
            raise ReplayError("bad_values", f"{name}: expected finite numbers")


def _missing(columns: dict[str, pa.Array]) -> tuple[str, ...]:
    players = [name for name in PLAYER_COLUMNS if f"p0_{name}" not in columns or f"p1_{name}" not in columns]
    return tuple(players + [name for name in ITEM_COLUMNS if name not in columns])


def _port_index(name: str) -> int:
    return int(name.removeprefix("P")) - 1


def _end_method(end: dict[str, Any] | None) -> str | None:
    """NoContest -> NO_CONTEST."""
    if end is None:
        return None
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(end["method"])).upper()
