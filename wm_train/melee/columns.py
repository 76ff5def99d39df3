"""The columns of a dataset of replays: name, stored type, and where a Slippi replay (as peppi reads it) has the value.

A path is of a port's leader, or of an item. The one column without a path, hitstun, is derived in replays.py: another
field's value while a flag is on.
"""

from typing import Any

import numpy as np

from wm_train.games.recordings import RecordingError
from wm_train.world.fields import Column

#: Item ids that have a row of their own: those below it. The game has 237.
ITEM_IDS = 254

STICK_STEPS = 80
STICK_LIMIT = 1.0001  # sticks are multiples of 1/80 in float32; anything past 1 is a damaged file


def _direction(column: Any, name: str) -> Any:
    """-1.0, 0.0 or 1.0 -> int8."""
    values = column.to_numpy()
    if not np.isin(values, (-1.0, 0.0, 1.0)).all():
        raise RecordingError("bad_values", f"{name} must be -1, 0 or 1")
    import pyarrow as pa

    return pa.array(values.astype(np.int8))


def off_the_grid(values: Any) -> Any:
    """Which positions of a stick are no multiple of 1/80 as a controller's are: a computer player's are multiples of
    1/127 and 1/128, and are rounded when they are stored."""
    return np.rint(values * STICK_STEPS).astype(np.float32) / np.float32(STICK_STEPS) != values


def _stick(column: Any, name: str) -> Any:
    """Float -1..1 -> int8 -80..80 in steps of 1/80: without loss where a controller gave it (`off_the_grid`)."""
    values = column.to_numpy()
    if not (np.abs(values) <= STICK_LIMIT).all():
        raise RecordingError("bad_values", f"{name} must be -1..1")
    import pyarrow as pa

    return pa.array(np.rint(values * STICK_STEPS).astype(np.int8))


#: Of one player, without the prefix `p0_` or `p1_`, in the order of the file.
PLAYER_COLUMNS: tuple[Column, ...] = (
    Column("x", "float", "post.position.x"),  # game units, dead players keep odd values
    Column("y", "float", "post.position.y"),
    Column("percent", "float", "post.percent"),
    Column("shield", "float", "post.shield"),  # 0..60
    # game units a frame, the move from the row before to this one
    Column("self_x_air", "float", "post.velocities.self_x_air"),
    Column("self_y", "float", "post.velocities.self_y"),
    Column("knockback_x", "float", "post.velocities.knockback_x"),
    Column("knockback_y", "float", "post.velocities.knockback_y"),
    Column("self_x_ground", "float", "post.velocities.self_x_ground"),
    Column("state_age", "float", "post.state_age"),  # frames, from -2, may be fractional
    Column("hitlag", "float", "post.hitlag"),  # frames left
    Column("hitstun", "float"),  # frames left, 0 outside hitstun
    Column("direction", "int8", "post.direction", _direction),  # -1 left, 1 right, rarely 0
    Column("stocks", "uint8", "post.stocks"),
    Column("combo_count", "uint8", "post.combo_count"),
    Column("airborne", "uint8", "post.airborne"),  # 0 or 1
    Column("action", "uint16", "post.state"),
    Column("jumps", "uint8", "post.jumps"),  # left, the ground jump counted
    Column("character", "uint8", "post.character"),  # internal id, changes inside a game for Zelda and Sheik
    Column("l_cancel", "uint8", "post.l_cancel"),  # 0 none, 1 success, 2 missed
    Column("hurtbox", "uint8", "post.hurtbox_state"),  # 0 normal, 1 invulnerable, 2 intangible
    Column("ground", "uint16", "post.ground"),  # last ground id, kept in the air
    Column("last_attack", "uint8", "post.last_attack_landed"),
    Column("last_hit_by", "uint8", "post.last_hit_by"),  # port, 6 nobody
    Column("animation_index", "uint32", "post.animation_index"),  # 4294967295 none
    Column("flags0", "uint8", "post.state_flags.0"),
    Column("flags1", "uint8", "post.state_flags.1"),
    Column("flags2", "uint8", "post.state_flags.2"),
    Column("flags3", "uint8", "post.state_flags.3"),
    Column("flags4", "uint8", "post.state_flags.4"),
    Column("stick_x", "int8", "pre.joystick.x", _stick),  # the controller of this row: -80..80, in 1/80
    Column("stick_y", "int8", "pre.joystick.y", _stick),
    Column("cstick_x", "int8", "pre.cstick.x", _stick),
    Column("cstick_y", "int8", "pre.cstick.y", _stick),
    Column("trigger", "float", "pre.triggers"),  # 0..1
    Column("buttons", "uint16", "pre.buttons_physical"),  # physical bits
)

#: Of the items of a frame; each is stored as a list of this type per row.
ITEM_COLUMNS: tuple[Column, ...] = (
    Column("item_type", "uint16", "type", ids=ITEM_IDS),
    Column("item_state", "uint8", "state"),
    Column("item_direction", "float", "direction"),
    Column("item_x", "float", "position.x"),
    Column("item_y", "float", "position.y"),
    Column("item_vx", "float", "velocity.x"),
    Column("item_vy", "float", "velocity.y"),
    Column("item_damage", "uint16", "damage"),
    Column("item_timer", "float", "timer"),
    Column("item_id", "uint32", "id"),
    Column("item_owner", "int8", "owner"),  # port, -1 nobody
)
