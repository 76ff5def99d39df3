"""Feeds for the viewer's tests: frames whose every shown value is known, and a feed that a test drives by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np

from wm_live.watch.viewer import FrameMessage, Hello
from wm_train.melee.field_table import CONTROLS, STATE, STATE_INDEX
from wm_train.world.fields import PLAYERS, Kind, fixed
from wm_train.world.registry import find_game

#: Fox and Falco on Battlefield.
HELLO = Hello("A test", find_game(), place=31, cast=(1, 22), slots=10)
ROLLOUT = Hello("A rollout", find_game(), place=31, cast=(1, 22), slots=10, live=False, over="complete")


def frame(*players: Mapping[str, float]) -> Any:
    """(2, len(STATE)) int32 of fields in their units; what is not given is 0."""
    out = np.zeros((PLAYERS, len(STATE)), np.int32)
    for player, fields in enumerate(players):
        for name, value in fields.items():
            i = STATE_INDEX[name]
            out[player, i] = fixed(value) if STATE[i].kind is Kind.CONTINUOUS else value
    return out


def inputs(*players: dict[str, int]) -> Any:
    """(2, len(CONTROLS)) int8 of controls; what is not given is 0."""
    out = np.zeros((PLAYERS, len(CONTROLS)), np.int8)
    names = [field.name for field in CONTROLS]
    for player, controls in enumerate(players):
        for name, value in controls.items():
            out[player, names.index(name)] = value
    return out


def message(n: int, **more: Any) -> FrameMessage:
    """Frame `n`: player 1 walks right at a unit a frame, player 2 stands; percent of player 1 is `n`, up to 999."""
    one = {"x": -40 + n % 80, "percent": min(n, 999), "stocks": 4, "shield": 60, "action": 15, "facing": 1, "jumps": 2}
    two = {"x": 30, "percent": 12.5, "stocks": 3, "shield": 30, "action": 14, "jumps": 1}
    return FrameMessage(n, frame(one, two), inputs({"stick_x": 80, "A": 1}, {}), **more)


class Pushed:
    """A live feed of what the test pushes; `fail` and `close` end it. To be used on one event loop."""

    def __init__(self, hello: Hello = HELLO) -> None:
        self.hello = hello
        self._queue: asyncio.Queue[FrameMessage | Exception | None] = asyncio.Queue()

    def push(self, *items: FrameMessage | Exception | None) -> None:
        """Messages; an exception makes the feed raise it; None ends it."""
        for item in items:
            self._queue.put_nowait(item)

    async def frames(self) -> AsyncIterator[FrameMessage]:
        """What is pushed, as it is pushed."""
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
