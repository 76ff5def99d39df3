"""Melee's laws: slowing down, lost stocks, coming back, who stands where; on Frames made by hand and on real games."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Replays
from tests.factories import random_frames
from wm_train.games.corpus import load_corpus, usable_games
from wm_train.games.ingest import ingest
from wm_train.grid.arithmetic import Frames
from wm_train.melee.actions import RANGES
from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.laws import LOST_FRAMES, settled
from wm_train.melee.stages import FLOORS, GROUNDS, PLATFORMS, surfaces
from wm_train.melee.stances import AIR, CARRIED, EITHER, GROUND, LANDS_AS, LEAVES_AS, SPECIAL, STANCE
from wm_train.melee.zones import BLAST_ZONES
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Kind, fixed
from wm_train.world.rule_ops import NumpyOps
from wm_train.world.step import World, seat_numbers

WORLD = World(Encoding("v2.1"), "lawful")
BATTLEFIELD, UNKNOWN = 31, 5
STANDING, FALLING, KNOCKED, TUMBLING, FORWARD_AIR = 14, 29, 88, 38, 66
CONTINUOUS = {field.name for field in STATE if field.kind is Kind.CONTINUOUS}
#: A player who stands in the middle of a stage.
STILL: dict[str, float] = {"action": STANDING, "on_ground": 1, "stocks": 4, "shield": 60, "jumps": 2, "state_age": 5}


def ints(values: Mapping[str, float]) -> dict[str, NDArray[np.int64]]:
    """Every field of one player, (1,) as a Frame holds it."""
    whole = {**dict.fromkeys(STATE_INDEX, 0.0), **values}
    return {name: np.array([fixed(v) if name in CONTINUOUS else int(v)]) for name, v in whole.items()}


def mended(
    now: Mapping[str, float], new: Mapping[str, float], stage: int = BATTLEFIELD, seat: int = 0
) -> dict[str, float]:
    """What the laws make of `new`, the fields that differ from `now`, in the fields' units."""
    before, after = ints(now), ints({**now, **new})
    numbers = seat_numbers(WORLD, WORLD.places[stage][None], seat)[:, 0]
    place = dict(zip(WORLD.head_set.facts, numbers[4:], strict=True))
    out = WORLD.head_set.lawful(NumpyOps(), before.__getitem__, after, place.__getitem__)
    return {name: v.item() / (4096 if name in CONTINUOUS else 1) for name, v in out.items()}


def after(now: dict[str, float], frames: int, **new: float) -> dict[str, float]:
    """`now`, so many frames later, where the rules always say `new`."""
    for _ in range(frames):
        now = mended(now, {"state_age": now["state_age"] + 1} | new)
    return now


#: What a speed of 0.5 becomes that is wanted to rise, to fall far, and to turn: by Fox's traction and twice that, and
#: by the least and the most that any character's can be.
SLOWED = {1: ((0.75, 0.42), (0.25, 0.34), (-0.125, 0.34)), 31: ((0.75, 0.48), (0.25, 0.25), (-0.125, 0))}


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("character", SLOWED)
def test_who_stands_slows_down_and_is_where_that_leads(character: int, way: int) -> None:
    slides = STILL | {"character": character, "self_x_ground": way * 0.5, "self_x_air": way * 0.5}
    for wanted, speed in SLOWED[character]:
        got = mended(slides, {"self_x_ground": way * wanted, "self_x_air": way * wanted, "x": way * wanted})
        assert [got[name] for name in ("self_x_ground", "self_x_air", "x")] == pytest.approx(
            [way * speed] * 3, abs=1e-3
        )
    assert mended(STILL, {"self_x_air": way * 0.25, "x": way * 0.25})["x"] == 0, "who rests goes on to rest"


