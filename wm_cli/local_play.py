"""`wmq play --world`: a world in a browser of this machine, played with keys or a gamepad, before any chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from wm_cli import output, project
from wm_cli.opening import OpenedModel, held_out_window, open_model
from wm_cli.packaged import need_world
from wm_cli.places import inputs_after
from wm_live.session.inputs import Inputs, by_chance, neutral, pad_of, replayed
from wm_live.watch.arena import Arena, Hands, opened
from wm_live.watch.plain_view import view_of
from wm_live.watch.server import deaf, watch
from wm_live.watch.viewer import LiveFeed
from wm_train.games.corpus import Corpus
from wm_train.measure.worlds import begin
from wm_train.world.definition import Game

#: Frames of a recorded game that the second player's inputs come from, before they begin again.
REPLAYED = 3600


@dataclass(frozen=True)
class Asked:
    """What `wmq play --world` is asked for.

    world    folder of a run or a QNet; watched: nobody of this page plays, and chance has both controllers
    place, cast  names or ids; "" for what is often played
    against  idle, random, or replay: the second player of a recorded game of `dataset`, from window `start` on
    """

    world: Path
    place: str = ""
    cast: str = ""
    against: str = "random"
    dataset: Path = project.DATASET
    start: int = 0
    fps: float = 60.0
    port: int = 0
    watched: bool = False


def play_world(asked: Asked) -> None:
    """Serve the page until Ctrl-C."""
    need_world(asked.world)
    model = open_model(asked.world)
    game = model.world.game
    pad_of(game)
    corpus, t, other = _from_replay(model, asked) if asked.against == "replay" else _from_opening(model, asked)
    hands = None if asked.watched else Hands(game)
    encoding = model.world.encoding
    arena = Arena(
        title=f"{asked.world.name}, {'by chance' if asked.watched else 'in play'}",
        begin=lambda: begin(model.model, corpus, encoding, np.array([t])),
        encoding=encoding,
        corpus=corpus,
        t=t,
        hands=hands,
        other=other,
        fps=asked.fps,
    )
    watch(LiveFeed(arena.hello, arena), asked.port, output.note, hear=hands.hear if hands else deaf)


def _from_replay(model: OpenedModel, asked: Asked) -> tuple[Corpus, int, Inputs]:
    """A held-out game, the frame that it is taken up at, and its inputs from there on."""
    _, corpus, t = held_out_window(model.path, asked.dataset, asked.start, REPLAYED)
    return corpus, t, replayed(inputs_after(model.world.game, corpus, t))


def _from_opening(model: OpenedModel, asked: Asked) -> tuple[Corpus, int, Inputs]:
    """The opening of a game that nobody has played, and a second player who does nothing, or anything."""
    game, encoding = model.world.game, model.world.encoding
    place, cast = _place(game, asked.place), _cast(game, asked.cast)
    other = by_chance(game, asked.start) if asked.against == "random" else lambda frame: neutral(game)
    corpus = opened(encoding, place, cast)
    return corpus, len(corpus.game) - 2, other


def _place(game: Game, name: str) -> int:
    if not name:
        return game.usual[0]
    if game.place is None:
        raise click.UsageError(f"--on: {game.title} has no places")
    return _id_of("--on", name, {i: view_of(game).outline(i).name for i in game.zones or range(game.place.vocab)})


def _cast(game: Game, names: str) -> tuple[int, ...]:
    if not names:
        return game.usual[1]
    if not game.roles.cast:
        raise click.UsageError(f"--cast: {game.title} does not tell players apart")
    known = {i: view_of(game).cast(i) for i in range(game.field(game.roles.cast).vocab)}
    each = [_id_of("--cast", name.strip(), known) for name in names.split(",")]
    if len(each) != len(game.usual[1]):
        raise click.UsageError(f"--cast: got {len(each)} names, expected {len(game.usual[1])} with a comma between")
    return tuple(each)


def _id_of(option: str, name: str, known: Mapping[int, str]) -> int:
    for number, one in known.items():
        if one.casefold() == name.casefold():
            return number
    raise click.UsageError(f"{option}: got {name!r}, expected one of {', '.join(filter(None, known.values()))}")
