"""How a run was made, in RUN/manifest.json. No later stage reads it; run.json is what they read.

It is there from the first step on, when there is no run.json yet, so it names config and games by itself:

format, started (UTC), config, form, parent, weights     what was asked for
data        matches of all games that train, validate, and were left out; kinds; fingerprint of the dataset
machine     processor, cores, platform, python, torch, processes, device
commit      of wmq, if it runs from a checkout; `-dirty` if that was changed
reports     what the loop measured: see train.Progress
"""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wm_train import json_schema as js
from wm_train.errors import WmTrainError
from wm_train.files import json_bytes
from wm_train.fit.curves import Curves, open_curves
from wm_train.reading import JsonArtifact, read_json

MANIFEST = "manifest.json"
FORMAT = "wmq-manifest-1"
_GIT_SECONDS = 10


def _is_time(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


MANIFEST_JSON = JsonArtifact(
    WmTrainError,
    "cannot be resumed from; begin anew with --overwrite",
    max_bytes=1 << 28,
    format=FORMAT,
    schema=js.record(
        {
            "format": js.text(),
            "started": js.holds(_is_time, "a time with its zone"),
            "reports": js.list_of(js.record({"step": js.integer(0)}, more=True)),
        },
        more=True,
    ),
)


def processor() -> str:
    """The processor's name as Linux gives it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def machine(processes: int, device: str) -> dict[str, Any]:
    """What computes; nothing that names whose it is. device: as nets.device.named gives it."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "processes": processes,
        "device": device,
    }


def commit() -> str | None:
    """The git commit of the checkout that this file is in."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


class Record:
    """The manifest of a run in progress, and its curves."""

    def __init__(
        self, run: Path, asked: Mapping[str, Any], split: Mapping[str, Any], processes: int, device: str
    ) -> None:
        self._run = run
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self.data: dict[str, Any] = {
            "format": FORMAT,
            "started": started,
            **asked,
            "data": dict(split),
            "machine": machine(processes, device),
            "commit": commit(),
            "reports": [],
        }
        self._curves: list[Curves] = []

    def go_on(self, step: int) -> None:
        """Take up the reports of a run that was killed, up to a step."""
        kept = read_json(self._run / MANIFEST, MANIFEST_JSON)
        reports = [report for report in kept["reports"] if report["step"] <= step]
        self.data |= {"started": kept["started"], "reports": reports}

    def add(self, report: Mapping[str, Any]) -> None:
        """One more report; its curves are on disk at once, the rest with `write`."""
        self.data["reports"].append(dict(report))
        for curves in self._curves:
            curves.add(report)

    def files(self) -> dict[Path, bytes]:
        """The manifest as it is now."""
        return {self._run / MANIFEST: json_bytes(self.data)}

    def __enter__(self) -> "Record":
        """Begin the curves, with the reports that are there already."""
        began = datetime.fromisoformat(self.data["started"]).timestamp()
        self._curves = open_curves(self._run, began, self.data["config"])
        for curves in self._curves:
            for report in self.data["reports"]:
                curves.add(report)
        return self

    def __exit__(self, *_: object) -> None:
        for curves in self._curves:
            curves.close()
