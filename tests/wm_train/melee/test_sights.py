"""What players see around them: by hand, in every place, and anew in each frame that a world makes of itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, random_corpus, small_model
from wm_train.errors import WmTrainError
from wm_train.measure.window import stepper
from wm_train.measure.worlds import rollout
from wm_train.melee.field_table import SIGHT, STATE, STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.reach import ACTION_BITS, MOVE_NUMBER, MOVES, ROWS
from wm_train.melee.sights import TABLES
from wm_train.world.encoding import Encoding
from wm_train.world.extras import with_sights
from wm_train.world.sight import Sight, fields_of

ENCODING = Encoding("v2.2", 1, MeleeFlags(geometry=True, reach=True))
WHOLE = ("facing", "on_ground", "action", "character")
NAMES = [field.name for fields in SIGHT.values() for field in fields]
NOWHERE, FOUNTAIN, BATTLEFIELD = 0, 2, 31
#: A player in the air over the right platform of Battlefield, who looks right and falls; the other one stands left.
FALLS = {"x": 50, "y": 30, "facing": 1, "self_x_air": 1, "self_y": -2, "knockback_x": 0.5}
STANDS = {"x": 40, "on_ground": 1, "facing": 1, "self_x_air": -0.5}


def sights(place: int, *players: dict[str, float]) -> list[dict[str, float]]:
    """What each of two players sees, in units."""
    frames = np.zeros((1, 2, len(STATE)), np.int32)
    for player, values in enumerate(players):
        for name, value in values.items():
            frames[0, player, STATE_INDEX[name]] = (
                value if name in ("facing", "on_ground", "action", "character") else round(value * ONE)
            )
    columns = with_sights(ENCODING, place, frames)[0, :, len(STATE) :] / ONE
    return [dict(zip(NAMES, row.tolist(), strict=True)) for row in columns]


def near(values: dict[str, float], **wanted: float) -> bool:
    """Within what the fixed point rounds two ends by."""
    return all(abs(values[name] - value) < 2 / ONE for name, value in wanted.items())


def test_around_a_platform_by_hand() -> None:
    falls, stands = sights(BATTLEFIELD, FALLS, STANDS)
    # Its velocities lead it to 51.5, 28; the platform is 19.9 to 57.7 at 27.2, the stage ends at 68.5.
    assert near(falls, height=0.8, height_near=0.8, end_ahead=6.2, end_behind=31.6, edge_out=51.5 - 68.5, edge_up=28)
    assert near(falls, other_ahead=39.5 - 51.5, other_up=-28, other_comes=-2, other_rises=2)
    assert near(stands, height=0, end_ahead=29, end_behind=32, other_ahead=12, other_up=28, other_rises=-2)


def test_ahead_is_where_a_player_looks() -> None:
    right, left = (sights(BATTLEFIELD, FALLS | {"facing": facing}, STANDS)[0] for facing in (1, 0))
    assert (right["end_ahead"], right["end_behind"]) == (left["end_behind"], left["end_ahead"])
    assert left["other_ahead"] == -right["other_ahead"] and left["other_comes"] == -right["other_comes"]
    same = ("height", "height_near", "edge_out", "edge_up", "other_up", "other_rises")
    assert all(left[name] == right[name] for name in same)


@pytest.mark.parametrize(("y", "height"), [(54.4, 0), (50, -4.4), (44.5, -9.9), (44.3, 32), (-9, -9), (-11, 32)])
def test_what_is_below_may_be_a_little_above(y: float, height: float) -> None:
    assert near(sights(BATTLEFIELD, {"y": y}, {})[0], height=height)


def test_nothing_is_below_who_is_beside_the_stage() -> None:
    beside = sights(BATTLEFIELD, {"x": 80, "y": -5}, {})[0]
    assert near(beside, height=32, height_near=8, end_ahead=0, end_behind=0, edge_out=11.5, edge_up=-5)


def test_nobody_is_led_on_in_hitlag() -> None:
    held = sights(BATTLEFIELD, FALLS | {"hitlag": 3}, STANDS)[0]
    assert near(held, height=2.8, other_ahead=39.5 - 50, other_comes=-2)


def test_a_platform_that_moves_is_where_who_stands_on_it_is() -> None:
    one, above = sights(FOUNTAIN, {"x": 30, "y": 20}, {"x": 30, "y": 29})
    assert near(one, height=0) and near(above, height=29 - 27.375)


def test_a_place_that_is_not_known_has_nothing() -> None:
    assert near(sights(NOWHERE, {"x": 1}, {})[0], height=32, end_ahead=0, edge_out=1)


def test_every_sight_is_in_its_range() -> None:
    for place in range(33):
        seen = with_sights(ENCODING, place, random_corpus(place, (200,)).frames)[..., len(STATE) :] / ONE
        for i, field in enumerate(fields_of(ENCODING.sights)):
            assert field.lo <= seen[..., i].min() and seen[..., i].max() <= field.hi


def test_a_world_sees_anew_what_it_made() -> None:
    """Each Frame of a free run has the sights of its own state in its own place."""
    world, rng = small_model(flags=ENCODING.flags).world, np.random.default_rng(0)

    def network(window: Any) -> Any:
        return rng.integers(-(2**16), 2**16, (len(window.now), world.outputs))

    corpus = random_corpus(0, (40, 30), world.encoding)
    t = corpus.windows(world.encoding)[[0, 7, 30]]
    frames = rollout(stepper(world, network), corpus, world.encoding, t, 6)
    for start, run in zip(t, frames, strict=True):
        again = with_sights(world.encoding, int(corpus.place[start]), run[..., : len(STATE)])
        assert (run == again).all() and (run[1:, :, len(STATE) :] != corpus.frames[start, :, len(STATE) :]).any()


def test_a_turned_game_sees_what_the_other_side_saw() -> None:
    """Mirrored and exchanged, on a stage that is its own mirror image: as of the turned states themselves."""
    corpus = random_corpus(3, (300,))
    frames, place = with_sights(ENCODING, BATTLEFIELD, corpus.frames), np.full(300, BATTLEFIELD)
    turned = GAME.symmetry.mirrored(ENCODING.frame_fields, frames, place)[:, ::-1]
    assert (turned == with_sights(ENCODING, BATTLEFIELD, turned[..., : len(STATE)])).all()


FOX = 1
#: A move that hits for several frames.
MOVE = next(row for row in MOVES[FOX] if row[1] >= 3 and row[2] > row[1])


@pytest.mark.parametrize("facing", [1, 0])
def test_a_move_hits_from_its_first_frame_to_its_last_inside_its_box(facing: int) -> None:
    action, first, last, behind, ahead, below, above = MOVE
    across, up = (behind + ahead) / 2, (below + above) / 2
    inside = {"x": across if facing else -across, "y": up}

    def strikes(age: float, other: dict[str, float]) -> dict[str, float]:
        return sights(NOWHERE, {"character": FOX, "action": action, "state_age": age, "facing": facing}, other)[0]

    for age in range(last + 3):
        seen, now = strikes(age, inside), first <= age <= last
        assert near(seen, hits_now=int(now), hits_in=first - age if age < first else 16)
        assert seen["strikes"] < 0 if now else seen["strikes"] == 8
    half = (ahead - behind) / 2
    beside = strikes(first, inside | {"x": inside["x"] + half + 3})
    assert near(beside, strikes=3, out_across=3) and near(beside, out_up=strikes(first, inside)["out_up"])
    over = strikes(first, inside | {"y": above + 2})
    assert near(over, strikes=2, out_up=2)


def test_who_does_nothing_that_hits_never_does() -> None:
    idle = sights(NOWHERE, {"character": FOX, "action": 29, "state_age": 3}, {})[0]
    assert near(idle, hits_now=0, hits_in=16, out_across=16, out_up=16, strikes=8)


def test_every_move_is_found_by_its_character_and_action() -> None:
    listed = [row for rows in MOVES.values() for row in rows]
    numbers = [MOVE_NUMBER[(who << ACTION_BITS) + row[0]] for who, rows in MOVES.items() for row in rows]
    assert [ROWS[number] for number in numbers] == listed and sum(map(bool, MOVE_NUMBER)) == len(listed)
    assert all(0 <= entry < 1 << 16 for table in TABLES.values() for entry in table)
    assert all(first <= last and left <= right and low <= high for _, first, last, left, right, low, high in listed)


def test_a_sight_is_numbers_without_a_column() -> None:
    wrong = Sight((STATE[STATE_INDEX["x"]],), (), lambda ops, me, other, place: {})
    with pytest.raises(WmTrainError, match="field x of a sight is no number by rule"):
        replace(GAME, sights={"wrong": wrong})
