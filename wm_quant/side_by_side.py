"""Networks of a world's subsystems side by side in one QNet, and each of them by itself again.

They read the same codes, ids and session, so their first layers are one: a product and a gather whose rows are the
subsystems' rows, one stretch behind the other. From there on each subsystem has ops of its own, called as by itself
with its key before the name. The first of them reads its stretch of that sum, the last writes `<key>.heads`. At the end
the heads of both players are put together. Every integer is the one that the subsystem's own QNet has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.ops.base import Op
from wm_quant.ops.put import Put
from wm_quant.qnet import HEADS, QNet
from wm_train.config import ComposedConfig
from wm_train.world.fields import PLAYERS

#: Integers of any numpy type, by part or by name.
Parts = Mapping[str, NDArray[Any]]
#: An op and its tensors by part.
Made = tuple[Op, Parts]
#: Ops that read frames, the first two of every network.
SHARED = 2
#: What they add up to.
FIRST_SUM = "acc1"
#: Fields of an op that name it, or a vector.
NAMES = ("name", "source", "out", "by")


def _axis(op: Op, part: str) -> int:
    """Along which axis of one of its tensors an op's rows lie: tables have a row for each id instead."""
    return 1 if part == "session" or (op.reads_ids and part == "rows") else 0


def side_by_side(model: ComposedConfig, networks: Mapping[str, Sequence[Made]]) -> list[Made]:
    """The ops of a composed network, from those of each subsystem's network by key, in the order of the rules."""
    shared = [_joined([made[i] for made in networks.values()]) for i in range(SHARED)]
    first, own = 0, []
    for key, made in networks.items():
        own += [(_moved(op, key, first), parts) for op, parts in made[SHARED:]]
        first += made[0][0].size
    return [*shared, *own, *((op, {}) for op in _puts(model))]


def _joined(made: Sequence[Made]) -> Made:
    """One op that does what those of all subsystems do, its rows theirs."""
    op = made[0][0]
    parts = {name: np.concatenate([one[name] for _, one in made], _axis(op, name)) for name in made[0][1]}
    return replace(op, size=sum(one.size for one, _ in made)), parts


def _moved(op: Op, key: str, first: int) -> Op:
    """An op of a subsystem under its key; `first` is where its stretch of the first sum begins."""
    changes: dict[str, Any] = {name: f"{key}.{getattr(op, name)}" for name in NAMES if hasattr(op, name)}
    if op.source == FIRST_SUM:
        changes |= {"source": FIRST_SUM, "first": first}
    return replace(op, **changes)


def _puts(model: ComposedConfig) -> Iterator[Put]:
    """The heads of player 0, subsystem after subsystem, then those of player 1."""
    worlds, at = {key: part.world for key, part in model.parts.items()}, 0
    for player in range(PLAYERS):
        for key, world in worlds.items():
            count = world.player_outputs
            name, source = f"{key}.put{player}", f"{key}.{HEADS}"
            yield Put(name, source, HEADS, model.world.outputs, first=player * count, at=at, count=count)
            at += count


def subsystems(net: QNet) -> dict[str, QNet]:
    """The QNet of each subsystem by itself, by its key, in the order of the rules; the inverse. WmQuantError unless the
    network is a composed one."""
    model = net.model
    if not isinstance(model, ComposedConfig):
        raise WmQuantError(f"this QNet is one {model.arch}, expected one of subsystems; make it with `wmq compose`")
    first, found = 0, {}
    for key, part in model.parts.items():
        own = [op for op in net.ops if op.name.startswith(f"{key}.") and op.out != HEADS]
        width = next(op.size for op in own if op.source == FIRST_SUM)
        ops = [*(replace(op, size=width) for op in net.ops[:SHARED]), *(_alone(op, key) for op in own)]
        tensors = {
            f"{op.name}.{name}": _stretch(net.tensor(op, name), first, width, _axis(op, name))
            for op in net.ops[:SHARED]
            for name in op.tensors(net)
        }
        tensors |= {name[len(key) + 1 :]: net.tensors[name] for name in net.tensors if name.startswith(f"{key}.")}
        found[key] = QNet(part, tuple(ops), tensors, net.parent, net.provenance)
        first += width
    return found


def _stretch(values: NDArray[Any], first: int, width: int, axis: int) -> NDArray[Any]:
    """The rows of one subsystem."""
    return np.ascontiguousarray(np.take(values, range(first, first + width), axis))


def _alone(op: Op, key: str) -> Op:
    """An op of a subsystem as it is by itself: `_moved`, undone."""
    changes: dict[str, Any] = {name: getattr(op, name).removeprefix(f"{key}.") for name in NAMES if hasattr(op, name)}
    if op.source == FIRST_SUM:
        changes |= {"first": 0}
    return replace(op, **changes)
