"""The flags of Melee's encodings."""

from dataclasses import dataclass

from wm_train.world.flags import Flags


@dataclass(frozen=True, kw_only=True)
class MeleeFlags(Flags):
    """What an encoding of Melee may read beyond its table.

    state_age_as_embed  the age of an action is an id (STATE_AGE_ID) instead of a number
    geometry, reach   what is near in fine steps, and whether a move hits: the fields of SIGHT by that name
    projectiles, state_flags, animation_index, stale_moves   the fields of EXTRA by that name
    """

    state_age_as_embed: bool = False
    geometry: bool = False
    reach: bool = False
    projectiles: bool = False
    state_flags: bool = False
    animation_index: bool = False
    stale_moves: bool = False
