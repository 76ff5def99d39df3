"""Pong as a Game: two paddles and a ball, seen by each player from its own goal line.

ball subsystem    ball_across, ball_up, speed_across, speed_up, points
paddle subsystem  paddle, swing
"""

from typing import Any

from wm_train.world.definition import Edition, Game, Roles
from wm_train.world.fields import Column, axis, binary, button, categorical, continuous, positive
from wm_train.world.rule_ops import Ops, Read, flag
from wm_train.world.subsystem import Event, Head, HeadSet, Number, Subsystem, event_heads, value_heads

#: Units from goal line to goal line, and from the middle to either side.
LENGTH, HALF = 64.0, 16.0
#: Units a frame: the paddle at full stick, and the ball across.
PADDLE_SPEED, BALL_SPEED = 1.0, 1.0

STATE = (
    continuous("paddle", "units", -HALF, HALF, 0.05, 0.25),
    continuous("ball_across", "units", -LENGTH, 2 * LENGTH, 0.02, 0.5),
    continuous("ball_up", "units", -2 * HALF, 2 * HALF, 0.05, 0.25),
    continuous("speed_across", "units/frame", -4, 4, 0.5, 1 / 32),
    continuous("speed_up", "units/frame", -4, 4, 0.5, 1 / 32),
    continuous("points", "points", 0, 100, 0.01, 1.0),
    binary("coming", "coming", positive),
    categorical("swing", 3, 4, unknown=0),
)
CONTROLS = (axis("stick", "stick", -10, 10), button("smash", "buttons", 1))
COLUMNS = (
    *(Column(name, "float") for name in ("paddle", "ball_across", "ball_up", "speed_across", "speed_up", "points")),
    *(Column(name, "uint8") for name in ("coming", "swing", "buttons")),
    Column("stick", "int8"),
)


def _paddle(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    return {"paddle": now("paddle") + head("paddle"), "swing": head("swing")}


def _paddle_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    return (Number("paddle", 2.0, head("paddle") - (after("paddle") - now("paddle"))),)


PADDLE = Subsystem(
    "paddle",
    reads=("paddle",),
    reads_new=(),
    writes=("paddle", "swing"),
    heads=(*value_heads("paddle"), Head("swing", "choice", 3)),
    rule=_paddle,
    targets=_paddle_targets,
)

SPEEDS = {"ball_across": "speed_across", "ball_up": "speed_up"}


def _ball(ops: Ops, now: Read, new: Read, head: Read) -> dict[str, Any]:
    """Speeds change by what the network says; the ball follows them. A point is won where the event says so."""
    speed = {name: ops.name(name, now(name) + head(name)) for name in SPEEDS.values()}
    moved = {place: now(place) + speed[name] + head(place) for place, name in SPEEDS.items()}
    points = now("points") + ops.where(head("point") > 0, ops.one, 0)
    return {**speed, **moved, "points": points, "coming": flag(ops, head("coming"))}


def _ball_targets(ops: Ops, now: Read, after: Read, head: Read) -> tuple[Number | Event, ...]:
    def changed(name: str) -> Any:
        return after(name) - now(name)

    return (
        *(Number("speed", 5.0, head(name) - changed(name)) for name in SPEEDS.values()),
        *(Number("ball", 1.0, now(n) + head(n) - (changed(p) - head(p))) for p, n in SPEEDS.items()),
        Event("point", changed("points") > 0.5),
        Event("coming", after("coming") > 0.5),
    )


BALL = Subsystem(
    "ball",
    reads=(*SPEEDS, *SPEEDS.values(), "points"),
    reads_new=(),
    writes=(*SPEEDS, *SPEEDS.values(), "points", "coming"),
    heads=(*value_heads(*SPEEDS, *SPEEDS.values()), *event_heads("point", "coming")),
    rule=_ball,
    targets=_ball_targets,
)

RALLY = HeadSet("rally", (PADDLE, BALL), tuple(head.name for part in (PADDLE, BALL) for head in part.heads))

GAME = Game(
    name="pong",
    title="Pong",
    state=STATE,
    controls=CONTROLS,
    editions=(Edition("court", conditioned=True),),
    head_sets={RALLY.name: RALLY},
    bounded=("paddle",),
    columns=COLUMNS,
    roles=Roles(position=("ball_across", "ball_up"), velocity=tuple(SPEEDS.values()), action="swing", lives="points"),
)
