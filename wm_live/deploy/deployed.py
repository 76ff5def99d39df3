"""Verification of a deployment: the program and the weights on chain are read, hashed, and compared with an export."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from solders.pubkey import Pubkey

from wm_export.schema.sbpf import DEFAULT_ARCH, Arch, arch_of
from wm_export.solana.building import rebuild
from wm_export.solana.export import Export
from wm_export.solana.layout import digest
from wm_live.chain.addresses import model_address
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import read_code
from wm_live.chain.upgradeable import ProgramData
from wm_live.deploy.model_account import ModelHead, ModelShape, shapes_of
from wm_live.errors import WmLiveError


@dataclass(frozen=True)
class DeploymentCheck:
    """One thing that must be so: what was found, and what the export says."""

    name: str
    ok: bool
    found: str
    expected: str


@dataclass(frozen=True)
class Reference:
    """What a program on a chain is compared with: its bytes, and a sentence that says where they are from."""

    elf: bytes
    origin: str


@dataclass(frozen=True)
class Verification:
    """What the chain holds, compared with an export.

    compared_with       where the program is from that the one on the chain was compared with
    upgrade_authority   who can replace the program; None if nobody ever can
    model_authority     who uploaded the model; has no power over it once it is frozen
    differing_sections  of the blob, in their order
    """

    program: str
    compared_with: str
    model: str
    upgrade_authority: str | None
    model_authority: str
    frozen: bool
    differing_sections: Sequence[str]
    checks: Sequence[DeploymentCheck]

    @property
    def ok(self) -> bool:
        """Whether everything is the export's."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"ok": self.ok} | asdict(self)

    def lines(self) -> list[str]:
        """The same for people."""
        out = [
            f"program {self.program}",
            f"  compared with {self.compared_with}",
            f"  upgrade authority: {_who(self.upgrade_authority)}",
        ]
        out += [f"model   {self.model}", f"  uploaded by {self.model_authority}"]
        for check in self.checks:
            out.append(f"{'ok       ' if check.ok else 'DIFFERENT'} {check.name}")
            out += [f"  {check.found}"] if check.ok else [f"  found    {check.found}", f"  expected {check.expected}"]
        return out


def rebuilt(export: Export, arch: Arch = DEFAULT_ARCH) -> Reference:
    """The program of an export, rebuilt from its QNet by the compilers of this machine; WmExportError without them."""
    made = rebuild(export, arch)
    origin = f"what this machine rebuilt from the QNet for sBPF {arch} ({', '.join(made.info.versions)})"
    return Reference(made.elf, origin)


async def verify(
    rpc: Rpc, export: Export, model: Pubkey, reference: Callable[[Arch], Reference], upgradeable: bool
) -> Verification:
    """Compare the model at `model`, and the program that it belongs to, with an export.

    model        the account of the first shard; those of the others follow from what it says
    reference    gives what the program must be in the version of sBPF that is deployed, if wmq builds for it; asked for
                 once the accounts have been read
    upgradeable  the program may be one that somebody can replace

    WmLiveError if there is no such model, or it is not of this export's kind and size.
    """
    first, *others = shapes_of(export)
    account = await _model(rpc, model)
    parts = [_part(first, account, model, account.owner)]
    authority, manifest, program = parts[0].head.authority, parts[0].head.manifest, account.owner
    for shape in others:
        address = model_address(authority, manifest, program, shape.shard)
        parts.append(_part(shape, await _model(rpc, address), address, program))
    code, frozen = await read_code(rpc, program), all(part.head.frozen for part in parts)
    sections = differing_sections(export, b"".join(part.blob for part in parts))
    expected, owner = reference(arch_of(code.code) or DEFAULT_ARCH), str(code.authority) if code.authority else None
    checks = [
        _program_check(expected.elf, code),
        *([] if upgradeable else [_check("upgrade authority", _who(owner), _who(None))]),
        *(_check(one.named("manifest"), one.head.manifest.hex(), export.manifest.hash.hex()) for one in parts),
        *(check for one in parts for check in _digest_checks(one, export.manifest.digests[one.shard].hex())),
        _check("blob sections", f"{', '.join(sections)} differ" if sections else "all equal", "all equal"),
        _check("model address", str(model), str(model_address(authority, manifest, program))),
        *(_check(one.named("authority"), str(one.head.authority), str(authority)) for one in parts[1:]),
        *(_check(one.named("model"), _can_be_changed(one.head.frozen), _can_be_changed(True)) for one in parts),
    ]
    return Verification(str(program), expected.origin, str(model), owner, str(authority), frozen, sections, checks)


@dataclass(frozen=True)
class _Part:
    """A shard on chain: its number, what its account says, and its bytes."""

    shard: int
    head: ModelHead
    blob: bytes

    def named(self, what: str) -> str:
        return f"{what} {self.shard}" if self.shard else what


async def _model(rpc: Rpc, address: Pubkey) -> AccountInfo:
    account = await rpc.account(address)
    if account is None:
        raise WmLiveError(f"model {address}: does not exist on {rpc.url}; next: wmq deploy, or name another --model")
    return account


def _part(shape: ModelShape, account: AccountInfo, address: Pubkey, program: Pubkey) -> _Part:
    head = shape.read_head(account, address, program)
    if len(account.data) != shape.account_bytes:
        raise WmLiveError(
            f"model {address}: got {len(account.data):,} bytes, expected {shape.account_bytes:,}; ask another node"
        )
    return _Part(shape.shard, head, shape.blob(account.data))


def _digest_checks(part: _Part, expected: str) -> list[DeploymentCheck]:
    return [
        _check(part.named("blob digest on chain"), part.head.digest.hex(), expected),
        _check(part.named("blob digest of its bytes"), digest(part.blob).hex(), expected),
    ]


def _who(authority: str | None) -> str:
    return f"{authority}, who can replace it" if authority else "nobody: it is final"


def _can_be_changed(frozen: bool) -> str:
    return "frozen for ever" if frozen else "can still be changed"


def differing_sections(export: Export, blob: bytes) -> list[str]:
    """Names of the blob's sections that do not have the manifest's hash, in their order."""
    out = []
    for section in export.manifest.data["blob"]["sections"]:
        start, size = int(section["offset"]), int(section["element_bytes"]) * int(section["elements"])
        if hashlib.sha256(blob[start : start + size]).hexdigest() != section["sha256"]:
            out.append(str(section["name"]))
    return out


def _check(name: str, found: str, expected: str) -> DeploymentCheck:
    return DeploymentCheck(name, found == expected, found, expected)


def _program_check(elf: bytes, code: ProgramData) -> DeploymentCheck:
    """The program's hash, over as many bytes as the build has; what follows must be zeros."""
    found = hashlib.sha256(code.code[: len(elf)]).hexdigest()
    if any(code.code[len(elf) :]):
        found += " and more bytes behind it"
    return _check("program", f"sha256 {found}", f"sha256 {hashlib.sha256(elf).hexdigest()}")
