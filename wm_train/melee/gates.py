"""Where a model of Melee errs, and which flag might help: the gates of `wmq diagnose`."""

import numpy as np

from wm_train.grid.arithmetic import CODE_MAX, FRAC_BITS
from wm_train.measure.diagnose import LESS, RATIO, SHARE, Diagnosis, Figures, Gate, Seen, head_of, split
from wm_train.melee.field_table import CONTROLS, STALE_MOVES, STATE, STATE_INDEX
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Kind

#: An item nearer than this is near: about the reach of the longest attacks.
NEAR_UNITS = 30.0
#: Frames after the predicted one in which an action that was predicted too early may still come.
LATER = 3
#: A character's part in an action counts from so many frames on.
SHARED_FRAMES = 30


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
    return split(seen.position_error, before != after, ~before & ~after)


def _repeated(seen: Seen) -> Figures | None:
    """Relative error of damage where both the game and the model hurt a player: by a move that its attacker's queue
    holds already, and by one that it does not."""
    if seen.aside is None or seen.fields is None:
        return None
    percent = [seen.field(frames, "percent") for frames in (seen.now, seen.after, seen.true)]
    dealt, predicted = percent[2] - percent[0], percent[1] - percent[0]
    move = seen.aside.frames[seen.t + 1][:, ::-1, STATE_INDEX["last_attack"]]
    first = seen.fields.frame_index["stale_1"]
    queue = seen.aside.frames[seen.t][:, ::-1, first : first + STALE_MOVES]
    repeated = (queue == move[..., None]).any(-1)
    hurt = (dealt > 0) & (predicted > 0) & (move > 1)
    return split(np.abs(predicted - dealt) / np.maximum(dealt, 1), hurt & repeated, hurt & ~repeated)


def _rare_actions(seen: Seen) -> Figures:
    return head_of(seen, STATE[STATE_INDEX["action"]])


def _items(seen: Seen) -> Figures | None:
    if seen.aside is None or seen.fields is None or "item_distance" not in seen.fields.frame_index:
        return None
    distance = seen.aside.frames[seen.t][..., seen.fields.frame_index["item_distance"]] / float(1 << FRAC_BITS)
    near = distance < NEAR_UNITS
    return split(seen.position_error, near, ~near)


def _ages(seen: Seen) -> Figures:
    resolved = CODE_MAX * STATE[STATE_INDEX["state_age"]].step
    beyond = seen.field(seen.now, "state_age") / float(1 << FRAC_BITS) > resolved
    return split(seen.right, seen.changes & beyond, seen.changes & ~beyond)


def _presses(seen: Seen) -> Figures:
    buttons = [i for i, f in enumerate(CONTROLS) if f.kind is Kind.BUTTON]
    before, following = (seen.corpus.inputs[t][..., buttons] for t in (seen.t, seen.t + 1))
    pressed = (following > before).any(-1)
    return split(seen.right, seen.changes & pressed, seen.changes & ~pressed)


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


#: Thresholds. A ratio of errors from 1.25 on: a quarter more is above what differs between two seeds of a small run.
#: Hits move a player by their nature more than a steady frame does, so they get 3. Accuracy of changes differs by a
#: point or two between seeds: 5 points where a flag costs little, 15 where rare ids are rare in training too. Timing
#: counts when a quarter of all wrong actions are only early.
GATES: tuple[Gate, ...] = (
    Gate(
        name="mixed_characters",
        opens="a larger model",
        measure="wrong next action, same action: other characters, and the one most often in it",
        compared=RATIO,
        threshold=1.25,
        figures=_mixed,
    ),
    Gate(
        name="hits",
        opens="state_flags",
        measure="position error: hitlag begins or ends, and none",
        compared=RATIO,
        threshold=3.0,
        figures=_hits,
    ),
    Gate(
        name="repeated_moves",
        opens="stale_moves",
        measure="relative damage error: moves in the queue, and fresh ones",
        compared=RATIO,
        threshold=1.25,
        figures=_repeated,
    ),
    Gate(
        name="rare_actions",
        opens="wider embeddings",
        measure="changed actions right: rare ones, and the others",
        compared=LESS,
        threshold=0.15,
        figures=_rare_actions,
    ),
    Gate(
        name="items_near",
        opens="projectiles",
        measure="position error: an item near, and none",
        compared=RATIO,
        threshold=1.25,
        figures=_items,
    ),
    Gate(
        name="long_actions",
        opens="state_age_as_embed",
        measure="changed actions right: ages past the code's end, and before",
        compared=LESS,
        threshold=0.05,
        figures=_ages,
    ),
    Gate(
        name="button_edges",
        opens="press_events",
        measure="changed actions right: as a button goes down, and else",
        compared=LESS,
        threshold=0.05,
        figures=_presses,
    ),
    Gate(
        name="early_actions",
        opens="lookahead",
        measure="wrong actions that come 1 to 3 frames later",
        compared=SHARE,
        threshold=0.25,
        figures=_too_early,
    ),
)


#: With queues of stale moves and, where all games have items, the nearest items.
DIAGNOSIS = Diagnosis(
    GATES,
    tuple(Encoding("v2.1", 1, MeleeFlags(projectiles=items, stale_moves=True)) for items in (True, False)),
)
