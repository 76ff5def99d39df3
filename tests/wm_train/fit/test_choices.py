"""choices.py against probabilities that are added up one by one."""

import math
from typing import Any

import numpy as np
import pytest

from wm_train.config import LossConfig
from wm_train.melee.actions import ACTION_CATEGORY, CATEGORIES
from wm_train.melee.rules import HEAD_SETS
from wm_train.world.subsystem import Decision

torch = pytest.importorskip("torch")

from wm_train.fit.choices import decision_losses, embedding_loss, focal, group_loss  # noqa: E402

ACTIONS = len(ACTION_CATEGORY)


def decision(heads: str) -> Decision:
    """The decision of a head set."""
    got = HEAD_SETS[heads].decision
    assert got is not None
    return got


ACTION, GATED = decision("integrated"), decision("gated")
ROWS = 6


def drawn() -> tuple[Any, Any, Any, Any]:
    """(action logits, category logits, actions now, true actions); half of the actions change."""
    rng = np.random.default_rng(0)
    action, category = rng.normal(0, 2, (ROWS, ACTIONS)), rng.normal(0, 2, (ROWS, len(CATEGORIES)))
    target = rng.integers(0, ACTIONS, ROWS)
    now = np.where(np.arange(ROWS) % 2 == 0, target, (target + 1) % ACTIONS)
    return tuple(torch.from_numpy(part) for part in (action, category, now, target))


def probabilities(logits: Any) -> np.ndarray:
    """Softmax of each row."""
    raised = np.exp(np.asarray(logits))
    return raised / raised.sum(-1, keepdims=True)


def heads_of(action: Any, category: Any = None, changes: Any = None) -> dict[str, Any]:
    """Heads by name, those that are there."""
    heads = {"action": action, "category": category, "action_changes": changes}
    return {name: head for name, head in heads.items() if head is not None}


def action_losses(heads: dict[str, Any], now: Any, target: Any, embedding: Any, config: LossConfig) -> dict[str, Any]:
    """Parts of the action's loss, gated where the heads have a gate."""
    return decision_losses(GATED if GATED.gate in heads else ACTION, heads, now, target, embedding, config)


def means(config: LossConfig, *, two_level: bool, embedding: Any = None) -> dict[str, float]:
    """Parts of the drawn batch."""
    action, category, now, target = drawn()
    got = action_losses(heads_of(action, category if two_level else None), now, target, embedding, config)
    return {name: float(value) for name, value in got.items()}


def test_a_flat_head_implies_its_category() -> None:
    action, _, _, target = drawn()
    p = probabilities(action)
    alike = [ACTION_CATEGORY[t] == ACTION_CATEGORY for t in target]
    expected = [-math.log(row[same].sum()) for row, same in zip(p, alike, strict=True)]
    assert group_loss(action, target, ACTION).tolist() == pytest.approx(expected)


def test_two_levels_multiply_to_a_probability_of_every_action() -> None:
    """exp(-loss) of both levels, over all actions as targets, is a distribution."""
    action, category, _, _ = drawn()
    target = torch.arange(ACTIONS)
    logits = [part[:1].expand(ACTIONS, -1) for part in (action, category)]
    total = 0.0
    for one in target:
        row = one[None]
        got = action_losses(
            heads_of(logits[0][:1], logits[1][:1]), row, row, None, LossConfig(action=1.0, category=1.0)
        )
        total += math.exp(-float(sum(got.values())))
    assert total == pytest.approx(1)


def test_within_a_category_only_its_own_actions_compete() -> None:
    action, category, now, target = drawn()
    p = probabilities(action)
    expected = 0.0
    for row, t in zip(p, target.tolist(), strict=True):
        expected -= math.log(row[t] / row[ACTION_CATEGORY[t] == ACTION_CATEGORY].sum()) / ROWS
    got = action_losses(heads_of(action, category), now, target, None, LossConfig(action=3.0, category=2.0))
    assert float(got["action"]) == pytest.approx(3 * expected)
    q = probabilities(category)[range(ROWS), ACTION_CATEGORY[target.numpy()]]
    assert float(got["category"]) == pytest.approx(-2 * np.log(q).mean())


def test_weights_scale_their_part_and_zero_leaves_it_out() -> None:
    one, two = (means(LossConfig(action=w, category=w), two_level=False) for w in (1.0, 2.0))
    assert two == pytest.approx({name: 2 * value for name, value in one.items()})
    assert set(means(LossConfig(action=1.0, category=0.0), two_level=True)) == {"action"}


