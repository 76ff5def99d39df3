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

from wm_train.encoding import Encoding, Flags
from wm_train.errors import WmTrainError
from wm_train.evaluate import Model, forced
from wm_train.frames import CONTROLS, STALE_MOVES, STATE, STATE_INDEX, Field, Kind
from wm_train.grid import CODE_MAX, FRAC_BITS, Ints
from wm_train.windows import Corpus, held_out

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Player-frames on either side from which a gate says anything.
ENOUGH = 50
#: An item nearer than this is near: about the reach of the longest attacks.
NEAR_UNITS = 30.0
#: An id is rare if it is among those that together make up this share of changes, from the rarest on.
RARE_SHARE = 0.2
#: Frames after the predicted one in which an action that was predicted too early may still come.
LATER = 3
#: A character's part in an action counts from so many frames on.
SHARED_FRAMES = 30


@dataclass(frozen=True)
class Seen:
    """One-step predictions of N frames, both players.

    t                 (N,) the newest known frame of each
    now, after, true  (N, 2, fields) int32: Frame t, the predicted Frame t+1, the true one
    corpus            the games they are from
    aside             the same games with every field that a measure reads, of encoding `fields`; None if they lack some
    """

    t: Ints
    now: NDArray[np.int32]
    after: NDArray[np.int32]
    true: NDArray[np.int32]
    corpus: Corpus
    aside: Corpus | None
    fields: Encoding

    def field(self, frames: NDArray[np.int32], name: str) -> Ints:
        """(N, 2) a field of STATE."""
        return frames[..., STATE_INDEX[name]].astype(np.int64)

    @property
    def changes(self) -> Mask:
        """(N, 2) frames whose action changes."""
        return self.field(self.now, "action") != self.field(self.true, "action")

    @property
    def right(self) -> Mask:
        """(N, 2) frames whose action is predicted."""
        return self.field(self.after, "action") == self.field(self.true, "action")

    @property
    def position_error(self) -> Floats:
        """(N, 2) mean error over x and y, in game units."""
        at = [STATE_INDEX["x"], STATE_INDEX["y"]]
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


def _split(values: Any, suspect: Mask, ordinary: Mask) -> Figures:
    def mean(mask: Mask) -> float:
        return float(values[mask].mean()) if mask.any() else 0.0

    return Figures(mean(suspect), mean(ordinary), int(suspect.sum()), int(ordinary.sum()))


# ---------------------------------------------------------------------------------------------------------- measures


def _mixed(seen: Seen) -> Figures | None:
    """Wrong next actions, action by action: of the characters that share it with the one most often in it, and of that
    one, weighted alike."""
    action, character = seen.field(seen.now, "action"), seen.field(seen.now, "character")
    shape = (_vocab("action"), _vocab("character"))
    cell = (action * shape[1] + character).ravel()
    count, wrong = (
        np.bincount(cell, weights, shape[0] * shape[1]).reshape(shape) for weights in (None, (~seen.right).ravel())
    )
    lead = count.argmax(1)[:, None]
    count, wrong = np.where(count >= SHARED_FRAMES, count, 0), np.where(count >= SHARED_FRAMES, wrong, 0)
    first, first_wrong = (np.take_along_axis(part, lead, 1)[:, 0] for part in (count, wrong))
    rest, rest_wrong = count.sum(1) - first, wrong.sum(1) - first_wrong
    shared = rest > 0
    if not shared.any():
        return None
    expected = rest[shared] * first_wrong[shared] / first[shared]
    total = rest[shared].sum()
    return Figures(rest_wrong[shared].sum() / total, expected.sum() / total, int(total), int(first[shared].sum()))


def _vocab(name: str) -> int:
    return STATE[STATE_INDEX[name]].vocab


def _hits(seen: Seen) -> Figures:
    """Position error where hitlag begins or ends, and where there is none; while it lasts nothing moves."""
    before, after = (seen.field(frames, "hitlag") > 0 for frames in (seen.now, seen.true))
    return _split(seen.position_error, before != after, ~before & ~after)