@pytest.mark.parametrize("way", [1, -1])
def test_knockback_in_the_air_becomes_shorter_by_its_law_and_moves_less(way: int) -> None:
    """The greater part falls by 0.0361 to 0.051, the lesser by 0.0361 at most: whatever is wanted."""
    flies = STILL | {"action": KNOCKED, "on_ground": 0, "y": 40, "knockback_x": way * 2, "knockback_y": 1}
    kept = mended(flies, {"x": way * 2.0, "y": 41.0})
    assert [kept[name] for name in ("knockback_x", "knockback_y", "x", "y")] == pytest.approx(
        [way * 1.964, 1, way * 1.964, 41], abs=2e-3
    )
    stopped = mended(flies, {"knockback_x": 0, "knockback_y": 0})
    assert [stopped[name] for name in ("knockback_x", "knockback_y", "x", "y")] == pytest.approx(
        [way * 1.949, 0.964, way * 1.949, 40.964], abs=2e-3
    )


@pytest.mark.parametrize("way", [1, -1])
def test_knockback_on_the_ground_falls_by_traction_and_an_edge_stops_it(way: int) -> None:
    slides = STILL | {"character": 1, "action": 85, "knockback_x": way * 1.0}
    assert mended(slides, {})["knockback_x"] == pytest.approx(way * (1 - 0.07), abs=2e-3)
    assert mended(slides, {"knockback_x": 0})["knockback_x"] == 0


def test_knockback_begins_with_a_hit_or_where_the_other_lets_go() -> None:
    thrown, knocked = {"action": 239, "on_ground": 0, "y": 40}, {"action": KNOCKED, "on_ground": 0, "knockback_y": 3.0}
    in_air = STILL | {"action": FALLING, "on_ground": 0, "y": 40}
    assert mended(in_air, knocked)["knockback_y"] == 0
    for begun in (mended(in_air, knocked | {"hitlag": 5}), mended(STILL | thrown, knocked)):
        assert begun["knockback_y"] == 3
    assert mended(in_air | {"hitlag": 1}, knocked | {"hitlag": 0})["knockback_y"] == 3, (
        "the direction may be bent where hitlag ends"
    )
    frozen = in_air | {"action": KNOCKED, "knockback_y": 3, "hitlag": 5}
    assert mended(frozen, {"hitlag": 4, "knockback_y": 1})["knockback_y"] == 3


@pytest.mark.parametrize("action", [223, 239, 252, 253])
def test_who_is_carried_or_hangs_on_a_ledge_has_no_knockback(action: int) -> None:
    flies = STILL | {"action": KNOCKED, "on_ground": 0, "y": 40, "knockback_x": 2, "knockback_y": 1}
    got = mended(flies, {"action": action})
    assert (got["knockback_x"], got["knockback_y"]) == (0, 0)


@pytest.mark.parametrize("way", [1, -1])
def test_who_slides_comes_to_rest(way: int) -> None:
    """Whatever is wanted: a slide of a tenth of a unit a frame ends in two frames."""
    slides = STILL | {"character": 1, "self_x_ground": way * 0.1, "self_x_air": way * 0.1}
    assert after(slides, 2, self_x_ground=way * 0.1, self_x_air=way * 0.1)["self_x_ground"] == 0


def test_in_hitlag_a_speed_is_kept() -> None:
    held = STILL | {"character": 1, "self_x_ground": 0.5, "self_x_air": 0.5, "hitlag": 3}
    got = mended(held, {"hitlag": 2, "self_x_ground": 0.25, "self_x_air": 0.25})
    assert (got["self_x_ground"], got["x"]) == (0.5, 0)


@pytest.mark.parametrize(
    ("now", "new"),
    [
        ({}, {"action": 20}),
        ({"action": 20}, {}),
        ({"on_ground": 0, "action": FALLING, "y": 9}, {}),
        ({"action": 20}, {"action": STANDING}),
    ],
)
def test_who_dashes_flies_or_acts_anew_gets_faster(now: dict[str, float], new: dict[str, float]) -> None:
    got = mended(STILL | now, new | {"self_x_ground": 2.0, "self_x_air": 2.0, "x": 2.0})
    assert (got["self_x_ground"], got["self_x_air"], got["x"]) == (2, 2, 2)


def test_who_is_frozen_is_not_moved_back() -> None:
    assert mended(STILL, {"self_x_air": 1.0, "x": 1.0, "hitlag": 4})["x"] == 1, "nobody moves by speed in hitlag"


