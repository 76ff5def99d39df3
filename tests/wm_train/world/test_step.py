"""step.py: codes in range, heads become the next Frame by the rules, and no rule leaves a field's range."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import ONE, make_heads, random_frames, random_inputs, random_window
from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN
from wm_train.melee.actions import ACTION_CATEGORY, CATEGORIES
from wm_train.melee.field_table import CONTROLS, SPEEDS, STATE, STATE_INDEX
from wm_train.melee.rules import HEAD_SETS
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Field, Kind, fixed
from wm_train.world.rule_ops import NumpyOps
from wm_train.world.step import (
    World,
    decided,
    decode,
    encode,
    next_frames,
    seat_numbers,
    slot_codes,
    slot_ids,
    window_codes,
    window_ids,
)

INTEGRATED = World(Encoding("v2.2", 2))
PUBLISHED = World(Encoding("v2.2", 2), "published")
TWO_LEVEL = World(Encoding("v2.2", 2), "two_level")
GROUPED = World(Encoding("v2.2", 2), "lawful_grouped")


def frame(**values: float) -> Any:
    """(1, 2, len(STATE)): both players the same; units of the fields, ids as they are."""
    out = np.zeros((1, PLAYERS, len(STATE)), np.int32)
    for name, value in values.items():
        i = STATE_INDEX[name]
        out[..., i] = fixed(value) if STATE[i].kind is Kind.CONTINUOUS else value
    return out


def after(world: World, now: Any, **heads: float) -> dict[str, float]:
    """Player 1's next fields by name, continuous ones in units; player 0's are the same."""
    following = next_frames(world, now, make_heads(world, **heads))
    assert following.dtype == np.int32 and (following[0, 0] == following[0, 1]).all()
    return {
        f.name: following[0, 1, i] / (ONE if f.kind is Kind.CONTINUOUS else 1) for i, f in enumerate(STATE)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "now", "delta", "expected"),
    [("percent", 990, 20, 999), ("percent", 3, -20, 0), ("percent", 3, 1.5, 4.5), ("shield", 59, 9, 60),
     ("shield", 5, -9, 0), ("x", 299, 5, 300), ("x", -299, -5, -300), ("y", 299, 5, 300), ("y", -199, -5, -200)],
)  # fmt: skip
@pytest.mark.parametrize("world", [PUBLISHED, INTEGRATED], ids=["published", "integrated"])
def test_values_are_clamped_to_their_field(world: World, name: str, now: float, delta: float, expected: float) -> None:
    assert after(world, frame(**{name: now}), **{name: delta, "damage": 1})[name] == expected


def test_choices_take_the_arg_max_and_the_lowest_index_on_ties() -> None:
    for world in (PUBLISHED, INTEGRATED):
        heads = make_heads(world)
        heads[:] = 0
        for player in range(PLAYERS):
            start = world.span(player, "action").start
            heads[:, [start + 17, start + 5, start + 399]] = 3
        following = next_frames(world, frame(action=9, jumps=4), heads)
        assert following[0, :, STATE_INDEX["action"]].tolist() == [5, 5]
        assert following[0, :, STATE_INDEX["jumps"]].tolist() == [0, 0]
        assert after(world, frame(action=9), action=399, jumps=7)["action"] == 399


def test_an_action_is_chosen_within_its_category() -> None:
    """The greatest logit of all does not count where its category was not chosen; ties take the lowest id inside."""
    for category, name in enumerate(CATEGORIES):
        inside = np.flatnonzero(category == ACTION_CATEGORY)
        heads = make_heads(TWO_LEVEL, 3, category=category)
        for player in range(PLAYERS):
            rows = heads[:, TWO_LEVEL.span(player, "action")]
            rows[:] = 2**31 - 1
            rows[:, inside] = -(2**31)
            rows[1, inside[-1]] = rows[2, inside[1:]] = -1
        following = next_frames(TWO_LEVEL, np.repeat(frame(action=14), 3, 0), heads)
        assert following[..., STATE_INDEX["action"]].tolist() == [[inside[i]] * 2 for i in (0, -1, 1)], name


def test_ties_between_categories_take_the_first() -> None:
    heads = make_heads(TWO_LEVEL, action=14)
    for player in range(PLAYERS):
        heads[:, TWO_LEVEL.span(player, "category")] = 7
    assert next_frames(TWO_LEVEL, frame(), heads)[0, :, STATE_INDEX["action"]].tolist() == [0, 0]
    assert decided(TWO_LEVEL, heads, 1, "category").tolist() == [0]


@pytest.mark.parametrize("name", ["action", "ground", "last_attack"])
def test_an_id_is_chosen_in_its_group(name: str) -> None:
    """The greatest logit of all does not count where its group was not chosen; ties take the lowest group, and the
    lowest id of it."""
    head, rng = GROUPED.head(name), np.random.default_rng(0)
    outputs = rng.integers(-(2**20), 2**20, (3 * head.groups, GROUPED.outputs))
    for player in range(PLAYERS):
        groups = outputs[:, GROUPED.span(player, name)]
        ids = outputs[:, GROUPED.ids_span(player, name)].reshape(len(outputs), head.groups, head.members)
        groups[:], ids[:] = -1, 2**30
        for i, group in enumerate(np.repeat(np.arange(head.groups), 3)):
            groups[i, group] = 7
            ids[i, group] = -(2**30)
            ids[i, group, [head.members - 1, *([1] if i % 3 else [])]] = -1
        groups[2::3] = 7
        ids[2::3, 0] = -5
        read = GROUPED.read(outputs)
        assert read.shape[1] == GROUPED.read_outputs
        assert (read[:, : GROUPED.always_read] == outputs[:, : GROUPED.always_read]).all()
        wanted = [
            (g * head.members + m, g * head.members + 1, 0) for g in range(head.groups) for m in (head.members - 1,)
        ]
        assert decided(GROUPED, read, player, name).reshape(-1, 3).tolist() == [list(each) for each in wanted]


def test_a_choice_in_groups_can_be_every_id() -> None:
    for name in ("action", "ground", "last_attack"):
        for i in range(GROUPED.head(name).width):
            assert decided(GROUPED, make_heads(GROUPED, **{name: i}), 1, name).tolist() == [i]


def test_two_level_heads_say_all_else_as_the_integrated_do() -> None:
    rng = np.random.default_rng(8)
    heads, flat = rng.integers(-(2**14), 2**14, (50, TWO_LEVEL.outputs)), np.zeros((50, INTEGRATED.outputs), np.int64)
    for player in range(PLAYERS):
        for head in INTEGRATED.heads:
            flat[:, INTEGRATED.span(player, head.name)] = heads[:, TWO_LEVEL.span(player, head.name)]
    now, rest = random_frames(rng, 50), [i for i, f in enumerate(STATE) if f.name != "action"]
    mine, theirs = next_frames(TWO_LEVEL, now, heads), next_frames(INTEGRATED, now, flat)
    assert (mine[..., rest] == theirs[..., rest]).all() and (mine != theirs).any()


def test_every_choice_within_another_comes_after_it_and_has_ids_for_every_label() -> None:
    for head_set in HEAD_SETS.values():
        names = [head.name for head in head_set.heads]
        for i, head in enumerate(head_set.heads):
            if head.within:
                first = head_set.heads[names[:i].index(head.within)]
                assert len(head.labels) == head.width
                assert set(head.labels) == set(range(first.width)) and first.width <= 256


def test_a_stage_bounds_positions() -> None:
    now = np.repeat(frame(x=180, y=-100, percent=3), 3, 0)
    bounds = ONE * np.array([(-9, 9, -8, 8), (-200, 190, -99, 50), (-300, 300, -200, 300)])
    for world in (INTEGRATED, PUBLISHED):
        got = next_frames(world, now, make_heads(world, 3, x=20, y=-5), bounds)[:, 1] / ONE
        assert got[:, STATE_INDEX["x"]].tolist() == [9, 190, 200]
        assert got[:, STATE_INDEX["y"]].tolist() == [-8, -99, -105]
        assert (got[:, STATE_INDEX["percent"]] == 3).all()


def test_a_teleport_stays_on_the_stage() -> None:
    bounds = np.array([[fixed(v) for v in (-50, 60, -70, 80)]])
    heads = make_heads(INTEGRATED, teleport=1, teleport_x=-500, teleport_y=500)
    got = next_frames(INTEGRATED, frame(), heads, bounds)[0, 0] / ONE
    assert (got[STATE_INDEX["x"]], got[STATE_INDEX["y"]]) == (-50, 80)


def test_events_happen_above_zero_only() -> None:
    for value, expected in ((0, 0), (1 / 4096, 1), (-1 / 4096, 0)):
        got = after(PUBLISHED, frame(facing=1), facing=value, invulnerable=value)
        assert (got["facing"], got["invulnerable"]) == (expected, expected)
        assert after(INTEGRATED, frame(on_ground=1), on_ground=value)["on_ground"] == expected


def test_velocities_move_a_player() -> None:
    now = frame(x=10, y=-5, self_x_air=2, self_y=-1, knockback_x=0.5, knockback_y=3, self_x_ground=9)
    got = after(INTEGRATED, now, self_x_air=0.25, y=0.125)
    assert (got["x"], got["y"]) == (10 + 2.25 + 0.5, -5 - 1 + 3 + 0.125)
    assert (got["self_x_air"], got["self_x_ground"]) == (2.25, 9)


@pytest.mark.parametrize(("hitlag", "left", "moved"), [(3, 2, 0), (2, 1, 0), (1, 0, 2), (0, 0, 2), (0.5, 0, 2)])
def test_nothing_moves_while_hitlag_lasts(hitlag: float, left: float, moved: float) -> None:
    got = after(INTEGRATED, frame(hitlag=hitlag, self_x_air=2, knockback_y=2, state_age=7))
    assert (got["hitlag"], got["x"], got["y"]) == (left, moved, moved)
    assert got["state_age"] == 7 + (left == 0)


def test_a_hit_sets_whole_hitlag_and_freezes_at_once() -> None:
    got = after(INTEGRATED, frame(self_x_air=2), hit=1, hitlag=4.5, x=0.25)
    assert (got["hitlag"], got["x"]) == (5, 0.25)
    assert after(INTEGRATED, frame(self_x_air=2), hit=1, hitlag=0.4)["hitlag"] == 0
    assert after(INTEGRATED, frame(), hit=1, hitlag=-3)["hitlag"] == 0
    assert after(INTEGRATED, frame(), hit=1, hitlag=90)["hitlag"] == 64


def test_a_teleport_sets_the_position() -> None:
    now = frame(x=100, y=50, self_x_air=3, self_y=3)
    got = after(INTEGRATED, now, teleport=1, teleport_x=-40, teleport_y=999)
    assert (got["x"], got["y"]) == (-40, 300)
    got = after(INTEGRATED, now, teleport_x=-40, teleport_y=999)
    assert (got["x"], got["y"]) == (103, 53)


def test_damage_and_respawn_decide_percent() -> None:
    now = frame(percent=80)
    assert after(INTEGRATED, now, percent=12)["percent"] == 80
    assert after(INTEGRATED, now, percent=12, damage=1)["percent"] == 92
    assert after(INTEGRATED, now, percent=12, damage=1, respawn=1)["percent"] == 0


@pytest.mark.parametrize(("stocks", "left"), [(4, 3), (1, 0), (0, 0)])
def test_a_lost_stock_is_one_stock(stocks: int, left: int) -> None:
    assert after(INTEGRATED, frame(stocks=stocks), stock_lost=1)["stocks"] == left
    assert after(INTEGRATED, frame(stocks=stocks))["stocks"] == stocks


def test_counters_and_flags_follow_their_heads() -> None:
    assert after(INTEGRATED, frame(combo_count=3), combo_count=0.5)["combo_count"] == 4
    assert after(INTEGRATED, frame(combo_count=3), combo_count=-9)["combo_count"] == 0
    assert after(INTEGRATED, frame(state_age=30), age_reset=1, state_age=2.5)["state_age"] == 2.5
    for hurtbox in range(3):
        got = after(INTEGRATED, frame(invulnerable=hurtbox == 0), hurtbox=hurtbox)
        assert (got["hurtbox"], got["invulnerable"]) == (hurtbox, hurtbox > 0)


def test_a_gated_action_changes_only_where_its_event_says_so() -> None:
    world = World(Encoding("v2.2", 1), "gated")
    for changes, expected in ((-1.0, 14), (0.0, 14), (1 / 1024, 75)):
        assert after(world, frame(action=14), action=75, action_changes=changes)["action"] == expected


def test_published_heads_leave_other_fields_alone() -> None:
    now = random_frames(np.random.default_rng(3), 20)
    following = next_frames(PUBLISHED, now, make_heads(PUBLISHED, 20))
    kept = [i for i, f in enumerate(STATE) if f.name not in PUBLISHED.head_set.writes]
    assert (following[..., kept] == now[..., kept]).all()


def test_a_players_heads_change_that_player_only() -> None:
    now, still = random_frames(np.random.default_rng(4), 10), make_heads(INTEGRATED, 10)
    moved = still.copy()
    moved[:, INTEGRATED.player_outputs :] += np.random.default_rng(5).integers(-ONE, ONE, INTEGRATED.player_outputs)
    a, b = next_frames(INTEGRATED, now, still), next_frames(INTEGRATED, now, moved)
    assert (a[:, 0] == b[:, 0]).all() and (a[:, 1] != b[:, 1]).any()


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 200, 2**30]), st.sampled_from(list(HEAD_SETS)))
@settings(max_examples=30)
def test_no_heads_lead_out_of_range(seed: int, wild: int, heads: str) -> None:
    world, rng = World(Encoding("v1", 1), heads), np.random.default_rng(seed)
    now = random_frames(rng, 16)
    following = next_frames(world, now, rng.integers(-wild, wild, (16, world.outputs)))
    for i, field in enumerate(STATE):
        low, high = (fixed(field.lo), fixed(field.hi)) if field.kind is Kind.CONTINUOUS else (0, field.hi)
        assert low <= following[..., i].min() and following[..., i].max() <= high, field.name


def test_decode_writes_what_the_rules_write_in_the_order_of_a_frame() -> None:
    for name, heads in HEAD_SETS.items():
        world = World(Encoding("v2.2", 2), name)
        place = seat_numbers(world, world.unknown_place, 0)
        got = decode(NumpyOps(), world, lambda field: np.array([0]), lambda head: np.array([0]), place)
        assert list(got) == [f.name for f in STATE if f.name in heads.writes]


@pytest.mark.parametrize("heads", list(HEAD_SETS))
def test_spans_cover_the_outputs_once(heads: str) -> None:
    world = World(Encoding("v2.2", 2), heads)
    always = [world.span(player, head.name) for player in range(PLAYERS) for head in world.heads]
    for total, behind in ((world.outputs, world.ids_span), (world.read_outputs, world.members_span)):
        spans = [*always, *(behind(player, head.name) for player, head in world.choices_in_groups)]
        assert [i for span in spans for i in range(total)[span]] == list(range(total))
    with pytest.raises(WmTrainError, match="no head 'nose'"):
        world.span(0, "nose")


def test_unknown_heads_are_an_error() -> None:
    with pytest.raises(WmTrainError, match="published, integrated, gated"):
        World(Encoding("v1", 1), "all")


def values_of(field: Field) -> Any:
    """Every 7th value that a Frame or an input can hold, both ends included."""
    if field.kind is Kind.CONTINUOUS:
        low, high = fixed(field.lo), fixed(field.hi)
        return np.append(np.arange(low, high, 7), high)
    return np.arange(int(field.lo), int(field.hi) + 1)


@pytest.mark.parametrize("field", [f for f in STATE + CONTROLS if f.is_dense], ids=lambda f: f.name)
def test_codes_are_the_nearest_step_and_stay_int8(field: Field) -> None:
    values = values_of(field)
    code = encode(NumpyOps(), field, values)
    assert code.min() >= CODE_MIN and code.max() <= CODE_MAX and (np.diff(code) >= 0).all()
    unit = {Kind.CONTINUOUS: 1 / ONE, Kind.AXIS: 1 / 80}.get(field.kind, 1.0)
    inside = (code > CODE_MIN) & (code < CODE_MAX)
    # Multipliers have 31 bits: a tie can fall either way by one part in 2^30.
    assert (np.abs(code * field.step - values * unit)[inside] <= field.step / 2 * (1 + 1e-6)).all()
    assert len(np.unique(code)) > 1


@pytest.mark.parametrize("name", ["v1", "v2", "v2.1", "v2.2"])
def test_windows_are_laid_out_as_the_encoding_lists_them(name: str) -> None:
    encoding = Encoding(name, 3)
    window = random_window(encoding, 5)
    codes = window_codes(encoding, window.frames, window.inputs, window.following)
    assert codes.shape == (5, encoding.dense_columns) and codes.dtype == np.int64
    for column, (slot, player, field) in enumerate(encoding.dense_fields()):
        if field in CONTROLS:
            source: Any = window.following if slot == encoding.slots else window.inputs[:, slot]
            value = source[:, player, CONTROLS.index(field)]
        else:
            value = window.frames[:, slot, player, STATE_INDEX[field.name]]
        assert (codes[:, column] == encode(NumpyOps(), field, value.astype(np.int64))).all(), (slot, player, field.name)
    ids = window_ids(encoding, window.frames)
    for column, (slot, player, field) in enumerate(encoding.id_fields()):
        assert (ids[:, column] == window.frames[:, slot, player, STATE_INDEX[field.name]]).all()


def test_a_slot_is_one_frame_of_a_window() -> None:
    encoding, rng = Encoding("v2.1", 1), np.random.default_rng(0)
    frames, inputs = random_frames(rng, 4), random_inputs(rng, 4)
    assert (
        slot_codes(encoding, frames, inputs) == window_codes(encoding, frames[:, None], inputs[:, None], inputs)
    ).all()
    assert (slot_ids(encoding, frames) == window_ids(encoding, frames[:, None])).all()


def test_an_integrated_world_at_rest_keeps_its_velocities() -> None:
    now = frame(self_x_air=1, self_y=-2, knockback_x=3, knockback_y=-4, self_x_ground=5)
    got = after(INTEGRATED, now)
    assert [got[name] for name in SPEEDS] == [1, -2, 3, -4, 5]
