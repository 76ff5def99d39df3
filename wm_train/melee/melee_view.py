"""What people see of Melee."""

from wm_train.melee.names import action_names, character_name, stage
from wm_train.world.view import Bubble, Figure, Lengths, Looks, Outline, Shape, View

#: What is always seen above and below the ground, in game units, and beyond its edges as a share of them.
HIGH, LOW, BESIDE = 85.0, -45.0, 1.25


def outline(number: int) -> Outline:
    """The stage of that id, as it is drawn."""
    one = stage(number)
    side = one.floor[-1][0] * BESIDE
    return Outline(
        name=one.name,
        box=one.blast,
        seen=(-side, side, HIGH, LOW),
        floor=one.floor,
        platforms=one.platforms,
        moving=one.moving,
    )


VIEW = View(
    outline=outline,
    lengths=Lengths(body=13, room=22, edge=8, jump=30, lift=5),
    cast=character_name,
    actions=action_names(),
    life=("stock", "stocks"),
    looks=Looks(
        side="facing",
        bold="hitlag",
        dashed="invulnerable",
        bubble=Bubble(field="shield", actions=(178, 182), least=5, each=1 / 6),
        faded=(0, 10),
        heights=(((183, 198), 0.5), ((39, 41), 0.7)),
    ),
    figures=(
        Figure(field="shield", label="Shield", digits=1),
        Figure(field="hitlag", label="Hitlag", up=True),
        Figure(field="jumps", label="Jumps"),
    ),
    meter=Figure(field="shield", label="Shield points"),
    controller=(
        Shape("stick", ("stick_x", "stick_y"), 32, 46, (20, 10)),
        Shape("stick", ("cstick_x", "cstick_y"), 84, 62, (13, 7)),
        Shape("bar", ("shoulder",), 52, 6, (56,)),
        Shape("pill", ("L",), 6, 3, (34,)),
        Shape("pill", ("R",), 120, 3, (34,)),
        Shape("pill", ("Z",), 136, 17, (18,)),
        Shape("round", ("A",), 122, 46, (11,)),
        Shape("round", ("B",), 102, 54, (7,)),
        Shape("round", ("X",), 142, 42, (7,)),
        Shape("round", ("Y",), 116, 27, (7,)),
        Shape("arrow", ("D_UP",), 60, 62),
    ),
    box="blast zone",
)
