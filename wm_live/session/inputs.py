"""Sources of controller inputs: a replay, random inputs, or the terminal's keyboard."""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wm_live.errors import WmLiveError
from wm_train.world.definition import Game, Pad
from wm_train.world.fields import PLAYERS

#: Frame number -> inputs of both players (2, len(game.controls)) int8.
Inputs = Callable[[int], NDArray[np.int8]]

#: A terminal reports key presses and repeats, no releases: a key counts as held for this many seconds after either.
HELD_S = 0.25


def neutral(game: Game) -> NDArray[np.int8]:
    """(2, len(game.controls)) nothing pressed."""
    return np.zeros((PLAYERS, len(game.controls)), np.int8)


def pad_of(game: Game) -> Pad:
    """How the game's controls are pressed; WmLiveError if it does not say."""
    if game.pad is None:
        raise WmLiveError(f"play: {game.title} has no keys and no random inputs; play it with --inputs replay")
    return game.pad


def replayed(inputs: NDArray[np.int8]) -> Inputs:
    """Inputs (T, 2, len(game.controls)) of a game, from its first frame again when it is over."""
    return lambda frame: inputs[frame % len(inputs)]


def by_chance(game: Game, seed: int) -> Inputs:
    """Both players press something else every few frames; the same for the same seed and frame."""

    pad, index = pad_of(game), game.control_index
    sticks = [index[name] for name in pad.sticks]
    most = int(game.controls[sticks[0]].hi)

    def at(frame: int) -> NDArray[np.int8]:
        inputs = neutral(game)
        for player in range(PLAYERS):
            # A new draw every 4 to 11 frames, for each player at their own pace.
            rng = np.random.default_rng([seed, player, frame // (4 + (seed + 5 * player) % 8)])
            inputs[player, sticks] = rng.integers(-most, most + 1, len(sticks))
            inputs[player, index[pad.pressed[rng.integers(len(pad.pressed))]]] = rng.integers(2)
        return inputs

    return at


@dataclass
class Keyboard:
    """Player 0 from this terminal, player 1 from `other`; use it with `keyboard`."""

    game: Game
    other: Inputs
    _pressed: dict[str, float] = field(default_factory=dict)

    def __call__(self, frame: int) -> NDArray[np.int8]:
        """The inputs now."""
        self._read()
        inputs = self.other(frame).copy()
        inputs[0] = 0
        for key, when in self._pressed.items():
            if time.monotonic() - when < HELD_S:
                control, value = pad_of(self.game).keys[key]
                inputs[0, self.game.control_index[control]] = value
        return inputs

    def _read(self) -> None:
        while select.select([sys.stdin], [], [], 0)[0]:
            keys = os.read(sys.stdin.fileno(), 64)
            if not keys:  # the terminal is gone
                raise KeyboardInterrupt
            for key in keys.decode(errors="ignore").lower():
                if key in pad_of(self.game).keys:
                    self._pressed[key] = time.monotonic()
                if key in "\x03q":
                    raise KeyboardInterrupt


@contextlib.contextmanager
def keyboard(game: Game, other: Inputs) -> Iterator[Inputs]:
    """A Keyboard, with the terminal set so that each key comes at once; set back afterwards."""
    pad_of(game)
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        raise WmLiveError("keyboard: standard input is no terminal; play from one, or with --inputs replay or random")
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin.fileno())
        yield Keyboard(game, other)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
