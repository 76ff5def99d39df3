"""Numbers that a person may ask for: each has two ends, so that no infinity, NaN or endless integer is among them."""

from dataclasses import dataclass

from wm_train.json_schema import INT64_MAX, INT64_MIN


@dataclass(frozen=True)
class Range:
    """From `least` to `most`; an end that is open (`above`, `below`) is no part of it."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a number is one of these; NaN is in no Range."""
        low = self.least < value if self.above else self.least <= value
        return low and (value < self.most if self.below else value <= self.most)

    def __str__(self) -> str:
        if not (self.above or self.below):
            return f"{_shown(self.least)} to {_shown(self.most)}"
        low = f"above {_shown(self.least)}" if self.above else f"{_shown(self.least)} or more"
        return f"{low}, {'below' if self.below else 'at most'} {_shown(self.most)}"


def _shown(end: float) -> str:
    return f"{end:,}" if isinstance(end, int) else f"{end:g}"


#: Steps of a run that its minutes limit.
ENDLESS = 10**9
#: Of steps, of frames, of windows: what no machine comes to the end of.
COUNTS = Range(1, ENDLESS)
#: Minutes of processor time: 0 is no limit, the most are two years.
MINUTES = Range(0, 1_000_000)
SEEDS = Range(INT64_MIN, INT64_MAX)
