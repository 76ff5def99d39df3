"""What people see of a game: names of ids, outlines of places, and how a player and a controller are drawn.

Lengths are in the unit of the position's fields, y upwards. A field is given by its name, "" for none; a range of
action ids by its first and last.
"""

from collections.abc import Callable
from dataclasses import dataclass

Ids = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A place.

    box        (left, right, top, bottom) that players stay in
    seen       (left, right, top, bottom) that the picture always shows
    floor      points of the ground, left to right
    platforms  (left, right, y) of what one can jump up through; moving: of those whose height changes
    """

    name: str
    box: Box
    seen: Box
    floor: tuple[tuple[float, float], ...] = ()
    platforms: tuple[tuple[float, float, float], ...] = ()
    moving: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """body: a player's height; room: kept in view around a player; edge: around all; jump: a way in one frame that
    breaks a trail; lift: of the trail above a player's position."""

    body: float
    room: float
    edge: float
    jump: float
    lift: float


@dataclass(frozen=True, kw_only=True)
class Bubble:
    """A bubble around a player in one of `actions`, of radius `least` + `each` for every unit of `field`."""

    field: str
    actions: Ids
    least: float
    each: float


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What a player's shape tells.

    side     binary field: faces right where it is 1
    bold     field: a bold outline where it is above 0; dashed: field: a dashed one
    faded    actions in which a player is drawn faintly
    heights  (actions, share of the height): the first that holds
    """

    side: str = ""
    bold: str = ""
    dashed: str = ""
    bubble: Bubble | None = None
    faded: Ids | None = None
    heights: tuple[tuple[Ids, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number beside a player. digits: after the point; up: rounded up instead, and a dash where it is 0."""

    field: str
    label: str
    digits: int = 0
    up: bool = False


@dataclass(frozen=True)
class Shape:
    """A part of the drawn controller, in a picture of 160 by 82.

    kind      stick (two axes; size: radius, and that of its knob), bar (an axis; width), or what a button looks like:
              pill (width), round (radius), arrow (no size)
    controls  names of its controls
    """

    kind: str
    controls: tuple[str, ...]
    x: float
    y: float
    size: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class View:
    """outline: of a place by its id; cast: name of who a player is, by id; actions: names by id; life: one, and several
    of what a player may lose; meter: the figure that is shown as a bar as well; box: what `Outline.box` is called."""

    outline: Callable[[int], Outline]
    lengths: Lengths
    cast: Callable[[int], str]
    actions: tuple[str, ...] = ()
    life: tuple[str, str] = ("life", "lives")
    looks: Looks = Looks()
    figures: tuple[Figure, ...] = ()
    meter: Figure | None = None
    controller: tuple[Shape, ...] = ()
    box: str = "range of positions"
