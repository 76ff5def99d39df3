"""Footage: frames of true games or of worlds, joined along time, and what a measure asks of the past. numpy only.

No function here has a loop over frames, and none looks across the border of two worlds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.world.definition import Game

Frames = NDArray[np.int32]
Mask = NDArray[np.bool_]
#: A field by its name, (..., 2) int64.
Read = Callable[[str], Ints]


@dataclass(frozen=True, eq=False)
class Footage:
    """T frames.

    game    what is played
    frames  (T, 2, fields) int32
    place   (T,) int64 id of each frame's place
    world   (T,) int64, ascending: which game or world a frame is of
    """

    game: Game
    frames: Frames
    place: Ints
    world: Ints

    def field(self, name: str) -> Ints:
        """(T, 2) a field of the state, as a Frame holds it."""
        return self.frames[..., self.game.state_index[name]].astype(np.int64)

    def value(self, name: str) -> NDArray[np.float64]:
        """(T, 2) a continuous field in its unit."""
        return self.field(name) / float(1 << FRAC_BITS)

    @cached_property
    def first(self) -> Ints:
        """(T,) the first frame of each frame's world."""
        return np.searchsorted(self.world, self.world).astype(np.int64)

    @cached_property
    def previous(self) -> Ints:
        """(T,) the frame before each; a world's first frame has itself."""
        return np.maximum(np.arange(len(self.world)) - 1, self.first)

    def change(self, name: str) -> Ints:
        """(T, 2) what a field changed by since the frame before; 0 in a world's first frame."""
        values = self.field(name)
        changed: Ints = values - values[self.previous]
        return changed

    def lately(self, flags: Mask, frames: int) -> Mask:
        """(T, 2) whether `flags` (T, 2) held in one of the last `frames` frames, this one included."""
        at = np.arange(len(flags))[:, None]
        last = np.maximum.accumulate(np.where(flags, at, -1), 0)
        return np.asarray((last >= self.first[:, None]) & (at - last < frames))

    def in_a_row(self, flags: Mask) -> Ints:
        """(T, 2) in how many frames in a row, up to this one, `flags` (T, 2) held."""
        at = np.arange(len(flags))[:, None]
        broken = np.maximum.accumulate(np.where(flags, -1, at), 0)
        return np.asarray(at - np.maximum(broken, self.first[:, None] - 1))


def footage(game: Game, corpus: Corpus) -> Footage:
    """The true games of a corpus."""
    return Footage(game, corpus.frames, corpus.place, corpus.game)


def with_past(game: Game, corpus: Corpus, t: Ints, frames: Frames, past: int) -> tuple[Footage, Mask]:
    """What worlds showed, behind the `past` true frames that led to them, `t` (B,) the newest; and which are theirs.

    frames   (B, H, 2, fields)
    returns  footage of B * (past + H) frames; (B * (past + H),) whether a frame is of `frames`
    """
    first = np.searchsorted(corpus.game, corpus.game[t])
    # Before a game's first frame stands that frame: nothing happened there.
    at = np.maximum(t[:, None] + np.arange(1 - past, 1), first[:, None])
    whole = np.concatenate([corpus.frames[at], frames], 1)
    length = whole.shape[1]
    own = np.tile(np.arange(length) >= past, len(t))
    world = np.repeat(np.arange(len(t)), length)
    return Footage(game, whole.reshape(-1, *whole.shape[2:]), np.repeat(corpus.place[t], length), world), own


def readers(game: Game, *frames: Frames) -> tuple[Read, ...]:
    """Fields of Frames (..., 2, fields) by their names."""

    def reader(one: Frames) -> Read:
        return lambda name: one[..., game.state_index[name]].astype(np.int64)

    return tuple(reader(one) for one in frames)


def game_field(game: Game, frames: Frames, name: str) -> Ints:
    """(..., 2) int64 values of a field; zeros if the game has no such field."""
    if not name:
        return np.zeros(frames.shape[:-1], np.int64)
    return frames[..., game.state_index[name]].astype(np.int64)


def by_world(footage: Footage, own: Mask, broken: Mask) -> NDArray[np.float64]:
    """(worlds,) how many of its own frames a world shows up to the first broken one, that one included; infinite
    where none is.

    own, broken  (T,)
    """
    worlds, number = np.unique(footage.world[own], return_inverse=True)
    start = np.searchsorted(number, np.arange(len(worlds)))
    there, at = np.unique(number[broken[own]], return_index=True)
    found = np.full(len(worlds), np.inf)
    found[there] = np.flatnonzero(broken[own])[at] - start[there] + 1
    return found
