"""What a wrong choice costs: cross-entropy of a category's and an action's logits, in the forms that LossConfig names.

Glossary
    category   what ACTION_CATEGORY says of an action
    two-level  heads that choose a category first and then an action within it: P(action) = P(category) P(action | it)
    gated      heads that say first whether the action changes: P(action) = P(change) P(action | change)
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_train.actions import ACTION_CATEGORY, CATEGORIES
from wm_train.config import LossConfig

#: (actions,) category of every action.
CATEGORY = torch.from_numpy(ACTION_CATEGORY.copy())
#: (categories, actions) whether an action is in a category.
MEMBERS = torch.arange(len(CATEGORIES))[:, None] == CATEGORY
#: A logit of what cannot be chosen. Finite: its gradient is zero, and a loss through it is never 0 * infinity.
IMPOSSIBLE = -1e4


def _among(logits: Tensor, target: Tensor) -> Tensor:
    """Action logits (B, actions), impossible outside the category of the action `target` (B,)."""
    return logits.masked_fill(~MEMBERS[CATEGORY[target]], IMPOSSIBLE)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, reduction="none")


def focal(loss: Tensor, gamma: float) -> Tensor:
    """Cross-entropy (B,) times (1 - p)^gamma, p the probability of what is true (arXiv 1708.02002)."""
    return loss * (1 - torch.exp(-loss)) ** gamma if gamma else loss


def category_loss(logits: Tensor, target: Tensor) -> Tensor:
    """(B,) cross-entropy of the category that flat action logits (B, actions) imply, for true actions `target` (B,)."""
    return logits.logsumexp(1) - _among(logits, target).logsumexp(1)


def embedding_loss(logits: Tensor, target: Tensor, embedding: Tensor) -> Tensor:
    """(B,) squared distance between the embedding (actions, width) of `target` (B,) and the one that is expected of
    logits (B, actions): an action that is taken for a similar one costs less. The embedding learns nothing from it."""
    fixed = embedding.detach()
    return (logits.softmax(1) @ fixed - fixed[target]).square().sum(1)


def action_losses(
    heads: Mapping[str, Tensor], now: Tensor, target: Tensor, embedding: Tensor | None, config: LossConfig
) -> dict[str, Tensor]:
    """Parts of the loss of choosing an action, by name, means over the batch; a part that weighs nothing is left out.

    heads      `action` (B, actions) logits; of two-level heads also `category` (B, categories), of gated ones
               `action_changes` (B,)
    now        (B,) int64 actions that the true ones follow
    target     (B,) int64 true actions
    embedding  (actions, width) for LossConfig.action_embedding, or None
    """
    batch, changes = len(target), target != now
    weight = torch.where(changes, config.change_weight, 1.0)
    gate: dict[str, Tensor] = {}
    if "action_changes" in heads and config.action:
        loss = F.binary_cross_entropy_with_logits(heads["action_changes"], changes.float(), reduction="none")
        gate = {"action_changes": config.action * (weight * focal(loss, config.focal)).sum() / batch}
    if "action_changes" in heads:  # what is chosen is read only where something changes
        rows = changes.nonzero().squeeze(1)
        heads = {name: heads[name][rows] for name in ("action", "category") if name in heads}
        target, weight = target[rows], weight[rows]
    parts = _chosen(heads["action"], heads.get("category"), target, embedding, config)
    return gate | {name: (weight * loss).sum() / batch for name, loss in parts.items()}


def _chosen(
    action: Tensor, category: Tensor | None, target: Tensor, embedding: Tensor | None, config: LossConfig
) -> dict[str, Tensor]:
    """Losses (B,) of category and action, by name."""
    parts: dict[str, Tensor] = {}
    if config.category:
        loss = category_loss(action, target) if category is None else _cross_entropy(category, CATEGORY[target])
        parts["category"] = config.category * focal(loss, config.focal)
    if category is not None:
        action = _among(action, target)
    if config.action:
        parts["action"] = config.action * focal(_cross_entropy(action, target), config.focal)
    if config.action_embedding and embedding is not None:
        parts["action_embedding"] = config.action_embedding * embedding_loss(action, target, embedding)
    return parts
