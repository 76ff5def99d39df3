"""Feeds for the viewer: one Hello message, then one FrameMessage for each frame.

A **Feed** has a `hello` and gives its messages from `frames()`, once. Whoever shows them (server.py) does not know
whether they come from a rollup, a log, or a network that runs beside its replay.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wm_live.errors import WmLiveError
from wm_live.watch.plain_view import view_of
from wm_train.games.corpus import Corpus
from wm_train.measure.worlds import Model, begin
from wm_train.world.definition import Game, Pad
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Field, Kind
from wm_train.world.rule_ops import ONE

_DIGEST = re.compile("[0-9a-f]{1,128}")


def cast_of(game: Game, frame: NDArray[np.integer[Any]]) -> tuple[int, ...]:
    """Ids of who the players of a Frame (2, F) are; nothing if the game does not tell players apart."""
    return tuple(int(v) for v in frame[:, game.state_index[game.roles.cast]]) if game.roles.cast else ()


@dataclass(frozen=True)
class Hello:
    """What stays the same while a feed lasts.

    title  a line for the head of the page
    game   the game that is shown
    place  id of where; 0 if the game has no places
    cast   ids of who the players are, as `cast_of` gives them
    slots  frames that the network sees
    live   whether frames come as they are played: viewers then follow the newest, and slow ones miss some
    pad    how the page's own player presses the controls; None if the page only watches
    over   what a page says at the end of the feed, if it did not fail
    """

    title: str
    game: Game
    place: int
    cast: tuple[int, ...]
    slots: int
    live: bool = True
    pad: Pad | None = None
    over: str = "session over"

    def to_json(self) -> dict[str, Any]:
        """The greeting as a viewer gets it: with it, integers can be drawn and named."""
        view, roles = view_of(self.game), self.game.roles
        return {
            "title": self.title,
            "place": asdict(view.outline(self.place)),
            "cast": [view.cast(who) for who in self.cast] or [""] * PLAYERS,
            "slots": self.slots,
            "fps": self.game.fps,
            "live": self.live,
            "pad": None if self.pad is None else {name: _plain(getattr(self.pad, name)) for name in HELD},
            "over": self.over,
            "fields": [field_json(f) for f in self.game.state],
            "controls": [{"name": f.name, "low": f.lo, "high": f.hi} for f in self.game.controls],
            "roles": {
                "position": roles.position,
                "action": roles.action,
                "damage": roles.damage,
                "lives": roles.lives,
            },
            **{name: _plain(getattr(view, name)) for name in SHOWN},
        }

    def checked(self, message: "FrameMessage") -> "FrameMessage":
        """The message, if its arrays are of the game's fields; WmLiveError if not."""
        shapes = {"frame": (PLAYERS, len(self.game.state)), "inputs": (PLAYERS, len(self.game.controls))}
        for name, shape in (shapes | {"real": shapes["frame"]}).items():
            array = getattr(message, name)
            if array is not None and (array.shape != shape or array.dtype.kind not in "iu"):
                raise WmLiveError(
                    f"frame {message.n}: {name} is {array.dtype} {array.shape}, expected integers {shape}; "
                    "was it written by another version of wmq?"
                )
        return message


#: Of a View, what the greeting carries under the same name.
SHOWN = ("actions", "life", "lengths", "looks", "figures", "meter", "controller", "box")

#: Of a Pad, what the greeting carries where the page plays.
HELD = ("keys", "gamepad_axes", "gamepad_buttons")