@pytest.mark.parametrize(
    ("action", "age", "new_age", "followed", "followed_age"),
    [
        (42, 20, 21, 42, 21),  # lands on
        (42, 31, 32, STANDING, 0),  # has landed: 29 frames and two more
        (42, 20, 12, 42, 21),  # no animation runs backwards
        (42, 20, 0, 42, 0),  # but it may begin anew
        (FALLING, 49, 50, FALLING, 0),  # falling goes on
        (252, 9, 10, 253, 0),  # caught a ledge: hangs
    ],
)
def test_an_animation_gets_older_until_it_is_over(
    action: int, age: float, new_age: float, followed: int, followed_age: float
) -> None:
    air = {"on_ground": 0, "y": 40} if action != 42 else {}
    got = mended(STILL | air | {"action": action, "state_age": age}, {"state_age": new_age})
    assert (got["action"], got["state_age"]) == (followed, followed_age)


def test_what_another_action_says_of_its_age_is_left_alone() -> None:
    got = mended(STILL | {"action": 42, "state_age": 20}, {"action": STANDING, "state_age": 12})
    assert (got["action"], got["state_age"]) == (STANDING, 12)


@pytest.mark.parametrize(("x", "y", "action"), [(0, -109, 0), (-225, 0, 1), (225, 0, 2), (-225, -109, 0)])
def test_who_is_beyond_a_side_or_the_bottom_loses_a_stock_at_once(x: float, y: float, action: int) -> None:
    falls = STILL | {"action": FALLING, "on_ground": 0, "percent": 80, "self_y": -3, "knockback_x": 2}
    got = mended(falls, {"x": x, "y": y, "percent": 92, "knockback_x": 1.95})
    assert {name: got[name] for name in ("stocks", "action", "state_age", "percent", "self_y", "knockback_x")} == {
        "stocks": 3, "action": action, "state_age": 0, "percent": 80, "self_y": 0, "knockback_x": 0,
    }  # fmt: skip
    assert (got["x"], got["y"]) == (x, y)


@pytest.mark.parametrize("stage", list(BLAST_ZONES))
def test_the_ends_of_a_stage_are_its_own(stage: int) -> None:
    left, right, top, bottom = BLAST_ZONES[stage]
    for x, y, dx, dy in ((left, -40, -1, 0), (right, -40, 1, 0), (0, top, 0, 1), (right, bottom, 0, -1)):
        flies = STILL | {"action": KNOCKED, "on_ground": 0, "knockback_y": 1, "x": x, "y": y}
        inside = mended(flies, {"knockback_y": 0.955}, stage)
        assert inside["action"] == KNOCKED and inside["stocks"] == 4
        beyond = {"x": x + dx / 64, "y": y + dy / 64, "knockback_y": 0.955}
        assert mended(flies, beyond, stage)["action"] in (0, 1, 2, 4)


@pytest.mark.parametrize(
    ("action", "knockback", "lost"), [(KNOCKED, 3, True), (KNOCKED, 0, False), (TUMBLING, 3, False), (27, 0, False)]
)
def test_only_who_is_carried_by_a_hit_is_lost_above(action: int, knockback: float, lost: bool) -> None:
    got = mended(STILL | {"action": action, "on_ground": 0, "knockback_y": knockback}, {"y": 201})
    assert (got["action"] == 4) == lost and got["stocks"] == 4  # the stock falls later


