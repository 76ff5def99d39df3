"""Signals that ask a process to end, as a question that a loop asks between two steps, where its state is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Ctrl-C; a machine that is taken back, as clusters and torchrun say it; what a cluster is told to send some time
#: before (`sbatch --signal`); a terminal that was closed. Each ends a process that does not listen.
ASKING = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP")
_ENDS = (signal.SIG_DFL, signal.default_int_handler)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by `number`, another signal than that of Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = signal.Signals(number)


@contextmanager
def interrupts() -> Iterator[Callable[[], int]]:
    """The newest signal that asked to end since, 0 if none did. A signal that has another handler than Python's own, or
    that is ignored, is left alone."""
    asked = 0

    def ask(number: int, _: object) -> None:
        # No more than this: a handler may run inside another call of itself, and would wait there for its own lock.
        nonlocal asked
        asked = number

    named = (getattr(signal, name, None) for name in ASKING)  # not every system has all of them
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in named if number is not None and mine}
    ours = {number: handler for number, handler in before.items() if handler in _ENDS}
    for number in ours:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def ended_by(number: int) -> KeyboardInterrupt:
    """What a loop raises that a signal has ended; 0 where another process was asked, and said so."""
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number or signal.SIGTERM)