def _repeated(seen: Seen) -> Figures | None:
    """Relative error of damage where both the game and the model hurt a player: by a move that its attacker's queue
    holds already, and by one that it does not."""
    if seen.aside is None:
        return None
    percent = [seen.field(frames, "percent") for frames in (seen.now, seen.after, seen.true)]
    dealt, predicted = percent[2] - percent[0], percent[1] - percent[0]
    move = seen.aside.frames[seen.t + 1][:, ::-1, STATE_INDEX["last_attack"]]
    first = seen.fields.frame_index["stale_1"]
    queue = seen.aside.frames[seen.t][:, ::-1, first : first + STALE_MOVES]
    repeated = (queue == move[..., None]).any(-1)
    hurt = (dealt > 0) & (predicted > 0) & (move > 1)
    return _split(np.abs(predicted - dealt) / np.maximum(dealt, 1), hurt & repeated, hurt & ~repeated)


def _rare(true: Ints, changes: Mask, vocab: int) -> Mask:
    """Changes to ids that are rare among changes."""
    count = np.bincount(true[changes], minlength=vocab)
    order = count.argsort(kind="stable")
    rare = np.zeros(vocab, bool)
    rare[order[count[order].cumsum() <= RARE_SHARE * count.sum()]] = True
    return changes & rare[true]


def _head(seen: Seen, field: Field) -> Figures:
    """Accuracy of one id where it changes: to rare ids, and to the others."""
    now, after, true = (seen.field(frames, field.name) for frames in (seen.now, seen.after, seen.true))
    changes = now != true
    rare = _rare(true, changes, field.vocab)
    return _split(after == true, rare, changes & ~rare)


def _rare_actions(seen: Seen) -> Figures:
    return _head(seen, STATE[STATE_INDEX["action"]])


def _items(seen: Seen) -> Figures | None:
    if seen.aside is None or not seen.fields.flags.projectiles:
        return None
    distance = seen.aside.frames[seen.t][..., seen.fields.frame_index["item_distance"]] / float(1 << FRAC_BITS)
    near = distance < NEAR_UNITS
    return _split(seen.position_error, near, ~near)


def _ages(seen: Seen) -> Figures:
    resolved = CODE_MAX * STATE[STATE_INDEX["state_age"]].step
    beyond = seen.field(seen.now, "state_age") / float(1 << FRAC_BITS) > resolved
    return _split(seen.right, seen.changes & beyond, seen.changes & ~beyond)


def _presses(seen: Seen) -> Figures:
    buttons = [i for i, f in enumerate(CONTROLS) if f.kind is Kind.BUTTON]
    before, following = (seen.corpus.inputs[t][..., buttons] for t in (seen.t, seen.t + 1))
    pressed = (following > before).any(-1)
    return _split(seen.right, seen.changes & pressed, seen.changes & ~pressed)


def _too_early(seen: Seen) -> Figures:
    """Among wrong actions: the share that comes 1 to LATER frames after all; beside it, the share of wrong actions."""
    last = len(seen.corpus.game) - 1
    later = np.minimum(seen.t[:, None] + 1 + np.arange(1, LATER + 1), last)
    same_game = seen.corpus.game[later] == seen.corpus.game[seen.t][:, None]
    action = seen.corpus.frames[later][..., STATE_INDEX["action"]]  # (N, LATER, 2)
    comes = ((action == seen.field(seen.after, "action")[:, None]) & same_game[..., None]).any(1)
    wrong = ~seen.right
    return Figures(
        float(comes[wrong].mean()) if wrong.any() else 0.0, float(wrong.mean()), int(wrong.sum()), wrong.size
    )


_RATIO, _LESS, _SHARE = "suspect / ordinary", "ordinary - suspect", "suspect"

