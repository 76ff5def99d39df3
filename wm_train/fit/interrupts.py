"""Ctrl-C as a question that a loop asks between two steps, where its state is whole and can be kept."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed since; always no where another handler than Python's own is set, which stays."""
    pressed = False

    def press(*_: object) -> None:
        # No more than this: a handler may run inside another call of itself, and would wait there for its own lock.
        nonlocal pressed
        pressed = True

    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: pressed
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
