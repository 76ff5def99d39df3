"""What a dataset holds of a replay is what a second parser, py-slippi, reads of it: every frame, column and item.

Needs `pip install "wmq[corpus]"` and the folder of real replays.
"""

import contextlib
import logging
import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import Replays
from tests.wm_train.games.slp import FRAME_START, Slp
from wm_train.games.recordings import RecordingError
from wm_train.melee.columns import STICK_STEPS
from wm_train.melee.replays import FIRST_FRAME, read_replay

slippi = pytest.importorskip("slippi", reason='py-slippi is not installed: pip install "wmq[corpus]"')


def _flags(post: Any, byte: int) -> int | None:
    return None if post.flags is None else int(post.flags) >> (8 * byte) & 0xFF


#: Column -> its value of a frame's Pre and Post.
POST: dict[str, Callable[[Any], Any]] = {
    "x": lambda post: post.position.x,
    "y": lambda post: post.position.y,
    "percent": lambda post: post.damage,
    "shield": lambda post: post.shield,
    "stocks": lambda post: post.stocks,
    "combo_count": lambda post: post.combo_count,
    "action": lambda post: int(post.state),
    "character": lambda post: int(post.character),
    "direction": lambda post: int(post.direction),
    "last_attack": lambda post: int(post.last_attack_landed or 0),
    "state_age": lambda post: post.state_age,
    "airborne": lambda post: post.airborne,
    "jumps": lambda post: post.jumps,
    "l_cancel": lambda post: None if post.airborne is None else int(post.l_cancel or 0),
    # it gives the number whether or not the flag is on
    "hitstun": lambda post: None if post.flags is None else post.hit_stun if int(post.flags) >> 24 & 2 else 0.0,
    **{f"flags{i}": partial(_flags, byte=i) for i in range(5)},
}
PRE: dict[str, Callable[[Any], Any]] = {
    "stick_x": lambda pre: pre.joystick.x,
    "stick_y": lambda pre: pre.joystick.y,
    "cstick_x": lambda pre: pre.cstick.x,
    "cstick_y": lambda pre: pre.cstick.y,
    "trigger": lambda pre: pre.triggers.logical,
    "buttons": lambda pre: int(pre.buttons.physical),
}
#: Those that py-slippi gives only in part: which line a player stands on, and which port hit last.
PARTLY: dict[str, Callable[[Any], Any]] = {
    "ground": lambda post: -1 if post.ground is None else post.ground,
    "last_hit_by": lambda post: -1 if post.last_hit_by is None else post.last_hit_by,
}
ITEMS: dict[str, Callable[[Any], Any]] = {
    "item_type": lambda item: int(item.type),
    "item_state": lambda item: item.state,
    "item_direction": lambda item: int(item.direction),
    "item_x": lambda item: item.position.x,
    "item_y": lambda item: item.position.y,
    "item_vx": lambda item: item.velocity.x,
    "item_vy": lambda item: item.velocity.y,
    "item_damage": lambda item: item.damage,
    "item_timer": lambda item: item.timer,
    "item_id": lambda item: item.spawn_id,
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def written_twice(path: Path) -> set[int]:
    """Frames that were rolled back at once: py-slippi puts the items of both copies, one behind the other, into one."""
    replay = Slp(path.read_bytes())
    ids = [struct.unpack_from(">i", replay.data, at + 1)[0] for at in replay.events(FRAME_START)]
    return {number for number, following in pairwise(ids) if number == following}


def second(path: Path, ports: list[int]) -> dict[str, Any]:
    """Columns as py-slippi reads them; raises whatever it does where it cannot."""
    with quiet():
        frames = slippi.Game(str(path)).frames
        out: dict[str, Any] = {"frame": [frame.index for frame in frames]}
        for player, port in enumerate(ports):
            both = [(frame.ports[port].leader.pre, frame.ports[port].leader.post) for frame in frames]
            out |= {f"p{player}_{name}": [read(pre) for pre, _ in both] for name, read in PRE.items()}
            out |= {f"p{player}_{name}": [read(post) for _, post in both] for name, read in (POST | PARTLY).items()}
        items = [frame.items or () for frame in frames]
        return out | {name: [[read(item) for item in row] for row in items] for name, read in ITEMS.items()}


def last_copies(expected: dict[str, Any], table: pa.Table, twice: set[int]) -> dict[str, Any]:
    """Items of frames that were written twice, without those of the first copy."""
    kept = dict(expected)
    for name in (name for name in ITEMS if name in table.column_names):
        offsets = table.column(name).combine_chunks().offsets.to_numpy()
        counts = dict(zip(expected["frame"], np.diff(offsets).tolist(), strict=True))
        rows = zip(expected["frame"], expected[name], strict=True)
        kept[name] = [row[len(row) - counts[frame] :] if frame in twice else row for frame, row in rows]
    return kept


def differences(table: pa.Table, expected: dict[str, Any], rounded: tuple[int, int]) -> list[str]:
    """Columns of a table that are not what was read; sticks count in steps, of those that storing did not round."""
    return [
        name
        for name, values in expected.items()
        if name in table.column_names and not same(name, table.column(name).combine_chunks(), values, rounded)
    ]


def same(name: str, column: pa.Array, values: list[Any], rounded: tuple[int, int]) -> bool:
    if pa.types.is_list(column.type):
        flat = [value for row in values for value in row]
        lengths = np.diff(column.offsets.to_numpy()).tolist() == [len(row) for row in values]
        return lengths and same(name, column.flatten(), flat, rounded)
    got, want = column.to_numpy(), np.array(values)
    if "stick" in name:
        exact = (got / STICK_STEPS).astype(np.float32) == want.astype(np.float32)
        near = np.abs(got / STICK_STEPS - want) <= 0.5 / STICK_STEPS + 1e-6
        return bool((exact | (rounded[int(name[1])] > 0)).all() and near.all())
    if name.removeprefix("p0_").removeprefix("p1_") in PARTLY:
        return bool(((want == -1) | (want == got)).all())
    return got.tobytes() == want.astype(got.dtype).tobytes()


def compared(replays: Replays) -> tuple[int, int, dict[str, str]]:
    """(games, frames that agree, files that only one of both parsers reads, with what it said)."""
    games = frames = 0
    unread = dict[str, str]()
    for fact in replays.facts:
        path = replays.path(fact)
        with contextlib.suppress(RecordingError):
            recording = read_replay(path)
            try:
                expected = second(path, recording.about["ports"])
            except Exception as error:  # whatever it makes of what it does not know
                unread[path.stem[:8]] = f"{error}"
                continue
            assert expected["frame"][0] == FIRST_FRAME
            expected = last_copies(expected, recording.table, written_twice(path))
            assert differences(recording.table, expected, recording.about["rounded_sticks"]) == [], path.name
            games, frames = games + 1, frames + recording.table.num_rows
    return games, frames, unread


def test_more_games(more_replays: Replays) -> None:
    assert compared(more_replays) == (65, 260_468, {})


def test_the_training_games(train_replays: Replays) -> None:
    """Of 117 games py-slippi ends 11 with an error of its own."""
    games, frames, unread = compared(train_replays)
    assert (games, frames, len(unread)) == (106, 759_842, 11)


def test_the_edge_cases(fixture_replays: Replays) -> None:
    games, frames, unread = compared(fixture_replays)
    assert (games, frames, len(unread)) == (8, 9_384, 1)
