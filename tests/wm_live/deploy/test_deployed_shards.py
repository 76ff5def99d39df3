"""Weights that lie in two or three model accounts are deployed, verified, given up, and judged like those in one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from solders.account import Account

from tests.builds import built
from tests.factories import small_model, small_qnet
from tests.wm_live.chains import Recorder
from tests.wm_live.courts import court, lie, played
from wm_export.schema.accounts import MODEL
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.toolchain import Toolchain
from wm_live.deploy.deployed import Reference, Verification, verify
from wm_live.deploy.deploying import Refund, abort, carry_out, prepare
from wm_live.deploy.deployment import Deployment
from wm_live.deploy.target import DeployTarget
from wm_live.errors import WmLiveError
from wm_live.judge.dispute import Dispute, SettledDispute
from wm_train.melee.field_table import STATE_INDEX

FRAMES = 12


@pytest.fixture(scope="module")
def export(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The smallest world that there is, in three accounts: layers, tables, heads."""
    folder, model = tmp_path_factory.mktemp("sharded"), small_model("v1", "published", 1)
    export_solana(small_qnet(type(model)(**vars(model) | {"hidden": (8, 8)})), folder, shard_max=242_000)
    made = built(open_export(folder))
    assert len(made.shards) == 3
    return made


@pytest.fixture
def chain() -> Recorder:
    return Recorder()


def deploy(chain: Recorder, target: DeployTarget, stop_after: str = "") -> Deployment:
    """Deploy, or up to a step; it costs what was planned."""

    async def run() -> Deployment:
        async with chain.client() as rpc:
            deployment = await prepare(rpc, target)
            names = [step.name for step in deployment.steps]
            if stop_after:
                deployment = replace(deployment, steps=deployment.steps[: names.index(stop_after) + 1])
            before = chain.balance(target)
            await carry_out(rpc, target, deployment)
            assert before - chain.balance(target) == deployment.fees + deployment.rent
            return deployment

    return asyncio.run(run())


def verified(chain: Recorder, target: DeployTarget) -> Verification:
    async def run() -> Verification:
        async with chain.client() as rpc:
            built = Reference(target.elf, "a test's own build")
            return await verify(rpc, target.export, target.model, lambda _: built, upgradeable=True)

    return asyncio.run(run())


def edit(chain: Recorder, target: DeployTarget, shard: int, at: int, value: Sequence[int]) -> None:
    """Other bytes in the account of a shard, behind everybody's back."""
    address = target.shards[shard].address
    account = chain.chain.account(address)
    assert account is not None
    data = bytearray(account.data)
    data[at : at + len(value)] = bytes(value)
    chain.chain.svm.set_account(address, Account(account.lamports, bytes(data), account.owner))


def test_every_shard_has_an_account_and_its_rent(export: Export, chain: Recorder) -> None:
    target = chain.fund(export)
    deployment = deploy(chain, target)
    names = [step.name for step in deployment.steps if step.name not in ("buffer", "program bytes", "deploy")]
    uploads = [["model", "model bytes", "digest"], ["model 1", "model bytes 1", "digest 1"]]
    uploads.append(["model 2", "model bytes 2", "digest 2"])
    assert names == [*(name for upload in uploads for name in upload), "freeze", "freeze 1", "freeze 2"]
    held = {h.name: (h.address, h.bytes) for h in deployment.holdings}
    for shard, name in zip(target.shards, ("model", "model 1", "model 2"), strict=True):
        assert held[name] == (str(shard.address), shard.shape.account_bytes)
    assert verified(chain, target).ok
    assert not deploy(chain, target).steps


@pytest.mark.parametrize("step", ["digest", "model 1", "model bytes 2", "freeze 1"])
def test_what_is_there_is_not_sent_again(export: Export, chain: Recorder, step: str) -> None:
    target = chain.fund(export)
    first = deploy(chain, target, stop_after=step)
    rest = deploy(chain, target)
    assert not {s.name for s in first.steps} & {s.name for s in rest.steps}
    assert verified(chain, target).ok


def test_abort_returns_the_rent_of_every_shard(export: Export, chain: Recorder) -> None:
    target = chain.fund(export)
    deploy(chain, target, stop_after="digest 2")
    before = chain.balance(target)

    async def run() -> Refund:
        async with chain.client() as rpc:
            return await abort(rpc, target)

    refund = asyncio.run(run())
    assert set(refund.returned) == {"model", "model 1", "model 2"}
    assert chain.balance(target) - before == refund.to_json()["total"]
    assert all(chain.chain.account(shard.address) is None for shard in target.shards)


def test_a_difference_is_found_in_any_shard(export: Export, chain: Recorder) -> None:
    target = chain.fund(export)
    deploy(chain, target)
    for shard, section in ((0, "layer1.words"), (1, "gather.rows"), (2, "heads.words")):
        start = next(s["offset"] for s in export.manifest.data["blob"]["sections"] if s["name"] == section)
        at = target.shards[shard].shape.head_bytes + start - sum(map(len, export.shards[:shard]))
        edit(chain, target, shard, at, [target.shards[shard].blob[at - target.shards[shard].shape.head_bytes] ^ 1])
        found = verified(chain, target)
        assert not found.ok and section in found.differing_sections
        edit(chain, target, shard, at, [target.shards[shard].blob[at - target.shards[shard].shape.head_bytes]])
    edit(chain, target, 2, MODEL.offsets["frozen"], bytes(4))
    assert [check.name for check in verified(chain, target).checks if not check.ok] == ["model 2"]
    edit(chain, target, 2, MODEL.offsets["shard"], [1])
    with pytest.raises(WmLiveError, match="expected shard 2 of the weights, got 1"):
        verified(chain, target)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_dispute_reads_every_shard(export: Export, tmp_path: Path, wrong: bool) -> None:
    ids, records = played(export.net, FRAMES, {5: lie(0, STATE_INDEX["percent"], 1)} if wrong else None)

    async def run() -> SettledDispute:
        async with court(export, ids, records) as made:
            await made.commit(records, False)
            log = made.log(tmp_path / "log")
            return await Dispute(made.disputer(), export, log, made.session.address, 5).run()

    assert asyncio.run(run()).right is not wrong
