"""Weights in several model accounts: the same bits, the predicted cost, no other account in the place of a shard."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from tests.factories import small_qnet
from tests.wm_export.conftest import Built, recording
from wm_export.errors import WmExportError
from wm_export.lower.lowering import lower
from wm_export.manifest import describe
from wm_export.parity import Executor, rollouts, teacher_forced
from wm_export.schema.accounts import MODEL
from wm_export.schema.limits import SHARDS_MAX
from wm_export.solana.account_codec import model_accounts
from wm_export.solana.blob import pack
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.layout import digest
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.svm import SvmRunner
from wm_export.solana.toolchain import Toolchain
from wm_quant.interp import Interpreter

#: Bytes that a shard may have -> how many shards the small world has then.
SHARD_MAX = {1_000_000: 2, 910_000: 3}


@pytest.fixture(scope="module", params=SHARD_MAX)
def sharded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A small world whose weights lie in two or three accounts, not built."""
    folder = tmp_path_factory.mktemp("sharded")
    export_solana(small_qnet(), folder, shard_max=request.param)
    export = open_export(folder)
    assert len(export.shards) == SHARD_MAX[request.param]
    return export


@pytest.fixture(scope="module")
def ready(sbpf: Toolchain, cargo: Path, sharded: Export) -> Built:
    build(sharded)
    return Built(sharded, Interpreter(sharded.net))


def same(name: str, other: Executor, ready: Built) -> None:
    net = ready.export.net
    (forced,) = teacher_forced({name: other}, ready.reference, [recording(net, 20, 1)])
    assert (forced.frames, forced.mismatches, forced.first) == (20, 0, None)
    (free,) = rollouts({name: other}, ready.reference, recording(net, 2, 20))
    assert (free.frames, free.mismatches, free.first) == (40, 0, None)


def test_the_host_computes_the_same(ready: Built) -> None:
    with NativeRunner(ready.export) as native:
        same("native", native, ready)


def test_the_program_computes_the_same(ready: Built) -> None:
    same("svm", runner(ready.export), ready)


def test_frames_cost_what_was_predicted(ready: Built) -> None:
    cost, program, run = predicted(ready.export), runner(ready.export), recording(ready.export.net, 20, 1)
    for i in range(20):
        one = slice(i, i + 1)
        assert program.metered_step(run.state.at(one), run.inputs[0, one], number=i)[2] == cost.transactions(i)


def test_every_shard_is_in_the_manifest(sharded: Export) -> None:
    data, one = sharded.manifest.data, pack(sharded.lowered)
    assert sharded.manifest.digests == tuple(map(digest, sharded.shards))
    assert [part["bytes"] for part in data["blob"]["shards"]] == list(map(len, sharded.shards))
    assert data["accounts"]["model"] == list(sharded.layout.model_bytes)
    assert (
        sharded.blob == one.data
        and data["blob"]["sha256"] == describe(sharded.net, sharded.lowered, one, [], "").data["blob"]["sha256"]
    )


@pytest.mark.parametrize("most", [0, 905_000, "all", 1_100_000])
def test_a_wrong_size_of_shards_is_refused(sharded: Export, tmp_path: Path, most: object) -> None:
    folder = shutil.copytree(sharded.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("target", "build"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["programs"][0]["blob"]["shard_max"] = most
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    with pytest.raises(WmExportError, match=r"at most|programs|not that of the QNet"):
        open_export(folder)


def test_more_shards_than_a_transaction_loads_are_refused() -> None:
    net = small_qnet()
    program = lower(net)
    blob = pack(program, 1_000_000)
    many = replace(blob, shards=blob.shards[1:] * (SHARDS_MAX + 1))
    with pytest.raises(WmExportError, match=f"a transaction can load {SHARDS_MAX}"):
        describe(net, program, many, [], "")


# --- other accounts than the shards ---

Change = Callable[[SvmRunner, int], None]


def _edit(at: str, value: bytes) -> Change:
    """Other bytes in a field of a shard's account."""

    def change(program: SvmRunner, shard: int) -> None:
        address, offset = program.models[shard], MODEL.offsets[at]
        data = program.data(address)
        program.put(address, data[:offset] + value + data[offset + len(value) :])

    return change


def _swap(program: SvmRunner, shard: int) -> None:
    program.models[shard], program.models[shard - 1] = program.models[shard - 1], program.models[shard]


def _first_twice(program: SvmRunner, shard: int) -> None:
    program.models[shard] = program.models[0]


def _missing(program: SvmRunner, shard: int) -> None:
    del program.models[shard]


def _one_more(program: SvmRunner, shard: int) -> None:
    program.models.append(program.models[shard])


def _short(program: SvmRunner, shard: int) -> None:
    program.put(program.models[shard], program.data(program.models[shard])[:-8])


def _empty(program: SvmRunner, shard: int) -> None:
    program.put(program.models[shard], b"")


def _other_owner(program: SvmRunner, shard: int) -> None:
    address = program.models[shard]
    program.svm.set_account(address, Account(10**12, program.data(address), Pubkey.from_bytes(bytes([7]) * 32)))


REFUSED: dict[str, tuple[Change, str]] = {
    "missing": (_missing, "NotEnoughAccountKeys"),
    "one more": (_one_more, "NotEnoughAccountKeys"),
    "the first twice": (_first_twice, "Custom"),
    "swapped": (_swap, "Custom"),
    "too short": (_short, "Custom(6002)"),
    "empty": (_empty, "Custom(6002)"),
    "of another program": (_other_owner, "InvalidAccountOwner"),
    "of another kind": (_edit("tag", bytes(8)), "Custom(6000)"),
    "of another version": (_edit("version", bytes(4)), "Custom(6001)"),
    "of another manifest": (_edit("manifest", bytes(32)), "Custom(6003)"),
    "of another number": (_edit("shard", bytes([0])), "Custom(6004)"),
    "of a number that there is not": (_edit("shard", bytes([9])), "Custom(6004)"),
    "not frozen": (_edit("frozen", bytes(4)), "Custom(6025)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_other_account_is_taken_for_a_shard(ready: Built, name: str) -> None:
    change, error = REFUSED[name]
    run = recording(ready.export.net, 1, 1)
    for shard in range(1, len(ready.export.shards)):
        program = runner(ready.export)
        program.load(run.state)
        inputs = program.input_instructions(0, program.codec.records.input_bytes(run.inputs[0, 0]))
        assert not program.send(*inputs).error
        change(program, shard)
        before = program.data(program.session), program.data(program.scratch)
        assert error in program.send(program.instruction(0, 0)).error
        assert (program.data(program.session), program.data(program.scratch)) == before


def test_accounts_of_shards_say_which_they_are(sharded: Export) -> None:
    accounts = model_accounts(sharded.lowered, sharded.shards, sharded.manifest.hash, bytes(32))
    assert [MODEL.read(account, "shard") for account in accounts] == list(range(len(sharded.shards)))
    assert tuple(map(len, accounts)) == sharded.layout.model_bytes
