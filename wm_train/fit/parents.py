"""The float run that another run begins from: QAT of it, or further training in float, on the same games or on others.

A run vouches for what its network was trained on. So one that begins from another counts that one's training games
among its own, puts games on the same sides, and validates on none that the other was trained on.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from wm_train.checkpoint import Checkpoint, digest, load_checkpoint
from wm_train.config import ModelConfig, RunConfig, TrainConfig, one_network
from wm_train.errors import WmTrainError
from wm_train.fit.weights import read_weights
from wm_train.games.corpus import Split, is_cut
from wm_train.measure.compare import first_difference
from wm_train.reading import one_line


def parent_of(start: Path, weights: Path | None = None) -> Checkpoint:
    """The run in a folder, with the weights of a file in place of its own if there is one; WmTrainError unless it is a
    float run of one network, and the weights are of it."""
    parent = load_checkpoint(start)
    if parent.parts:
        raise WmTrainError(
            f"{start}: is composed of subsystems, expected a run of one network; they share no parameters, so train "
            "each further alone (`wmq train --subsystem NAME --start ITS_RUN`), and compose them again"
        )
    if parent.form != "float":
        raise WmTrainError(f"{start}: a run starts from a float run, and this one is {parent.form}")
    if weights is None:
        return replace(parent, weights=None)
    read = read_weights(weights, parent.config.model)
    return replace(parent, arrays=read.arrays, weights=read.sha256)


def parent_digest(start: Path, run: Path) -> str:
    """What a run keeps of the one that it begins from; WmTrainError if that is the run itself."""
    if start.resolve() == run.resolve():
        raise WmTrainError(f"{run}: a run cannot start from itself; give another --out")
    return digest(start)


def adopted(config: RunConfig, parent: Checkpoint, start: Path, qat: bool) -> RunConfig:
    """A config with what the parent decides: which side a game is on; for QAT the model's shape and the kinds of games
    too. The bits of its weights matter only now: those of this config count, if it names any.

    WmTrainError if further training in float is asked for with another model than the parent's.
    """
    theirs, ours, sides = parent.config.model, config.model, parent.config.train.split
    if qat:
        kept = _calibration(config, parent)
        model = replace(one_network(theirs), bits=ours.bits or theirs.bits)
        return RunConfig(model, replace(config.train, calibration=kept, **sides))
    if found := first_difference(_shape(theirs), _shape(ours)):
        raise WmTrainError(f"{start}: is of another model than the config: {one_line(found)}; give that run's --config")
    return RunConfig(ours, replace(config.train, **sides | {"only": config.train.only}))


def _calibration(config: RunConfig, parent: Checkpoint) -> str:
    """How the parent's scales were found; WmTrainError if the config names another way."""
    asked, kept = config.train.calibration, parent.config.train.calibration
    if asked not in (kept, TrainConfig.calibration):
        raise WmTrainError(
            f"config: train.calibration = {asked!r}, but the float run that QAT starts from has the scales of {kept!r}"
            "; train it anew, or leave the key out"
        )
    return kept


def _shape(model: ModelConfig) -> dict[str, Any]:
    """What parameters and their meaning depend on."""
    kept = RunConfig(model).to_json()["model"]
    told = {key: str(list(value)) if isinstance(value, tuple) else value for key, value in kept.items()}
    return {f"model.{key}": value for key, value in told.items() if key not in ("bits", "dropout")}


def with_parents_games(split: Split, parent: Checkpoint, start: Path, qat: bool) -> Split:
    """A split whose training games are the parent's too, but for those that validate QAT. WmTrainError if a game
    validates further training in float that trained the parent."""
    theirs = set(parent.split.get("train", ()))
    both = set(split.valid) & set(parent.split.get("valid", ())) if is_cut(split.to_json()) else set[str]()
    leaked = sorted((theirs & set(split.valid)) - both)
    if leaked and not qat:
        raise WmTrainError(
            f"{start}: was trained on game {leaked[0]}, which would validate this one; ingest more games, or train "
            "without a start"
        )
    theirs.difference_update(leaked)
    skipped = set(split.skipped) - theirs
    return replace(split, train=tuple(sorted(theirs.union(split.train))), skipped=tuple(sorted(skipped)))
