"""Files that a verb writes where the user says: by one process at a time, and over nothing unasked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wm_cli.errors import WmCliError
from wm_train.artifact import need_free_file
from wm_train.writer import one_writer_of_file


@contextmanager
def place_of(path: Path, verb: str, overwrite: bool) -> Iterator[None]:
    """`path` is this process's to write, with atomic_write_bytes, for as long as the context lasts.

    A verb asks before its work begins. WmCliError if something lies there, WmTrainError if another process has it.
    """
    need_free_file(path, overwrite, WmCliError)
    with one_writer_of_file(path, verb):
        need_free_file(path, overwrite, WmCliError)
        yield
