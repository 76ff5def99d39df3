"""The metrics that tables and the report show, in their order."""

from dataclasses import dataclass

from wm_train.world.registry import find_game

#: What the built-in game calls damage.
DAMAGE = find_game().roles.damage


@dataclass(frozen=True)
class Metric:
    """A metric: its key in figures, and how the report names it; `{}` stands for a number of frames.

    more   whether a larger value is the better one
    rare   whether there may be nothing to measure: None then
    """

    key: str
    label: str
    more: bool = False
    rare: bool = False


#: One frame ahead.
METRICS = (
    Metric("action_acc", "action right, of all", more=True),
    Metric("action_change_acc", "action right where it changes", more=True, rare=True),
    Metric("action_change_acc_p0", "the same, of player 1", more=True, rare=True),
    Metric("position_mae", "position error, mean"),
    Metric("position_p50", "position error, median"),
    Metric("position_p95", "position error, 95th percentile"),
    Metric("velocity_mae", "velocity error, mean"),
    Metric("damage_mae", f"{DAMAGE} error, mean"),
)
#: Of every event that the game names, one frame ahead; `{}` is the game's name of it, then the frames around it.
EVENT_METRICS = (
    Metric("precision", "{}: precision, exact frame", more=True),
    Metric("recall", "{}: recall, exact frame", more=True),
    Metric("f1", "{}: F1, exact frame", more=True),
    Metric("precision_within", "{}: precision, within {} frames", more=True),
    Metric("recall_within", "{}: recall, within {} frames", more=True),
    Metric("f1_within", "{}: F1, within {} frames", more=True),
)
#: Of the hits that the game and the model both have.
HIT_METRICS = (Metric("mae", f"{DAMAGE} of a hit, error", rare=True),)
#: By how often training has seen who does what; `{}` is how often.
COVERAGE_METRICS = (
    Metric("action_acc", "action right, seen {}", more=True),
    Metric("action_change_acc", "action right where it changes, seen {}", more=True, rare=True),
    Metric("position_mae", "position error, seen {}"),
)
#: Rollouts, for each horizon; another game may name its damage otherwise.
ROLLOUT_METRICS = (
    Metric("position_mae_mean", "position error, mean of {} frames"),
    Metric("position_mae_last", "position error at frame {}"),
    Metric("action_acc_last", "action right at frame {}", more=True),
    Metric("lawful", "lawful frames, of {}", more=True),
    Metric(f"{DAMAGE}_mae_last", f"{DAMAGE} error at frame {{}}"),
)
