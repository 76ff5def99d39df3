"""Places of artifacts: nothing in their folders is a link, and nothing that lies there is lost unasked.

A folder that came from somebody else can hold a link to any place of this machine. So what lies in one is read, written
and deleted only after `check_folder`; the folder itself, which the user has named, may be a link. Where an artifact is
to be written, nothing may lie, unless the user has said that it can go.
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


def need_free_folder(folder: Path, overwrite: bool, error: type[Exception]) -> None:
    """`error` if a folder of an artifact that is about to be written holds anything, unless that is to be overwritten.

    A link in it is refused whatever was said.
    """
    check_folder(folder, error)
    if not overwrite and (held := foreign(folder, ())) is not None:
        raise error(
            f"{folder}: is not empty, it holds {held}; name another folder, or --overwrite replaces what is there"
        )


def need_free_file(path: Path, overwrite: bool, error: type[Exception]) -> None:
    """The same of a file that is about to be written: nothing may lie there, and a link or a folder never."""
    if path.is_symlink():
        raise error(f"{path}: is a link, and nothing is written through one; name the file itself")
    if path.is_dir():
        raise error(f"{path}: is a folder, expected a place for a file; name another one")
    if path.exists() and not overwrite:
        raise error(f"{path}: is there already; name another file, or --overwrite replaces it")


def foreign(folder: Path, own: Collection[str]) -> str | None:
    """The first entry of a folder that is none of `own`, nor anything that only passes."""
    return min((e.name for e in _entries(folder) if e.name not in own and not _passing(e.name)), default=None)


def _passing(name: str) -> bool:
    """Whether an entry is there while a process writes, or because one was killed."""
    return name == LOCK_NAME or bool(LEFT_OVER.fullmatch(name))


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
