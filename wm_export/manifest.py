"""The manifest: what the bytes of an export mean. Its own hash is written into program and accounts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wm_export.blob import Blob
from wm_export.errors import WmExportError
from wm_export.layout import ACCOUNT_MAX, SESSION_MAX, Layout, digest, layout
from wm_quant.cost import op_names
from wm_quant.prove import Proof
from wm_quant.qnet import QNet
from wm_train.config import RunConfig

FORMAT = "wmq-export-3"
MANIFEST_MAX_BYTES = 1 << 20


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
    def plan(self) -> tuple[tuple[int, int], ...]:
        """A frame's transactions as (first op, op after the last)."""
        return tuple((int(a), int(b)) for a, b in self.data["plan"])


def describe(net: QNet, blob: Blob, proofs: Sequence[Proof], plan: Sequence[tuple[int, int]]) -> Manifest:
    """The manifest of an export: the same bytes for the same QNet and Plan."""
    where = layout(net, len(blob.data))
    _check_sizes(where)
    data = {
        "format": FORMAT,
        "model": RunConfig(model=net.model).to_json()["model"],
        "qnet_parent": net.parent,
        "ops": op_names(net),
        "plan": [list(step) for step in plan],
        "blob": {
            "bytes": len(blob.data),
            "sha256": hashlib.sha256(blob.data).hexdigest(),
            "digest": digest(blob.data).hex(),
            "sections": [
                {
                    "name": s.name,
                    "offset": s.offset,
                    "element_bytes": s.width,
                    "elements": s.count,
                    "sha256": blob.sha256(s.name),
                }
                for s in blob.sections.values()
            ],
        },
        "accounts": {
            "model": where.model_bytes,
            "session": where.session_bytes,
            "scratch": where.scratch_bytes,
            "dispute": where.dispute_bytes,
        },
        "proofs": [proof.to_json() for proof in proofs],
    }
    return Manifest(data, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode())


def _check_sizes(where: Layout) -> None:
    for name, size, most in (("model", where.model_bytes, ACCOUNT_MAX), ("session", where.session_bytes, SESSION_MAX)):
        if size > most:
            raise WmExportError(
                f"export: the {name} account would be {size} bytes, at most {most} are possible; "
                "choose smaller hidden layers or fewer slots"
            )


def load_manifest(path: Path) -> Manifest:
    """A checked manifest, or WmExportError."""
    try:
        raw = path.read_bytes()
        data = json.loads(raw) if len(raw) <= MANIFEST_MAX_BYTES else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise WmExportError(f"{path}: cannot be read as a manifest ({error}); export again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise WmExportError(f"{path}: expected format {FORMAT}; was it written by another wmq? Export again")
    plan = data.get("plan")
    whole = isinstance(plan, list) and all(
        isinstance(s, list) and len(s) == 2 and all(type(v) is int for v in s) for s in plan
    )
    if not (whole and isinstance(data.get("blob"), dict) and isinstance(data.get("ops"), list)):
        raise WmExportError(f"{path}: plan, blob or ops are not what wmq writes; export again")
    return Manifest(data, raw)


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
