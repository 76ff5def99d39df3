"""Windows of a world: what a model sees of it, and what its next Frames are made of. numpy only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import Ints
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.step import World, next_frames


@dataclass(frozen=True)
class Window:
    """What a stepper sees of B windows.

    frames     (B, span, 2, len(frame_fields)) int32, oldest first; with a lookahead of n an encoding shows the network
               all but the newest n - 1
    inputs     (B, span, 2, len(controls)) int8, of the same frames
    following  (B, 2, len(controls)) int8, inputs of the frame to be predicted
    session    (B, S) int64
    """

    frames: NDArray[np.int32]
    inputs: NDArray[np.int8]
    following: NDArray[np.int8]
    session: Ints

    @property
    def now(self) -> NDArray[np.int32]:
        """(B, 2, len(frame_fields)) the newest known frame."""
        return self.frames[:, -1]

    def advanced(self, frames: NDArray[np.int32], following: NDArray[np.int8]) -> "Window":
        """The next window, given the Frame just computed and the inputs after it."""
        return Window(
            np.concatenate([self.frames[:, 1:], frames[:, None]], 1),
            np.concatenate([self.inputs[:, 1:], self.following[:, None]], 1),
            following,
            self.session,
        )


Stepper = Callable[[Window], NDArray[np.int32]]
Predictor = Callable[[Window], Ints]


def window_at(corpus: Corpus, encoding: Encoding, t: Ints) -> Window:
    """Windows whose newest known frame is `t` (B,): they predict Frame t+1."""
    slots = t[:, None] + np.arange(1 - encoding.span, 1)
    return Window(corpus.frames[slots], corpus.inputs[slots], corpus.inputs[t + 1], corpus.session(encoding, t))


def written(world: World, window: Window, heads: Ints) -> NDArray[np.int32]:
    """The next Frames, (B, 2, len(frame_fields)), that a network's heads (B, outputs) make of windows."""
    bounds = world.session_places(window.session)
    return next_frames(world, window.frames[:, -world.encoding.lookahead], heads, bounds)


def stepper(world: World, predict: Predictor) -> Stepper:
    """A network's heads turned into next Frames."""
    return lambda window: written(world, window, predict(window))


def persistence(window: Window) -> NDArray[np.int32]:
    """Baseline: nothing moves."""
    return window.now


def baselines(game: Game) -> dict[str, Stepper]:
    """Baselines by name: nothing moves; velocities stay; the same, but what the game freezes does not move."""
    found: dict[str, Stepper] = {"persistence": persistence}
    if coast := game.coast:
        found["constant_velocity"] = lambda window: coast(window.now, False)
        found["constant_velocity_freeze"] = lambda window: coast(window.now, True)
    return found
