"""One loss per head kind. Values: a robust loss of their error (robust.py); events: cross-entropy; choices: choices.py.

Where the step integrates (world._decode_integrated), the loss is on what it will write: position error after
integration, with the true hitlag freeze; teleports only where one happened.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from wm_train.choices import action_losses
from wm_train.config import LossConfig
from wm_train.frames import PLAYERS, SPEEDS, STATE_INDEX
from wm_train.robust import ROBUST
from wm_train.world import World

#: Game units between where velocities lead and where a player is, from which a frame counts as a teleport.
TELEPORT_UNITS = 8.0
#: Weight of one unit of error, by head.
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
#: Weight of a choice other than the action and its category.
CHOICE_WEIGHT = 0.3


def _masked_mean(error: Tensor, mask: Tensor) -> Tensor:
    return (error * mask).sum() / len(error)


class _Player:
    """Frames and heads of a batch's players, by field and head name."""

    def __init__(self, now: Tensor, after: Tensor, heads: Mapping[str, Tensor], config: LossConfig) -> None:
        self._now, self._after, self._heads = now.unbind(1), after.unbind(1), heads
        self._config = config

    def now(self, name: str) -> Tensor:
        return self._now[STATE_INDEX[name]]

    def after(self, name: str) -> Tensor:
        return self._after[STATE_INDEX[name]]

    def delta(self, name: str) -> Tensor:
        return self.after(name) - self.now(name)

    def head(self, name: str) -> Tensor:
        return self._heads[name]

    def cost(self, name: str, error: Tensor) -> Tensor:
        """Robust loss of each error of a value, weighed."""
        config = self._config
        return ROBUST[config.value](VALUE_WEIGHT[name] * error, config.scale, config.alpha)


def _event(player: _Player, name: str, happened: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(player.head(name), happened.float())


def _choice(player: _Player, name: str) -> Tensor:
    return CHOICE_WEIGHT * F.cross_entropy(player.head(name), player.after(name).long())


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
    position = [_masked_mean(player.cost("position", missed[axis]), ~teleport) for axis in velocity]
    away = {axis: player.head(f"teleport_{axis}") - player.after(axis) for axis in velocity}
    return {
        "position": torch.stack(position).sum(),
        "teleport_to": torch.stack([_masked_mean(player.cost("teleport", a), teleport) for a in away.values()]).sum(),
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
    losses = {n: _masked_mean(player.cost(n, player.head(n) - player.after(n)), m) for n, m in on.items()}
    changed = {name: player.head(name) - player.delta(name) for name in ("percent", "shield", "combo_count", *SPEEDS)}
    return losses | {
        "percent": _masked_mean(player.cost("percent", changed["percent"]), damage),
        "shield": player.cost("shield", changed["shield"]).mean(),
        "combo_count": player.cost("combo_count", changed["combo_count"]).mean(),
        "speed": torch.stack([player.cost("speed", changed[name]).mean() for name in SPEEDS]).sum(),
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


#: Choices that choices.py answers for.
_ACTION = ("category", "action")
_RULES: Mapping[str, Callable[[_Player], dict[str, Tensor]]] = {
    "published": _published,
    "integrated": _integrated,
    "gated": _integrated,
    "two_level": _integrated,
}


def losses(
    world: World, now: Tensor, after: Tensor, heads: Tensor, config: LossConfig, embedding: Tensor | None = None
) -> dict[str, Tensor]:
    """Every part of the loss by name, summed over players; the loss is their sum.

    now, after  (B, 2, len(STATE)) float32 in the fields' units
    heads       (B, outputs) float32
    embedding   (actions, width) the network's own of the action, for LossConfig.action_embedding
    """
    # Both players in one go: half as many operations, and the players' sum is PLAYERS times the mean over both.
    rows = heads.view(-1, world.player_outputs).split([head.width for head in world.heads], 1)
    named = {head.name: row if head.width > 1 else row.squeeze(1) for head, row in zip(world.heads, rows, strict=True)}
    player = _Player(now.flatten(0, 1), after.flatten(0, 1), named, config)
    parts = _RULES[world.heads_name](player)
    parts |= {h.name: _choice(player, h.name) for h in world.heads if h.kind == "choice" and h.name not in _ACTION}
    actions = (player.now("action").long(), player.after("action").long())
    parts |= action_losses(named, *actions, embedding, config)
    return {name: PLAYERS * value for name, value in parts.items()}
