"""The predicted game beside the real one: ten seconds of a held-out game, run by the QNet itself on the true inputs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_cli.page.charts import Series, legend, line_chart, tracks
from wm_cli.page.markup import escape, paragraph
from wm_live.watch.plain_view import view_of
from wm_live.watch.viewer import cast_of
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet
from wm_train.games.corpus import Corpus
from wm_train.measure.starts import rollout_starts
from wm_train.measure.worlds import rollout
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS
from wm_train.world.rule_ops import ONE
from wm_train.world.view import Outline

#: Lengths tried, the longest first: a short held-out part may not have ten seconds in a row.
LENGTHS = (600, 300, 120, 60)
SEED = 1
STYLES = ("s0", "s1")
AXES = ("x", "y")


@dataclass(frozen=True)
class Rollout:
    """A world that ran by itself from frame `start` of a game of a corpus, and that game: (T, 2, F) int32 each.

    name  what the game goes by, for people
    place its id, 0 where the game has none
    """

    game: Game
    name: str
    place: int
    start: int
    predicted: NDArray[np.int32]
    real: NDArray[np.int32]


def game_name(game: Game, place: int, frame: NDArray[np.int32]) -> str:
    """Who plays in a Frame (2, F), and where: `A and B on a place`; the game's title if it names neither."""
    view = view_of(game)
    names = " and ".join(view.cast(who) for who in cast_of(game, frame))
    where = view.outline(place).name if game.place else ""
    return " on ".join(part for part in (names, where) if part) or game.title


def run_rollout(net: QNet, corpus: Corpus) -> Rollout | None:
    """A rollout from a window drawn by SEED; None if no game of `corpus` is long enough."""
    encoding = net.world.encoding
    model = Interpreter(net).model()
    for length in LENGTHS:
        t = rollout_starts(corpus, encoding, length, 1, SEED)
        if len(t):
            at = int(t[0])
            predicted, real = rollout(model, corpus, encoding, t, length)[0], corpus.frames[at + 1 : at + 1 + length]
            first, place = int(np.argmax(corpus.game == corpus.game[at])), int(corpus.place[at])
            name = game_name(encoding.game, place, corpus.frames[at])
            return Rollout(encoding.game, name, place, at - first + 1, predicted, real)
    return None


def game_view(run: Rollout) -> str:
    """The player, and what each coordinate did over time."""
    seconds, started = len(run.real) / run.game.fps, run.start / run.game.fps
    text = (
        f"{run.name}: {seconds:g} seconds, from {started:.0f} seconds into its held-out part; the start was drawn by "
        f"seed {SEED}, not picked. From there on the QNet sees its own frames and the true controllers only."
    )
    charts = "".join(f"<figure>{_over_time(run, axis)}</figure>" for axis in AXES)
    return paragraph(text) + _player(run) + f'<h3>Over time</h3><div class="pair">{charts}{_error_chart(run)}</div>'


def _shown(game: Game) -> dict[str, str]:
    """What the player shows of a world -> its field."""
    roles = game.roles
    wanted = {"action": roles.action, "damage": roles.damage} | dict(zip(AXES, roles.position, strict=True))
    return {key: name for key, name in wanted.items() if name}


def _values(game: Game, frames: NDArray[np.int32], player: int, key: str) -> list[float]:
    """(T,) of a key of `_shown`: ids as they are, damage in whole units, coordinates with two digits."""
    values = frames[:, player, game.state_index[_shown(game)[key]]]
    if key == "action":
        return list(values.tolist())
    return [round(v, None if key == "damage" else 2) for v in (values / ONE).tolist()]


def _unit(game: Game) -> str:
    return game.field(game.roles.position[0]).unit


def _worlds(run: Rollout) -> list[dict[str, Any]]:
    """What the player shows of each of real and predicted player 1 and 2."""
    view = view_of(run.game)
    cast = [view.cast(who) for who in cast_of(run.game, run.real[0])] or [""] * PLAYERS
    return [
        {
            "name": " ".join(part for part in (f"player {player + 1}", cast[player]) if part) + f", {kind}",
            "style": f"{STYLES[player]} {kind}",
            **{key: _values(run.game, frames, player, key) for key in _shown(run.game)},
        }
        for player in range(PLAYERS)
        for kind, frames in (("real", run.real), ("predicted", run.predicted))
    ]


