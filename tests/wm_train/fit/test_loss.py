"""loss.py: perfect heads cost nothing, and every part answers to its own head."""

from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, make_heads, random_frames
from wm_train.config import LossConfig
from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Kind
from wm_train.world.step import World, next_frames

torch = pytest.importorskip("torch")

from wm_train.fit.loss import CHOICE_WEIGHT, losses  # noqa: E402

INTEGRATED, PUBLISHED, GATED = (World(Encoding("v2.2", 2), name) for name in ("integrated", "published", "gated"))
UNITS = np.array([1 / ONE if f.kind is Kind.CONTINUOUS else 1.0 for f in STATE], np.float32)
#: What happens in the story, frame by frame: together they use every head.
STORY: list[dict[str, float]] = [
    {},
    {
        "self_x_air": 0.5,
        "self_y": -0.25,
        "knockback_x": 1,
        "knockback_y": 2,
        "self_x_ground": -1,
        "x": 0.125,
        "y": -0.5,
    },
    {
        "hit": 1,
        "hitlag": 7,
        "damage": 1,
        "percent": 12.5,
        "combo_count": 1,
        "action": 75,
        "action_changes": 1,
        "last_attack": 3,
    },
    {"teleport": 1, "teleport_x": -60, "teleport_y": 44, "ground": 5, "jumps": 2},
    {"respawn": 1, "stock_lost": 1, "facing": 1, "on_ground": 1, "hurtbox": 1, "l_cancel": 2},
    {"age_reset": 1, "state_age": 20, "shield": -3.5, "action": 14, "action_changes": 1},
]


def told(world: World) -> tuple[Any, Any, Any]:
    """(now, after, the perfect heads) of the story, one window per line, in integers."""
    now = np.zeros((len(STORY), PLAYERS, len(STATE)), np.int32)
    for name, value in {
        "x": 10,
        "y": 20,
        "percent": 50,
        "shield": 40,
        "stocks": 3,
        "state_age": 5,
        "self_x_air": 1,
    }.items():
        now[..., STATE_INDEX[name]] = value * ONE
    names = {head.name for head in world.heads}
    story = [{k: v for k, v in line.items() if k in names} for line in STORY]
    heads = np.concatenate([make_heads(world, **line) for line in story])
    return now, next_frames(world, now, heads), heads


def in_units(now: Any, after: Any) -> tuple[Any, Any]:
    """Frames as the loss takes them."""
    return torch.from_numpy(now * UNITS), torch.from_numpy(after * UNITS)


def parts(world: World, now: Any, after: Any, heads: Any, **config: Any) -> dict[str, float]:
    """Loss parts of integer heads; logits are sharpened until a right one costs nothing."""
    out = heads.astype(np.float32) / ONE
    for player in range(PLAYERS):
        for head in world.heads:
            if head.kind != "value":
                out[:, world.span(player, head.name)] *= 100
    got = losses(world, *in_units(now, after), torch.from_numpy(out), LossConfig(**config))
    return {k: float(v) for k, v in got.items()}


@pytest.mark.parametrize("world", [INTEGRATED, PUBLISHED, GATED], ids=["integrated", "published", "gated"])
def test_perfect_heads_cost_nothing(world: World) -> None:
    now, after, heads = told(world)
    got = parts(world, now, after, heads)
    assert got and max(got.values()) < 1e-6, got


def part_of(name: str) -> str:
    """The loss part that a head answers to."""
    if name in ("x", "y"):
        return "position"
    if name in ("teleport_x", "teleport_y"):
        return "teleport_to"
    return "speed" if name.startswith(("self_", "knockback_")) else name


@pytest.mark.parametrize("world", [INTEGRATED, PUBLISHED, GATED], ids=["integrated", "published", "gated"])
@pytest.mark.parametrize("player", range(PLAYERS))
def test_every_head_is_answered_by_its_part(world: World, player: int) -> None:
    now, after, heads = told(world)
    answered = set()
    for head in world.heads:
        wrong = heads.copy()
        rows = world.span(player, head.name)
        wrong[:, rows] = np.roll(heads[:, rows], 1, 1) if head.kind == "choice" else ONE - heads[:, rows]
        costs = {name for name, value in parts(world, now, after, wrong).items() if value > 1e-4}
        expected = {head.name if world is PUBLISHED else part_of(head.name)}
        # A velocity moves the player too.
        moves = expected == {"speed"} and head.name != "self_x_ground"
        assert costs == expected | ({"position"} if moves else set()), head.name
        answered |= costs
    assert answered == set(parts(world, now, after, heads))


