"""One writer: an artifact is written by one process at a time, and a second one is told who has it.

The lock is an advisory one (flock) on FOLDER/.wmq-lock, of an artifact that is one file on .wmq-lock-NAME beside it. It
says in JSON who holds it. The kernel lets go of it when
the process ends, however it ends; a file that a killed process leaves there locks nothing.
"""

import errno
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wm_train.artifact import remove_left_overs
from wm_train.errors import WmTrainError
from wm_train.files import LOCK_NAME, naming

_HOLDER_MAX_BYTES = 1024
_VERB = re.compile(r"[a-z][a-z -]{0,30}")
_SINCE = re.compile(r"[0-9T:Z-]{20}")


class Writer:
    """The right to write an artifact, from when it is built until `release`."""

    def __init__(self, place: Path, verb: str, lock: Path | None = None) -> None:
        """Take it, making the lock's folder if it is not there; WmTrainError if another process has it, OSError.

        lock  its file, where the place is no folder that holds it
        """
        self._lock = lock or place / LOCK_NAME
        if not self._lock.parent.is_dir() and self._lock.parent.exists():
            raise WmTrainError(f"{self._lock.parent}: is a file, expected a place for a folder; name another one")
        self._made = not self._lock.parent.exists()
        with naming(place):
            self._fd = _take(place, self._lock)
        holder = {"pid": os.getpid(), "verb": verb, "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        with suppress(OSError):  # a full disk: it is locked all the same
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(holder).encode(), 0)
        if lock is None:
            remove_left_overs(place)  # nobody else writes here now

    def release(self) -> None:
        """Let go. The lock's file goes too, and a folder that was made for nothing."""
        if self._fd < 0:
            return
        with suppress(OSError):
            os.unlink(self._lock)
        if self._made:
            with suppress(OSError):  # something was written into it
                self._lock.parent.rmdir()
        os.close(self._fd)
        self._fd = -1


@contextmanager
def one_writer(folder: Path, verb: str) -> Iterator[None]:
    """`folder`, made if it is not there, is this process's to write for as long as the context lasts.

    Raises WmTrainError, which names the holder, if another process (or this one, elsewhere) writes there.
    """
    writer = Writer(folder, verb)
    try:
        yield
    finally:
        writer.release()


@contextmanager
def one_writer_of_file(path: Path, verb: str) -> Iterator[None]:
    """The same of a file, whose folder others may write into."""
    writer = Writer(path, verb, path.parent / f"{LOCK_NAME}-{path.name}")
    try:
        yield
    finally:
        writer.release()


def _take(place: Path, path: Path) -> int:
    """The descriptor of the lock file `path` of an artifact, locked."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        except FileNotFoundError:
            continue  # the writer before took its empty folder away
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link, a folder, a socket
                raise _no_lock(path) from None
            raise
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(fd, path):
                return fd
        except BlockingIOError:
            raise WmTrainError(
                f"{place}: {_holder(fd)} is writing here; wait until it has ended, or name another place"
            ) from None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its holder had let go, and removed the file, in between


def _still_there(fd: int, path: Path) -> bool:
    """Whether the locked file is the one that others find under its name."""
    mine = os.fstat(fd)
    if not stat.S_ISREG(mine.st_mode):
        raise _no_lock(path)
    try:
        return os.path.samestat(mine, os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _no_lock(path: Path) -> WmTrainError:
    return WmTrainError(f"{path}: expected a lock file of wmq, got something else; remove it")


def _holder(fd: int) -> str:
    """Who holds a lock, as far as its file says; the descriptor is closed."""
    with os.fdopen(fd, "rb") as file:
        raw = file.read(_HOLDER_MAX_BYTES)
    try:
        found: Any = json.loads(raw)
        pid, verb, since = found["pid"], str(found["verb"]), str(found["since"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    if not (type(pid) is int and 0 < pid < 1 << 32 and _VERB.fullmatch(verb) and _SINCE.fullmatch(since)):
        return "another process"
    return f"`wmq {verb}` (process {pid}, since {since})"
