"""Where a player's inputs come from: a replay, chance, or a keyboard."""

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

from wm_train.frames import CONTROLS, PLAYERS

#: Frame number -> inputs of both players (2, len(CONTROLS)) int8.
Inputs = Callable[[int], NDArray[np.int8]]

_INDEX = {control.name: i for i, control in enumerate(CONTROLS)}
AXIS = 80
#: A terminal tells of key presses and their repetition only: a key counts as held for this long after either.
HELD_S = 0.25

#: Key -> control and value.
KEYS: dict[str, tuple[str, int]] = {
    "a": ("stick_x", -AXIS),
    "d": ("stick_x", AXIS),
    "w": ("stick_y", AXIS),
    "s": ("stick_y", -AXIS),
    "j": ("A", 1),
    "k": ("B", 1),
    "l": ("X", 1),
    "i": ("Z", 1),
    "u": ("L", 1),
}


def neutral() -> NDArray[np.int8]:
    """(2, len(CONTROLS)) nothing pressed."""
    return np.zeros((PLAYERS, len(CONTROLS)), np.int8)


def replayed(inputs: NDArray[np.int8]) -> Inputs:
    """Inputs (T, 2, len(CONTROLS)) of a game, from its first frame again when it is over."""
    return lambda frame: inputs[frame % len(inputs)]


def by_chance(seed: int) -> Inputs:
    """Both players press something else every few frames; the same for the same seed and frame."""

    def at(frame: int) -> NDArray[np.int8]:
        inputs = neutral()
        for player in range(PLAYERS):
            # A new draw every 4 to 11 frames, for each player at their own pace.
            rng = np.random.default_rng([seed, player, frame // (4 + (seed + 5 * player) % 8)])
            inputs[player, _INDEX["stick_x"]], inputs[player, _INDEX["stick_y"]] = rng.integers(-AXIS, AXIS + 1, 2)
            inputs[player, _INDEX[("A", "B", "X", "L")[rng.integers(4)]]] = rng.integers(2)
        return inputs

    return at


@dataclass
class Keyboard:
    """Player 0 from this terminal, player 1 from `other`; use it with `keyboard`."""

    other: Inputs
    _pressed: dict[str, float] = field(default_factory=dict)

    def __call__(self, frame: int) -> NDArray[np.int8]:
        """The inputs now."""
        self._read()
        inputs = self.other(frame).copy()
        inputs[0] = 0
        for key, when in self._pressed.items():
            if time.monotonic() - when < HELD_S:
                control, value = KEYS[key]
                inputs[0, _INDEX[control]] = value
        return inputs

    def _read(self) -> None:
        while select.select([sys.stdin], [], [], 0)[0]:
            for key in os.read(sys.stdin.fileno(), 64).decode(errors="ignore").lower():
                if key in KEYS:
                    self._pressed[key] = time.monotonic()
                if key in "\x03q":
                    raise KeyboardInterrupt


@contextlib.contextmanager
def keyboard(other: Inputs) -> Iterator[Inputs]:
    """A Keyboard, with the terminal set so that each key comes at once; set back afterwards."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin.fileno())
        yield Keyboard(other)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
