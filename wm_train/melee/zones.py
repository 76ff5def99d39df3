"""How far a player can be from the middle of each stage: what the world step clamps positions to.

Who passes a stage's blast zone has lost a stock, and lies a little beyond it while the loss is shown; who flies over
the top without being hit comes back down. In 72 recorded games (635,312 frames, 6 stages) nobody was farther out than
16.3 units sideways, 14.0 above and 7.6 below. MARGIN is about twice that: no true position is moved, and what a network
makes up goes no farther.
"""

from collections.abc import Mapping

#: Stage id -> its blast zone as (left, right, top, bottom), in game units; of the other stages it is not known.
BLAST_ZONES: Mapping[int, tuple[float, float, float, float]] = {
    2: (-198.75, 198.75, 202.5, -146.25),
    3: (-230, 230, 180, -111),
    8: (-175.7, 173.6, 168, -91),
    28: (-255, 255, 250, -123),
    31: (-224, 224, 200, -108.8),
    32: (-246, 246, 188, -140),
}
#: Game units beyond the blast zone that a position may lie.
MARGIN = 32.0
#: Fields of a player that a stage bounds.
BOUNDED = ("x", "y")


def zone(left: float, right: float, top: float, bottom: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """(low, high) of each of BOUNDED, in game units."""
    return (left - MARGIN, right + MARGIN), (bottom - MARGIN, top + MARGIN)


#: Stage id -> what positions are kept between.
ZONES = {number: zone(*blast_zone) for number, blast_zone in BLAST_ZONES.items()}
