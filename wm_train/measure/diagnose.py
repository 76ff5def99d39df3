"""Where a model errs, and which flag of its encoding might help: measures on held-out games, each behind a gate.

A gate compares a model with itself: the frames that a flag is for (`suspect`) against the rest (`ordinary`). It opens
where they differ by more than its threshold. An open gate is a reason for a trial, not a proof that the flag helps.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, held_out
from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.starts import evenly
from wm_train.measure.worlds import Model, forced
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Field

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Player-frames on either side from which a gate says anything.
ENOUGH = 50
#: An id is rare if it is among those that together make up this share of changes, from the rarest on.
RARESHARE = 0.2


@dataclass(frozen=True)
class Seen:
    """One-step predictions of N frames, both players.

    t                 (N,) the newest known frame of each
    now, after, true  (N, 2, fields) int32: Frame t, the predicted Frame t+1, the true one
    corpus            the games they are from; game: what is played
    aside             the same games with every field that a measure reads, of encoding `fields`; None if they lack some
    """

    t: Ints
    now: NDArray[np.int32]
    after: NDArray[np.int32]
    true: NDArray[np.int32]
    corpus: Corpus
    game: Game
    aside: Corpus | None
    fields: Encoding | None

    @property
    def diagnosis(self) -> "Diagnosis":
        """What the game measures."""
        return diagnosis_of(self.game)

    def field(self, frames: NDArray[np.int32], name: str) -> Ints:
        """(N, 2) a field of the state."""
        return frames[..., self.game.state_index[name]].astype(np.int64)

    @property
    def changes(self) -> Mask:
        """(N, 2) frames whose action changes."""
        return self.field(self.now, self.game.roles.action) != self.field(self.true, self.game.roles.action)

    @property
    def right(self) -> Mask:
        """(N, 2) frames whose action is predicted."""
        return self.field(self.after, self.game.roles.action) == self.field(self.true, self.game.roles.action)

    @property
    def position_error(self) -> Floats:
        """(N, 2) mean error of the position, in its unit."""
        at = self.game.at(*self.game.roles.position)
        error = np.abs(self.after[..., at].astype(np.int64) - self.true[..., at]).mean(-1)
        return error / float(1 << FRAC_BITS)


@dataclass(frozen=True)
class Figures:
    """What a gate compares: means of suspect and ordinary frames, and how many of each."""

    suspect: float
    ordinary: float
    suspect_frames: int
    ordinary_frames: int


@dataclass(frozen=True)
class Gate:
    """name; what it `opens`; `measure` and `compared` (how value follows from the two figures); from which `threshold`
    on it is open."""

    name: str
    opens: str
    measure: str
    compared: str
    threshold: float
    figures: Callable[[Seen], Figures | None]


@dataclass(frozen=True)
class Diagnosis:
    """What is measured of models of a game: its gates, and encodings that have every field that they read, fullest
    first."""

    gates: tuple[Gate, ...]
    asides: tuple[Encoding, ...]


@dataclass(frozen=True)
class Verdict:
    """A gate on one model. open: None where there are too few frames, or the games lack what is measured."""

    name: str
    opens: str
    measure: str
    compared: str
    value: float | None
    threshold: float
    suspect: float | None
    ordinary: float | None
    suspect_frames: int
    ordinary_frames: int
    open: bool | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def split(values: Any, suspect: Mask, ordinary: Mask) -> Figures:
    def mean(mask: Mask) -> float:
        return float(values[mask].mean()) if mask.any() else 0.0

    return Figures(mean(suspect), mean(ordinary), int(suspect.sum()), int(ordinary.sum()))


#: How a gate's value follows from its two figures.
RATIO, LESS, SHARE = "suspect / ordinary", "ordinary - suspect", "suspect"


def _rare(true: Ints, changes: Mask, vocab: int) -> Mask:
    """Changes to ids that are rare among changes."""
    count = np.bincount(true[changes], minlength=vocab)
    order = count.argsort(kind="stable")
    rare = np.zeros(vocab, bool)
    rare[order[count[order].cumsum() <= RARESHARE * count.sum()]] = True
    return changes & rare[true]


def head_of(seen: Seen, field: Field) -> Figures:
    """Accuracy of one id where it changes: to rare ids, and to the others."""
    now, after, true = (seen.field(frames, field.name) for frames in (seen.now, seen.after, seen.true))
    changes = now != true
    rare = _rare(true, changes, field.vocab)
    return split(after == true, rare, changes & ~rare)


def _verdict(gate: Gate, seen: Seen) -> Verdict:
    about = (gate.name, gate.opens, gate.measure, gate.compared)
    found = gate.figures(seen)
    if found is None:
        return Verdict(*about, None, gate.threshold, None, None, 0, 0, None)
    counts = found.suspect_frames, found.ordinary_frames
    if min(counts) < ENOUGH:
        return Verdict(*about, None, gate.threshold, found.suspect, found.ordinary, *counts, None)
    value = {
        RATIO: found.suspect / found.ordinary if found.ordinary else 1.0,
        LESS: found.ordinary - found.suspect,
        SHARE: found.suspect,
    }[gate.compared]
    return Verdict(*about, value, gate.threshold, found.suspect, found.ordinary, *counts, bool(value > gate.threshold))


def head_figures(seen: Seen, encoding: Encoding) -> Iterator[dict[str, Any]]:
    """For every embedded id: its embedding's width, and accuracy where it changes, to rare ids and to the others."""
    for field in encoding.ids:
        if not field.rounded and field in encoding.game.state:
            found = head_of(seen, field)
            frames = found.suspect_frames + found.ordinary_frames
            yield {
                "name": field.name,
                "ids": field.vocab,
                "width": field.width,
                "changes": frames,
                "rare": found.suspect if found.suspect_frames else None,
                "common": found.ordinary if found.ordinary_frames else None,
            }


# -------------------------------------------------------------------------------------------------------------- games


def aside_of(
    game: Game, dataset: Path, corpus: Corpus, split: Mapping[str, Any], holdout: float
) -> tuple[Corpus | None, Encoding | None]:
    """The held-out games of `corpus` once more, with all that measures read: as the first of the game's `asides` that
    all of them have."""
    for encoding in diagnosis_of(game).asides:
        try:
            aside = held_out(dataset, encoding, split, holdout)
        except WmTrainError:
            continue
        if aside.names == corpus.names and len(aside.game) == len(corpus.game):
            return aside, encoding
    return None, None


def diagnosis_of(game: Game) -> Diagnosis:
    """What is measured of models of a game; WmTrainError if it has no gates."""
    if game.diagnosis is None:
        raise WmTrainError(f"diagnose: {game.title} has no gates; wmq evaluate measures models of every game")
    return game.diagnosis()


def predicted(
    model: Model, encoding: Encoding, corpus: Corpus, aside: tuple[Corpus | None, Encoding | None], limit: int = 0
) -> Seen:
    """A model's next Frames along the games; `limit` of them, evenly spread, if not 0."""
    t = corpus.windows(encoding)
    if not len(t):
        raise WmTrainError(f"diagnose: no game has {encoding.span + 1} frames in a row; diagnose on longer games")
    parts = list(forced(model, corpus, encoding, evenly(t, limit)))
    at, after = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Seen(at, corpus.frames[at], after, corpus.frames[at + 1], corpus, encoding.game, *aside)


def verdicts(seen: Seen) -> list[Verdict]:
    """Every gate on what a model predicted."""
    return [_verdict(gate, seen) for gate in seen.diagnosis.gates]
