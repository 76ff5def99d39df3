"""What the world of a network in training does alone: the same few seconds from the beginnings of held-out games each
time, on recorded inputs; in short what `wmq rollout --starts` measures at length."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wm_train.checkpoint import Checkpoint
from wm_train.config import RunConfig
from wm_train.games.corpus import Corpus
from wm_train.measure.drift import drift_figures
from wm_train.measure.recorded import Recorded, recorded
from wm_train.measure.starts import rollout_starts
from wm_train.nets.predict import checkpoint_model

#: Worlds, and frames of each.
STARTS, FRAMES = 16, 120
#: Of each game the first frames: a network with a memory reads all that come before a start.
BEGINNING = 360
#: Figures of events, by the end of their names.
RATES = "_a_minute"


def _beginnings(games: Corpus, frames: int) -> Corpus:
    """The first frames of each game."""
    at = np.arange(len(games.game))
    keep = np.flatnonzero(at - np.searchsorted(games.game, games.game) < frames)
    return Corpus(games.frames[keep], games.inputs[keep], games.place[keep], games.game[keep], games.names)


class Alone:
    """Free runs of a run's networks from fixed starts in its held-out games.

    dataset, split   that the laws' tables are read off, the first time that they are asked for
    """

    def __init__(self, dataset: Path, config: RunConfig, games: Corpus, split: Mapping[str, Any]) -> None:
        self._dataset, self._split, self._config = dataset, split, config
        self._games = _beginnings(games, BEGINNING)
        encoding = config.model.world.encoding
        possible = not config.model.world.head_set.whole  # one subsystem makes no world
        self._starts = len(rollout_starts(self._games, encoding, FRAMES, STARTS, seed=0)) if possible else 0

    @cached_property
    def _recorded(self) -> Recorded:
        encoding, holdout = self._config.model.world.encoding, self._config.train.holdout
        return recorded(self._dataset, encoding, self._split, holdout)

    def figures(self, checkpoint: Checkpoint) -> dict[str, float]:
        """Share of lawful frames, median distance from the true players at the end, and what happens a minute and
        player; {} where nothing can run: a subsystem alone, or no held-out game that is long enough."""
        if not self._starts:
            return {}
        model = checkpoint_model(checkpoint, self._config.train.device)
        encoding = self._config.model.world.encoding
        found = drift_figures(model, self._games, encoding, FRAMES, self._starts, recorded=self._recorded)
        laws = {"lawful": found["laws"]["predicted"]["lawful"]} if "laws" in found else {}
        rates = {name: rate for name, rate in found["habits"]["predicted"].items() if name.endswith(RATES)}
        return {**laws, "position_p50": found["position_p50"][-1], **rates}
