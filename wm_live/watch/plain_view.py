"""How a game is drawn that does not say it: the ranges of its position as a box, its other numbers as figures."""

from collections.abc import Iterator

from wm_train.world.definition import Game
from wm_train.world.fields import Field, Kind
from wm_train.world.view import Figure, Lengths, Outline, Shape, View

#: Height of a player, as a share of the box's shorter side.
BODY = 1 / 12
#: Height and width of a row of the drawn controller.
ROW, WIDE = 14, 50


def view_of(game: Game) -> View:
    """The game's own view, or a plain one."""
    return game.view() if game.view is not None else plain_view(game)


def plain_view(game: Game) -> View:
    """All that its fields tell."""
    across, up = map(game.field, game.roles.position)
    box = (across.lo, across.hi, up.hi, up.lo)
    body = BODY * min(across.hi - across.lo, up.hi - up.lo)
    shown = {*game.named_roles} - {*game.roles.velocity}
    return View(
        outline=lambda number: Outline(name=game.title, box=box, seen=box),
        lengths=Lengths(body=body, room=2 * body, edge=body / 2, jump=2 * body, lift=body / 2),
        cast=lambda number: "",
        figures=tuple(_figure(field) for field in game.state if field.name not in shown),
        controller=tuple(_controller(game)),
    )


def _figure(field: Field) -> Figure:
    return Figure(
        field=field.name,
        label=field.name.replace("_", " ").capitalize(),
        digits=1 if field.kind is Kind.CONTINUOUS else 0,
    )


def _controller(game: Game) -> Iterator[Shape]:
    """An axis a row to the left, buttons in two columns to the right."""
    for i, control in enumerate(game.controls[: game.axes]):
        yield Shape("bar", (control.name,), 2, 4 + i * ROW, (WIDE,))
    for i, control in enumerate(game.controls[game.axes :]):
        yield Shape("pill", (control.name,), 58 + i % 2 * (WIDE + 2), 2 + i // 2 * ROW, (WIDE,))
