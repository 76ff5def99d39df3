"""Seeded mutations of every artifact: each is loaded or refused in one line, and nothing beyond its folder is touched.

python -m tests.hostile.fuzz CASES [SEED]     that many over all loaders; what happened, and 1 if anything is wrong
"""

import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

from tests.hostile.artifacts import LOADERS, Loader
from tests.hostile.mutations import mutate_file, mutate_folder
from tests.hostile.reach import Reach, contents
from wm_cli.errors import WmCliError
from wm_export.errors import WmExportError
from wm_live.errors import WmLiveError
from wm_quant.errors import WmQuantError
from wm_train.errors import LINE_MAX, WmTrainError

#: What a verb shows as one line: the error of each package.
ERRORS = (WmTrainError, WmQuantError, WmExportError, WmLiveError, WmCliError)
#: Calls of a traceback that a fault shows.
_SHOWN = 3


@dataclass
class Tally:
    """What became of cases. faults: which case, and what was wrong with it."""

    loaded: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """All of them."""
        return self.loaded + self.refused + len(self.faults)


class Fuzz:
    """Cases in a folder of their own: `artifacts` as they were made, `case` of the one at hand, `outside` of it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._reach = folder, Reach()

    def run(self, name: str, cases: int, seed: int = 0) -> Tally:
        """That many cases of one loader."""
        tally = Tally()
        with self._surroundings():
            self._make(name)
            for number in range(cases):
                self._one(name, f"{seed}:{name}:{number}", tally)
        return tally

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """No git is asked what is checked out here, and what this user has built is noted in the folder."""
        noted = {"WMQ_CACHE": str(self._folder / "cache")}
        with patch.dict(os.environ, noted), patch("wm_train.fit.record.commit", lambda: None):
            yield

    def _make(self, name: str) -> None:
        """The artifact as it was made, and loaded once as it is: which imports what a loader needs."""
        made = self._folder / "artifacts" / name
        if not made.exists():
            made.mkdir(parents=True)
            LOADERS[name].make(made)
        case, _ = self._laid_out(name)
        LOADERS[name].load(case)

    def _laid_out(self, name: str) -> tuple[Path, Path]:
        case, outside = self._folder / "case", self._folder / "outside"
        for folder in (case, outside):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._folder / "artifacts" / name, case)
        outside.mkdir()
        (outside / "precious.json").write_text("{}")
        return case, outside

    def _one(self, name: str, which: str, tally: Tally) -> None:
        loader, rng = LOADERS[name], Random(which)
        case, outside = self._laid_out(name)
        _change(rng, loader, case, outside)
        before, nothing = contents(outside), self._folder / "nothing"
        with self._reach.watching(case, nothing if loader.linked else outside) as seen:
            said, wrong = _load(loader, case)
        if contents(outside) != before:
            seen.append("changes what lies outside")
        if wrong or seen:
            tally.faults.append(f"{which}: {wrong or said} {'; '.join(seen)}")
        elif said:
            tally.refused += 1
        else:
            tally.loaded += 1


def _change(rng: Random, loader: Loader, case: Path, outside: Path) -> None:
    """One to two changes, with hashes made right or not."""
    files = [path for pattern in loader.changed for path in sorted(case.glob(pattern)) if path.is_file()]
    if rng.random() < 0.15:
        mutate_folder(rng, rng.choice(files), case / loader.named, outside)
        return
    for path in {rng.choice(files): None for _ in range(rng.randint(1, 2))}:
        mutate_file(rng, path)
    if rng.random() < 0.8:
        loader.sign(case)


def _load(loader: Loader, case: Path) -> tuple[str, str]:
    """(the line it was refused with, what is wrong)."""
    try:
        loader.load(case)
    except ERRORS as error:
        line = str(error)
        return line, "" if line.isprintable() and len(line) <= LINE_MAX else f"no line: {line!r:.300}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of native code is no Exception
        calls = traceback.extract_tb(error.__traceback__)[-_SHOWN:]
        where = " > ".join(f"{Path(call.filename).name}:{call.lineno}" for call in calls)
        return "", f"{type(error).__name__}: {error!s:.200} at {where}"
    return "", ""


def shares(cases: int) -> dict[str, int]:
    """That many cases, spread over the loaders by their weight."""
    whole = sum(loader.weight for loader in LOADERS.values())
    return {name: -(-cases * loader.weight // whole) for name, loader in LOADERS.items()}


def main(cases: int, seed: int = 0) -> int:
    """Run them and print what happened; gives the exit code."""
    faults, total = Counter[str](), Tally()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder))
        for name, share in shares(cases).items():
            began = time.process_time()
            tally = fuzz.run(name, share, seed)
            seconds = time.process_time() - began
            print(f"{name:16} {tally.cases:6} cases: {tally.loaded:5} loaded, {tally.refused:5} refused, "
                  f"{len(tally.faults):3} faults; {seconds:.1f} s", flush=True)  # fmt: skip
            for fault in tally.faults[:20]:
                print(f"    {fault}")
            faults[name] += len(tally.faults)
            total = Tally(total.loaded + tally.loaded, total.refused + tally.refused, total.faults + tally.faults)
    print(f"{total.cases} cases: {total.loaded} loaded, {total.refused} refused, {len(total.faults)} faults")
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
