"""One world out of runs of its subsystems: their networks side by side."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wm_train.checkpoint import Checkpoint
from wm_train.config import ComposedConfig, RunConfig, one_network
from wm_train.errors import WmTrainError
from wm_train.world.subsystem import HeadSet


def _heads(name: str, run: Checkpoint) -> HeadSet:
    """What a run predicts; WmTrainError unless it is of one subsystem."""
    heads = run.config.model.world.head_set
    if not heads.whole:
        raise WmTrainError(
            f"{name}: predicts {heads.name}, expected one subsystem; make it with `wmq train --subsystem`"
        )
    return heads


def _same(name: str, what: str, got: Any, expected: Any) -> None:
    if got != expected:
        raise WmTrainError(f"{name}: {what} is not that of the other runs; train all of them alike")


def composed(runs: Mapping[str, Checkpoint]) -> Checkpoint:
    """The Checkpoint of a composed network, from runs of all subsystems, each once, by what an error calls them.

    WmTrainError where a subsystem is missing or there twice, where the runs' forms, games or encodings differ, or where
    the parts do not fit side by side (config.ComposedConfig).
    """
    found: dict[str, tuple[str, Checkpoint]] = {}
    first = next(iter(runs.values()))
    for name, run in runs.items():
        heads = _heads(name, run)
        (part,) = heads.subsystems
        if part.key in found:
            raise WmTrainError(
                f"{name}: is of {part.key}, as {found[part.key][0]} is; expected one run of each subsystem"
            )
        _same(name, "its form", run.form, first.form)
        _same(name, "what it was trained on", dict(run.split), dict(first.split))
        _same(name, "how games were split", run.config.train.split, first.config.train.split)
        _same(name, "the set of heads that it is of", heads.whole, _heads(name, first).whole)
        found[part.key] = name, run
    parts = {key: run for key, (_, run) in found.items()}
    missing = [key for key in _whole(first).parts if key not in parts]
    if missing:
        raise WmTrainError(
            f"compose: no run of {', '.join(missing)}; make it with `wmq train --subsystem {missing[0]}`"
        )
    return _side_by_side({key: parts[key] for key in _whole(first).parts})


def _whole(run: Checkpoint) -> HeadSet:
    """The head set that a run's subsystem is of."""
    world = run.config.model.world
    return world.game.head_sets[world.head_set.whole]


def _side_by_side(parts: Mapping[str, Checkpoint]) -> Checkpoint:
    first = next(iter(parts.values()))
    models = {key: one_network(run.config.model) for key, run in parts.items()}

    def joined(of: str) -> dict[str, Any]:
        return {f"{key}.{name}": value for key, run in parts.items() for name, value in getattr(run, of).items()}

    losses = [loss for run in parts.values() if (loss := run.figures.get("held_out")) is not None]
    steps = max(run.figures.get("steps", 0) for run in parts.values())
    figures = {"steps": steps, "held_out": sum(losses) if len(losses) == len(parts) else None}
    return replace(
        first,
        config=RunConfig(ComposedConfig(models), first.config.train),
        arrays=joined("arrays"),
        scales=joined("scales"),
        thresholds={name: cut for run in parts.values() for name, cut in run.thresholds.items()},
        figures=figures,
        parent=None,
        weights=None,
    )
