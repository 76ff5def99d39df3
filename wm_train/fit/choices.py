"""What a wrong choice costs: cross-entropy of a decision's logits and its group's, in the forms that LossConfig names.

Glossary
    decision   the choice that LossConfig weighs by itself (subsystem.Decision); in Melee the action
    group      what the decision's labels say of an id; in Melee the action's category
    two-level  heads that choose a group first and then an id within it: P(id) = P(group) P(id | group)
    gated      heads that say first whether the field changes: P(id) = P(change) P(id | change)

LossConfig.action, category and action_embedding weigh the decision, its group and its embedding, whatever they are
called in a game.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_train.config import LossConfig
from wm_train.world.subsystem import Decision

#: A logit of what cannot be chosen. Finite: its gradient is zero, and a loss through it is never 0 * infinity.
IMPOSSIBLE = -1e4


@cache
def _groups(decision: Decision, device: torch.device) -> tuple[Tensor, Tensor]:
    """((ids,) group of every id, (groups, ids) whether an id is in a group)."""
    group = torch.tensor(decision.labels, device=device)
    return group, torch.arange(max(decision.labels) + 1, device=device)[:, None] == group


def _among(logits: Tensor, target: Tensor, decision: Decision) -> Tensor:
    """Logits (B, ids), impossible outside the group of the id `target` (B,)."""
    group, members = _groups(decision, target.device)
    return logits.masked_fill(~members[group[target]], IMPOSSIBLE)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, reduction="none")


def focal(loss: Tensor, gamma: float) -> Tensor:
    """Cross-entropy (B,) times (1 - p)^gamma, p the probability of what is true (arXiv 1708.02002)."""
    return loss * (1 - torch.exp(-loss)) ** gamma if gamma else loss


def group_loss(logits: Tensor, target: Tensor, decision: Decision) -> Tensor:
    """(B,) cross-entropy of the group that flat logits (B, ids) imply, for true ids `target` (B,)."""
    return logits.logsumexp(1) - _among(logits, target, decision).logsumexp(1)


def embedding_loss(logits: Tensor, target: Tensor, embedding: Tensor) -> Tensor:
    """(B,) squared distance between the embedding (actions, width) of `target` (B,) and the one that is expected of
    logits (B, actions): an id that is taken for a similar one costs less. The embedding learns nothing from it."""
    fixed = embedding.detach()
    return (logits.softmax(1) @ fixed - fixed[target]).square().sum(1)


def decision_losses(
    decision: Decision,
    heads: Mapping[str, Any],
    now: Tensor,
    target: Tensor,
    embedding: Tensor | None,
    config: LossConfig,
) -> dict[str, Tensor]:
    """Parts of a decision's loss by name, means over the batch; a part that weighs nothing is left out.

    heads      the decision's logits (B, ids), or what gives those of some rows; of two-level heads also the group's
               (B, groups), of gated ones the gate (B,)
    now        (B,) int64 ids that the true ones follow
    target     (B,) int64 true ids
    embedding  (ids, width) for LossConfig.action_embedding, or None
    """
    batch, changes = len(target), target != now
    weight = torch.where(changes, config.change_weight, 1.0)
    gate: dict[str, Tensor] = {}
    if decision.gate and config.action:
        loss = F.binary_cross_entropy_with_logits(heads[decision.gate], changes.float(), reduction="none")
        gate = {decision.gate: config.action * (weight * focal(loss, config.focal)).sum() / batch}
    # With a gate, what is chosen is read only where something changes.
    rows = changes.nonzero().squeeze(1) if decision.gate else slice(None)
    told = {name: heads[name][rows] for name in (decision.head, decision.group) if name in heads}
    parts = _chosen(decision, told, target[rows], embedding, config)
    return gate | {name: (weight[rows] * loss).sum() / batch for name, loss in parts.items()}


def _chosen(
    decision: Decision, heads: Mapping[str, Tensor], target: Tensor, embedding: Tensor | None, config: LossConfig
) -> dict[str, Tensor]:
    """Losses (B,) of the group and the decision, by name."""
    parts: dict[str, Tensor] = {}
    logits, group = heads[decision.head], heads.get(decision.group)
    if config.category:
        true, _ = _groups(decision, target.device)
        loss = group_loss(logits, target, decision) if group is None else _cross_entropy(group, true[target])
        parts[decision.group] = config.category * focal(loss, config.focal)
    if group is not None:
        logits = _among(logits, target, decision)
    if config.action:
        parts[decision.head] = config.action * focal(_cross_entropy(logits, target), config.focal)
    if config.action_embedding and embedding is not None:
        weighed = config.action_embedding * embedding_loss(logits, target, embedding)
        parts[f"{decision.head}_embedding"] = weighed
    return parts
