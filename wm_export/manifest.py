"""The manifest: what the bytes of an export mean, program by program.

A program's *manifest hash* is written into the program and its accounts: the sha256 of the manifest that an export of
this program alone has. So it does not depend on what else is in the export, and of an export of one program it is the
sha256 of its manifest.json.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Plan, Program
from wm_export.schema.limits import SESSION_MAX, SHARDS_MAX
from wm_export.solana.blob import Blob
from wm_export.solana.layout import SHARD_MAX, Layout, digest, layout
from wm_quant.prove import Proof
from wm_quant.qnet import QNet
from wm_train import json_schema as js
from wm_train.config import RunConfig
from wm_train.naming import NAME
from wm_train.reading import JsonArtifact, parse_json

FORMAT = "wmq-export-5"
#: Name of the program of an export that has one.
PROGRAM = "program"
PROGRAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,20}")

_SIZE, _SHA256 = js.integer(0, 1 << 40), js.text(js.SHA256)
_BLOB = js.record(
    {
        "bytes": _SIZE,
        "sha256": _SHA256,
        "sections": js.list_of(
            js.record(
                {
                    "name": js.text(NAME),
                    "offset": _SIZE,
                    "element_bytes": js.integer(1, 8),
                    "elements": _SIZE,
                    "sha256": _SHA256,
                }
            )
        ),
    },
    {
        "digest": _SHA256,
        "shard_max": js.integer(1, SHARD_MAX),
        "shards": js.list_of(js.record({"bytes": _SIZE, "digest": _SHA256}), 2, SHARDS_MAX),
    },
)
_PROGRAM = js.record(
    {
        "name": js.text(PROGRAM_NAME),
        "model": js.anything,
        "qnet_parent": js.text(),
        "ops": js.list_of(js.text(NAME)),
        "cuts": js.list_of(js.text()),
        "plan": js.list_of(js.row(js.integer(0), js.integer(0))),
        "compact": js.boolean,
        "sources_sha256": _SHA256,
        "blob": _BLOB,
        "accounts": js.anything,
        "proofs": js.list_of(js.anything),
    }
)
MANIFEST_JSON = JsonArtifact(
    WmExportError,
    "not an export of this wmq; next: `wmq export` makes it again from the QNet, then `wmq build`",
    max_bytes=1 << 20,
    format=FORMAT,
    schema=js.record({"format": js.text(), "programs": js.list_of(_PROGRAM, least=1)}),
)


@dataclass(frozen=True)
class Manifest:
    """What one program of an export means: its entry in `programs`."""

    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the program, in its export."""
        return str(self.data["name"])

    @cached_property
    def hash(self) -> bytes:
        """32 bytes: sha256 of the manifest of an export of this program alone."""
        return hashlib.sha256(manifest_text([self])).digest()

    @property
    def sources(self) -> str:
        """sha256, in hex, of the Rust sources that the program is built from (solana/workspace.py)."""
        return str(self.data["sources_sha256"])

    @property
    def plan(self) -> Plan:
        """A frame's transactions as (first op, op after the last)."""
        return tuple((int(a), int(b)) for a, b in self.data["plan"])

    @property
    def digests(self) -> tuple[bytes, ...]:
        """What the program takes of each shard of the blob, 32 bytes each."""
        blob = self.data["blob"]
        return tuple(bytes.fromhex(part["digest"]) for part in blob.get("shards", [blob]))

    @property
    def shard_max(self) -> int:
        """Bytes that a shard of the blob was allowed to have."""
        return int(self.data["blob"].get("shard_max", SHARD_MAX))

    @property
    def lowering(self) -> dict[str, Any]:
        """What the QNet was lowered with: arguments of `lower`."""
        return {"cuts": tuple(map(str, self.data["cuts"])), "compact": self.data["compact"]}