def test_a_choice_in_groups_costs_what_one_of_all_ids_would() -> None:
    """One whose logits are log P(group) + log P(id | group)."""
    grouped, flat = (World(Encoding("v2.2", 2), name) for name in ("lawful_grouped", "lawful"))
    rng = np.random.default_rng(0)
    now, after = (torch.from_numpy(random_frames(rng, 5) * UNITS).float() for _ in range(2))
    said = torch.randn(5, grouped.outputs, generator=torch.Generator().manual_seed(0))
    all_ids = torch.zeros(5, flat.outputs)
    for player in range(PLAYERS):
        for head in grouped.heads:
            rows = said[:, grouped.span(player, head.name)]
            if head.groups:
                ids = said[:, grouped.ids_span(player, head.name)].reshape(5, head.groups, -1)
                rows = (rows.softmax(1)[:, :, None] * ids.softmax(2)).log().flatten(1)
            all_ids[:, flat.span(player, head.name)] = rows
    config = LossConfig(action=1.0, category=0.5, focal=2.0, change_weight=3.0)
    one, two = (losses(world, now, after, heads, config) for world, heads in ((grouped, said), (flat, all_ids)))
    assert one.keys() == two.keys()
    for name, cost in one.items():
        assert float(cost) == pytest.approx(float(two[name]), rel=1e-4), name


def test_values_are_weighed_per_unit() -> None:
    now, after, heads = told(INTEGRATED)
    wrong = heads.copy()
    wrong[:, INTEGRATED.span(0, "shield")] += ONE
    wrong[:, INTEGRATED.span(0, "x")] += ONE
    got = parts(INTEGRATED, now, after, wrong)
    assert got["shield"] == pytest.approx(0.05, abs=1e-5)
    # One of the six frames teleports: there the step is not looked at.
    assert got["position"] == pytest.approx(5.0 * 5 / 6, abs=1e-5)


def test_a_teleport_is_a_jump_that_velocities_do_not_explain() -> None:
    world = INTEGRATED
    for jump, expected in ((7.75, False), (8.5, True), (-8.5, True)):
        now = np.zeros((1, PLAYERS, len(STATE)), np.int32)
        after = now.copy()
        after[..., STATE_INDEX["y"]] = int((30 + jump) * ONE)
        after[..., STATE_INDEX["knockback_y"]] = 30 * ONE
        quiet = parts(world, now, after, make_heads(world, teleport=-1))["teleport"]
        assert (quiet > 1) is expected


def test_nothing_is_expected_to_move_in_hitlag() -> None:
    world = INTEGRATED
    now = np.zeros((1, PLAYERS, len(STATE)), np.int32)
    now[..., STATE_INDEX["hitlag"]] = 5 * ONE
    now[..., STATE_INDEX["self_x_air"]] = 20 * ONE
    after = now.copy()
    after[..., STATE_INDEX["hitlag"]] = 4 * ONE
    assert max(parts(world, now, after, make_heads(world)).values()) < 1e-6


def test_changed_actions_weigh_more() -> None:
    now = random_frames(np.random.default_rng(0), 8)
    after = now.copy()
    after[:4, :, STATE_INDEX["action"]] = (now[:4, :, STATE_INDEX["action"]] + 1) % 400
    heads = np.zeros((8, INTEGRATED.outputs), np.int64)
    plain, weighed = (parts(INTEGRATED, now, after, heads, action=0.5, change_weight=w) for w in (1.0, 3.0))
    assert plain["action"] == pytest.approx(PLAYERS * 0.5 * np.log(400), rel=1e-5)
    assert weighed["action"] == pytest.approx(2 * plain["action"], rel=1e-5)
    assert plain["jumps"] == weighed["jumps"] == pytest.approx(PLAYERS * CHOICE_WEIGHT * np.log(8), rel=1e-5)


def test_gradients_reach_every_head() -> None:
    now, after, heads = told(INTEGRATED)
    out = torch.from_numpy(heads.astype(np.float32) / ONE + 0.25).requires_grad_()
    torch.stack(list(losses(INTEGRATED, *in_units(now, after), out, LossConfig()).values())).sum().backward()
    reached = out.grad.abs().sum(0) > 0
    for player in range(PLAYERS):
        for head in INTEGRATED.heads:
            assert reached[INTEGRATED.span(player, head.name)].any(), head.name


def test_a_part_without_weight_is_left_out_and_one_with_weight_is_there() -> None:
    now, after, heads = told(INTEGRATED)
    assert "action" not in parts(INTEGRATED, now, after, heads, action=0.0)
    assert "category" in parts(INTEGRATED, now, after, heads, category=2.0)


def test_players_count_the_same() -> None:
    rng = np.random.default_rng(1)
    now, after = (torch.from_numpy(random_frames(rng, 8) * UNITS) for _ in range(2))
    heads = torch.randn(8, INTEGRATED.outputs, generator=torch.Generator().manual_seed(0))
    swapped = heads.view(8, PLAYERS, -1).flip(1).reshape(8, -1)
    one = losses(INTEGRATED, now, after, heads, LossConfig())
    other = losses(INTEGRATED, now.flip(1), after.flip(1), swapped, LossConfig())
    assert {k: float(v) for k, v in one.items()} == pytest.approx({k: float(v) for k, v in other.items()}, rel=1e-5)


def test_numbers_are_weighed_and_then_rounded_off() -> None:
    now, after, heads = told(INTEGRATED)
    heads = heads.copy()
    heads[:, INTEGRATED.span(0, "shield")] += 4 * ONE
    got = parts(INTEGRATED, now, after, heads, value="huber", scale=0.5)["shield"]
    weighed = 4 * 0.05
    assert got == pytest.approx(weighed**2 / (2 * 0.5), rel=1e-4)
