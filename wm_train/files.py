"""Files that are either whole or absent, whatever happens while they are written.

Everything that wmq writes goes through this module, so that a full disk keeps the old file, leaves no part of the new
one, and is reported with the path.
"""

import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

TEMP_PREFIX = ".part-"
#: In a folder while a process writes there; see writer.py.
LOCK_NAME = ".wmq-lock"


@contextmanager
def naming(path: Path | str, size: int | None = None) -> Iterator[None]:
    """An OSError of the block names `path`: those of write and fsync name nothing, those of a temporary file that.

    size  bytes that the block writes; said where the disk is full
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        said = os.strerror(error.errno)
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and size is not None:
            said += f" for its {size:,} bytes; what was there is as it was"
        raise OSError(error.errno, said, str(path)) from None


def atomic_write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    The folder must exist. A killed process can leave a `.part-*` file beside it. Raises OSError, which names `path`.
    """
    atomic_write_files({path: data})


def atomic_write_files(files: Mapping[Path, bytes | memoryview]) -> None:
    """Write files that belong together: all of them are on disk beside the old ones before the first takes its place.

    They appear in the order given, the one that vouches for the others last. Raises OSError, which names the file.
    """
    parts: dict[Path, str] = {}
    try:
        for path, data in files.items():
            with naming(path, memoryview(data).nbytes):
                _write_part(path, data, parts)
        for path in files:
            with naming(path):
                os.replace(parts[path], path)
            del parts[path]
    finally:
        for part in parts.values():
            with suppress(OSError):
                os.unlink(part)


def _write_part(path: Path, data: bytes | memoryview, parts: dict[Path, str]) -> None:
    """`data` in a temporary file beside `path`, whose name goes into `parts` before anything can fail."""
    fd, parts[path] = tempfile.mkstemp(prefix=TEMP_PREFIX, dir=path.parent)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o644)  # mkstemp makes it private to the user; artifacts are not secret
        file.write(data)
        file.flush()
        os.fsync(fd)


def json_bytes(obj: object) -> bytes:
    """`obj` as wmq writes JSON: indented, keys in the order given. Raises TypeError, ValueError (NaN)."""
    return (json.dumps(obj, indent=1, allow_nan=False) + "\n").encode()


def atomic_write_json(path: Path, obj: object) -> None:
    """Write `obj` as JSON. Raises OSError, TypeError, ValueError (NaN)."""
    atomic_write_bytes(path, json_bytes(obj))


def open_to_write(path: Path) -> FileIO:
    """A regular file, made if it is not there, open without a buffer to be read and written; never through a link.

    Raises OSError, which names it.
    """
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe is opened, and refused
    if path.is_symlink():
        raise OSError(errno.ELOOP, "expected a file, got a link", str(path))
    file = FileIO(path, "r+", opener=lambda name, mode: os.open(name, mode | flags, 0o644))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "expected a regular file", str(path))
    return file


def write_whole(file: FileIO, at: int, data: bytes) -> None:
    """Write all of `data` at offset `at` of an unbuffered file, which one system call need not do.

    On an error the file ends at `at`, and the OSError names it. Not for a file that was opened to append: there the
    offset counts for nothing.
    """
    view, done = memoryview(data), 0
    with naming(str(file.name)):
        try:
            while done < len(view):
                written = os.pwrite(file.fileno(), view[done:], at + done)
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                done += written
        except OSError:
            with suppress(OSError):
                file.truncate(at)
            raise
