"""The folder of an export: nothing of somebody's own is lost there, and one export replaces another when told to."""

import re
import shutil
from pathlib import Path

from wm_export.errors import WmExportError
from wm_train import json_schema as js
from wm_train.artifact import check_folder, foreign
from wm_train.files import atomic_write_bytes
from wm_train.reading import JsonArtifact, read_json

MANIFEST = "manifest.json"
#: Folders of an export, of whatever target, beside its manifest.
PARTS = ("onchain", "programs", "bolt")
#: The manifest of an export of whatever wmq.
_ANY_EXPORT = JsonArtifact(
    WmExportError,
    "not an export",
    max_bytes=1 << 20,
    schema=js.record({"format": js.text(re.compile(r"wmq-(export|bolt)-\d{1,4}"))}, more=True),
)


def check_place(folder: Path, overwrite: bool) -> None:
    """WmExportError if something is in the way: all but an export that was interrupted, unless that can go; and what is
    no export where one has its parts, whatever was said."""
    check_folder(folder, WmExportError)
    path, there = folder / MANIFEST, [folder / part for part in PARTS if (folder / part).exists()]
    held = _finished(path)
    if held is None and (there or path.exists()):
        raise WmExportError(f"{(*there, path)[0]}: is not of an export; give another folder with --out")
    if overwrite:
        return
    if held:
        raise WmExportError(f"{folder}: holds an export; give another folder with --out, or replace it: --overwrite")
    if (other := foreign(folder, (path.name, *PARTS))) is not None:
        raise WmExportError(f"{folder}: holds {other}, which is no part of an export; give another folder with --out")


def clear(folder: Path, begun: bytes) -> None:
    """Remove the export that `check_place` has found, if any; nothing else is ever removed. `begun` is the manifest of
    one without programs: an export that was interrupted is known for one."""
    atomic_write_bytes(folder / MANIFEST, begun)
    for part in PARTS:
        if (folder / part).exists():
            shutil.rmtree(folder / part)


def _finished(path: Path) -> bool | None:
    """Whether the export of this manifest, of whatever wmq, was finished; None if it is none."""
    try:
        data = read_json(path, _ANY_EXPORT)
    except WmExportError:
        return None
    return data.get("programs") != []