@pytest.mark.parametrize(("action", "loss"), [(0, 0), (1, 0), (2, 0), (4, 131), (6, 94)])
def test_a_lost_player_comes_back_after_its_time(action: int, loss: int) -> None:
    stocks = 3 if loss == 0 else 4
    lost: dict[str, float] = STILL | {
        "action": action,
        "on_ground": 0,
        "state_age": 0,
        "percent": 70,
        "y": -120,
        "stocks": stocks,
    }
    time = LOST_FRAMES[action] if action != 6 else LOST_FRAMES[6] + LOST_FRAMES[7]
    wild = {"action": FALLING, "percent": 3, "hitlag": 4}
    for frame in range(1, time):
        lost = mended(lost, wild)
        assert lost["action"] == (action if action != 6 or frame < LOST_FRAMES[6] else 7), frame
        assert (lost["percent"], lost["hitlag"]) == (70, 0)
        assert lost["stocks"] == (3 if frame >= loss else 4), frame
    back = mended(lost, wild)
    assert back["action"] == 12 and (back["percent"], back["combo_count"], back["state_age"]) == (0, 0, 0)
    assert (back["x"], back["y"]) == pytest.approx((12.8, 135.0667), abs=1e-3)
    low = after(back, 59, **wild)
    assert low["action"] == 12 and low["y"] == pytest.approx(80, abs=0.02) and low["x"] == back["x"]
    assert mended(low, wild)["action"] == FALLING
    assert mended(low, {"action": 12})["action"] == 13 and mended(low | {"action": 13}, {"action": 0})["action"] == 13


def test_the_last_stock_does_not_come_back() -> None:
    lost = STILL | {"action": 2, "on_ground": 0, "state_age": 0, "stocks": 0, "x": 230}
    assert after(lost, 200, action=FALLING)["action"] == 2
    assert mended(STILL | {"stocks": 0, "action": FALLING, "on_ground": 0}, {"y": -120})["stocks"] == 0


def test_seats_come_back_at_their_own_points() -> None:
    lost = STILL | {"action": 0, "state_age": 59, "stocks": 2}
    first, second = (mended(lost, {}, BATTLEFIELD, seat) for seat in range(PLAYERS))
    assert (first["x"], second["x"]) == pytest.approx((12.8, -40), abs=1e-3)
    assert (first["facing"], second["facing"]) == (0, 1)


@pytest.mark.parametrize("action", [0, 2, 4, 11, 12, 13])
def test_nobody_is_lost_or_back_because_a_network_says_so(action: int) -> None:
    got = mended(STILL, {"action": action, "state_age": 6})
    assert (got["action"], got["stocks"]) == (STANDING, 4)


@pytest.mark.parametrize(
    ("y", "stands"), [(0.2, 0.0), (-3.9, 0.0), (4.1, None), (26.0, 27.2), (27.2, 27.2), (54.0, 54.4), (40.0, None)]
)
def test_who_stands_is_held_by_the_surface_in_reach(y: float, stands: float | None) -> None:
    got = mended(STILL | {"x": 10 if y > 50 or y < 20 else -30, "y": y}, {})
    if stands is None:
        assert (got["on_ground"], got["action"]) == (0, FALLING) and got["y"] == pytest.approx(y, abs=1e-3)
    else:
        assert (got["on_ground"], got["action"]) == (1, STANDING) and got["y"] == pytest.approx(stands, abs=1e-3)


@pytest.mark.parametrize(("x", "falls"), [(68.4, False), (-68.5, False), (69, True), (-90, True)])
def test_a_floor_ends_at_its_edge(x: float, falls: bool) -> None:
    got = mended(STILL | {"x": x}, {"action": STANDING})
    assert (got["on_ground"], got["action"]) == ((0, FALLING) if falls else (1, STANDING))


@pytest.mark.parametrize(("y", "lands"), [(-9.5, True), (9, False)])
def test_who_was_above_a_floor_does_not_fall_through_it(y: float, lands: bool) -> None:
    above = STILL | {"action": FORWARD_AIR, "on_ground": 0, "y": -4, "state_age": 9}
    got = mended(above, {"y": y, "state_age": 10})
    wanted = (1, LANDS_AS[FORWARD_AIR], 0.0, 0.0) if lands else (0, FORWARD_AIR, y, 10)
    assert (got["on_ground"], got["action"], got["y"], got["state_age"]) == wanted


def test_who_was_below_a_floor_stays_below_it() -> None:
    below = STILL | {"action": FALLING, "on_ground": 0, "y": -20, "x": 60}
    assert mended(below, {"y": -23})["on_ground"] == 0


