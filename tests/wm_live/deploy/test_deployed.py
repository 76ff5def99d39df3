"""What the chain holds is compared with the export, and every difference is named."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from tests.wm_live.chains import Recorder, Wire, tiny_world
from wm_export.errors import WmExportError
from wm_export.schema.accounts import MODEL
from wm_export.schema.sbpf import Arch
from wm_export.solana import building, toolchain
from wm_export.solana.export import Export, open_export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import SYSTEM_PROGRAM
from wm_live.chain.upgradeable import PROGRAM_DATA_HEADER, program_data_address
from wm_live.deploy.deployed import Reference, Verification, rebuilt, verify
from wm_live.deploy.deploying import carry_out, prepare
from wm_live.deploy.target import DeployTarget
from wm_live.errors import WmLiveError

AT = MODEL.offsets


@pytest.fixture(scope="module")
def tiny(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return tiny_world(tmp_path_factory)


class Deployed:
    """A deployed world, and how to change what the chain says of it."""

    def __init__(self, export: Export) -> None:
        self.export, self.recorder = export, Recorder()
        self.target: DeployTarget = self.recorder.fund(export)
        asyncio.run(self.deploy(final=False))

    async def deploy(self, final: bool) -> None:
        async with self.recorder.client() as rpc:
            await carry_out(rpc, self.target, await prepare(rpc, self.target, final))

    def verify(self, model: Pubkey | None = None, wire: Wire | None = None, upgradeable: bool = True) -> Verification:
        built = Reference(self.target.elf, "a test's own build")

        async def run() -> Verification:
            async with self.recorder.client(wire) as rpc:
                return await verify(rpc, self.export, model or self.target.model, lambda _: built, upgradeable)

        return asyncio.run(run())

    def change(self, address: Pubkey, change: Callable[[bytearray], Any]) -> Account:
        """Change an account's data behind everybody's back; returns what it was."""
        before = self.recorder.chain.account(address)
        assert before is not None
        data = bytearray(before.data)
        change(data)
        self.put(address, Account(before.lamports, bytes(data), before.owner, before.executable))
        return before

    def put(self, address: Pubkey, account: Account) -> None:
        self.recorder.chain.svm.set_account(address, account)


@pytest.fixture(scope="module")
def deployed(tiny: Export) -> Deployed:
    return Deployed(tiny)


def failed(verification: Verification) -> list[str]:
    """Names of the checks that do not hold."""
    assert verification.ok == (not any(not check.ok for check in verification.checks))
    return [check.name for check in verification.checks if not check.ok]


def flip(at: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[at] ^= 1

    return change


def test_a_deployment_is_what_was_exported(deployed: Deployed) -> None:
    found = deployed.verify()
    assert found.ok and failed(found) == []
    assert found.program == str(deployed.target.program.pubkey())
    assert found.upgrade_authority == found.model_authority == str(deployed.target.payer)
    assert found.frozen and not found.differing_sections
    assert json.loads(json.dumps(found.to_json()))["ok"] is True
    assert sum("DIFFERENT" in line for line in found.lines()) == 0


def test_every_section_is_named_when_one_byte_of_it_differs(deployed: Deployed) -> None:
    head = deployed.target.shards[0].shape.head_bytes
    sections = [s for s in deployed.export.manifest.data["blob"]["sections"] if s["elements"]]
    assert len(sections) > 6
    for section in sections:
        before = deployed.change(deployed.target.model, flip(head + section["offset"]))
        found = deployed.verify()
        deployed.put(deployed.target.model, before)
        assert list(found.differing_sections) == [section["name"]]
        assert failed(found) == ["blob digest of its bytes", "blob sections"]


@pytest.mark.parametrize(
    ("field", "name"),
    [("manifest", "manifest"), ("digest", "blob digest on chain"), ("frozen", "model"), ("authority", "model address")],
)
def test_every_field_of_the_header_is_held_against_the_export(deployed: Deployed, field: str, name: str) -> None:
    before = deployed.change(deployed.target.model, flip(AT[field]))
    found = deployed.verify()
    deployed.put(deployed.target.model, before)
    assert name in failed(found)
    assert f"DIFFERENT {name}" in found.lines()


@pytest.mark.parametrize("field", ["tag", "version", "length"])
def test_an_account_of_another_kind_or_size_is_no_model(deployed: Deployed, field: str) -> None:
    before = deployed.change(deployed.target.model, flip(AT[field]))
    try:
        with pytest.raises(WmLiveError, match=str(deployed.target.model)):
            deployed.verify()
    finally:
        deployed.put(deployed.target.model, before)


@pytest.mark.parametrize("change", [lambda data: data.pop(), lambda data: data.append(0), lambda data: data.clear()])
def test_a_model_that_is_shorter_or_longer_than_it_says(deployed: Deployed, change: Callable[[bytearray], Any]) -> None:
    before = deployed.change(deployed.target.model, change)
    try:
        with pytest.raises(WmLiveError, match="bytes"):
            deployed.verify()
    finally:
        deployed.put(deployed.target.model, before)


def test_another_program_is_seen(deployed: Deployed) -> None:
    code = program_data_address(deployed.target.program.pubkey())
    for change in (flip(PROGRAM_DATA_HEADER + 5_000), flip(-1), lambda data: data.extend(b"\0\1"), lambda d: d.pop()):
        before = deployed.change(code, change)
        found = deployed.verify()
        deployed.put(code, before)
        assert failed(found) == ["program"]


def test_zeros_behind_the_program_are_room_and_no_difference(deployed: Deployed) -> None:
    code = program_data_address(deployed.target.program.pubkey())
    before = deployed.change(code, lambda data: data.extend(bytes(100)))
    found = deployed.verify()
    deployed.put(code, before)
    assert found.ok


@pytest.mark.parametrize("at", [0, 12])
def test_program_data_of_another_kind(deployed: Deployed, at: int) -> None:
    code = program_data_address(deployed.target.program.pubkey())

    def change(data: bytearray) -> None:
        data[at] = 2

    before = deployed.change(code, change)
    try:
        with pytest.raises(WmLiveError, match=str(code)):
            deployed.verify()
    finally:
        deployed.put(code, before)


def test_a_model_of_somebody_elses_program(deployed: Deployed) -> None:
    account = deployed.recorder.chain.account(deployed.target.model)
    assert account is not None
    copy = Pubkey.new_unique()
    deployed.put(copy, account)
    assert failed(deployed.verify(copy)) == ["model address"]
    deployed.put(copy, Account(account.lamports, bytes(account.data), SYSTEM_PROGRAM))
    with pytest.raises(WmLiveError, match="program"):
        deployed.verify(copy)


def test_no_model_at_all(deployed: Deployed) -> None:
    with pytest.raises(WmLiveError, match="does not exist"):
        deployed.verify(Pubkey.new_unique())


@pytest.mark.parametrize(
    "value",
    [7, [], {"lamports": -1}, {"lamports": 1, "owner": "x", "data": ["", "base64"], "executable": False},
     {"lamports": 1, "owner": str(SYSTEM_PROGRAM), "data": ["AA==", "base58"], "executable": False}],
)  # fmt: skip
def test_nonsense_from_a_node_is_an_error_of_ours(deployed: Deployed, value: Any) -> None:
    def lie(method: str, params: list[Any]) -> Any:
        return {"result": {"context": {"slot": 1}, "value": value}} if method == "getAccountInfo" else None

    with pytest.raises(WmLiveError):
        deployed.verify(wire=Wire(before=lie))


def test_a_program_that_can_be_replaced_is_a_difference_unless_it_may_be(deployed: Deployed) -> None:
    found = deployed.verify(upgradeable=False)
    assert failed(found) == ["upgrade authority"]
    assert f"  found    {deployed.target.payer}, who can replace it" in found.lines()
    assert deployed.verify(upgradeable=True).ok


def test_a_final_program_has_no_upgrade_authority(tiny: Export) -> None:
    world = Deployed(tiny)
    asyncio.run(world.deploy(final=True))
    found = world.verify(upgradeable=False)
    assert found.ok and found.upgrade_authority is None
    assert any("nobody" in line for line in found.lines())


def test_what_is_rebuilt_follows_from_the_qnet_alone(deployed: Deployed, tmp_path: Path) -> None:
    """A build folder of whoever, with a program that holds the manifest's hash, has no say in what is expected."""
    copy = Path(shutil.copytree(deployed.export.folder, tmp_path / "export"))
    export = open_export(copy)
    export.program.write_bytes(export.program.read_bytes() + b"\1")
    assert rebuilt(export).elf == deployed.target.elf
    shutil.rmtree(export.program.parent)
    assert rebuilt(export).elf == deployed.target.elf
    assert "rustc" in rebuilt(export).origin or "solana" in rebuilt(export).origin


def test_nothing_is_rebuilt_for_a_model_that_is_not_there(deployed: Deployed) -> None:
    def never(arch: Arch) -> Reference:
        raise AssertionError("built")

    async def run() -> None:
        async with deployed.recorder.client() as rpc:
            await verify(rpc, deployed.export, Pubkey.new_unique(), never, upgradeable=False)

    with pytest.raises(WmLiveError, match="does not exist"):
        asyncio.run(run())


def test_without_compilers_the_next_command_is_named(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find_toolchain", lambda: None)
    monkeypatch.setattr(building, "build_program", toolchain.build_program)
    with pytest.raises(WmExportError, match=r"no Rust to sBPF toolchain.*next: make toolchain"):
        rebuilt(deployed.export)
