"""Time that passes only while everything waits: minutes of a client take no time."""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

#: No client may wait longer in all, in seconds.
MOST_S = 12 * 3600.0


class Clock:
    """Seconds since some time."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """As time.monotonic."""
        return self.now


class _Skipping(selectors.DefaultSelector):
    """Waits for nothing: what it would wait, has passed."""

    clock: Clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never comes"
            self.clock.now += timeout
        return ready


class EndlessError(Exception):
    """A client that would never have ended."""


def skip_time(patch: pytest.MonkeyPatch) -> Clock:
    """From here on asyncio.run skips what is waited for; the clock that it goes by."""
    clock = Clock()

    def loop() -> asyncio.AbstractEventLoop:
        selector = _Skipping()
        selector.clock = clock
        return asyncio.SelectorEventLoop(selector)

    def run(main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(_ending(main))

    async def _ending(main: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(main)
        await asyncio.wait([task], timeout=MOST_S)
        if not task.done():
            task.cancel()
            with suppress(BaseException):
                await task
            raise EndlessError(f"not over after {MOST_S:.0f} s")
        return task.result()

    patch.setattr(time, "monotonic", clock.monotonic)
    patch.setattr(asyncio, "run", run)
    return clock
