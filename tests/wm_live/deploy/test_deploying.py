"""A deployment costs what was said before, leaves what was wanted, and can be given up."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests import verbs
from tests.wm_live.chains import SOL, Recorder, Wire, tiny_world, write_keypair
from tests.wm_live.conftest import BaseChain
from wm_cli.verbs.publishing import run_abort, run_deploy, run_fund, run_verify
from wm_export.schema.limits import PIECE_BYTES
from wm_export.solana.export import Export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.chain.fees import rent_exempt
from wm_live.chain.transactions import Sender, TransactionError
from wm_live.chain.upgradeable import program_data_address
from wm_live.chain.wallet import cluster_url, fund, load_keypair, new_keypair, sol
from wm_live.deploy.deploying import PIECES_AT_ONCE, Refund, abort, carry_out, prepare
from wm_live.deploy.deployment import Deployment
from wm_live.deploy.program import instruction
from wm_live.deploy.target import DeployTarget, Found, find, read_blob, target_of
from wm_live.errors import WmLiveError


@pytest.fixture(scope="module")
def tiny(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return tiny_world(tmp_path_factory)


@pytest.fixture
def chain() -> Recorder:
    return Recorder()


def deploy(
    chain: Recorder, target: DeployTarget, final: bool = False, stop_after: str = "", wire: Wire | None = None
) -> int:
    """Deploy; the lamports that it cost, which must be those that were planned. `stop_after` a step: no further."""

    async def run() -> tuple[Deployment, int]:
        async with chain.client(wire) as rpc:
            deployment = await prepare(rpc, target, final)
            names = [step.name for step in deployment.steps]
            if stop_after:
                deployment = replace(deployment, steps=deployment.steps[: names.index(stop_after) + 1])
            before, landed = chain.balance(target), len(chain.landed)
            await carry_out(rpc, target, deployment)
            assert len(chain.landed) - landed == deployment.transactions
            return deployment, before - chain.balance(target)

    deployment, spent = asyncio.run(run())
    assert spent == deployment.fees + deployment.rent
    return spent


def prepared(chain: Recorder, target: DeployTarget, final: bool = False) -> Deployment:
    async def run() -> Deployment:
        async with chain.client() as rpc:
            return await prepare(rpc, target, final)

    return asyncio.run(run())


def found(chain: Recorder, target: DeployTarget) -> Found:
    async def run() -> Found:
        async with chain.client() as rpc:
            return await find(rpc, target)

    return asyncio.run(run())


def send(chain: Recorder, target: DeployTarget, name: str, **args: Any) -> None:
    """One instruction of the model's authority."""

    async def run() -> None:
        accounts = {"authority": target.payer, "model": target.model}
        async with chain.client() as rpc:
            sender = Sender(rpc, target.authority)
            await sender.send([instruction(target.program.pubkey(), name, accounts, **args)])

    asyncio.run(run())


def aborted(chain: Recorder, target: DeployTarget) -> Refund:
    async def run() -> Refund:
        async with chain.client() as rpc:
            return await abort(rpc, target)

    return asyncio.run(run())


# --- what it costs ---