def _plain(value: Any) -> Any:
    """Dataclasses as objects of JSON."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def field_json(field: Field) -> dict[str, Any]:
    """What a page needs of a field: a value is its integer divided by `scale`, in `unit`, from `low` to `high`."""
    scale = ONE if field.kind is Kind.CONTINUOUS else 1
    return {"name": field.name, "unit": field.unit, "scale": scale, "low": field.lo, "high": field.hi}


@dataclass(frozen=True)
class FrameMessage:
    """One frame.

    n       frame number, from 0
    frame   (2, len(game.state)) integers as in a Frame
    inputs  (2, len(game.controls)) integers, the controllers that led to it; None where they were not seen
    real    the same frame of the replay, where there is one
    cu      compute units it took, where they are known
    digest  lower-case hex of the session's digest after it, where it is known
    late    whether it came later than it should have
    """

    n: int
    frame: NDArray[np.integer[Any]]
    inputs: NDArray[np.integer[Any]] | None
    real: NDArray[np.integer[Any]] | None = None
    cu: int | None = None
    digest: str | None = None
    late: bool = False

    def __post_init__(self) -> None:
        if self.n < 0 or (self.cu is not None and self.cu < 0):
            raise WmLiveError(f"frame {self.n}: number and compute units ({self.cu}) must not be negative")
        if self.digest is not None and not _DIGEST.fullmatch(self.digest):
            raise WmLiveError(f"frame {self.n}: digest {self.digest[:80]!r}, expected lower-case hex")

    def to_json(self) -> dict[str, Any]:
        """The message as a viewer gets it; integers stay integers."""
        return {
            "n": self.n,
            "frame": self.frame.tolist(),
            "inputs": None if self.inputs is None else self.inputs.tolist(),
            "real": None if self.real is None else self.real.tolist(),
            "cu": self.cu,
            "digest": self.digest,
            "late": self.late,
        }


class Feed(Protocol):
    """A source of frames."""

    @property
    def hello(self) -> Hello:
        """What stays the same."""

    def frames(self) -> AsyncIterator[FrameMessage]:
        """Every frame, in order; called once. Raises WmLiveError where the source fails for good."""


@dataclass(frozen=True)
class ListFeed:
    """Messages that are there already: a recorded log. `fps` None gives them as fast as they are taken."""

    hello: Hello
    messages: Iterable[FrameMessage]
    fps: float | None = None

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """The messages, at `fps`; each is due from the start on, so that waiting does not add up."""
        start = time.monotonic()
        for i, message in enumerate(self.messages):
            due = start + i / self.fps if self.fps else 0
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield message


@dataclass(frozen=True)
class RolloutFeed:
    """A world that runs by itself from window `t` of a corpus, on the true controllers, beside what really happened.

    model   a network or a baseline; called off the event loop
    t       index of the last frame that it sees of the real game
    length  frames to run; the same game must go on for that long
    """

    title: str
    model: Model
    corpus: Corpus
    encoding: Encoding
    t: int
    length: int

    def __post_init__(self) -> None:
        game, first, last = self.corpus.game, self.t + 1 - self.encoding.slots, self.t + self.length
        if first < 0 or self.length < 1 or last >= len(game) or game[first] != game[last]:
            raise WmLiveError(
                f"rollout: {self.length} frames from window {self.t} are not within one game; "
                "take an earlier start or fewer frames"
            )

    @property
    def hello(self) -> Hello:
        """Place and cast are those of the window."""
        game, place = self.encoding.game, int(self.corpus.place[self.t])
        cast = cast_of(game, self.corpus.frames[self.t])
        return Hello(self.title, game, place, cast, self.encoding.slots, live=False, over="complete")

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """As fast as the network computes them."""
        corpus, worlds = self.corpus, begin(self.model, self.corpus, self.encoding, np.array([self.t]))
        state, controls = len(self.encoding.game.state), len(self.encoding.game.controls)
        for at in range(self.t + 1, self.t + 1 + self.length):
            frame = await asyncio.to_thread(worlds.step, corpus.inputs[[at]])
            # What flags append is the network's to see, not the page's.
            shown, real, inputs = frame[0, :, :state], corpus.frames[at, :, :state], corpus.inputs[at, :, :controls]
            yield FrameMessage(at - self.t - 1, shown, inputs, real)


class FrameSource(Protocol):
    """A session that somebody follows: polled or subscribed, it may repeat a frame or skip some."""

    def frames(self) -> AsyncIterator[FrameMessage]:
        """What is seen of the session, in the order it is seen."""


@dataclass(frozen=True)
class LiveFeed:
    """A session as it is played. Frames that were seen before are dropped; those that come late are marked.

    A frame is late that comes more than one frame's time after it was due. Due is counted on from the frame before, or
    from when that one came if it was late itself: one hiccup is one late frame. Being early earns one frame at most.
    """

    hello: Hello
    source: FrameSource
    clock: Callable[[], float] = time.monotonic

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """Every frame of the source that is newer than all before it."""
        newest, due, period = -1, 0.0, 1 / self.hello.game.fps
        async for message in self.source.frames():
            if message.n <= newest:
                continue
            now = self.clock()
            due = now if newest < 0 else min(due + (message.n - newest) * period, now + period)
            late = now > due + period
            due, newest = (now if late else due), message.n
            yield replace(message, late=True) if late else message
