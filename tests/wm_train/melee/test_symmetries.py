"""Melee's symmetries: mirrored and swapped twice is as before, and rules and laws make of a mirrored Frame the mirrored
next one, on Frames made up and recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Replays
from tests.factories import EVERY_FLAG, random_frames, random_inputs
from wm_train.games.corpus import load_corpus, usable_games
from wm_train.games.ingest import ingest
from wm_train.grid.arithmetic import Frames, Ints
from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.stages import GROUNDS, Surface
from wm_train.melee.stances import RETURNING
from wm_train.melee.symmetries import SYMMETRY
from wm_train.melee.zones import BLAST_ZONES
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Mirrored, fixed
from wm_train.world.step import World, next_frames
from wm_train.world.symmetry import swapped

EVERY = Encoding("v2.2", 3, EVERY_FLAG)
PLACES = list(SYMMETRY.mirrors)
#: Heads that are no fields of the same name: what they write.
WRITES = {"teleport_x": "x"}
#: Units between the side platforms of Dream Land: in height, and in where they end.
DREAM_LAND, HEIGHT, LENGTH = 28, 0.11, 1.65


def mirrored(frames: Frames, place: Ints) -> Frames:
    return SYMMETRY.mirrored(STATE, frames, place)


def mirrored_heads(world: World, heads: Ints, place: Ints) -> Ints:
    """Heads (N, outputs) that say the same of Frames that are mirrored."""
    out = heads.copy()
    for player in range(PLAYERS):
        for head in world.heads:
            span, name = world.span(player, head.name), WRITES.get(head.name, head.name)
            field = STATE[STATE_INDEX[name]] if name in STATE_INDEX else None
            if field is not None and field.mirrored is not Mirrored.SAME:
                out[:, span] = -heads[:, span]
            elif field is not None and head.kind == "choice":
                for i in range(head.width):
                    ids = SYMMETRY.mirrored([field], np.full((len(place), 1), i), place)
                    out[:, span][np.arange(len(place)), ids[:, 0]] = heads[:, span][:, i]
    return out


def made_heads(world: World, count: int, seed: int) -> Ints:
    """Heads of every kind of next Frame, none of which is exactly on an event's threshold."""
    heads = np.random.default_rng(seed).normal(0, 4, (count, world.outputs))
    return np.where(heads == 0, 1, np.rint(heads * 4096)).astype(np.int64)


def differences(world: World, frames: Frames, place: Ints, seed: int = 0) -> tuple[Frames, Frames]:
    """(what the step makes of mirrored Frames (N, 2, fields) less the mirror image of what it makes of them, the
    latter)."""
    heads, places = made_heads(world, len(frames), seed), world.places[place]
    expected = mirrored(next_frames(world, frames, heads, places), place)
    got = next_frames(world, mirrored(frames, place), mirrored_heads(world, heads, place), places)
    return got - expected, expected


def test_twice_is_as_before_and_both_commute() -> None:
    rng = np.random.default_rng(0)
    for fields, make in ((EVERY.frame_fields, random_frames), (EVERY.controls, random_inputs)):
        values, place = make(rng, 500, fields=fields), rng.choice(PLACES, 500)
        once = SYMMETRY.mirrored(fields, values, place)
        assert once.dtype == values.dtype and (once != values).any() and (swapped(values) != values).any()
        assert (SYMMETRY.mirrored(fields, once, place) == values).all() and (swapped(swapped(values)) == values).all()
        assert (SYMMETRY.mirrored(fields, swapped(values), place) == swapped(once)).all()


def test_what_points_left_or_right_is_turned_and_nothing_else() -> None:
    fields = {f.name: f for f in (*EVERY.frame_fields, *EVERY.controls)}
    assert {name for name, field in fields.items() if field.mirrored is Mirrored.NEGATED} == {
        "x", "self_x_air", "knockback_x", "self_x_ground", "item_vx", "stick_x", "cstick_x",
    }  # fmt: skip
    assert [name for name, field in fields.items() if field.mirrored is Mirrored.FLIPPED] == ["facing"]
    assert {name for name, field in fields.items() if field.pairs} == {"action"}
    frame = np.zeros((1, PLAYERS, len(STATE)), np.int32)
    frame[..., STATE_INDEX["action"]], frame[..., STATE_INDEX["ground"]], frame[..., STATE_INDEX["x"]] = 1, 5, -7
    turned = mirrored(frame, np.array([31]))[0, 0]
    names = ("action", "ground", "x", "facing")
    assert [turned[STATE_INDEX[name]] for name in names] == [2, 0, 7, 1]
    assert mirrored(frame, np.array([3]))[0, 0, STATE_INDEX["ground"]] == 5


def image(surface: Surface) -> Surface:
    return Surface(-surface.right, -surface.left, surface.y, surface.lift, surface.drawn)


def test_stages_that_are_mirrored_are_their_own_mirror_images() -> None:
    for stage, ground in GROUNDS.items():
        surfaces = sorted((*ground.floors, *ground.platforms), key=repr)
        images = sorted(map(image, surfaces), key=repr)
        left, right, *_ = BLAST_ZONES[stage]
        same = surfaces == images and left == -right
        assert same == (stage in SYMMETRY.mirrors and stage != DREAM_LAND)
    one, other = GROUNDS[DREAM_LAND].platforms[0], image(GROUNDS[DREAM_LAND].platforms[1])
    assert abs(one.y - other.y) < HEIGHT and abs(one.left - other.left) < LENGTH and one.right == other.right


@pytest.mark.parametrize("heads", ["published", "integrated", "gated", "two_level"])
def test_rules_make_of_a_mirrored_frame_the_mirrored_next_one(heads: str) -> None:
    rng = np.random.default_rng(1)
    place = np.repeat(PLACES, 40)
    different, _ = differences(World(Encoding("v2.1"), heads), random_frames(rng, len(place)), place)
    assert not different.any()


def lawful(frames: Frames, place: Ints) -> Any:
    """(N, 2) which players a step with laws treats otherwise on the other side, aside from who comes back, and where
    the side platforms of Dream Land differ."""
    different, after = differences(World(Encoding("v2.1"), "lawful"), frames, place)
    back = (after[..., STATE_INDEX["action"]] == RETURNING)[..., None]
    names = np.array([field.name for field in STATE])
    excused = back & np.isin(names, ["x", "facing"])
    excused |= (place == DREAM_LAND)[:, None, None] & (names == "y") & (np.abs(different) < fixed(HEIGHT))
    return (different.astype(bool) & ~excused).any(-1)


def test_laws_do_so_too_but_for_where_a_player_comes_back() -> None:
    place = np.repeat([stage for stage in PLACES if stage != DREAM_LAND], 100)
    assert not lawful(random_frames(np.random.default_rng(2), len(place)), place).any()


def test_laws_and_rules_do_so_with_recorded_frames(fixture_replays: Replays, tmp_path: Path) -> None:
    """Every tenth frame, put on each of the stages that are mirrored."""
    ingest([fixture_replays.folder], tmp_path / "dataset", 1)
    encoding = Encoding("v2.1")
    corpus = load_corpus(tmp_path / "dataset", usable_games(tmp_path / "dataset", encoding), encoding)
    frames = corpus.frames[::10]
    place = np.resize(PLACES, len(frames))
    different, _ = differences(World(encoding), frames, place)
    assert not different.any()
    assert not lawful(frames, place).any()
