"""What heads in turn cost a trained Mamba-2: `python benchmarks/heads_in_turn.py RUN DATASET EVERY [GAMES] [FRAMES]`.

A float run is rounded to the grid twice, as it is and with `model.write_every: EVERY`. Both networks of integers go
through the first FRAMES frames of some games that the run has not seen: one frame ahead from true frames, and from
every 40th frame 20 ahead from their own.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter, State, Successive
from wm_quant.qnet import QNet
from wm_train.checkpoint import Checkpoint, digest, load_checkpoint
from wm_train.config import Mamba2Config
from wm_train.games.corpus import Corpus, load_corpus, only_of, usable_games
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.measure.window import window_at
from wm_train.melee.field_table import STATE_INDEX

APART, AHEAD = 40, 20
ACTION, POSITION = STATE_INDEX["action"], [STATE_INDEX["x"], STATE_INDEX["y"]]
Ints = NDArray[np.int64]


def rounded(run: Checkpoint, parent: str, every: int) -> QNet:
    """The run's integers, its heads written every so many frames."""
    assert isinstance(run.config.model, Mamba2Config)
    model = replace(run.config.model, write_every=every)
    return from_checkpoint(replace(run, form="qat", config=replace(run.config, model=model)), parent)


def true(corpus: Corpus, at: Ints, fields: int) -> Ints:
    """(N, 2, fields) the Frames at these places."""
    return corpus.frames[at][..., :fields].astype(np.int64)


def forced(net: QNet, corpus: Corpus, games: list[Ints]) -> tuple[Ints, Ints, State]:
    """(places that were predicted from, what was predicted, the states that rollouts begin with) of games of places."""
    stepper, encoding = Successive(net), net.world.encoding
    found, begun = [], []
    for game in games:
        memory = stepper.empty_memory(1)
        for at in np.split(game, range(APART, len(game), APART)):
            window = window_at(corpus, encoding, at)
            state = stepper.begin(window)
            state = replace(state, memory={name: np.repeat(kept, len(at), 0) for name, kept in memory.items()})
            after = stepper.step(state, window.following)[1]
            begun.append(state.at(slice(0, 1)))
            memory = {name: kept[-1:] for name, kept in after.memory.items()}
            found.append(after.frame)
    return np.concatenate(games), np.concatenate(found).astype(np.int64), joined(begun)


def joined(states: list[State]) -> State:
    """Worlds side by side."""
    parts = ("frame", "codes", "ids", "bias", "bounds")
    memory = {name: np.concatenate([one.memory[name] for one in states]) for name in states[0].memory}
    return State(*(np.concatenate([getattr(one, part) for one in states]) for part in parts), memory)


def ahead(net: QNet, corpus: Corpus, at: Ints, state: State) -> list[float]:
    """Mean error of the positions, 1..AHEAD frames after each of these places."""
    stepper, errors = Interpreter(net), []
    for step in range(1, AHEAD + 1):
        state = stepper.step(state, corpus.inputs[at + step])[1]
        errors.append(error(state.frame.astype(np.int64), true(corpus, at + step, state.frame.shape[-1])))
    return errors


def error(got: Ints, wanted: Ints) -> float:
    """Mean error of positions, in game units."""
    return float(np.abs(got - wanted)[..., POSITION].mean()) / (1 << FRAC_BITS)


def main(folder: Path, dataset: Path, every: int, count: int, frames: int) -> None:
    """A line for each network."""
    run = load_checkpoint(folder)
    encoding = run.config.model.world.encoding
    fresh = sorted(set(usable_games(dataset, encoding, only_of(run.split))) - set(run.split["train"]))[:count]
    corpus = load_corpus(dataset, fresh, encoding)
    places = [np.flatnonzero(corpus.game == game)[encoding.span - 1 : -AHEAD][:frames] for game in range(len(fresh))]
    for wanted in (0, every):
        net = rounded(run, digest(folder), wanted)
        at, got, begun = forced(net, corpus, places)
        now, then = (true(corpus, at + step, got.shape[-1]) for step in (0, 1))
        changes = then[..., ACTION] != now[..., ACTION]
        right = (got[..., ACTION] == then[..., ACTION])[changes].mean()
        errors = ahead(net, corpus, np.concatenate([game[::APART] for game in places]), begun)
        print(
            f"write_every {wanted}: {len(at):,} frames; action where it changes {right:.2%}; position "
            f"{error(got, then):.4f}; K10 {np.mean(errors[:10]):.4f}, K20 {np.mean(errors):.4f}",
            flush=True,
        )


if __name__ == "__main__":
    numbers = [*map(int, sys.argv[4:]), *(6, 2000)[len(sys.argv[4:]) :]]
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *numbers)
