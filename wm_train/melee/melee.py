"""Melee as a Game: what the machine is given of it."""

import re
from typing import TYPE_CHECKING

from wm_train.melee.coasting import coasted
from wm_train.melee.columns import ITEM_COLUMNS, PLAYER_COLUMNS
from wm_train.melee.derived import EXTRAS
from wm_train.melee.field_table import CONTROLS, SPEEDS, STAGE, STATE, STATE_AGE_ID
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.rules import HEAD_SETS
from wm_train.melee.zones import BOUNDED, ZONES
from wm_train.world.definition import Documents, Edition, Facts, Game, Pad, Roles

if TYPE_CHECKING:
    from wm_train.games.recordings import Reader
    from wm_train.measure.diagnose import Diagnosis
    from wm_train.world.view import View


def _reader() -> "Reader":
    from wm_train.melee.replays import READER

    return READER


def _diagnosis() -> "Diagnosis":
    from wm_train.melee.gates import DIAGNOSIS

    return DIAGNOSIS


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


#: characters: ids of the select screens, players in port order; ports: 0..3; end_method: such as GAME or NO_CONTEST,
#: None if the recording has no end.
FACTS = Facts(
    checks={
        "stage": lambda v: type(v) is int and 0 <= v <= 0xFFFF,
        "characters": lambda v: _is_pair(v, 0xFF),
        "ports": lambda v: _is_pair(v, 3),
        "slippi_version": _is_version,
        "end_method": lambda v: v is None or (isinstance(v, str) and len(v) <= 4096),
    },
    place="stage",
    cast="characters",
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
    as_ids={"state_age_as_embed": STATE_AGE_ID},
    bounded=BOUNDED,
    zones=ZONES,
    columns=PLAYER_COLUMNS,
    lists=ITEM_COLUMNS,
    facts=FACTS,
    reader=_reader,
    diagnosis=_diagnosis,
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