def test_a_dry_run_says_what_a_run_spends_and_sends_nothing(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    before, landed = chain.balance(target), len(chain.landed)
    deployment = prepared(chain, target)
    assert (chain.balance(target), len(chain.landed)) == (before, landed)
    assert deploy(chain, target) == deployment.fees + deployment.rent
    rents = {holding.name: holding.rent for holding in deployment.holdings}
    assert deployment.rent == rents["program"] + rents["program data"] + rents["model"]
    assert {h.name: h.bytes for h in deployment.holdings}["model"] == target.shards[0].shape.account_bytes


def test_the_same_again_has_nothing_to_do(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target)
    again = prepared(chain, target)
    assert (again.transactions, again.fees, again.rent, again.needs) == (0, 0, 0, 0)
    assert all(holding.there for holding in again.holdings)
    assert any("nothing to do" in line for line in again.lines())
    assert deploy(chain, target) == 0


STEPS = ["buffer", "program bytes", "deploy", "model", "model bytes", "digest"]


@pytest.mark.parametrize("step", STEPS)
def test_what_is_there_is_not_paid_for_again(tiny: Export, chain: Recorder, step: str) -> None:
    target, other = chain.fund(tiny), chain.fund(tiny)
    parts = deploy(chain, target, stop_after=step) + deploy(chain, target)
    assert parts == deploy(chain, other)
    assert set(chain.written().values()) == {1}


def test_the_payer_must_have_all_of_it_before_anything_is_sent(tiny: Export, chain: Recorder) -> None:
    needs = prepared(chain, chain.fund(tiny)).needs
    poor = chain.fund(tiny, needs - 1)
    landed = len(chain.landed)
    with pytest.raises(WmLiveError, match=rf"needs {sol(needs)} SOL, has {sol(needs - 1)}; next"):
        deploy(chain, poor)
    assert len(chain.landed) == landed
    exact = chain.fund(tiny, needs)
    assert needs - deploy(chain, exact) == prepared(chain, exact).reserve


def test_a_limit_holds_for_all_that_it_might_take(tiny: Export, chain: Recorder) -> None:
    deployment = prepared(chain, chain.fund(tiny))
    most = deployment.budget().at_most
    deployment.check_limit(most)
    with pytest.raises(
        WmLiveError, match=rf"never more than {sol(most)}, .*nothing was sent; next: --max-sol {sol(most)}"
    ):
        deployment.check_limit(most - 1)


def test_what_is_kept_is_what_the_plan_says(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    parts = prepared(chain, target).world_rent()
    assert deploy(chain, target, final=True) > parts.kept
    addresses = [target.program.pubkey(), program_data_address(target.program.pubkey()), target.model]
    assert sum(account.lamports for account in map(chain.chain.account, addresses) if account) == parts.kept


def test_a_plan_as_json_and_in_words(tiny: Export, chain: Recorder) -> None:
    deployment = prepared(chain, chain.fund(tiny), final=True)
    figures = json.loads(json.dumps(deployment.to_json()))
    assert figures["total"] == figures["fees"] + figures["rent"]
    assert sum(step["transactions"] for step in figures["steps"]) == figures["transactions"]
    text = "\n".join(deployment.lines())
    assert all(holding.address in text and sol(holding.rent) in text for holding in deployment.holdings)
    assert max(map(len, deployment.lines())) <= 80
    assert sol(figures["total"]) in text and f"{figures['transactions']:,} transactions" in text


# --- what it leaves ---


def test_somebody_elses_lamports_at_the_models_address_change_nothing_but_the_price(
    tiny: Export, chain: Recorder
) -> None:
    target, other = chain.fund(tiny), chain.fund(tiny)
    chain.chain.airdrop(target.model, 1_000_000)
    assert deploy(chain, target) == deploy(chain, other) - 1_000_000


def test_an_upgrade_replaces_the_program_and_gives_the_buffer_back(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, replace(target, elf=target.elf + b"\1" * 3_000))
    upgrade = prepared(chain, target)
    assert [step.name for step in upgrade.steps] == ["buffer", "program bytes", "upgrade"]
    assert deploy(chain, target) == upgrade.fees and upgrade.rent == 0
    program = found(chain, target).program
    assert program is not None and program.holds(target.elf)


def test_a_program_that_grows_gets_more_room(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target)
    grown = replace(target, elf=target.elf + b"\1" * 3_000)
    deploy(chain, grown)
    program = found(chain, grown).program
    assert program is not None and program.holds(grown.elf)


def test_a_buffer_of_another_size_is_closed_first(tiny: Export, chain: Recorder) -> None:
    target, other = chain.fund(tiny), chain.fund(tiny)
    larger = deploy(chain, replace(target, elf=target.elf + b"\1" * 3_000), stop_after="program bytes")
    assert larger + deploy(chain, target) > deploy(chain, other)
    assert aborted(chain, target).returned == {}


def test_a_final_program_is_final(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target)
    assert deploy(chain, target, final=True) == 5_000
    assert deploy(chain, target, final=True) == 0
    with pytest.raises(WmLiveError, match="final"):
        prepared(chain, replace(target, elf=target.elf + b"\1"))


def test_anothers_program_is_not_replaced(tiny: Export, chain: Recorder) -> None:
    first, other = chain.fund(tiny), chain.fund(tiny)
    deploy(chain, first)
    with pytest.raises(WmLiveError, match=str(first.payer)):
        prepared(chain, replace(other, program=first.program, elf=other.elf + b"\1"))


def test_a_tampered_chunk_is_named_and_cannot_be_frozen_and_the_next_run_mends_it(
    tiny: Export, chain: Recorder
) -> None:
    target = chain.fund(tiny)
    deploy(chain, target, stop_after="model bytes")
    send(chain, target, "write_chunk", index=5, data=bytes(reversed(tiny.blob[5 * 960 : 6 * 960])))
    with pytest.raises(WmLiveError, match=r"1 chunks differ, sections: .*gather\.rows"):
        deploy(chain, target)
    with pytest.raises(TransactionError) as error:
        send(chain, target, "freeze_model")
    assert error.value.name == "WrongDigest"
    deploy(chain, target)
    assert chain.written()[str(target.model), 5] == 3
    state = found(chain, target).shards[0].head
    assert state is not None and state.frozen


def test_as_many_pieces_are_hashed_as_a_transaction_can(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    (step,) = (step for step in prepared(chain, target).steps if step.name == "digest")
    assert len(step.jobs) == -(-len(tiny.blob) // (PIECE_BYTES * PIECES_AT_ONCE))
    deploy(chain, target)
    assert max(landed.cu for landed in chain.landed) < 1_400_000


# --- giving up ---


@pytest.mark.parametrize("step", ["buffer", "program bytes", "model", "model bytes", "digest"])
def test_abort_returns_the_rent_to_the_lamport(tiny: Export, chain: Recorder, step: str) -> None:
    target = chain.fund(tiny)
    deploy(chain, target, stop_after=step)
    before = chain.balance(target)
    refund = aborted(chain, target)
    assert chain.balance(target) - before == refund.to_json()["total"] == sum(refund.returned.values()) - refund.fees
    assert set(refund.returned) == {"buffer" if step in ("buffer", "program bytes") else "model"}
    assert chain.chain.account(target.model) is None and chain.chain.account(target.buffer.pubkey()) is None
    assert aborted(chain, target) == Refund({}, 0)
    deploy(chain, target)


def test_a_frozen_model_stays(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target)
    assert aborted(chain, target) == Refund({}, 0)
    assert chain.chain.account(target.model) is not None


# --- what a node says is not believed ---


def _lie(address: object, account: Account) -> Callable[[str, list[Any]], Any]:
    """A node that shows another account at an address."""
    import base64

    value = {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "data": [base64.b64encode(bytes(account.data)).decode(), "base64"],
        "executable": account.executable,
    }

    def lie(method: str, params: list[Any]) -> Any:
        shown = method == "getAccountInfo" and params[0] == str(address)
        return {"result": {"context": {"slot": 1}, "value": value}} if shown else None

    return lie


LIES = {
    "program of the system": ("program", Account(1, b"", SYSTEM_PROGRAM)),
    "program that is short": ("program", Account(1, b"\2\0\0\0", LOADER, True)),
    "program with other code": ("program", Account(1, b"\2\0\0\0" + bytes(32), LOADER, True)),
    "buffer that is none": ("buffer", Account(1, b"\3\0\0\0" + bytes(40), LOADER)),
    "buffer of another": ("buffer", Account(1, b"\1\0\0\0\1" + bytes(50), LOADER)),
    "model of the loader": ("model", Account(1, bytes(500), LOADER)),
    "model of the system": ("model", Account(1, bytes(500), SYSTEM_PROGRAM)),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_account_that_is_not_what_it_should_be(tiny: Export, chain: Recorder, lie: tuple[str, Account]) -> None:
    target = chain.fund(tiny)
    part, account = lie
    address = target.model if part == "model" else getattr(target, part).pubkey()
    with pytest.raises(WmLiveError, match=str(address)):
        deploy(chain, target, wire=Wire(before=_lie(address, account)))
    assert len(chain.landed) == 1


@pytest.mark.parametrize("part", ["program", "code", "buffer", "model"])
def test_the_right_bytes_of_another_owner(tiny: Export, chain: Recorder, part: str) -> None:
    target = chain.fund(tiny)
    deploy(chain, target, stop_after="program bytes" if part == "buffer" else "digest")
    addresses = {"buffer": target.buffer.pubkey(), "program": target.program.pubkey(), "model": target.model}
    address = addresses.get(part, program_data_address(target.program.pubkey()))
    account, landed = chain.chain.account(address), len(chain.landed)
    assert account is not None
    lie = _lie(address, Account(account.lamports, account.data, Pubkey.new_unique(), account.executable))
    with pytest.raises(WmLiveError, match=str(address)):
        deploy(chain, target, wire=Wire(before=lie))
    assert len(chain.landed) == landed


def test_a_program_whose_code_is_said_to_lie_elsewhere(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target)
    account = chain.chain.account(target.program.pubkey())
    assert account is not None
    data = bytes(account.data[:4]) + bytes(Pubkey.new_unique())
    lie = _lie(target.program.pubkey(), Account(account.lamports, data, account.owner, executable=True))
    with pytest.raises(WmLiveError, match="its own code"):
        deploy(chain, target, wire=Wire(before=lie))


def test_rent_is_computed_and_never_asked_of_the_node(tiny: Export, chain: Recorder) -> None:
    def greedy(method: str, params: list[Any]) -> Any:
        assert not method.startswith(("getMinimumBalance", "getFee"))

    target = chain.fund(tiny)
    deploy(chain, target, wire=Wire(before=greedy))
    accounts = [program_data_address(target.program.pubkey()), target.program.pubkey(), target.model]
    for account in map(chain.chain.account, accounts):
        assert account is not None and account.lamports == rent_exempt(len(account.data))


def test_a_model_with_the_wrong_tag_length_or_authority(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target, stop_after="model")
    account, landed = chain.chain.account(target.model), len(chain.landed)
    assert account is not None
    for at in (0, 8, 16, 30, 60):
        data = bytearray(account.data)
        data[at] ^= 1
        lie = _lie(
            target.model, Account(account.lamports, bytes(data[: target.shards[0].shape.head_bytes]), account.owner)
        )
        with pytest.raises(WmLiveError, match=str(target.model)):
            deploy(chain, target, wire=Wire(before=lie))
    assert len(chain.landed) == landed


# --- keys and clusters ---


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[1, 2]", json.dumps([256] * 64), json.dumps([1.5] * 64), json.dumps([True] * 64),
             json.dumps([1] * 64), "[" * 5_000, json.dumps(["a"] * 64)],
)  # fmt: skip
def test_a_bad_keypair_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(WmLiveError, match=r"key\.json: .*(expected a JSON array|its public half)"):
        load_keypair(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_keypair_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_keypair(tmp_path / "key.json", Keypair())
    path.chmod(mode)
    with pytest.raises(WmLiveError, match=rf"mode {mode:04o}, so others can read it; next: chmod 600"):
        load_keypair(path)
    path.chmod(0o400)
    load_keypair(path)


def test_a_keypair_is_never_part_of_an_error(tmp_path: Path) -> None:
    keypair = Keypair()
    path = write_keypair(tmp_path / "key.json", keypair)
    assert load_keypair(path) == keypair
    path.write_text(json.dumps([*bytes(keypair)[:32], *bytes(Keypair().pubkey())]))
    with pytest.raises(WmLiveError, match="public half") as error:
        load_keypair(path)
    assert str(bytes(keypair)[0]) + ", " not in str(error.value)
    with pytest.raises(WmLiveError, match="is not there; `wmq fund` makes it"):
        load_keypair(tmp_path / "absent.json")


def test_a_new_keypair_is_private_and_never_written_over_another(tmp_path: Path) -> None:
    made = new_keypair(tmp_path / "key.json")
    assert load_keypair(tmp_path / "key.json") == made
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        new_keypair(tmp_path / "key.json")


def test_an_unbuilt_export_is_not_deployed(tiny: Export, tmp_path: Path) -> None:
    with pytest.raises(WmLiveError, match="wmq build"):
        target_of(replace(tiny, folder=tmp_path), Keypair())


def test_clusters() -> None:
    assert cluster_url("localnet") == "http://127.0.0.1:8899"
    assert cluster_url("devnet").startswith("https://")
    assert cluster_url("http://127.0.0.1:1") == "http://127.0.0.1:1"
    for text in ("mainnet", "ftp://x", "http://", "http://x:99999999", "http://[", ""):
        with pytest.raises(WmLiveError, match="expected localnet, devnet"):
            cluster_url(text)


def test_lamports_for_the_asking(tiny: Export, chain: Recorder) -> None:
    payer = Keypair()

    async def run() -> int:
        async with chain.client() as rpc:
            return await fund(rpc, payer, 3 * SOL)

    assert asyncio.run(run()) == asyncio.run(run()) == 3 * SOL


def test_sol() -> None:
    assert [sol(v) for v in (0, 1, 5_000, SOL, 1_500_000_000, -SOL)] == [
        "0", "0.000000001", "0.000005", "1", "1.5", "-1",
    ]  # fmt: skip


def test_addresses_of_a_target_are_derived_from_key_and_manifest_alone(tiny: Export) -> None:
    keypair = Keypair()
    one, two = target_of(tiny, keypair), target_of(tiny, Keypair.from_bytes(bytes(keypair)))
    assert (one.program, one.buffer, one.model) == (two.program, two.buffer, two.model)
    assert one.program != one.buffer and target_of(tiny, Keypair()).model != one.model
    assert program_data_address(one.program.pubkey()) != one.model


def test_the_blob_on_chain_is_read_back_whole(tiny: Export, chain: Recorder) -> None:
    target = chain.fund(tiny)
    deploy(chain, target)

    async def run() -> bytes:
        async with chain.client() as rpc:
            return await read_blob(rpc, target.shards[0])

    assert asyncio.run(run()) == tiny.blob


# --- the verbs ---


def test_fund_deploy_verify_and_abort_over_a_real_connection(tiny: Export, base: BaseChain, tmp_path: Path) -> None:
    keypair = tmp_path / "payer.json"
    shown: list[Deployment] = []
    seen: list[tuple[str, int, int]] = []

    def run(dry_run: bool) -> dict[str, Any]:
        return run_deploy(tiny, base.url, keypair, dry_run, False, shown.append, lambda *step: seen.append(step))

    assert run_fund(base.url, keypair, 10)["balance"] == 10 * SOL
    dry = run(dry_run=True)
    assert seen == [] and dry["balance"] == 10 * SOL
    with pytest.raises(WmLiveError, match="does not exist"):
        run_verify(tiny, base.url, None, keypair, True)
    base_options = ["--cluster", base.url, "--keypair", str(keypair), "--upgradeable"]
    limited = verbs.run("deploy", "run", str(tiny.folder), *base_options, "--max-sol", "0.5")
    assert limited.exit_code == 1 and "--max-sol is 0.5; nothing was sent; next: --max-sol" in limited.stderr
    done = run(dry_run=False)
    assert done["balance_after"] == 10 * SOL - dry["total"]
    assert done["verification"]["ok"] and ("freeze", 1, 1) in seen
    assert [deployment.transactions for deployment in shown] == [dry["transactions"]] * 2
    assert run_verify(tiny, base.url, done["model"], None, True).ok
    assert run_abort(tiny, base.url, keypair, False) == Refund({}, 0)


@pytest.mark.parametrize(("model", "keypair"), [(None, None), ("x", None), (str(SYSTEM_PROGRAM), Path("payer.json"))])
def test_what_to_verify_is_named_once(tiny: Export, model: str | None, keypair: Path | None) -> None:
    with pytest.raises(WmLiveError, match=r"expected"):
        run_verify(tiny, "http://127.0.0.1:1", model, keypair, True)
