"""What the documents say of Melee beside its fields and rules: rows of tables, and numbers that prose states."""

import re
from collections.abc import Iterator

from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.actions import RANGES
from wm_train.melee.field_table import EXTRA, SIGHT, STAGE, STATE
from wm_train.melee.game_kinds import KINDS
from wm_train.melee.laws import LAWS
from wm_train.melee.measured_laws import BEYOND, HEIGHT_FRAMES, ID_FRAMES, ID_SHARE, LOSS, REACH, RESPAWN
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.names import action_names, stage
from wm_train.melee.replays import MIN_FRAMES
from wm_train.melee.rules import TELEPORT_UNITS
from wm_train.melee.stages import GROUNDS
from wm_train.melee.standing import DEPTH, HOLD
from wm_train.melee.zones import BLAST_ZONES, MARGIN
from wm_train.world.definition import Documents, Table
from wm_train.world.encoding import Encoding
from wm_train.world.step import World


def _listed(name: str) -> str:
    return ", ".join(f"`{field.name}`" for field in {**EXTRA, **SIGHT}[name])


FLAGS = {
    "state_age_as_embed": (MeleeFlags(state_age_as_embed=True), "`state_age` as an id, the nearest of 0 to 149"),
    "press_events: next": (MeleeFlags(press_events="next"), "presses in the inputs after the window"),
    "press_events: all": (MeleeFlags(press_events="all"), "presses in every slot as well"),
    "projectiles": (MeleeFlags(projectiles=True), _listed("projectiles")),
    "geometry": (MeleeFlags(geometry=True), _listed("geometry")),
    "reach": (MeleeFlags(reach=True), _listed("reach")),
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
    bounds = World(Encoding("v2.2")).places / (1 << FRAC_BITS)
    for number, (left, right, top, bottom) in BLAST_ZONES.items():
        ends = [f"{end:.10g}" for end in (left, right, bottom, top)]
        yield number, stage(number).name, *ends, *(f"{end:.6g}" for end in bounds[number])


#: Field -> what the row of ids without one of their own is.
UNKNOWN = {
    "stage": "of no stage of the game, and without a blast zone",
    "character": "of the sandbag, which is in no game of two",
    "action": "of Kirby's specials from there on, which he copied: nobody else has as many",
    "jumps": "more than anybody has",
    "ground": "of lines from there on, which stages with many have, and of no line",
    "last_attack": "of no attack",
    "hurtbox": "intangible: the game has no others",
    "l_cancel": "none: the game has no others",
}


def _unknown_rows() -> Iterator[tuple[object, ...]]:
    """Fields of ids, and the row of an id that has none."""
    fields = {field.name: field for field in (STAGE, *STATE) if not field.is_dense}
    for name, text in UNKNOWN.items():
        yield f"`{name}`", f"0 to {fields[name].vocab - 1}", fields[name].unknown, text


def _law_rows() -> Iterator[tuple[object, ...]]:
    """Laws in their order, and the facts of a stage that each reads."""
    for law in LAWS:
        facts = dict.fromkeys(re.sub(r"_\d+$", "", fact) for fact in law.facts)
        yield law.name, ", ".join(f"`{name}`" for name in law.writes), ", ".join(f"`{name}`" for name in facts)


def _surface_rows() -> Iterator[tuple[object, ...]]:
    """What players stand on, and where they come back."""
    for number, ground in GROUNDS.items():
        back = ground.back
        comes = f"{back.x[0]:g} or {back.x[1]:g}" if back.x[0] != back.x[1] else f"{back.x[0]:g}"
        kinds = [("floor", one) for one in ground.floors] + [("platform", one) for one in ground.platforms]
        for kind, one in kinds:
            height = f"{one.y:g}" if not one.lift else f"{one.y:g} to {one.y + one.lift:g}"
            yield stage(number).name, kind, f"{one.left:g}", f"{one.right:g}", height
        yield stage(number).name, "return", comes, "", f"{back.y:g}, {back.down:g} down a frame"


DOCUMENTS = Documents(
    version="Slippi",
    described="v2.2",
    flags=FLAGS,
    tables={
        "actions": Table(("number", "category", "action ids", "what is in it"), _action_rows),
        "kinds": Table(("kind", "what sets such a game apart"), lambda: [(f"`{kind}`", KINDS[kind]) for kind in KINDS]),
        "unknown": Table(("field", "ids with a row", "row of all others", "which is"), _unknown_rows),
        "stages": Table(
            ("stage", "name", "left", "right", "bottom", "top", "x from", "to", "y from", "to"), _stage_rows
        ),
        "laws": Table(("law", "may write", "facts of the stage"), _law_rows),
        "surfaces": Table(("stage", "what", "from x", "to", "height"), _surface_rows),
    },
    facts={
        "numeric.md": (
            f"{TELEPORT_UNITS:g} game units",
            f"{MARGIN:g} game units beyond the blast zone",
            f"{HOLD:g} game units",
            f"{DEPTH:g} game units",
        ),
        "guide.md": (
            f"at least {MIN_FRAMES} frames",
            f"within {REACH:g} units of a height",
            f"with at least {HEIGHT_FRAMES} grounded player frames",
            f"at least {ID_SHARE:.0%} of at least {ID_FRAMES} recorded".replace("%", " %"),
            f"more than {BEYOND} frames in a row without a stock lost in the last {LOSS} |",
            f"without a stock lost in the last {RESPAWN} frames",
        ),
    },
)
