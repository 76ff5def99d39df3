"""encoding.py: encodings have the published dimensions, and the input's order has neither hole nor overlap."""

from itertools import pairwise

import pytest

from wm_train.errors import WmTrainError
from wm_train.melee.field_table import CONTROLS, STAGE, STATE, STATE_INDEX
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS

ENCODINGS = ("v1", "v2", "v2.1", "v2.2")


@pytest.mark.parametrize(
    ("name", "player", "frame", "inputs"),
    [("v1", 56, 112, 1120), ("v2", 72, 148, 1480), ("v2.1", 89, 182, 1820), ("v2.2", 89, 182, 1846)],
)
def test_dimensions_are_the_published_ones(name: str, player: int, frame: int, inputs: int) -> None:
    encoding = Encoding(name)
    assert (encoding.player_dims, encoding.frame_dims, encoding.input_dims) == (player, frame, inputs)


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("slots", [1, 3, 10])
def test_offset_is_a_bijection_over_the_input(name: str, slots: int) -> None:
    encoding = Encoding(name, slots)
    taken = [encoding.offset(*place) for place in encoding.dense_fields()]
    assert len(taken) == encoding.dense_columns
    sessions = [(slot, p, f) for slot in range(slots) for p, f in encoding.session_fields()]
    for slot, player, field in [*encoding.id_fields(), *sessions]:
        start = encoding.offset(slot, player, field)
        taken += range(start, start + field.width)
    assert sorted(taken) == list(range(encoding.input_dims))


def test_the_input_goes_slot_by_slot_player_by_player() -> None:
    encoding = Encoding("v2.2", 2)
    percent = STATE[STATE_INDEX["percent"]]
    assert encoding.offset(0, 0, percent) == 0
    assert encoding.offset(0, 1, percent) == encoding.player_dims
    assert encoding.offset(0, 0, STAGE) == 2 * encoding.player_dims
    assert encoding.offset(1, 0, percent) == encoding.frame_dims
    assert encoding.offset(2, 1, CONTROLS[0]) == 2 * encoding.frame_dims + len(CONTROLS)


@pytest.mark.parametrize("name", ENCODINGS)
def test_counts_agree_with_the_fields_listed(name: str) -> None:
    encoding = Encoding(name, 4)
    assert encoding.slots * encoding.slot_ids == len(list(encoding.id_fields()))
    assert encoding.slots * encoding.slot_columns + encoding.next_columns == len(list(encoding.dense_fields()))
    assert encoding.next_columns == (PLAYERS * len(CONTROLS) if name == "v2.2" else 0)


def test_each_encoding_reads_all_that_the_one_before_reads() -> None:
    for older, newer in pairwise(ENCODINGS):
        assert set(Encoding(older).state) <= set(Encoding(newer).state)
    assert {"self_y", "hitlag"} & Encoding("v1").required_columns == set()
    assert {"self_y", "hitlag", "stocks", "buttons"} <= Encoding("v2").required_columns


@pytest.mark.parametrize(("name", "slots", "message"), [("v3", 10, "v1, v2"), ("v1", 0, "1 to 64"), ("v1", 65, "65")])
def test_a_wrong_encoding_is_an_error(name: str, slots: int, message: str) -> None:
    with pytest.raises(WmTrainError, match=message):
        Encoding(name, slots)
