"""What a wrong choice costs: cross-entropy of a category's and an action's logits, in the forms that LossConfig names.

Glossary
    category   what ACTION_CATEGORY says of an action
    two-level  heads that choose a category first and then an action within it: P(action) = P(category) P(action | it)
"""

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
    action: Tensor, category: Tensor | None, now: Tensor, target: Tensor, embedding: Tensor | None, config: LossConfig
) -> dict[str, Tensor]:
    """Parts of the loss of choosing an action, by name, means over the batch; a part that weighs nothing is left out.

    action     (B, actions) logits
    category   (B, categories) logits of two-level heads, or None
    now        (B,) int64 actions that the true ones follow
    target     (B,) int64 true actions
    embedding  (actions, width) for LossConfig.action_embedding, or None
    """
    changes = torch.where(target == now, 1.0, config.change_weight)
    if category is None:
        parts = {"category": (config.category, lambda: category_loss(action, target))}
    else:
        action = _among(action, target)
        parts = {"category": (config.category, lambda: F.cross_entropy(category, CATEGORY[target], reduction="none"))}
    parts["action"] = (config.action, lambda: F.cross_entropy(action, target, reduction="none"))
    losses = {name: weight * focal(loss(), config.focal) for name, (weight, loss) in parts.items() if weight}
    if config.action_embedding and embedding is not None:
        losses["action_embedding"] = config.action_embedding * embedding_loss(action, target, embedding)
    return {name: (changes * loss).mean() for name, loss in losses.items()}
