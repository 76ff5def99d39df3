"""bounds.py: bounds a margin beyond each blast zone, never beyond the field; the field's own where nothing is known."""

import numpy as np
import pytest

from wm_train.melee.field_table import STAGE, STATE, STATE_INDEX
from wm_train.melee.zones import BLAST_ZONES, BOUNDED, MARGIN
from wm_train.world.encoding import Encoding
from wm_train.world.fields import fixed
from wm_train.world.step import World

OWN = [fixed(end) for name in BOUNDED for end in (STATE[STATE_INDEX[name]].lo, STATE[STATE_INDEX[name]].hi)]
KNOWING = Encoding("v2.2", 2)


def test_every_stage_has_a_row_inside_the_fields() -> None:
    table = World(KNOWING).places
    assert table.shape == (STAGE.vocab, 2 * len(BOUNDED)) and table.dtype == np.int64
    assert (table[:, ::2] >= OWN[::2]).all() and (table[:, 1::2] <= OWN[1::2]).all()
    assert (table[:, ::2] < table[:, 1::2]).all()


@pytest.mark.parametrize("stage", BLAST_ZONES)
def test_a_known_stage_ends_a_margin_beyond_its_blast_zone(stage: int) -> None:
    left, right, top, bottom = BLAST_ZONES[stage]
    zone = [fixed(left - MARGIN), fixed(right + MARGIN), fixed(bottom - MARGIN), fixed(top + MARGIN)]
    expected = [max(zone[0], OWN[0]), min(zone[1], OWN[1]), max(zone[2], OWN[2]), min(zone[3], OWN[3])]
    assert World(KNOWING).places[stage].tolist() == expected


def test_other_stages_and_encodings_have_the_fields_own() -> None:
    others = [i for i in range(STAGE.vocab) if i not in BLAST_ZONES]
    assert (World(KNOWING).places[others] == OWN).all()
    assert World(Encoding("v1", 2), "published").places.tolist() == [OWN]


def test_a_session_has_its_stages_row() -> None:
    session = np.array([[5, 31, 2], [31, 2, 31], [2, 31, 0]])
    table = World(KNOWING).places
    assert World(KNOWING).session_places(session).tolist() == table[[2, 31, 0]].tolist()
    assert World(Encoding("v1", 2), "published").session_places(np.zeros((3, 0), np.int64)).tolist() == [OWN] * 3
