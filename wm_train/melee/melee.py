"""Melee as a Game: what the machine is given of it."""

import re
from typing import TYPE_CHECKING

from wm_train.melee.coasting import coasted
from wm_train.melee.columns import ITEM_COLUMNS, PLAYER_COLUMNS
from wm_train.melee.derived import EXTRAS
from wm_train.melee.ecs import COMPONENTS
from wm_train.melee.field_table import CONTROLS, SPEEDS, STAGE, STATE, STATE_AGE_ID
from wm_train.melee.first_frame import opening
from wm_train.melee.game_kinds import KINDS
from wm_train.melee.laws import settled
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.rules import HEAD_SETS
from wm_train.melee.sights import SIGHTS
from wm_train.melee.stages import PLACE_FACTS
from wm_train.melee.symmetries import SYMMETRY
from wm_train.melee.zones import BOUNDED, ZONES
from wm_train.world.definition import Documents, Edition, Facts, Game, Pad, Roles

if TYPE_CHECKING:
    from wm_train.games.recordings import Reader
    from wm_train.measure.diagnose import Diagnosis
    from wm_train.measure.measures import Measures
    from wm_train.world.view import View


def _reader() -> "Reader":
    from wm_train.melee.replays import READER

    return READER


def _diagnosis() -> "Diagnosis":
    from wm_train.melee.gates import DIAGNOSIS

    return DIAGNOSIS


def _measures() -> "Measures":
    from wm_train.measure.measures import Measures
    from wm_train.melee.events import EVENTS
    from wm_train.melee.measured_laws import LAWS, PAST, count

    return Measures(laws=LAWS, events=EVENTS, past=PAST, count=count)


def _view() -> "View":
    from wm_train.melee.melee_view import VIEW

    return VIEW


def _documents() -> Documents:
    from wm_train.melee.documents import DOCUMENTS

    return DOCUMENTS


def _is_pair(value: object, high: int) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(v) is int and 0 <= v <= high for v in value)


def _is_version(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{1,3}\.\d{1,3}\.\d{1,3}", value, re.A) is not None


def _is_kinds(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(kind, str) and kind in KINDS for kind in value)


def _are_players(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) and len(v) <= 64 for v in value)


#: characters: ids of the select screens, players in port order; ports: 0..3; end_method: such as GAME or NO_CONTEST,
#: None if the recording has no end; player_types: human, cpu or demo; game_kinds: what sets the game apart
#: (game_kinds.py); rounded_sticks: how many positions of each player's sticks are no multiple of 1/80, and were rounded
#: to one.
FACTS = Facts(
    checks={
        "stage": lambda v: type(v) is int and 0 <= v <= 0xFFFF,
        "characters": lambda v: _is_pair(v, 0xFF),
        "ports": lambda v: _is_pair(v, 3),
        "player_types": _are_players,
        "game_kinds": _is_kinds,
        "rounded_sticks": lambda v: _is_pair(v, 1 << 32),
        "slippi_version": _is_version,
        "end_method": lambda v: v is None or (isinstance(v, str) and len(v) <= 4096),
    },
    place="stage",
    cast="characters",
    kinds="game_kinds",
    words=KINDS,
    rounded="rounded_sticks",
)

PAD = Pad(
    keys={
        "a": ("stick_x", -80),
        "d": ("stick_x", 80),
        "w": ("stick_y", 80),
        "s": ("stick_y", -80),
        "j": ("A", 1),
        "k": ("B", 1),
        "l": ("X", 1),
        "i": ("Z", 1),
        "u": ("L", 1),
    },
    gamepad_axes=(("stick_x", 80), ("stick_y", -80), ("cstick_x", 80), ("cstick_y", -80)),
    gamepad_buttons=(
        *(("A", 1), ("B", 1), ("X", 1), ("Y", 1), ("Z", 1), ("Z", 1), ("L", 1), ("R", 1)),
        *(("", 0), ("", 0), ("", 0), ("", 0), ("D_UP", 1)),
    ),
    sticks=("stick_x", "stick_y"),
    pressed=("A", "B", "X", "L"),
)

GAME = Game(
    name="melee",
    title="Super Smash Bros. Melee",
    state=STATE,
    controls=CONTROLS,
    pad=PAD,
    place=STAGE,
    editions=(Edition("v1"), Edition("v2"), Edition("v2.1", flagged=True), Edition("v2.2", True, True)),
    head_sets=HEAD_SETS,
    coast=coasted,
    flags=MeleeFlags,
    extras=EXTRAS,
    sights=SIGHTS,
    as_ids={"state_age_as_embed": STATE_AGE_ID},
    bounded=BOUNDED,
    zones=ZONES,
    facts_of_places=PLACE_FACTS,
    opening=opening,
    usual=(31, (22, 1)),
    settled=settled,
    symmetry=SYMMETRY,
    components=COMPONENTS,
    columns=PLAYER_COLUMNS,
    lists=ITEM_COLUMNS,
    facts=FACTS,
    reader=_reader,
    diagnosis=_diagnosis,
    measures=_measures,
    view=_view,
    documents=_documents,
    recorded="replays of Slippi",
    roles=Roles(
        position=("x", "y"),
        velocity=SPEEDS,
        damage="percent",
        action="action",
        lives="stocks",
        grounded="on_ground",
        cast="character",
        counts=("percent", "stocks"),
    ),
)
