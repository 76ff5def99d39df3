"""What this process does beyond a folder: an audit hook sees it, as the Guard of tests/tiers.py does.

Native code is not seen by it; so what lies outside is compared as well (`contents`).
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Events that begin a process, and what they mean.
PROCESSES = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
             "pty.spawn"}  # fmt: skip
#: Events that change a file by its name -> where in their arguments the names stand, each with its folder's descriptor.
CHANGES: Mapping[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),), "os.chown": ((0, 3),), "os.utime": ((0, 3),), "os.setxattr": ((0, None),),
    "os.rename": ((0, 2), (1, 3)), "os.link": ((0, 2), (1, 3)), "os.symlink": ((1, 2),),
}  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Reach:
    """An audit hook, which cannot be removed: there is one in a process."""

    def __init__(self) -> None:
        self._seen: list[str] | None = None
        self._inside = self._secret = ""
        sys.addaudithook(self._audit)

    @contextmanager
    def watching(self, inside: Path, secret: Path) -> Iterator[list[str]]:
        """Gives the list that is added to: files changed that are not `inside`, files read in `secret`, processes and
        connections."""
        self._inside, self._secret = (os.path.realpath(folder) + os.sep for folder in (inside, secret))
        seen: list[str] = []
        self._seen = seen
        try:
            yield seen
        finally:
            self._seen = None

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._seen is None:
            return
        if event in PROCESSES:
            self._seen.append(f"starts a process: {event} {arguments[0]!r:.60}")
        elif event == "socket.connect":
            self._seen.append(f"connects to {arguments[1]!r:.60}")
        elif event == "open":
            self._opened(*arguments)
        else:
            for name, folder in CHANGES.get(event, ()):
                self._changed(event, _absolute(arguments[name], -1 if folder is None else arguments[folder]))

    def _opened(self, path: Any, _: str | None, flags: int) -> None:
        if isinstance(path, int) or self._seen is None:
            return
        name = os.path.abspath(os.fsdecode(path))
        real = _in_its_folder(name) if flags & os.O_NOFOLLOW else os.path.realpath(name)
        # Where a folder is opened to be written, a file without a name is made.
        if flags & _WRITES and not os.path.isdir(real) and real != os.devnull and not real.startswith(self._inside):
            self._seen.append(f"opens {real} for writing")
        if real.startswith(self._secret):
            self._seen.append(f"opens {real}")

    def _changed(self, event: str, path: str) -> None:
        assert self._seen is not None
        real = _in_its_folder(path)
        if not real.startswith(self._inside):
            self._seen.append(f"{event} {real}")


def _in_its_folder(path: str) -> str:
    """Where the name itself is, be it a link."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _absolute(path: Any, folder: int) -> str:
    if isinstance(path, int):
        return os.readlink(f"/dev/fd/{path}")
    name = os.fsdecode(path)
    return os.path.join(os.readlink(f"/dev/fd/{folder}"), name) if folder >= 0 else os.path.abspath(name)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder: mode, and bytes."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")
    }
