"""Numbers on a command line: every one has two ends, so that none is infinite, NaN, or past 64 bits."""

import re
from decimal import Decimal
from math import isnan
from typing import Any

import click

from wm_train.ranges import ENDLESS, MINUTES, SEEDS

#: Frames that a session's log can have: those of a day.
FRAMES_OF_A_DAY = 60 * 86_400
#: Windows of the games of a dataset that a verb can begin at, or keeps in memory.
WINDOWS = 1_000_000
#: Compute units of a frame or a transaction: far more than a chain allows.
UNITS = 1_000_000_000
_SHORT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([KMkm])")


class Whole(click.IntRange):
    """A whole number of a Range, as an option or argument has it."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(least, most)


class Real(click.FloatRange):
    """A finite number of a Range. NaN is less than nothing and more than nothing, so it would pass for one."""

    def __init__(self, least: float, most: float, above: bool = False) -> None:
        super().__init__(least, most, min_open=above)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Units(Whole):
    """Compute units, written out, or as 400K or 1.4M."""

    name = "units"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        if isinstance(value, str) and not value.lstrip("-").isdecimal() and not _SHORT.fullmatch(value):
            self.fail(f"{value!r} is no number of units; expected one as 1400000, 400K or 1.4M.", param, ctx)
        if not isinstance(value, str) or not (written := _SHORT.fullmatch(value)):
            return super().convert(value, param, ctx)
        number = Decimal(written[1]) * {"K": 1000, "M": 1_000_000}[written[2].upper()]
        if number != int(number):
            self.fail(f"{value!r} is no whole number of units.", param, ctx)
        return super().convert(int(number), param, ctx)


class SeedList(click.ParamType):
    """Seeds with commas between, as a list."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The seeds, or a usage error."""
        return [seed_type(one.strip(), param, ctx) for one in str(value).split(",")]


minutes_type = Real(0, MINUTES.most, above=True)
steps_type = Whole(1, ENDLESS)
seed_type = Whole(int(SEEDS.least), int(SEEDS.most))
