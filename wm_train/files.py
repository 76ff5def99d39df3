"""Files that are either whole or absent, whatever happens while they are written."""

import json
import os
import tempfile
from pathlib import Path

TEMP_PREFIX = ".part-"


def atomic_write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    The folder must exist. A killed process can leave a `.part-*` file beside it. Raises OSError.
    """
    fd, temp = tempfile.mkstemp(prefix=TEMP_PREFIX, dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o644)  # mkstemp makes it private to the user; artifacts are not secret
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(temp, path)
    except BaseException:
        os.unlink(temp)
        raise


def atomic_write_json(path: Path, obj: object) -> None:
    """Write `obj` as JSON, indented, keys in the order given. Raises OSError, TypeError, ValueError (NaN)."""
    atomic_write_bytes(path, (json.dumps(obj, indent=1, allow_nan=False) + "\n").encode())
