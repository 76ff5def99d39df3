"""rowless.py: ids without a row are found and said, whatever they are of."""

import numpy as np
import pyarrow as pa

from tests.factories import game_columns
from wm_train.games.recordings import Recording
from wm_train.games.rowless import MOST, in_words, rowless_ids
from wm_train.melee.columns import ITEM_IDS
from wm_train.melee.field_table import EXTRA, STAGE, STATE
from wm_train.melee.melee import GAME
from wm_train.melee.names import STAGES
from wm_train.world.fields import Kind


def recording(stage: int = 31, items: tuple[int, ...] = (), **ids: list[int]) -> Recording:
    """A game of 40 frames; the second player has `ids` of each column in its first frames."""
    columns = game_columns(np.random.default_rng(0), 40)
    for name, these in ids.items():
        columns[f"p1_{name}"][: len(these)] = these
    lists = pa.array([list(items), *[[]] * 39], pa.list_(pa.uint16()))
    return Recording("0" * 32, {"stage": stage}, pa.table(columns | {"item_type": lists}), ())


def test_every_id_has_a_row_in_an_ordinary_game() -> None:
    assert rowless_ids(recording(items=(0, 160, 236)), GAME) == {}


def test_ids_without_a_row_are_named() -> None:
    found = rowless_ids(
        recording(
            100, (ITEM_IDS - 1, ITEM_IDS, 9000), action=[400, 399, 543, 400], character=[33, 40], ground=[34, 65535]
        ),
        GAME,
    )
    assert found == {
        "stage": (100,),
        "action": (400, 543),
        "character": (33, 40),
        "ground": (34,),
        "item_type": (ITEM_IDS, 9000),
    }
    assert in_words({"stage": (100,), "action": (400, 402, 401, 543)}) == "stage 100; action 400-402, 543"


def test_a_column_that_a_version_lacks_has_no_ids() -> None:
    lacks = recording(ground=[34])
    lacks = Recording(lacks.md5, lacks.about, lacks.table.drop_columns(["p0_ground", "p1_ground"]), ("ground",))
    assert rowless_ids(lacks, GAME) == {}


def test_a_damaged_file_does_not_fill_the_list() -> None:
    many = Recording(
        "0" * 32,
        {"stage": 2},
        pa.table(game_columns(np.random.default_rng(0), 3000)),
        tuple(c.name for c in GAME.lists),
    )
    at = many.table.column_names.index("p0_action")
    table = many.table.set_column(at, "p0_action", pa.array(np.arange(400, 3400), pa.uint16()))
    assert len(rowless_ids(Recording("0" * 32, {"stage": 2}, table, ()), GAME)["action"]) == MOST


def test_the_row_of_what_is_unknown_lies_in_its_table() -> None:
    for field in (STAGE, *STATE):
        assert field.kind is not Kind.CATEGORICAL or 0 <= field.unknown < field.vocab
    assert STAGE.unknown not in STAGES
    item = EXTRA["projectiles"][0]
    assert item.vocab == ITEM_IDS + 2, "row 0 is no item, the last one every other"