def manifest_text(programs: Iterable[Manifest]) -> bytes:
    """The bytes of manifest.json of an export of these programs."""
    data = {"format": FORMAT, "programs": [program.data for program in programs]}
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def check_name(name: str) -> None:
    """WmExportError unless a program can have this name."""
    if not PROGRAM_NAME.fullmatch(name):
        raise WmExportError(
            f"program {name[:40]!r}: expected a name of a to z, 0 to 9 and _, at most 21 long, a letter first"
        )


def describe(
    net: QNet, program: Program, blob: Blob, proofs: Sequence[Proof], sources: str, name: str = PROGRAM
) -> Manifest:
    """The manifest of a program: the same for the same QNet, lowering and sources (their sha256 in hex)."""
    check_name(name)
    where = layout(program, blob.sizes)
    _check_sizes(where, blob)
    return Manifest(
        {
            "name": name,
            "model": RunConfig(model=net.model).to_json()["model"],
            "qnet_parent": net.parent,
            "ops": program.names,
            "cuts": list(program.cuts),
            "plan": [list(step) for step in program.plan],
            "compact": program.compact,
            "sources_sha256": sources,
            "blob": _blob(blob),
            "accounts": {
                "model": list(where.model_bytes) if len(blob.shards) > 1 else where.model_bytes[0],
                "session": where.session_bytes,
                "scratch": where.scratch_bytes,
                "dispute": where.dispute_bytes,
            },
            "proofs": [proof.to_json() for proof in proofs],
        }
    )


def _blob(blob: Blob) -> dict[str, Any]:
    return {
        "bytes": len(blob.data),
        "sha256": hashlib.sha256(blob.data).hexdigest(),
        **_shards(blob),
        "sections": [
            {
                "name": s.name,
                "offset": blob.start(s.name),
                "element_bytes": s.width,
                "elements": s.count,
                "sha256": blob.sha256(s.name),
            }
            for s in blob.sections.values()
        ],
    }


def _shards(blob: Blob) -> dict[str, Any]:
    """The digest of a blob that lies in one account; of one that lies in several how, and the digest of each."""
    parts = [{"bytes": len(shard), "digest": digest(shard).hex()} for shard in blob.shards]
    return {"shard_max": blob.most, "shards": parts} if len(parts) > 1 else {"digest": parts[0]["digest"]}


def _check_sizes(where: Layout, blob: Blob) -> None:
    if len(blob.shards) > SHARDS_MAX:
        raise WmExportError(
            f"export: the weights would lie in {len(blob.shards)} model accounts ({len(blob.data)} bytes), a "
            f"transaction can load {SHARDS_MAX}; choose smaller hidden layers or fewer slots"
        )
    if where.session_bytes > SESSION_MAX:
        raise WmExportError(
            f"export: the session account would be {where.session_bytes} bytes, at most {SESSION_MAX} are possible"
        )


def load_manifest(path: Path) -> dict[str, Manifest]:
    """The checked manifest of each program of an export, by its name, or WmExportError."""
    raw = MANIFEST_JSON.read(path)
    found = {data["name"]: Manifest(data) for data in parse_json(raw, path, MANIFEST_JSON)["programs"]}
    if manifest_text(found.values()) != raw:
        raise WmExportError(f"{path}: not the bytes that wmq writes; export again")
    return found


def check_blob(manifest: Manifest, blob: bytes, path: Path) -> None:
    """WmExportError unless these are the manifest's bytes; names the first section that differs."""
    expected = manifest.data["blob"]
    if len(blob) != expected.get("bytes"):
        raise WmExportError(f"{path}: {len(blob)} bytes, the manifest says {expected.get('bytes')}; export again")
    if hashlib.sha256(blob).hexdigest() == expected.get("sha256"):
        return
    for section in expected.get("sections", []):
        start, size = int(section["offset"]), int(section["element_bytes"]) * int(section["elements"])
        got = hashlib.sha256(blob[start : start + size]).hexdigest()
        if got != section["sha256"]:
            raise WmExportError(
                f"{path}: section {section['name']} has sha256 {got[:16]}…, the manifest says "
                f"{str(section['sha256'])[:16]}…; the blob was changed, export again"
            )
    raise WmExportError(f"{path}: its sha256 is not the manifest's; export again")
