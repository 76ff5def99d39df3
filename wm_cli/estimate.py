"""How long something will take, told once after its first steps."""

import time
from collections.abc import Callable

#: The estimate is of the steps from the second to this one: the first also does what is done once.
STEPS = 10


class Estimate:
    """Hears after every step which share of the whole is done, 0..1; says once how long the rest will take.

    clock  seconds of any beginning
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._steps, self._begun = 0, (0.0, 0.0)

    def moved(self, share: float) -> None:
        """One more step."""
        self._steps += 1
        if self._steps == 1:
            self._begun = self._clock(), share
        if self._steps == STEPS and share < 1:
            seconds, done = self._clock() - self._begun[0], share - self._begun[1]
            self._say(f"about {duration(seconds * (1 - share) / done)} to go, by the speed of the first {STEPS} steps")


def duration(seconds: float) -> str:
    """Rounded to seconds below a minute, to minutes below ten hours, to hours from there on."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 10:
        return f"{round(seconds / 3600):,} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
