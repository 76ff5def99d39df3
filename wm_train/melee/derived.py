"""Fields that flags append to Frames, derived game by game from a dataset's columns. No loop over frames.

What a frame is given follows from it and from the frames before it, never from later ones.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import FRAC_BITS, Ints, round_half_up
from wm_train.melee.field_table import EXTRA, ITEM_COLUMNS, ITEM_FAR, STALE_MOVES, STATE_INDEX
from wm_train.world.definition import LIST_OFFSETS, Columns, Extra
from wm_train.world.fields import PLAYERS, Field, Kind

#: Attacks that no queue remembers: none, and those the game itself leaves out.
_NOT_STALING = 1


def _players(columns: Columns, field: Field) -> Ints:
    """(T, 2) both players' column of a field."""
    return np.stack([columns[f"p{p}_{field.column}"].astype(np.int64) for p in range(PLAYERS)], 1)


def _bits(columns: Columns, states: Any) -> Ints:
    """(T, 2, bits) 0 or 1."""
    return np.stack([(_players(columns, f) & f.bit) != 0 for f in EXTRA["state_flags"]], -1).astype(np.int64)


def _animations(columns: Columns, states: Any) -> Ints:
    """(T, 2, 1) the game's animation number plus 1; 0 where it has none (2^32 - 1 in a replay)."""
    (field,) = EXTRA["animation_index"]
    return np.clip((_players(columns, field) + 1) & 0xFFFFFFFF, 0, field.vocab - 1)[..., None]


def nearest_items(columns: Columns, states: Any) -> Ints:
    """(T, 2, 5) of the item that is nearest to each player, whoever made it: the game's item id plus 1, distance from
    the player's position, velocity; and how many items there are. Without any: id 0, ITEM_FAR away, at rest."""
    offsets = columns[LIST_OFFSETS].astype(np.int64)
    count = np.diff(offsets)
    row = np.repeat(np.arange(len(count)), count)
    return np.stack([_nearest(columns, states[:, p], row, count, offsets[:-1]) for p in range(PLAYERS)], 1)


def _nearest(columns: Columns, player: Any, row: Ints, count: Ints, first: Ints) -> Ints:
    """(T, 5) as `nearest_items`, of one player (T, len(STATE)); `row` is the frame of each item, in order."""
    x, y = (player[row, STATE_INDEX[axis]] / float(1 << FRAC_BITS) for axis in ("x", "y"))
    distance = np.hypot(columns["item_x"] - x, columns["item_y"] - y)
    values = np.stack(
        [columns["item_type"].astype(np.float64) + 1, distance, columns["item_vx"], columns["item_vy"]], -1
    )
    there = count > 0
    closest = np.lexsort((distance, row))[first[there]]  # items sorted by frame, then by distance
    out = np.tile(np.array([0.0, ITEM_FAR, 0.0, 0.0]), (len(count), 1))
    out[there] = values[closest]
    return _stored(EXTRA["projectiles"], np.concatenate([out, count[:, None]], 1))


def _stored(fields: tuple[Field, ...], values: NDArray[np.float64]) -> Ints:
    """Values (T, len(fields)) in the fields' units as a Frame holds them."""
    low, high = (np.array([getattr(f, end) for f in fields]) for end in ("lo", "hi"))
    unit = np.array([1 << FRAC_BITS if f.kind is Kind.CONTINUOUS else 1 for f in fields])
    stored: Ints = round_half_up(np.clip(values, low, high) * unit).astype(np.int64)
    return stored


def stale_queue(states: Any) -> Ints:
    """(T, 2, STALE_MOVES) ids of the moves that each player landed last, newest first, 0 where there is none.

    Replays do not have the game's own queue, so this one is read off what they have. A move lands in a frame in which
    the other player's percent rises and `last_attack` is a move that goes stale. Further hits of the same move count
    as one landing until the attacker's action changes or starts again. A lost stock empties the queue. Hits that do
    not hurt, hurt that no player caused, and order within a frame are not told apart.

    states (T, 2, len(STATE) or more) int32, one game
    """
    return np.stack([_player_queue(states[:, p], states[:, 1 - p]) for p in range(PLAYERS)], 1)


def _rises(values: Any) -> NDArray[np.bool_]:
    """(T,) whether a value is above that of the frame before; the first is not."""
    return np.diff(values, prepend=values[:1]) > 0


def _player_queue(attacker: Any, other: Any) -> Ints:
    """(T, STALE_MOVES) of one player; attacker and other (T, len(STATE) or more)."""
    move, action, age, stocks = (
        attacker[:, STATE_INDEX[name]].astype(np.int64) for name in ("last_attack", "action", "state_age", "stocks")
    )
    at = np.flatnonzero(_rises(other[:, STATE_INDEX["percent"]]) & (move > _NOT_STALING))
    performed = np.cumsum((np.diff(action, prepend=action[:1]) != 0) | _rises(-age))
    same = (np.diff(move[at], prepend=-1) == 0) & (np.diff(performed[at], prepend=-1) == 0)
    landed = at[~same]
    known = np.searchsorted(landed, np.arange(len(move)), side="right")  # landings up to each frame
    lost = _rises(-stocks)
    forgotten = np.maximum.accumulate(np.where(lost, known, 0))  # those before the last lost stock
    place = known[:, None] - np.arange(1, STALE_MOVES + 1)
    ids = np.append(move[landed], 0)  # place -1 and below is nobody's
    return np.where(place >= forgotten[:, None], ids[np.maximum(place, -1)], 0)


#: What each flag appends.
EXTRAS: Mapping[str, Extra] = {
    "projectiles": Extra(EXTRA["projectiles"], nearest_items, ITEM_COLUMNS),
    "state_flags": Extra(EXTRA["state_flags"], _bits),
    "animation_index": Extra(EXTRA["animation_index"], _animations),
    "stale_moves": Extra(EXTRA["stale_moves"], lambda columns, states: stale_queue(states)),
}