@pytest.mark.parametrize("two_level", [False, True])
def test_changes_weigh_more_in_every_part(two_level: bool) -> None:
    action, category, now, target = drawn()
    embedding = torch.randn(ACTIONS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    config = LossConfig(action=1.0, category=1.0, action_embedding=1.0)
    weighed = LossConfig(action=1.0, category=1.0, action_embedding=1.0, change_weight=5.0)
    changed = target != now
    logits = (action, category if two_level else None)
    at = [part[changed] if part is not None else None for part in logits]
    only = action_losses(heads_of(*at), now[changed], target[changed], embedding, config)
    plain, more = (action_losses(heads_of(*logits), now, target, embedding, c) for c in (config, weighed))
    assert set(plain) == {"action", "category", "action_embedding"}
    for name in plain:
        assert float(more[name] - plain[name]) == pytest.approx(4 * float(only[name]) * float(changed.double().mean()))


def test_focal() -> None:
    p = torch.tensor([0.9, 0.5, 0.01], dtype=torch.float64)
    assert focal(-p.log(), 2.0).tolist() == pytest.approx([-((1 - x) ** 2) * math.log(x) for x in p.tolist()])
    assert focal(-p.log(), 0.0).tolist() == (-p.log()).tolist()
    assert means(LossConfig(focal=2.0), two_level=False)["action"] < means(LossConfig(), two_level=False)["action"]


def test_an_embedding_is_expected() -> None:
    action, _, _, target = drawn()
    embedding = torch.randn(ACTIONS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    embedding.requires_grad_()
    p = probabilities(action)
    expected = [((row @ embedding.detach().numpy() - embedding.detach().numpy()[t]) ** 2).sum()
                for row, t in zip(p, target.tolist(), strict=True)]  # fmt: skip
    action.requires_grad_()
    got = embedding_loss(action, target, embedding)
    assert got.tolist() == pytest.approx(expected)
    got.sum().backward()
    assert embedding.grad is None and action.grad is not None


def test_gradients_are_finite_where_logits_are_far_apart() -> None:
    action, category, now, target = drawn()
    action = (action * 1000).requires_grad_()
    config = LossConfig(category=2.0, focal=2.0, action_embedding=1.0)
    for level in (category, None):
        parts = action_losses(heads_of(action, level), now, target, torch.randn(ACTIONS, 4).double(), config)
        torch.stack(list(parts.values())).sum().backward()
        assert torch.isfinite(action.grad).all()


def test_a_gate_and_what_is_behind_it_multiply_to_a_probability() -> None:
    """exp(-loss) is P(stays) where nothing changes, and P(changes) P(action | it) where something does."""
    action, _, _, _ = drawn()
    action, gate, now = action[:1], torch.tensor([0.7], dtype=torch.float64), torch.tensor([14])
    changes = 1 / (1 + math.exp(-0.7))
    p = probabilities(action)[0]
    for target in (14, 20, 399):
        got = action_losses(heads_of(action, None, gate), now, torch.tensor([target]), None, LossConfig(action=1.0))
        expected = 1 - changes if target == 14 else changes * p[target]
        assert math.exp(-float(sum(got.values()))) == pytest.approx(expected)


@pytest.mark.parametrize("two_level", [False, True])
def test_behind_a_gate_the_choice_learns_from_changes_only(two_level: bool) -> None:
    action, category, now, target = drawn()
    gate = torch.zeros(ROWS, dtype=torch.float64)
    heads = heads_of(action.requires_grad_(), category if two_level else None, gate)
    config = LossConfig(action=1.0, category=1.0, change_weight=3.0)
    got = action_losses(heads, now, target, None, config)
    torch.stack(list(got.values())).sum().backward()
    assert (action.grad.abs().sum(1) > 0).tolist() == (target != now).tolist()
    assert float(got["action_changes"]) == pytest.approx(math.log(2) * (1 + 3) / 2)


def test_a_batch_in_which_nothing_changes_costs_the_gate_alone() -> None:
    action, category, now, _ = drawn()
    heads = heads_of(action.requires_grad_(), category, torch.zeros(ROWS, dtype=torch.float64))
    got = action_losses(heads, now, now, None, LossConfig(action=1.0, category=1.0))
    assert {name: float(value.detach()) for name, value in got.items()} == {
        "action_changes": pytest.approx(math.log(2)), "category": 0.0, "action": 0.0}  # fmt: skip
    torch.stack(list(got.values())).sum().backward()
    assert not action.grad.any()
