"""Tiers of tests: what a test needs beside Python decides, and says what `make check` leaves to `make test`.

rollup    starts the real validator or a browser
program   compiles Rust, runs what was compiled, or starts Anchor's client
replays   reads the archive of real replays
process   starts Python again, which loads torch for seconds, to end it, to kill it or to let two work together
study     trains one network after the other and compares them, for seconds
fast      none of these: no compiler, no process of Python, no network, no shared folder

A test needs what the fixtures need that it uses, directly or through others. Every need is a fixture, all in
tests/conftest.py.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Tier -> the fixtures that put a test there, the first that fits.
NEEDS = {
    "rollup": {"validator", "chromium"},
    "program": {"sbpf", "bolt", "cargo", "rustfmt", "anchor", "anchorpy"},
    "replays": {"shared"},
    "process": {"python"},
    "study": {"several_runs"},
    "fast": set[str](),
}
#: Programs that no test of the tier `fast` starts.
TOOLS = {"cargo", "rustc", "cargo-build-sbf", "npm", "node", "chromium", "chromedriver"}
LOCAL = ("127.0.0.1", "::1", "localhost")

#: Every test that was collected, also those that -m leaves out.
COLLECTED = pytest.StashKey[list[pytest.Item]]()


def tier_of(fixtures: Collection[str]) -> str:
    """The tier of a test that uses these fixtures, directly or through others."""
    return next(tier for tier, needs in NEEDS.items() if not needs or needs.intersection(fixtures))


class Guard:
    """Sees what this process does that a test of the tier `fast` must not: an audit hook, which cannot be removed."""

    def __init__(self, shared: Path) -> None:
        self.seen: list[str] | None = None
        self._shared = f"{os.path.abspath(shared)}/"
        sys.addaudithook(self._audit)

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        """Gives the list that what is seen is added to."""
        before, self.seen = self.seen, []
        try:
            yield self.seen
        finally:
            self.seen = before

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None:
            return
        if event == "subprocess.Popen":
            self._started(arguments[1])
        elif event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple) and address[0] not in LOCAL:
                self.seen.append(f"connects to {address[0]}")
        elif (
            event == "open" and isinstance(arguments[0], str) and os.path.abspath(arguments[0]).startswith(self._shared)
        ):
            self.seen.append(f"opens {arguments[0]}")

    def _started(self, command: Any) -> None:
        words = [command] if isinstance(command, str | os.PathLike) else command
        name = os.fspath(words[0])
        # Stand-ins that a test has made lie in temporary folders, and to ask for a version needs no tool.
        stand_in = (shutil.which(name) or "").startswith(tempfile.gettempdir())
        if (Path(name).name in TOOLS or name == sys.executable) and not stand_in and "--version" not in words:
            assert self.seen is not None
            self.seen.append(f"starts {name}")


GUARD = pytest.StashKey[Guard]()
