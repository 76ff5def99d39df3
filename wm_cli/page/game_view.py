"""The predicted game beside the real one: ten seconds of a held-out game, run by the QNet itself on the true inputs."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_cli.page.charts import Series, legend, line_chart, tracks
from wm_cli.page.markup import escape, paragraph
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet
from wm_train.games.corpus import Corpus
from wm_train.measure.evaluate import rollout, rollout_starts
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS
from wm_train.world.rule_ops import ONE

#: Lengths tried, the longest first: a short held-out part may not have ten seconds in a row.
LENGTHS = (600, 300, 120, 60)
SEED = 1
STYLES = ("s0", "s1")
AXES = ("x", "y")


@dataclass(frozen=True)
class Rollout:
    """A world that ran by itself from frame `start` of a recording, and that recording: (T, 2, F) int32 each."""

    game: Game
    recording: str
    start: int
    predicted: NDArray[np.int32]
    real: NDArray[np.int32]


def run_rollout(net: QNet, corpus: Corpus) -> Rollout | None:
    """A rollout from a window drawn by SEED; None if no game of `corpus` is long enough."""
    encoding = net.world.encoding
    model = Interpreter(net).model()
    for length in LENGTHS:
        t = rollout_starts(corpus, encoding, length, 1, SEED)
        if len(t):
            predicted, real = (
                rollout(model, corpus, encoding, t, length)[0],
                corpus.frames[t[0] + 1 : t[0] + 1 + length],
            )
            first = int(np.argmax(corpus.game == corpus.game[t[0]]))
            return Rollout(encoding.game, corpus.names[corpus.game[t[0]]], int(t[0]) - first + 1, predicted, real)
    return None


def game_view(run: Rollout) -> str:
    """The player, and what each coordinate did over time."""
    seconds = len(run.real) / run.game.fps
    text = (
        f"Game {run.recording}, {seconds:g} seconds from row {run.start} of its held-out part; "
        f"the start was drawn by seed {SEED}, "
        "not picked. From there on the QNet sees its own frames and the true controllers only."
    )
    charts = "".join(f"<figure>{_over_time(run, axis)}</figure>" for axis in AXES)
    return paragraph(text) + _player(run) + f'<h3>Over time</h3><div class="pair">{charts}{_error_chart(run)}</div>'


def _shown(game: Game) -> dict[str, tuple[str, str]]:
    """What the player shows of a world -> its field, and the heading."""
    roles = game.roles
    wanted = {"action": (roles.action, f"{roles.action} id"), "damage": (roles.damage, roles.damage)}
    positions = {axis: (name, name) for axis, name in zip(AXES, roles.position, strict=True)}
    return {key: one for key, one in (wanted | positions).items() if one[0]}


def _values(game: Game, frames: NDArray[np.int32], player: int, key: str) -> list[float]:
    """(T,) of a key of `_shown`: ids as they are, damage in whole units, coordinates with two digits."""
    values = frames[:, player, game.state_index[_shown(game)[key][0]]]
    if key == "action":
        return list(values.tolist())
    return [round(v, None if key == "damage" else 2) for v in (values / ONE).tolist()]


def _unit(game: Game) -> str:
    return game.field(game.roles.position[0]).unit


def _worlds(run: Rollout) -> list[dict[str, Any]]:
    """What the player shows of each of real and predicted player 1 and 2."""
    return [
        {
            "name": f"player {player + 1}, {kind}",
            "style": f"{STYLES[player]} {kind}",
            **{key: _values(run.game, frames, player, key) for key in _shown(run.game)},
        }
        for player in range(PLAYERS)
        for kind, frames in (("real", run.real), ("predicted", run.predicted))
    ]


def _player(run: Rollout) -> str:
    worlds = _worlds(run)
    alt = "Paths of both players in the plane of the game: the real game, and the predicted one."
    paths = [Series(w["name"], w["style"], w["x"], w["y"]) for w in worlds]
    picture, plane = tracks(paths, paths[::2], alt)
    data = {
        "fps": run.game.fps,
        "frames": len(run.real),
        "left": plane.left,
        "top": plane.top,
        "scale": plane.scale,
        "worlds": worlds,
    }
    embedded = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # no name ends the script
    controls = (
        '<div class="controls" hidden><button type="button">Play</button>'
        f'<input type="range" min="0" max="{len(run.real) - 1}" value="0" aria-label="Frame of the rollout">'
        "<output></output></div>"
    )
    caption = (
        "<figcaption>Filled: real. Ring: predicted. The faint lines are the whole paths. The picture is cut around the "
        "real ones; the charts below show where a prediction goes that leaves it.</figcaption>"
    )
    keys = legend([(w["name"], w["style"]) for w in worlds])
    return (
        f'<figure class="player">{picture}{keys}{controls}{_readings(run.game, worlds)}{caption}</figure>'
        f'<script type="application/json" id="game">{embedded}</script>'
    )


def _readings(game: Game, worlds: list[dict[str, Any]]) -> str:
    """A table of the current frame; the script fills in later frames."""
    fields = [(key, label) for key, (_, label) in _shown(game).items()]
    head = "".join(f'<th scope="col">{label}</th>' for _, label in fields)
    rows = "".join(
        f'<tr><th scope="row">{escape(world["name"])}</th>'
        + "".join(f'<td data-world="{i}" data-field="{name}">{world[name][0]}</td>' for name, _ in fields)
        + "</tr>"
        for i, world in enumerate(worlds)
    )
    return (
        f'<div class="scroll"><table><caption>This frame</caption>'
        f'<thead><tr><th scope="col">world</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _over_time(run: Rollout, axis: str) -> str:
    name = _shown(run.game)[axis][0]
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
