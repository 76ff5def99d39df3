"""Which parts of an entity component system a player's fields are: what some system reads or writes together."""

from collections.abc import Mapping

from wm_train.melee.field_table import KNOCKBACK, SELF_SPEEDS

#: Component -> its fields. Every field of a Frame is in one of them.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "position": ("x", "y", "on_ground", "ground"),
    "motion": (*SELF_SPEEDS, *KNOCKBACK),
    "combat": ("percent", "stocks", "hitlag", "combo_count", "last_attack"),
    "shield": ("shield", "hurtbox", "invulnerable"),
    "action": ("action", "state_age", "facing", "jumps", "l_cancel", "character"),
}
