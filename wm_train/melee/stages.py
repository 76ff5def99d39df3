"""Where Melee's six legal stages let players stand and come back: numbers that the laws read, in game units.

Floors, platforms and points of return are read off 72 recorded games (635,312 frames): the extent and height of what
players stand on agree with published collision data to a tenth of a unit. Heights that change are given from their
least to their greatest: a Frame does not tell where Fountain's platforms or Yoshi's cloud are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wm_train.melee.zones import BLAST_ZONES
from wm_train.world.law import Fact


@dataclass(frozen=True)
class Surface:
    """What one can stand on from `left` to `right`: at height `y`, or up to `lift` above it where that changes.

    drawn  whether people see it, half of `lift` up
    """

    left: float
    right: float
    y: float
    lift: float = 0.0
    drawn: bool = True


@dataclass(frozen=True)
class Return:
    """Where a player comes back: `x` of each seat, `y` in the first frame, game units down in each frame after it."""

    x: tuple[float, float]
    y: float
    down: float


@dataclass(frozen=True)
class Ground:
    """A stage: floors that nobody falls through, platforms that one can, and where a lost player comes back.

    outline  points of the ground as it is drawn, left to right
    """

    outline: tuple[tuple[float, float], ...]
    floors: tuple[Surface, ...]
    platforms: tuple[Surface, ...]
    back: Return


def _flat(edge: float) -> tuple[tuple[float, float], ...]:
    return (-edge, 0), (edge, 0)


def _mirrored(surface: Surface) -> tuple[Surface, Surface]:
    """A surface and its mirror image."""
    return surface, Surface(-surface.right, -surface.left, surface.y, surface.lift)


GROUNDS: Mapping[int, Ground] = {
    2: Ground(
        ((-63.43, 0.62), (-53, 0.62), (-51.3, 0), (51.3, 0), (53, 0.62), (63.43, 0.62)),
        (Surface(-63.43, 63.43, 0, 0.63),),
        (Surface(-14.35, 14.35, 42.75), *_mirrored(Surface(-49.6, -20.9, 0.375, 27))),
        Return((0, 0), 111.6875, 0.8125),
    ),
    3: Ground(
        _flat(87.85),
        (Surface(-87.85, 87.85, 0),),
        _mirrored(Surface(-55.1, -24.9, 25)),
        Return((0, 0), 119, 1),
    ),
    8: Ground(
        ((-56.1, -3.5), (-39.2, 0), (39.2, 0), (56.1, -3.5)),
        (*_mirrored(Surface(-56.1, -39.2, -3.5, 3.5)), Surface(-39.2, 39.2, 0)),
        (
            *_mirrored(Surface(-59.6, -27.95, 23.45)),
            Surface(-15.85, 15.85, 42),
            Surface(-103.6, 101.1, -33.25, 19.6, drawn=False),  # the cloud, which flies around the stage
        ),
        Return((0, 0), 117.2033, 1.09667),
    ),
    28: Ground(
        _flat(77.36),
        (Surface(-77.36, 77.36, 0.009),),
        (
            Surface(-61.47, -31.67, 30.1422),
            Surface(31.67, 63.11, 30.2426),
            Surface(-19.11, 19.11, 51.4254),
        ),
        Return((0, 0), 188.237, 1.76301),
    ),
    31: Ground(
        _flat(68.5),
        (Surface(-68.5, 68.5, 0),),
        (*_mirrored(Surface(-57.7, -19.9, 27.2)), Surface(-18.9, 18.9, 54.4)),
        Return((12.8, -40), 135.0667, 0.93333),
    ),
    32: Ground(_flat(85.66), (Surface(-85.66, 85.66, 0),), (), Return((16, -50), 112.85, 1.15)),
}

#: Most floors and platforms of a stage; one that has fewer is filled up with NOWHERE.
FLOORS = max(len(ground.floors) for ground in GROUNDS.values())
PLATFORMS = max(len(ground.platforms) for ground in GROUNDS.values())
#: Nobody is right of its left end and left of its right one.
NOWHERE = Surface(1, -1, 0)
#: What a blast zone is where it is not known: nothing is beyond it.
FAR = 30_000.0


def surfaces(ground: Ground) -> tuple[Surface, ...]:
    """Floors, then platforms, as many of each as any stage has."""
    floors, platforms = FLOORS - len(ground.floors), PLATFORMS - len(ground.platforms)
    return (*ground.floors, *(NOWHERE,) * floors, *ground.platforms, *(NOWHERE,) * platforms)


def surface_facts(number: int) -> tuple[str, str, str, str]:
    """Names of the facts of one surface: its left and right end, its least and greatest height."""
    return f"left_{number}", f"right_{number}", f"low_{number}", f"high_{number}"


BLAST = ("blast_left", "blast_right", "blast_top", "blast_bottom")
BACK = ("back_x", "back_y", "back_speed")
EDGES = ("edge_left", "edge_right", "edge_height")
SURFACES = tuple(surface_facts(number) for number in range(FLOORS + PLATFORMS))


def _shared(name: str, unknown: float, known: Mapping[int, float]) -> Fact:
    """A fact that both seats share."""
    return Fact(name, unknown, {stage: (value, value) for stage, value in known.items()})


def _surface_facts(number: int) -> tuple[Fact, ...]:
    """The facts of one surface, of all stages."""
    seen = {stage: surfaces(ground)[number] for stage, ground in GROUNDS.items()}
    ends = {stage: (one.left, one.right, one.y, one.y + one.lift) for stage, one in seen.items()}
    nowhere = (NOWHERE.left, NOWHERE.right, NOWHERE.y, NOWHERE.y)
    return tuple(
        Fact(name, nowhere[i], {stage: (of[i], of[i]) for stage, of in ends.items()})
        for i, name in enumerate(surface_facts(number))
    )


def _edge_facts() -> tuple[Fact, ...]:
    """Where a stage's ground ends on both sides, and how high that is."""
    floors = {stage: ground.floors for stage, ground in GROUNDS.items()}
    ends = {
        stage: (min(one.left for one in these), max(one.right for one in these), min(one.y for one in these))
        for stage, these in floors.items()
    }
    return tuple(_shared(name, 0, {stage: end[i] for stage, end in ends.items()}) for i, name in enumerate(EDGES))


_BACKS = {stage: ground.back for stage, ground in GROUNDS.items()}

PLACE_FACTS: tuple[Fact, ...] = (
    _shared("known", 0, dict.fromkeys(GROUNDS, 1)),
    *(
        _shared(name, unknown, {stage: zone[i] for stage, zone in BLAST_ZONES.items()})
        for i, (name, unknown) in enumerate(zip(BLAST, (-FAR, FAR, FAR, -FAR), strict=True))
    ),
    Fact("back_x", 0, {stage: back.x for stage, back in _BACKS.items()}),
    _shared("back_y", 100, {stage: back.y for stage, back in _BACKS.items()}),
    _shared("back_speed", -1, {stage: -back.down for stage, back in _BACKS.items()}),
    *(fact for number in range(len(SURFACES)) for fact in _surface_facts(number)),
    *_edge_facts(),
)