def _actions(run: Rollout, worlds: list[dict[str, Any]]) -> dict[int, str]:
    """Names of the actions that are shown, by id."""
    names = view_of(run.game).actions
    ids = sorted({one for world in worlds for one in world.get("action", ())})
    return {one: names[one] for one in ids if one < len(names)}


def _player(run: Rollout) -> str:
    worlds = _worlds(run)
    alt = "Paths of both players in the plane of the game: the real game, and the predicted one."
    paths = [Series(w["name"], f"path {w['style']}", w["x"], w["y"]) for w in worlds]
    place = view_of(run.game).outline(run.place)
    picture, plane = tracks(paths, list(_outline(place)), place.seen, alt)
    actions = _actions(run, worlds)
    data = {
        "fps": run.game.fps,
        "frames": len(run.real),
        "left": plane.left,
        "top": plane.top,
        "scale": plane.scale,
        "actions": actions,
        "worlds": worlds,
    }
    embedded = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # no name ends the script
    controls = (
        '<div class="controls" hidden><button type="button">Play</button>'
        f'<input type="range" min="0" max="{len(run.real) - 1}" value="0" aria-label="Frame of the rollout">'
        "<output></output></div>"
    )
    box = view_of(run.game).box
    caption = (
        "<figcaption>Filled: real. Ring: predicted. The lines behind them are the last moments, without a script the "
        f"whole paths. The dotted frame is the {escape(box)}.</figcaption>"
    )
    keys = legend([(w["name"], w["style"]) for w in worlds])
    return (
        f'<figure class="player">{picture}{keys}{controls}{_readings(run.game, worlds, actions)}{caption}</figure>'
        f'<script type="application/json" id="game">{embedded}</script>'
    )


def _outline(place: Outline) -> Iterator[Series]:
    """The lines of a place: its box, its ground, and what one can stand on."""
    left, right, top, bottom = place.box
    yield Series("box", "box", [left, right, right, left, left], [top, top, bottom, bottom, top])
    if place.floor:
        yield Series("floor", "floor", *zip(*place.floor, strict=True))
    for style, platforms in (("platform", place.platforms), ("platform moving", place.moving)):
        for start, end, y in platforms:
            yield Series("platform", style, [start, end], [y, y])


def _readings(game: Game, worlds: list[dict[str, Any]], actions: dict[int, str]) -> str:
    """A table of the current frame; the script fills in later frames."""
    fields = _shown(game)
    head = "".join(f'<th scope="col"{_style(key)}>{escape(name)}</th>' for key, name in fields.items())
    rows = "".join(
        f'<tr><th scope="row">{escape(world["name"])}</th>'
        + "".join(
            f'<td data-world="{i}" data-field="{key}"{_style(key)}>{_reading(key, world, actions)}</td>'
            for key in fields
        )
        + "</tr>"
        for i, world in enumerate(worlds)
    )
    return (
        f'<div class="scroll"><table><caption>This frame</caption>'
        f'<thead><tr><th scope="col">world</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _style(key: str) -> str:
    return ' class="text"' if key == "action" else ""


def _reading(key: str, world: dict[str, Any], actions: dict[int, str]) -> str:
    value = world[key][0]
    return escape(actions.get(value, str(value))) if key == "action" else str(value)


def _over_time(run: Rollout, axis: str) -> str:
    name = _shown(run.game)[axis]
    seconds = [(i + 1) / run.game.fps for i in range(len(run.real))]
    series = [Series(w["name"], w["style"], seconds, w[axis]) for w in _worlds(run)]
    return line_chart(
        series,
        "seconds",
        f"{name}, {_unit(run.game)}",
        f"Coordinate {name} of both players over time, real and predicted.",
    )


def _error_chart(run: Rollout) -> str:
    at, unit = run.game.at(*run.game.roles.position), _unit(run.game)
    error = np.abs(run.predicted[..., at].astype(np.int64) - run.real[..., at]).mean((1, 2)) / ONE
    series = Series(
        f"mean error over {' and '.join(run.game.roles.position)} of both players",
        "s0",
        [(i + 1) / run.game.fps for i in range(len(error))],
        error.tolist(),
    )
    alt = f"Position error over time; at the end {error[-1]:.2f} {unit}."
    return f"<figure>{line_chart([series], 'seconds', f'error, {unit}', alt)}</figure>"
