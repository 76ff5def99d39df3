"""Folders of artifacts: nothing in them is a link, and only what wmq itself has put there is ever deleted.

A folder that came from somebody else can hold a link to any place of this machine. So what lies in one is read, written
and deleted only after `check_folder`; the folder itself, which the user has named, may be a link.
"""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from wm_train.files import LOCK_NAME, TEMP_PREFIX

#: A part of a file that a killed process has left.
LEFT_OVER = re.compile(re.escape(TEMP_PREFIX) + r"[A-Za-z0-9_]{1,32}")


def check_folder(folder: Path, error: type[Exception], inner: Collection[str] = ()) -> None:
    """`error` if an entry of the folder, or of the folders `inner` below it, is a link. What is not there is fine."""
    for place in (folder, *(folder / name for name in inner)):
        for entry in _entries(place):
            if entry.is_symlink():
                raise error(f"{entry.path}: is a link, which no folder of wmq holds; put a copy in its place")


def remove_own(folder: Path, pattern: re.Pattern[str], kept: Collection[str], error: type[Exception]) -> int:
    """Delete every file whose name is all of `pattern`, or that a killed process has left, but those `kept`; how many.

    `error`, before anything is deleted, if the folder is a link or holds anything else. Raises OSError.
    """
    if folder.is_symlink():
        raise error(f"{folder}: is a link, nothing in it is deleted; put a folder in its place")
    entries = [entry for entry in _entries(folder) if entry.name != LOCK_NAME]
    for entry in entries:
        if not entry.is_file(follow_symlinks=False) or not is_own(entry.name, pattern):
            raise error(f"{entry.path}: was not made by wmq, and nothing else may lie there; move it away")
    removed = [entry for entry in entries if entry.name not in kept]
    for entry in removed:
        os.unlink(entry.path)
    return len(removed)


def remove_left_overs(folder: Path) -> None:
    """Delete the parts of files that killed processes have left in a folder, as far as that can be done."""
    for entry in _entries(folder):
        if LEFT_OVER.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            with suppress(OSError):
                os.unlink(entry.path)


def is_own(name: str, pattern: re.Pattern[str]) -> bool:
    """Whether a file of that name is one of `pattern`, or what a killed process has left of one."""
    return bool(pattern.fullmatch(name) or LEFT_OVER.fullmatch(name))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    if folder.is_dir():
        with os.scandir(folder) as found:
            yield from found
