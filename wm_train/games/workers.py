"""Worker processes: many files at a time, and none outlives its parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

import pyarrow as pa

T = TypeVar("T")
R = TypeVar("R")


def in_processes(function: Callable[[T], R], items: Sequence[T], workers: int | None) -> Generator[R, None, None]:
    """`function` of every item as they come, in up to `workers` processes (None: one per core; here, if one is
    enough). Its errors raise.

    Meant for work that does not end its process. Closing the generator cancels what has not begun.
    """
    processes = min(workers or os.cpu_count() or 1, len(items))
    if processes <= 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), start_worker) as pool:
        try:
            for future in as_completed([pool.submit(function, item) for item in items]):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def start_worker() -> None:
    """Set up a worker process: silent, single-threaded, deaf to Ctrl-C (the parent hears it), gone with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # native code prints each panic there
    os.close(null)
    pa.set_cpu_count(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # killed: nobody will ever send work or an end
