"""Which versions of sBPF a cluster takes is asked before anything is paid, and said."""

import asyncio
import struct

import pytest
from click.testing import CliRunner
from solders.account import Account
from solders.pubkey import Pubkey

import cli
from tests.builds import built
from tests.wm_live.chains import Recorder, tiny_world
from tests.wm_live.conftest import BaseChain
from wm_export.schema.sbpf import DEFAULT_ARCH, FEATURES, ONLY_V3, Arch
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import SYSTEM_PROGRAM
from wm_live.deploy.deploying import carry_out, prepare
from wm_live.deploy.target import DeployTarget
from wm_live.deploy.versions import FEATURE_PROGRAM, Versions, read_versions
from wm_live.errors import WmLiveError

#: Slots in which features were switched on: as on Solana's clusters before v3, with it, and with it alone.
BEFORE: dict[str, int | None] = dict.fromkeys(FEATURES)
WITH_V3 = BEFORE | {"v1": 10, "v2": 20, "v3": 30}
V3_ALONE = WITH_V3 | {ONLY_V3: 40}


@pytest.mark.parametrize(
    ("features", "taken"), [(BEFORE, ["v0"]), (WITH_V3, ["v0", "v1", "v2", "v3"]), (V3_ALONE, ["v3"])]
)
def test_features_say_what_is_taken(features: dict[str, int | None], taken: list[str]) -> None:
    versions = Versions(features)
    assert versions.taken == taken
    for arch in Arch:
        if arch in taken:
            versions.check(arch, "here")
        else:
            with pytest.raises(WmLiveError, match=rf"in {arch}; nothing was sent; next: wmq build --arch {taken[-1]}"):
                versions.check(arch, "here")


def test_a_cluster_that_takes_none_of_ours_is_told() -> None:
    with pytest.raises(
        WmLiveError, match=r"sBPF no version that wmq knows, and this one is in v3.*next: another cluster"
    ):
        Versions(BEFORE | {ONLY_V3: 1}).check("v3", "there")


def put(chain: Recorder, name: str, account: Account) -> None:
    chain.chain.svm.set_account(Pubkey.from_string(FEATURES[name]), account)


def switched(chain: Recorder, features: dict[str, int | None]) -> Recorder:
    """A chain on which these features are on, and no other of ours."""
    for name, slot in features.items():
        data = b"" if slot is None else b"\1" + struct.pack("<Q", slot)
        put(chain, name, Account(10**6 if data else 0, data, FEATURE_PROGRAM if data else SYSTEM_PROGRAM))
    return chain


def found(chain: Recorder) -> Versions:
    async def run() -> Versions:
        async with chain.client() as rpc:
            return await read_versions(rpc)

    return asyncio.run(run())


@pytest.mark.parametrize("features", [BEFORE, WITH_V3, V3_ALONE])
def test_they_are_read_from_their_accounts(features: dict[str, int | None]) -> None:
    assert found(switched(Recorder(), features)).features == features


@pytest.mark.parametrize(
    "account",
    [
        Account(10**6, b"\1" + bytes(8), SYSTEM_PROGRAM),
        Account(10**6, b"", FEATURE_PROGRAM),
        Account(10**6, bytes(9), FEATURE_PROGRAM),
        Account(10**6, b"\1" + bytes(7), FEATURE_PROGRAM),
    ],
    ids=["of somebody else", "empty", "asked for, not on yet", "cut off"],
)
def test_what_is_no_feature_that_is_on_switches_nothing_on(account: Account) -> None:
    chain = switched(Recorder(), WITH_V3)
    put(chain, ONLY_V3, account)
    assert found(chain).taken == ["v0", "v1", "v2", "v3"]


@pytest.fixture(scope="module")
def worlds(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> dict[Arch, Export]:
    """The tiny world in each version."""
    tiny, made = tiny_world(tmp_path_factory), {}
    for arch in Arch:
        folder = tmp_path_factory.mktemp(arch)
        export_solana(tiny.net, folder)
        made[arch] = built(open_export(folder), arch)
    return made


@pytest.mark.parametrize(("arch", "features", "other"), [(Arch.V3, BEFORE, Arch.V0), (Arch.V0, V3_ALONE, Arch.V3)])
def test_a_program_that_is_not_taken_costs_nothing(
    worlds: dict[Arch, Export], arch: Arch, features: dict[str, int | None], other: Arch
) -> None:
    chain = switched(Recorder(), features)
    target = chain.fund(worlds[arch])
    before, landed = chain.balance(target), len(chain.landed)
    with pytest.raises(WmLiveError, match=f"this one is in {arch}; nothing was sent; next: wmq build --arch {other}"):
        deploy(chain, target)
    assert (chain.balance(target), len(chain.landed)) == (before, landed)
    deploy(chain, chain.fund(worlds[other]))


def test_a_program_that_is_there_needs_nothing_of_the_cluster(worlds: dict[Arch, Export]) -> None:
    chain = switched(Recorder(), WITH_V3)
    target = chain.fund(worlds[Arch.V0])
    deploy(chain, target)
    deploy(switched(chain, V3_ALONE), target)


def deploy(chain: Recorder, target: DeployTarget) -> None:
    async def run() -> None:
        async with chain.client() as rpc:
            deployment = await prepare(rpc, target)
            version = next(arch for arch in Arch if f"program in {arch}" in "\n".join(deployment.lines()))
            assert deployment.to_json()["sbpf"] == deployment.versions.to_json(version)
            await carry_out(rpc, target, deployment)

    asyncio.run(run())


def test_the_doctor_asks_a_cluster(base: BaseChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wm_export.doctor.checks", list)
    asked = {url: CliRunner().invoke(cli.main, ["doctor", "--cluster", url]) for url in (base.url, "nowhere")}
    assert [one.exit_code for one in asked.values()] == [0, 1]
    assert f"{base.url} takes sBPF v0, v1, v2, v3" in asked[base.url].output
    assert "expected localnet, devnet" in asked["nowhere"].output


@pytest.mark.parametrize("features", [BEFORE, V3_ALONE])
def test_the_doctor_says_how_to_build_for_a_cluster(
    features: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(rpc: object) -> Versions:
        return Versions(features)

    monkeypatch.setattr("wm_export.doctor.checks", list)
    monkeypatch.setattr("wm_live.deploy.versions.read_versions", read)
    asked = CliRunner().invoke(cli.main, ["doctor", "--cluster", "devnet"])
    (taken,) = Versions(features).taken
    assert f"devnet takes sBPF {taken}" in asked.output
    assert (asked.exit_code, f"wmq build --arch {taken}" in asked.output) == (
        (0, False) if taken == DEFAULT_ARCH else (1, True)
    )
