"""What an evaluation says in words: where a model is no better than a baseline, and what would help."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wm_cli.metric_names import METRICS, ROLLOUT_METRICS, Metric

Figures = Mapping[str, Any]

#: Baselines, which know no model, as people call them.
BASELINES: Mapping[str, str] = {
    "persistence": "nothing changes",
    "constant_velocity": "constant velocity",
    "constant_velocity_freeze": "constant velocity, freeze",
    "another_start": "another moment of the games",
}
#: Frames ahead that a verdict looks at, where they were measured.
AHEAD = "10"
#: Figures that are named at most, the first ones.
NAMED = 3
ADVICE = "Longer training and more games help most."


@dataclass(frozen=True)
class Compared:
    """A metric of a model beside the best baseline: its label, both values, and what that baseline is called."""

    label: str
    value: float
    best: float
    baseline: str
    more: bool

    @property
    def better(self) -> bool:
        """Whether the model is better; no better is as good as the baseline or worse."""
        return self.value > self.best if self.more else self.value < self.best

    @property
    def text(self) -> str:
        """The metric, its value, and the baseline's."""
        return f"{self.label} {self.value:.4f} ({self.baseline}: {self.best:.4f})"


def compared(figures: Figures) -> list[Compared]:
    """Every metric that a model and its baselines have: one frame ahead, then the rollouts of AHEAD frames."""
    baselines = {name: row for name, row in figures["baselines"].items() if name in BASELINES}
    ahead = {name: row["rollout"].get(AHEAD, {}) for name, row in baselines.items()}
    return [
        *_compared(METRICS, figures, baselines),
        *_compared(ROLLOUT_METRICS, figures["rollout"].get(AHEAD, {}), ahead),
    ]


def _compared(metrics: tuple[Metric, ...], own: Figures, baselines: Mapping[str, Figures]) -> Iterator[Compared]:
    for metric in metrics:
        known = {name: row[metric.key] for name, row in baselines.items() if row.get(metric.key) is not None}
        value = own.get(metric.key)
        if value is None or not known:
            continue
        name = (max if metric.more else min)(known, key=known.__getitem__)
        yield Compared(metric.label.format(AHEAD), value, known[name], BASELINES[name], metric.more)


def verdict(figures: Figures) -> str:
    """One or two sentences: what the figures of an evaluation say of its model."""
    every = compared(figures)
    worse = [one.text for one in every if not one.better]
    if not worse:
        return f"Better than every baseline in all {len(every)} figures."
    more = f"; and {len(worse) - NAMED} more" if len(worse) > NAMED else ""
    return (
        f"No better than a baseline in {len(worse)} of {len(every)} figures: {'; '.join(worse[:NAMED])}{more}. {ADVICE}"
    )
