"""What `wmq build` has made of a program, bound together by hashes: build/build.json, written last.

Its own hash is kept with the user (cache_folder()/builds): what was built by somebody else, or changed since, is not
taken for what this wmq built from sources that it has compared.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from wm_export.errors import WmExportError
from wm_export.schema.sbpf import Arch
from wm_export.solana.sources import cache_folder
from wm_export.solana.toolchain import BuildInfo
from wm_train import json_schema as js
from wm_train.files import atomic_write_bytes
from wm_train.reading import Artifact, JsonArtifact, parse_json

RECORD = "build.json"
RECORD_JSON = JsonArtifact(
    WmExportError,
    "run `wmq build`",
    max_bytes=1 << 16,
    schema=js.record(
        {
            "manifest_sha256": js.text(js.SHA256),
            "sources_sha256": js.text(js.SHA256),
            "arch": js.one_of(*Arch),
            "toolchain": js.text(),
            "versions": js.list_of(js.text(), most=16),
            "files": js.mapping(js.text(js.SHA256)),
        }
    ),
)
#: A program, or what was measured of it.
BUILT = Artifact(WmExportError, "run `wmq build`", max_bytes=1 << 26)
FILES = ("program.so", "meter.so", "overheads.json")


class Buildable(Protocol):
    """An export whose programs are built into a folder of it."""

    @property
    def folder(self) -> Path:
        """Of the export."""

    @property
    def build_folder(self) -> Path:
        """Where its programs are put."""

    @property
    def identity(self) -> dict[str, str]:
        """`manifest_sha256` and `sources_sha256`, in hex."""


def keep_record(export: Buildable, info: BuildInfo, files: Sequence[str] = FILES) -> None:
    """Write the record of what lies in the build folder now."""
    folder = export.build_folder
    hashes = {name: hashlib.sha256(BUILT.read(folder / name)).hexdigest() for name in files}
    made = {"arch": info.arch, "toolchain": info.toolchain, "versions": list(info.versions)}
    data = export.identity | made | {"files": hashes}
    raw = (json.dumps(data, indent=1) + "\n").encode()
    mark = _mark(raw)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    atomic_write_bytes(folder / RECORD, raw)


def check_built(export: Buildable, *names: str) -> None:
    """WmExportError unless these files are what `wmq build` made of this export, here and for this user."""
    data = _read(export)
    for name in names:
        path = export.build_folder / name
        found = hashlib.sha256(BUILT.read(path)).hexdigest()
        if found != data["files"].get(name):
            raise WmExportError(f"{path}: not what `wmq build` made; {_again(export)}")


def built(export: Buildable) -> bool:
    """Whether `wmq build` has made everything there."""
    return (export.build_folder / RECORD).exists()


def _read(export: Buildable) -> dict[str, Any]:
    path = export.build_folder / RECORD
    raw = RECORD_JSON.read(path)
    if not _mark(raw).exists():
        raise WmExportError(f"{path}: not of a build by this user on this machine, or changed since; {_again(export)}")
    data: dict[str, Any] = parse_json(raw, path, RECORD_JSON)
    for name, wanted in export.identity.items():
        if data[name] != wanted:
            got = f"{str(data[name])[:16]}…, expected {wanted[:16]}…"
            raise WmExportError(f"{path}: of another export: {name} is {got}; {_again(export)}")
    return data


def _mark(raw: bytes) -> Path:
    """An empty file that says that a record was written here."""
    return cache_folder() / "builds" / hashlib.sha256(raw).hexdigest()


def _again(export: Buildable) -> str:
    return f"next: wmq build {export.folder}"