def test_the_action_says_who_stands() -> None:
    lands = mended(STILL | {"action": FALLING, "on_ground": 0, "y": 3}, {"action": 42, "y": -2})
    assert (lands["on_ground"], lands["y"], lands["action"]) == (1, 0, 42)
    jumps = mended(STILL | {"action": 24}, {"action": 25, "y": 2, "on_ground": 1})
    assert (jumps["on_ground"], jumps["y"], jumps["action"]) == (0, 2, 25)
    either = mended(STILL | {"action": 341, "y": 40}, {"on_ground": 1})
    assert (either["on_ground"], either["action"], either["y"]) == (0, 341, 40)


#: Fox's bounce is on the ground to its age of 3, in the air to 21; a character that is not known bounces as most do.
@pytest.mark.parametrize(
    ("character", "age", "stands"),
    [(1, 3, 1), (1, 4, 0), (1, 21, 0), (1, 22, 1), (9, 17, 0), (9, 18, 1), (31, 2, 1), (31, 3, 0)],
)
@pytest.mark.parametrize("said", [0, 1])
def test_the_age_of_a_bounce_says_who_stands(character: int, age: int, stands: int, said: int) -> None:
    bounces = STILL | {"action": 183, "character": character, "state_age": age - 1, "on_ground": said}
    got = mended(bounces, {"state_age": age, "on_ground": said})
    assert (got["on_ground"], got["action"], got["state_age"]) == (stands, 183, age)


@pytest.mark.parametrize(("character", "age", "stands"), [(22, 22, 0), (22, 23, 1), (31, 30, 0)])
@pytest.mark.parametrize("way", [-1, 1])
def test_who_has_climbed_a_ledge_stands_behind_it(character: int, age: int, stands: int, way: int) -> None:
    hangs = {"action": 255, "character": character, "state_age": age - 1, "on_ground": 0, "x": way * 72, "y": -11}
    got = mended(STILL | hangs, {"state_age": age})
    place = (way * 68.25, 0) if stands else (way * 72, -11)
    assert (got["on_ground"], got["action"], (got["x"], got["y"])) == (stands, 255, place)
    goes_on = mended(STILL | hangs | {"on_ground": 1, "x": way * 40, "y": 0}, {"state_age": age, "on_ground": 1})
    assert goes_on["x"] == way * 40, "only who comes to stand is put behind the ledge"


@pytest.mark.parametrize(("hitlag", "y", "lands"), [(0, 2, True), (3, 2, False), (0, 12, False)])
def test_who_lands_leaves_an_action_of_the_air(hitlag: int, y: float, lands: bool) -> None:
    falls = STILL | {"action": FORWARD_AIR, "on_ground": 0, "y": y + 2, "state_age": 9}
    got = mended(falls, {"y": y, "state_age": 10, "on_ground": 1, "hitlag": hitlag})
    wanted = (1, LANDS_AS[FORWARD_AIR], 0.0, 0.0) if lands else (0, FORWARD_AIR, y, 10)
    assert (got["on_ground"], got["action"], got["y"], got["state_age"]) == wanted


@pytest.mark.parametrize("on_ground", [0, 1])
def test_whom_the_other_holds_is_not_moved_to_a_surface(on_ground: int) -> None:
    held = STILL | {"action": 241, "on_ground": on_ground, "y": 9}
    assert mended(held, {})["on_ground"] == on_ground and mended(held, {})["y"] == 9
    assert mended(held, {"y": 21})["on_ground"] == 0
    assert mended(held | {"action": 227}, {"y": 21})["action"] == FALLING


def test_who_waits_stays_in_the_air() -> None:
    waits = STILL | {"action": 13, "on_ground": 0, "y": 80, "x": 12.8}
    got = mended(waits, {"on_ground": 1, "y": 70, "x": 9, "self_y": -2})
    assert (got["action"], got["on_ground"], got["y"], got["self_y"]) == (13, 0, 80, 0)
    assert mended(waits, {"action": FALLING, "y": 79})["y"] == 79


def test_on_a_stage_that_is_not_known_the_ground_is_what_the_network_says() -> None:
    assert UNKNOWN not in GROUNDS
    got = mended(STILL | {"y": 77, "x": 250}, {}, UNKNOWN)
    assert (got["on_ground"], got["y"], got["action"], got["stocks"]) == (1, 77, STANDING, 4)


