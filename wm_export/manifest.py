"""The manifest: what the bytes of an export mean. Its own hash is written into program and accounts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Plan, Program
from wm_export.schema.limits import SESSION_MAX, SHARDS_MAX
from wm_export.solana.blob import Blob
from wm_export.solana.layout import SHARD_MAX, Layout, digest, layout
from wm_quant.prove import Proof
from wm_quant.qnet import QNet
from wm_train.config import RunConfig

FORMAT = "wmq-export-4"
MANIFEST_MAX_BYTES = 1 << 20
#: Name of the program that computes frames: build/program.so.
FRAME_PROGRAM = "program"


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest and the bytes it was parsed from."""

    data: Mapping[str, Any]
    raw: bytes

    @property
    def hash(self) -> bytes:
        """sha256 of the manifest file: 32 bytes."""
        return hashlib.sha256(self.raw).digest()

    @property
    def frame_program(self) -> Mapping[str, Any]:
        """Of the export's programs the one that computes frames: name, ops, cuts, plan, compact."""
        found: Mapping[str, Any] = self.data["programs"][0]
        return found

    @property
    def plan(self) -> Plan:
        """A frame's transactions as (first op, op after the last)."""
        return tuple((int(a), int(b)) for a, b in self.frame_program["plan"])

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
        return {"cuts": tuple(map(str, self.frame_program["cuts"])), "compact": self.frame_program["compact"]}


def describe(net: QNet, program: Program, blob: Blob, proofs: Sequence[Proof]) -> Manifest:
    """The manifest of an export: the same bytes for the same QNet and program."""
    where = layout(program, blob.sizes)
    _check_sizes(where, blob)
    data = {
        "format": FORMAT,
        "model": RunConfig(model=net.model).to_json()["model"],
        "qnet_parent": net.parent,
        "programs": [_program(FRAME_PROGRAM, program)],
        "blob": {
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
        },
        "accounts": {
            "model": list(where.model_bytes) if len(blob.shards) > 1 else where.model_bytes[0],
            "session": where.session_bytes,
            "scratch": where.scratch_bytes,
            "dispute": where.dispute_bytes,
        },
        "proofs": [proof.to_json() for proof in proofs],
    }
    return Manifest(data, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode())


def _shards(blob: Blob) -> dict[str, Any]:
    """The digest of a blob that lies in one account; of one that lies in several how, and the digest of each."""
    parts = [{"bytes": len(shard), "digest": digest(shard).hex()} for shard in blob.shards]
    return {"shard_max": blob.most, "shards": parts} if len(parts) > 1 else {"digest": parts[0]["digest"]}


def _program(name: str, program: Program) -> dict[str, Any]:
    return {
        "name": name,
        "ops": program.names,
        "cuts": list(program.cuts),
        "plan": [list(step) for step in program.plan],
        "compact": program.compact,
    }


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


def load_manifest(path: Path) -> Manifest:
    """A checked manifest, or WmExportError."""
    try:
        raw = path.read_bytes()
        data = json.loads(raw) if len(raw) <= MANIFEST_MAX_BYTES else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise WmExportError(f"{path}: cannot be read as a manifest ({error}); export again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise WmExportError(
            f"{path}: expected format {FORMAT}, got {str(found)[:40]}; it was written by another wmq: `wmq export` "
            "makes it again from the QNet"
        )
    programs = data.get("programs")
    whole = isinstance(programs, list) and programs and all(map(_is_program, programs))
    if not (whole and isinstance(data.get("blob"), dict) and type(data["blob"].get("shard_max", 0)) is int):
        raise WmExportError(f"{path}: programs or blob are not what wmq writes; export again")
    return Manifest(data, raw)


def _is_program(data: Any) -> bool:
    """Whether an entry of `programs` has the parts of one, of the types that wmq writes."""
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in ("ops", "cuts", "plan")):
        return False
    steps = all(isinstance(s, list) and len(s) == 2 and all(type(v) is int for v in s) for s in data["plan"])
    return steps and type(data.get("compact")) is bool


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
