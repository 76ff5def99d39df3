"""A world that people play on the page, with no chain: a feed whose first player is whoever holds the page's keys.

The page says what is pressed as {"inputs": [a number of each control]} and asks for a new game with {"again": true};
nothing else is listened to.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_live.bounded_json import parse
from wm_live.errors import WmLiveError
from wm_live.session.inputs import Inputs, neutral
from wm_live.watch.viewer import FrameMessage, Hello, cast_of
from wm_train.games.corpus import Corpus
from wm_train.measure.worlds import Worlds
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.extras import with_sights
from wm_train.world.fields import PLAYERS
from wm_train.world.step import with_presses

#: Seconds after which a game that is over begins again.
OVER_S = 3.0


def opened(encoding: Encoding, place: int, cast: tuple[int, ...]) -> Corpus:
    """What a world sees before its first frame: as many frames of the game's opening as it looks at, and one more. The
    newest that it sees is the last but one. WmLiveError if the game says of no Frame that it may begin with it."""
    game = encoding.game
    if game.opening is None:
        raise WmLiveError(f"{game.title} says of no frame that a game may begin with it; begin with --against replay")
    states = np.zeros((encoding.span + 1, PLAYERS, len(encoding.kept_fields)), np.int32)
    states[..., : len(game.state)] = game.opening(place, cast)
    frames = with_sights(encoding, place, states)
    inputs = np.zeros((len(frames), PLAYERS, len(encoding.controls)), np.int8)
    return Corpus(frames, inputs, np.full(len(frames), place), np.zeros(len(frames), np.int64), ("opening",))


class Hands:
    """What the page's player presses."""

    def __init__(self, game: Game) -> None:
        self._controls = game.controls
        self.pressed: NDArray[np.int8] = neutral(game)[0]
        self.again = False

    def hear(self, text: str) -> None:
        """A message of a page; what is none is passed over, for a page can say anything."""
        try:
            said = parse(text)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        self.again = self.again or said.get("again") is True
        values = said.get("inputs")
        if isinstance(values, list) and len(values) == len(self._controls) and all(type(v) is int for v in values):
            low, high = (
                [int(end) for end in ends] for ends in zip(*((f.lo, f.hi) for f in self._controls), strict=True)
            )
            self.pressed = np.clip(np.array(values, object), low, high).astype(np.int8)


@dataclass(frozen=True)
class Arena:
    """A world in play, as a viewer.FrameSource; without an end.

    begin      gives the world as it is before its first frame
    corpus, t  what it has seen, and the newest frame of that
    hands      the first player, who is at the page; None: `other` has both
    other      inputs, of which the second player's count
    fps        frames a second at most; 0 for as fast as they are taken
    """

    title: str
    begin: Callable[[], Worlds]
    encoding: Encoding
    corpus: Corpus
    t: int
    hands: Hands | None
    other: Inputs
    fps: float

    @property
    def hello(self) -> Hello:
        """Place and cast are those of the frame that it begins from; the page gets the game's pad."""
        game, frame = self.encoding.game, self.corpus.frames[self.t]
        place = int(self.corpus.place[self.t])
        return Hello(
            self.title, game, place, cast_of(game, frame), self.encoding.slots, pad=game.pad if self.hands else None
        )

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """Frame after frame; a game that is over, or that the player has had enough of, begins again."""
        number = itertools.count()
        while True:
            async for frame, inputs in self._game():
                yield FrameMessage(next(number), frame, inputs, None)

    async def _game(self) -> AsyncIterator[tuple[NDArray[np.int32], NDArray[np.int8]]]:
        """One game: Frames (2, F), and the inputs that led to each."""
        worlds, over = self.begin(), 0
        if self.hands:
            self.hands.again = False
        before = self.corpus.inputs[self.t]
        due = time.monotonic()
        for n in itertools.count():
            inputs = self.other(n).copy()
            if self.hands:
                inputs[0] = self.hands.pressed
            frames = await asyncio.to_thread(worlds.step, with_presses(self.encoding, before, inputs)[None])
            # What flags append is the network's to see, not the page's.
            yield frames[0, :, : len(self.encoding.game.state)], inputs
            before, over = inputs, over + self._lost(frames[0])
            if (self.hands and self.hands.again) or over > OVER_S * self.encoding.game.fps:
                return
            # What came late is not made up for: the next frame is a frame's time away at least.
            due = max(due, time.monotonic() - self._period) + self._period
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    @property
    def _period(self) -> float:
        return 1 / self.fps if self.fps else 0.0

    def _lost(self, frame: NDArray[np.int32]) -> bool:
        """Whether somebody has no life left."""
        lives = self.encoding.game.roles.lives
        return bool(lives) and bool((frame[:, self.encoding.game.state_index[lives]] <= 0).any())
