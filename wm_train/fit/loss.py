"""One loss per head kind. Values: a robust loss of their error (robust.py); events: cross-entropy; choices: choices.py.

What a head should have said is the subsystem's to tell (subsystem.Subsystem.targets), from the same formulas that its
rule uses: where a rule integrates, the loss is on what it will write.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_train.config import LossConfig
from wm_train.fit.choices import decision_losses
from wm_train.fit.robust import ROBUST
from wm_train.world.fields import PLAYERS
from wm_train.world.rule_ops import Read
from wm_train.world.step import World
from wm_train.world.subsystem import Event, Head, HeadSet, Number

#: Weight of a choice that LossConfig does not weigh by itself.
CHOICE_WEIGHT = 0.3


class TorchOps:
    """Ops on float tensors in the fields' units."""

    one = 1.0

    def where(self, mask: Any, a: Any, b: Any) -> Any:
        """See Ops."""
        return torch.where(mask, a, b)

    def clip(self, value: Any, low: Any, high: Any) -> Any:
        """See Ops."""
        return torch.clamp(value, low, high)

    def begin(self, subsystem: str) -> None:
        """See Ops."""

    def name(self, name: str, value: Any) -> Any:
        """See Ops."""
        return value


def _numbers(numbers: Iterable[Number], config: LossConfig) -> dict[str, Tensor]:
    """Losses of value heads, means over the batch, those of one part added up. Those that are alike are computed side
    by side: a step's time goes to the number of operations."""
    alike: dict[tuple[bool, bool], list[Number]] = {}
    for number in numbers:
        alike.setdefault((number.smooth, number.counts is not None), []).append(number)
    parts: dict[str, Tensor] = {}
    for (smooth, some), every in alike.items():
        error = torch.stack([number.error for number in every])
        error = error * error.new_tensor([number.weight for number in every])[:, None]
        cost = ROBUST["huber"](error, 1.0, 0.0) if smooth else ROBUST[config.value](error, config.scale, config.alpha)
        if some:
            cost = cost * torch.stack([number.counts for number in every])
        for number, mean in zip(every, cost.mean(1).unbind(), strict=True):
            parts[number.part] = parts[number.part] + mean if number.part in parts else mean
    return parts


def _events(events: list[Event], head: Read) -> dict[str, Tensor]:
    if not events:
        return {}
    logits, happened = (torch.stack(rows) for rows in zip(*((head(e.head), e.happened) for e in events), strict=True))
    cost = F.binary_cross_entropy_with_logits(logits, happened.float(), reduction="none")
    return {event.head: mean for event, mean in zip(events, cost.mean(1).unbind(), strict=True)}


def _choices(heads: HeadSet, after: Read, head: Read) -> dict[str, Tensor]:
    """Losses of the choices that LossConfig does not weigh by themselves."""
    decision = heads.decision
    own = (decision.head, decision.group) if decision else ()
    names = [item.name for item in heads.heads if item.kind == "choice" and item.name not in own]
    return {name: CHOICE_WEIGHT * F.cross_entropy(head(name)[:], after(name).long()) for name in names}


def _named(world: World, heads: Tensor) -> dict[str, Any]:
    """Head -> its rows (2 B, ids) or (2 B,), of heads (B, outputs): both players in one go, which is half as many
    operations, and the players' sum is PLAYERS times the mean over both. A choice in groups is an `_InGroups`."""
    rows = heads[:, : world.always_read].reshape(-1, world.player_outputs).split([one.rows for one in world.heads], 1)
    named = {one.name: row if one.rows > 1 else row.squeeze(1) for one, row in zip(world.heads, rows, strict=True)}
    ids = heads[:, world.always_read :].unflatten(1, (PLAYERS, -1)).split([one.width for one in world.grouped], 2)
    return named | {one.name: _InGroups(one, named[one.name], row) for one, row in zip(world.grouped, ids, strict=True)}


class _InGroups:
    """The logits of a choice in groups, computed of the rows that are asked for: those of its groups are (2 B, groups),
    those of all its ids (B, 2, ids)."""

    def __init__(self, head: Head, groups: Tensor, ids: Tensor) -> None:
        self._head, self._groups, self._ids = head, groups, ids

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """(rows, ids) log P(id) = log P(group) + log P(id | group): what a choice of all at once would have to say."""
        some = self._ids.flatten(0, 1)[rows] if isinstance(rows, slice) else self._ids[rows // PLAYERS, rows % PLAYERS]
        ids = some.unflatten(1, (self._head.groups, self._head.members)).log_softmax(2)
        return (self._groups[rows].log_softmax(1)[:, :, None] + ids).flatten(1)


def losses(
    world: World, now: Tensor, after: Tensor, heads: Tensor, config: LossConfig, embedding: Tensor | None = None
) -> dict[str, Tensor]:
    """Every part of the loss by name, summed over players; the loss is their sum.

    now, after  (B, 2, len(frame_fields)) float32 in the fields' units
    heads       (B, outputs) float32
    embedding   (ids, width) the network's own of the head set's decision, for LossConfig.action_embedding
    """
    named = _named(world, heads)
    index, head = world.game.state_index, named.__getitem__
    was, true = _fields(now, index), _fields(after, index)
    targets = world.head_set.targets(TorchOps(), was, true, head)
    parts = _numbers((target for target in targets if isinstance(target, Number)), config)
    parts |= _events([target for target in targets if isinstance(target, Event)], head)
    parts |= _choices(world.head_set, true, head)
    if decision := world.head_set.decision:
        ids = was(decision.head).long(), true(decision.head).long()
        parts |= decision_losses(decision, named, *ids, embedding, config)
    return dict(zip(parts, torch.stack(list(parts.values())).mul(PLAYERS).unbind(), strict=True))


def happened(world: World, now: Tensor, after: Tensor) -> dict[str, Tensor]:
    """Event head -> (B, 2) bool, what it should have said; now, after as of `losses`."""
    was, true = (_fields(frames, world.game.state_index) for frames in (now, after))
    targets = world.head_set.targets(TorchOps(), was, true, lambda head: torch.zeros(()))
    found = {one.head: one.happened for one in targets if isinstance(one, Event)}
    if (decision := world.head_set.decision) and decision.gate:
        found[decision.gate] = was(decision.head) != true(decision.head)
    return {name: flags.view(-1, PLAYERS) for name, flags in found.items()}


def _fields(frames: Tensor, index: Mapping[str, int]) -> Read:
    """Field name -> (2 B,) values, of Frames (B, 2, len(frame_fields)) whose fields stand at `index`."""
    columns = frames.flatten(0, 1).unbind(1)
    return lambda name: columns[index[name]]
