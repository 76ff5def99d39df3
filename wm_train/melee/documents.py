"""What the documents say of Melee beside its fields and rules: rows of tables, and numbers that prose states."""

import re
from collections.abc import Iterator

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.actions import RANGES
from wm_train.melee.field_table import EXTRA
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.names import action_names, stage
from wm_train.melee.replays import MIN_FRAMES
from wm_train.melee.rules import TELEPORT_UNITS
from wm_train.melee.zones import BLAST_ZONES, MARGIN
from wm_train.world.bounds import place_bounds
from wm_train.world.definition import Documents, Table
from wm_train.world.encoding import Encoding


def _listed(name: str) -> str:
    return ", ".join(f"`{field.name}`" for field in EXTRA[name])


FLAGS = {
    "state_age_as_embed": (MeleeFlags(state_age_as_embed=True), "`state_age` as an id, the nearest of 0 to 149"),
    "press_events: next": (MeleeFlags(press_events="next"), "presses in the inputs after the window"),
    "press_events: all": (MeleeFlags(press_events="all"), "presses in every slot as well"),
    "projectiles": (MeleeFlags(projectiles=True), _listed("projectiles")),
    "state_flags": (MeleeFlags(state_flags=True), _listed("state_flags")),
    "animation_index": (MeleeFlags(animation_index=True), _listed("animation_index")),
    "stale_moves": (MeleeFlags(stale_moves=True), _listed("stale_moves")),
    "lookahead: 3": (MeleeFlags(lookahead=3), "inputs of the three frames after the window"),
}


def _action_rows() -> Iterator[tuple[object, ...]]:
    """Categories of actions."""
    names = action_names()
    for number, (category, ranges) in enumerate(RANGES.items()):
        ids = ", ".join(f"{first}-{last}" if first < last else str(first) for first, last in ranges)
        inside = dict.fromkeys(re.sub(r"^special \d+", "a character's own", names[i])
                               for first, last in ranges for i in range(first, last + 1))  # fmt: skip
        yield number, category, ids, "; ".join(inside)


def _stage_rows() -> Iterator[tuple[object, ...]]:
    """Blast zones, and the bounds of a position."""
    bounds = place_bounds(Encoding("v2.2")) / (1 << FRAC_BITS)
    for number, (left, right, top, bottom) in BLAST_ZONES.items():
        ends = [f"{end:.10g}" for end in (left, right, bottom, top)]
        yield number, stage(number).name, *ends, *(f"{end:.6g}" for end in bounds[number])


DOCUMENTS = Documents(
    version="Slippi",
    described="v2.2",
    flags=FLAGS,
    tables={
        "actions": Table(("number", "category", "action ids", "what is in it"), _action_rows),
        "stages": Table(
            ("stage", "name", "left", "right", "bottom", "top", "x from", "to", "y from", "to"), _stage_rows
        ),
    },
    facts={
        "numeric.md": (f"{TELEPORT_UNITS:g} game units", f"{MARGIN:g} game units beyond the blast zone"),
        "guide.md": (f"at least {MIN_FRAMES} frames",),
    },
)
