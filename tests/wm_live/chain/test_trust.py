"""Programs of others: what a wallet signs for, and what it refuses to."""

import asyncio
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.wm_live.chains import write_keypair
from tests.wm_live.courts import PROGRAM, STRANGER, Court, built, court, played
from wm_cli.verbs.judging import dispute_frame
from wm_cli.verbs.sessions import join_session
from wm_export.solana.export import Export
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import FINAL_LOADER, LOADER
from wm_live.chain.answers import AccountInfo
from wm_live.chain.purse import purse_key
from wm_live.chain.trust import Trust, check_code, code_hash
from wm_live.chain.upgradeable import program_data_address
from wm_live.errors import WmLiveError

ELF, OTHER = b"\x7fELF of this wmq", b"\x7fELF of somebody else"
OWN, THEIRS = (Keypair.from_seed(letter * 32).pubkey() for letter in (b"o", b"t"))


def node(code: bytes, authority: Pubkey | None, final: bool = False) -> Any:
    """A node that has a program."""
    data = struct.pack("<IQB", 3, 7, authority is not None) + bytes(authority or Pubkey.default()) + code + bytes(9)
    of_loader = {
        PROGRAM: AccountInfo(1, LOADER, struct.pack("<I", 2) + bytes(program_data_address(PROGRAM)), executable=True),
        program_data_address(PROGRAM): AccountInfo(1, LOADER, data, executable=False),
    }
    there = {PROGRAM: AccountInfo(1, FINAL_LOADER, code, executable=True)} if final else of_loader

    async def accounts(addresses: list[Pubkey]) -> list[AccountInfo | None]:
        return [there.get(address) for address in addresses]

    return SimpleNamespace(url="http://127.0.0.1:1", accounts=accounts)


def checked(code: bytes, authority: Pubkey | None = None, trust: Trust | None = None, final: bool = False) -> str:
    """The hash of a program that may be signed for."""
    found = check_code(node(code, authority, final), PROGRAM, lambda: ELF, OWN, trust or Trust())
    return asyncio.run(found).sha256


def test_the_program_that_was_built_here() -> None:
    assert checked(ELF) == checked(ELF, final=True) == code_hash(ELF) == code_hash(ELF + bytes(5))
    assert checked(ELF, OWN) == code_hash(ELF)


@pytest.mark.parametrize("code", [OTHER, ELF[:-1], ELF + b"\1", b""])
@pytest.mark.parametrize("final", [False, True])
def test_another_program_is_not_signed_for(code: bytes, final: bool) -> None:
    with pytest.raises(WmLiveError, match=f"nothing was signed.*--trust-program {code_hash(code)}"):
        checked(code, final=final)


def test_another_program_that_is_trusted_by_its_hash() -> None:
    assert checked(OTHER, trust=Trust(code_hash(OTHER))) == code_hash(OTHER)
    with pytest.raises(WmLiveError, match="--trust-program names"):
        checked(ELF, trust=Trust(code_hash(OTHER)))


def test_a_program_that_somebody_can_replace() -> None:
    with pytest.raises(WmLiveError, match=f"{THEIRS} can replace it.*--allow-upgradeable"):
        checked(ELF, THEIRS)
    assert checked(ELF, THEIRS, Trust(upgradeable=True)) == code_hash(ELF)
    with pytest.raises(WmLiveError, match="sha256"):
        checked(OTHER, THEIRS, Trust(upgradeable=True))


# --- the verbs ---


@pytest.fixture(scope="module")
def export(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A small world."""
    return built(tmp_path_factory)


def disputed(export: Export, folder: Path, code: bytes | None, trust: Trust) -> tuple[Any, int, int]:
    """(outcome of `wmq dispute` of a log that names the program with this code, lamports that it took, slots)."""
    ids, records = played(export.net, 8)
    wallet = write_keypair(folder / "wallet.json", STRANGER)

    async def attempt(made: Court) -> Any:
        where = export.folder, made.rpc.url, wallet, folder / "log"
        try:
            return await asyncio.to_thread(dispute_frame, *where, 5, False, False, trust, False)
        except WmLiveError as error:
            return error

    async def run() -> tuple[Any, int, int]:
        async with court(export, ids, records, code) as made:
            await made.commit(records)
            made.log(folder / "log")
            before = await made.rpc.balance(STRANGER.pubkey())
            landed = len(made.chain.transactions)
            outcome = await attempt(made)
            assert not await made.rpc.balance(purse_key(STRANGER, PROGRAM).pubkey())
            return outcome, before - await made.rpc.balance(STRANGER.pubkey()), len(made.chain.transactions) - landed

    return asyncio.run(run())


def test_a_log_of_another_program_costs_nothing(export: Export, tmp_path: Path) -> None:
    """It would have the wallet's signature, and could move everything that the wallet has."""
    hostile = export.program.read_bytes() + b"\1"
    outcome, taken, landed = disputed(export, tmp_path, hostile, Trust())
    assert isinstance(outcome, WmLiveError) and "nothing was signed" in str(outcome)
    assert taken == 0 and landed == 0


def test_another_program_that_is_trusted_signs_with_a_purse(export: Export, tmp_path: Path) -> None:
    hostile = export.program.read_bytes() + b"\1"
    outcome, taken, landed = disputed(export, tmp_path, hostile, Trust(code_hash(hostile)))
    assert outcome.right and landed > 3 and 0 < taken < 200_000


def test_join_of_another_program_costs_nothing(export: Export, tmp_path: Path) -> None:
    ids, records = played(export.net, 1)
    wallet = write_keypair(tmp_path / "wallet.json", STRANGER)

    async def run() -> None:
        async with court(export, ids, records, export.program.read_bytes() + b"\1") as made:
            before, at = await made.rpc.balance(STRANGER.pubkey()), str(made.session.address)
            with pytest.raises(WmLiveError, match="nothing was signed"):
                await asyncio.to_thread(join_session, export.folder, made.rpc.url, wallet, at, Trust(), False)
            assert await made.rpc.balance(STRANGER.pubkey()) == before

    asyncio.run(run())