#: Thresholds. A ratio of errors from 1.25 on: a quarter more is above what differs between two seeds of a small run.
#: Hits move a player by their nature more than a steady frame does, so they get 3. Accuracy of changes differs by a
#: point or two between seeds: 5 points where a flag costs little, 15 where rare ids are rare in training too. Timing
#: counts when a quarter of all wrong actions are only early.
GATES: tuple[Gate, ...] = (
    Gate(
        name="mixed_characters",
        opens="a larger model",
        measure="wrong next action, same action: other characters, and the one most often in it",
        compared=_RATIO,
        threshold=1.25,
        figures=_mixed,
    ),
    Gate(
        name="hits",
        opens="state_flags",
        measure="position error: hitlag begins or ends, and none",
        compared=_RATIO,
        threshold=3.0,
        figures=_hits,
    ),
    Gate(
        name="repeated_moves",
        opens="stale_moves",
        measure="relative damage error: moves in the queue, and fresh ones",
        compared=_RATIO,
        threshold=1.25,
        figures=_repeated,
    ),
    Gate(
        name="rare_actions",
        opens="wider embeddings",
        measure="changed actions right: rare ones, and the others",
        compared=_LESS,
        threshold=0.15,
        figures=_rare_actions,
    ),
    Gate(
        name="items_near",
        opens="projectiles",
        measure="position error: an item near, and none",
        compared=_RATIO,
        threshold=1.25,
        figures=_items,
    ),
    Gate(
        name="long_actions",
        opens="state_age_as_embed",
        measure="changed actions right: ages past the code's end, and before",
        compared=_LESS,
        threshold=0.05,
        figures=_ages,
    ),
    Gate(
        name="button_edges",
        opens="press_events",
        measure="changed actions right: as a button goes down, and else",
        compared=_LESS,
        threshold=0.05,
        figures=_presses,
    ),
    Gate(
        name="early_actions",
        opens="lookahead",
        measure="wrong actions that come 1 to 3 frames later",
        compared=_SHARE,
        threshold=0.25,
        figures=_too_early,
    ),
)


def _verdict(gate: Gate, seen: Seen) -> Verdict:
    about = (gate.name, gate.opens, gate.measure, gate.compared)
    found = gate.figures(seen)
    if found is None:
        return Verdict(*about, None, gate.threshold, None, None, 0, 0, None)
    counts = found.suspect_frames, found.ordinary_frames
    if min(counts) < ENOUGH:
        return Verdict(*about, None, gate.threshold, found.suspect, found.ordinary, *counts, None)
    value = {
        _RATIO: found.suspect / found.ordinary if found.ordinary else 1.0,
        _LESS: found.ordinary - found.suspect,
        _SHARE: found.suspect,
    }[gate.compared]
    return Verdict(*about, value, gate.threshold, found.suspect, found.ordinary, *counts, bool(value > gate.threshold))


def head_figures(seen: Seen, encoding: Encoding) -> Iterator[dict[str, Any]]:
    """For every embedded id: its embedding's width, and accuracy where it changes, to rare ids and to the others."""
    for field in encoding.ids:
        if not field.rounded and field in STATE:
            found = _head(seen, field)
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


def aside_of(dataset: Path, corpus: Corpus, split: Mapping[str, Any], holdout: float) -> tuple[Corpus | None, Encoding]:
    """The held-out games of `corpus` once more, with queues and, if all of them have items, the nearest items."""
    encoding = Encoding("v2.1", 1)
    for items in (True, False):
        encoding = Encoding("v2.1", 1, Flags(projectiles=items, stale_moves=True))
        try:
            aside = held_out(dataset, encoding, split, holdout)
        except WmTrainError:
            continue
        if aside.names == corpus.names and len(aside.game) == len(corpus.game):
            return aside, encoding
    return None, encoding


def predicted(
    model: Model, encoding: Encoding, corpus: Corpus, aside: tuple[Corpus | None, Encoding], limit: int = 0
) -> Seen:
    """A model's next Frames along the games; `limit` of them, evenly spread, if not 0."""
    t = corpus.windows(encoding)
    if not len(t):
        raise WmTrainError(f"diagnose: no game has {encoding.span + 1} frames in a row; diagnose on longer games")
    if limit and len(t) > limit:
        t = t[np.linspace(0, len(t) - 1, limit).astype(np.int64)]
    parts = list(forced(model, corpus, encoding, t))
    at, after = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Seen(at, corpus.frames[at], after, corpus.frames[at + 1], corpus, *aside)


def verdicts(seen: Seen) -> list[Verdict]:
    """Every gate on what a model predicted."""
    return [_verdict(gate, seen) for gate in GATES]
