"""One loss per head kind. Values: absolute error, robust to jumps; events: cross-entropy; choices: cross-entropy.

Where the step integrates (world._decode_integrated), the loss is on what it will write: position error after
integration, with the true hitlag freeze; teleports only where one happened.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_train.frames import PLAYERS, SPEEDS, STATE_INDEX
from wm_train.world import World

#: Game units between where velocities lead and where a player is, from which a frame counts as a teleport.
TELEPORT_UNITS = 8.0
#: Weight of one unit of absolute error, by head.
VALUE_WEIGHT: Mapping[str, float] = {
    "position": 5.0,
    "speed": 10.0,
    "percent": 0.2,
    "shield": 0.05,
    "state_age": 0.05,
    "hitlag": 0.2,
    "combo_count": 0.2,
    "teleport": 0.02,
}
CHOICE_WEIGHT: Mapping[str, float] = {"action": 1.0}
OTHER_CHOICE_WEIGHT = 0.3


def _masked_mean(error: Tensor, mask: Tensor) -> Tensor:
    return (error * mask).sum() / len(error)


class _Player:
    """One player's frames and heads of a batch, by field and head name."""

    def __init__(self, now: Tensor, after: Tensor, heads: Mapping[str, Tensor]) -> None:
        self._now, self._after, self._heads = now.unbind(1), after.unbind(1), heads

    def now(self, name: str) -> Tensor:
        return self._now[STATE_INDEX[name]]

    def after(self, name: str) -> Tensor:
        return self._after[STATE_INDEX[name]]

    def delta(self, name: str) -> Tensor:
        return self.after(name) - self.now(name)

    def head(self, name: str) -> Tensor:
        return self._heads[name]


def _event(player: _Player, name: str, happened: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(player.head(name), happened.float())


def _choice(player: _Player, name: str, change_weight: float) -> Tensor:
    target = player.after(name).long()
    loss = F.cross_entropy(player.head(name), target, reduction="none")
    if name == "action":
        loss = loss * torch.where(target == player.now(name).long(), 1.0, change_weight)
    return CHOICE_WEIGHT.get(name, OTHER_CHOICE_WEIGHT) * loss.mean()


def _published(player: _Player) -> dict[str, Tensor]:
    losses = {n: F.smooth_l1_loss(player.head(n), player.delta(n)) for n in ("percent", "x", "y", "shield")}
    return losses | {n: _event(player, n, player.after(n) > 0.5) for n in ("facing", "invulnerable", "on_ground")}


def _positions(player: _Player) -> dict[str, Tensor]:
    moving = (player.after("hitlag") == 0).float()
    velocity = {
        "x": ("self_x_air", "knockback_x"),
        "y": ("self_y", "knockback_y"),
    }
    missed, predicted, teleport = {}, {}, torch.zeros_like(moving, dtype=torch.bool)
    for axis, names in velocity.items():
        true_step = moving * sum(player.after(n) for n in names)
        predicted[axis] = moving * sum(player.now(n) + player.head(n) for n in names) + player.head(axis)
        missed[axis] = player.delta(axis) - predicted[axis]
        teleport = teleport | ((player.delta(axis) - true_step).abs() > TELEPORT_UNITS)
    position = torch.stack([_masked_mean(missed[axis].abs(), ~teleport) for axis in velocity]).sum()
    away = [_masked_mean((player.head(f"teleport_{a}") - player.after(a)).abs(), teleport) for a in velocity]
    return {
        "position": VALUE_WEIGHT["position"] * position,
        "teleport_to": VALUE_WEIGHT["teleport"] * torch.stack(away).sum(),
        "teleport": _event(player, "teleport", teleport),
    }


def _dynamics(player: _Player) -> dict[str, Tensor]:
    countdown = (player.now("hitlag") - 1).clamp_min(0)
    hit = player.after("hitlag") != countdown
    age_runs = torch.where(player.after("hitlag") > 0, 0.0, 1.0)
    age_reset = (player.delta("state_age") - age_runs).abs() > 0.75
    damage = player.delta("percent") > 0.01
    respawn = player.delta("percent") < -0.5
    on = {"hitlag": hit, "state_age": age_reset}
    losses = {n: VALUE_WEIGHT[n] * _masked_mean((player.head(n) - player.after(n)).abs(), m) for n, m in on.items()}
    hurt = (player.head("percent") - player.delta("percent")).abs()
    return losses | {
        "percent": VALUE_WEIGHT["percent"] * _masked_mean(hurt, damage),
        "shield": VALUE_WEIGHT["shield"] * F.l1_loss(player.head("shield"), player.delta("shield")),
        "combo_count": VALUE_WEIGHT["combo_count"] * F.l1_loss(player.head("combo_count"), player.delta("combo_count")),
        "speed": VALUE_WEIGHT["speed"]
        * sum((F.l1_loss(player.head(n), player.delta(n)) for n in SPEEDS), torch.zeros(())),
        "hit": _event(player, "hit", hit),
        "damage": _event(player, "damage", damage),
        "respawn": _event(player, "respawn", respawn),
        "stock_lost": _event(player, "stock_lost", player.delta("stocks") < 0),
        "age_reset": _event(player, "age_reset", age_reset),
        "facing": _event(player, "facing", player.after("facing") > 0.5),
        "on_ground": _event(player, "on_ground", player.after("on_ground") > 0.5),
    }


def _integrated(player: _Player) -> dict[str, Tensor]:
    return _positions(player) | _dynamics(player)


_RULES: Mapping[str, Callable[[_Player], dict[str, Tensor]]] = {"published": _published, "integrated": _integrated}


def losses(world: World, now: Tensor, after: Tensor, heads: Tensor, change_weight: float) -> dict[str, Tensor]:
    """Every part of the loss by name, summed over players; the loss is their sum.

    now, after  (B, 2, len(STATE)) float32 in the fields' units
    heads       (B, outputs) float32
    """
    # Both players in one go: half as many operations, and the players' sum is PLAYERS times the mean over both.
    rows = heads.view(-1, world.player_outputs).split([head.width for head in world.heads], 1)
    named = {head.name: row if head.width > 1 else row.squeeze(1) for head, row in zip(world.heads, rows, strict=True)}
    player = _Player(now.flatten(0, 1), after.flatten(0, 1), named)
    parts = _RULES[world.heads_name](player)
    parts |= {h.name: _choice(player, h.name, change_weight) for h in world.heads if h.kind == "choice"}
    return {name: PLAYERS * value for name, value in parts.items()}