def test_frames_count_how_long_a_player_is_lost() -> None:
    states = np.zeros((6, PLAYERS, len(STATE)), np.int32)
    states[:, 0, STATE_INDEX["action"]] = [29, 0, 0, 0, 12, 12]
    states[:, 1, STATE_INDEX["action"]] = [0, 0, 6, 7, 7, 14]
    states[..., STATE_INDEX["state_age"]] = fixed(-1)
    got = settled(states)[..., STATE_INDEX["state_age"]] / 4096
    assert got[:, 0].tolist() == [-1, 0, 1, 2, -1, -1] and got[:, 1].tolist() == [0, 1, 0, 0, 1, -1]


def test_laws_leave_no_range() -> None:
    """Whatever a Frame holds, and whatever the rules have made of it."""
    rng = np.random.default_rng(0)
    now, new = random_frames(rng, 4000), random_frames(rng, 4000)
    stages = rng.integers(0, 33, 4000)
    got = lawful(now, new, WORLD.places[stages])
    for i, field in enumerate(STATE):
        low, high = (fixed(field.lo), fixed(field.hi)) if field.kind is Kind.CONTINUOUS else (0, field.hi)
        assert low <= got[..., i].min() and got[..., i].max() <= high, field.name


def test_what_an_action_becomes_may_be_where_it_is() -> None:
    for action, entry in enumerate(STANCE[:SPECIAL]):
        if entry % CARRIED == GROUND:
            assert STANCE[LEAVES_AS[action]] in (AIR, EITHER), action
        if entry % CARRIED == AIR:
            assert STANCE[LANDS_AS[action]] in (GROUND, EITHER), action
    held = {i for first, last in RANGES["held"] for i in range(first, last + 1)}
    assert {i for i, entry in enumerate(STANCE) if entry >= CARRIED} == held


@pytest.mark.parametrize(("character", "stands"), [(1, 0), (2, 0), (0, 1)])
def test_a_characters_own_actions_stand_as_its_own_do(character: int, stands: int) -> None:
    special = STILL | {"action": 354, "character": character}
    assert mended(special, {})["on_ground"] == stands


def test_every_stage_has_as_many_surfaces() -> None:
    for ground in GROUNDS.values():
        assert len(surfaces(ground)) == FLOORS + PLATFORMS
        for surface in (*ground.floors, *ground.platforms):
            assert surface.left < surface.right and surface.lift >= 0


def lawful(now: Frames, new: Frames, bounds: Any) -> Frames:
    """(N, 2, F) `new` as the laws leave it after `now`."""
    out = new.copy()
    for seat in range(PLAYERS):
        numbers = seat_numbers(WORLD, bounds, seat)
        place = dict(zip(WORLD.head_set.facts, numbers[4:], strict=True))
        before, after = (
            {name: frames[:, seat, i].astype(np.int64) for name, i in STATE_INDEX.items()} for frames in (now, new)
        )
        for name, value in WORLD.head_set.lawful(NumpyOps(), before.__getitem__, after, place.__getitem__).items():
            out[:, seat, STATE_INDEX[name]] = value
    return out


def test_recorded_games_keep_the_laws(fixture_replays: Replays, tmp_path: Path) -> None:
    """Laws change less than one in a thousand true Frames, and the stocks of none."""
    ingest([fixture_replays.folder], tmp_path / "dataset", 1)
    games = usable_games(tmp_path / "dataset", WORLD.encoding)
    corpus = load_corpus(tmp_path / "dataset", games, WORLD.encoding)
    t = corpus.pairs()
    true = corpus.frames[t + 1]
    got = lawful(corpus.frames[t], true, WORLD.session_places(corpus.session(WORLD.encoding, t)))
    close = np.abs(got - true) <= np.where([f.name in CONTINUOUS for f in STATE], fixed(0.05), 0)
    assert close[..., STATE_INDEX["stocks"]].all()
    assert (~close.all(-1)).mean() < 1e-3
