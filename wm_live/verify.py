"""Is what is on chain what was exported? Everything is read from the chain and hashed here; no key is needed."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from wm_export.layout import digest
from wm_export.solana import Export
from wm_live.addresses import model_address
from wm_live.answers import Account
from wm_live.errors import WmLiveError
from wm_live.loader import ProgramData, check_program, program_data_address, read_program_data
from wm_live.model import shape_of
from wm_live.rpc import Rpc
from wm_live.target import read_elf


@dataclass(frozen=True)
class Check:
    """One thing that must be so: what was found, and what the export says."""

    name: str
    ok: bool
    found: str
    expected: str


@dataclass(frozen=True)
class Verification:
    """What the chain holds, compared with an export.

    upgrade_authority   who can replace the program; None if nobody ever can
    model_authority     who uploaded the model; has no power over it once it is frozen
    differing_sections  of the blob, in their order
    """

    program: str
    model: str
    upgrade_authority: str | None
    model_authority: str
    frozen: bool
    differing_sections: Sequence[str]
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether everything is the export's."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"ok": self.ok} | asdict(self)

    def lines(self) -> list[str]:
        """The same for people."""
        upgrade = f"{self.upgrade_authority}, who can replace it" if self.upgrade_authority else "nobody: it is final"
        out = [f"program {self.program}", f"  upgrade authority: {upgrade}"]
        out += [f"model   {self.model}", f"  uploaded by {self.model_authority}"]
        for check in self.checks:
            out.append(f"{'ok       ' if check.ok else 'DIFFERENT'} {check.name}")
            out += [f"  {check.found}"] if check.ok else [f"  found    {check.found}", f"  expected {check.expected}"]
        return out


async def verify(rpc: Rpc, export: Export, model: Pubkey) -> Verification:
    """Compare the model at `model`, and the program that it belongs to, with a built export.

    WmLiveError if there is no such model, or it is not of this export's kind and size.
    """
    account = await rpc.account(model)
    if account is None:
        raise WmLiveError(f"model {model}: does not exist on {rpc.url}; next: wmq deploy, or name another --model")
    program, shape = account.owner, shape_of(export)
    head = shape.read_head(account, model, program)
    if len(account.data) != shape.account_bytes:
        raise WmLiveError(
            f"model {model}: got {len(account.data):,} bytes, expected {shape.account_bytes:,}; ask another node"
        )
    code, blob = await _code(rpc, program), shape.blob(account.data)
    sections = differing_sections(export, blob)
    derived = model_address(head.authority, head.manifest, program)
    expected = export.manifest.data["blob"]["digest"]
    checks = [
        _program_check(export.program, code),
        _check("manifest", head.manifest.hex(), export.manifest.hash.hex()),
        _check("blob digest on chain", head.digest.hex(), expected),
        _check("blob digest of its bytes", digest(blob).hex(), expected),
        _check("blob sections", f"{', '.join(sections)} differ" if sections else "all equal", "all equal"),
        _check("model address", str(model), str(derived)),
        _check("model", "frozen for ever" if head.frozen else "can still be changed", "frozen for ever"),
    ]
    owner = str(code.authority) if code.authority else None
    return Verification(str(program), str(model), owner, str(head.authority), head.frozen, sections, checks)


def differing_sections(export: Export, blob: bytes) -> list[str]:
    """Names of the blob's sections that do not have the manifest's hash, in their order."""
    out = []
    for section in export.manifest.data["blob"]["sections"]:
        start, size = int(section["offset"]), int(section["element_bytes"]) * int(section["elements"])
        if hashlib.sha256(blob[start : start + size]).hexdigest() != section["sha256"]:
            out.append(str(section["name"]))
    return out


def _check(name: str, found: str, expected: str) -> Check:
    return Check(name, found == expected, found, expected)


async def _code(rpc: Rpc, program: Pubkey) -> ProgramData:
    address = program_data_address(program)
    found = await rpc.accounts([program, address])
    code, data = (_there(account, where) for account, where in zip(found, (program, address), strict=True))
    check_program(code, program)
    return read_program_data(data, address)


def _there(account: Account | None, address: Pubkey) -> Account:
    if account is None:
        raise WmLiveError(f"account {address}: does not exist, expected the program of the model")
    return account


def _program_check(path: Path, code: ProgramData) -> Check:
    """The program's hash, over as many bytes as the build has; what follows must be zeros."""
    elf = read_elf(path)
    found = hashlib.sha256(code.code[: len(elf)]).hexdigest()
    if any(code.code[len(elf) :]):
        found += " and more bytes behind it"
    return _check("program", f"sha256 {found}", f"sha256 {hashlib.sha256(elf).hexdigest()}")
